"""The files of a snapshot stay until the backup has copied them."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from chatapi.runtime.backup import media_files
from chatapi.runtime.backup.dump import site_database, snapshot
from chatapi.runtime.backup.errors import DamagedBackup
from instances.actions import media as media_actions
from instances.actions.media import store_media
from instances.models import Instance, Media
from tests.factories import InstanceFactory


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """A store with nothing of the other tests' in it."""
    local = settings.STORAGES["media"]
    options = local["OPTIONS"] | {"location": tmp_path / "media"}
    settings.STORAGES = settings.STORAGES | {"media": local | {"OPTIONS": options}}
    return tmp_path / "media"


def store(instance: Instance, content: bytes) -> Media:
    return store_media(instance, content=io.BytesIO(b"\xff\xd8\xff" + content), filename="photo.jpg")


@pytest.mark.django_db(transaction=True)
def test_no_file_of_a_snapshot_is_deleted_before_its_end() -> None:
    instance = InstanceFactory()
    first = store(instance, b"first")
    with snapshot(site_database()) as taken:
        Media.objects.update(expires_at=timezone.now())
        store(instance, b"second")
        assert media_actions.drop_old() == media_actions.BEING_COPIED
        assert list(media_files.paths(taken)) == [first.path]
        found = media_files.opened(first.path)
        assert found
        with found[0] as file:
            assert (file.read(), found[1]) == (b"\xff\xd8\xfffirst", 8)
    assert media_actions.drop_old() == "1 links expired, 1 files deleted"
    assert media_files.opened(first.path) is None


@pytest.mark.django_db(transaction=True)
def test_two_backups_run_at_the_same_time() -> None:
    with snapshot(site_database()) as first, snapshot(site_database()) as second:
        assert first.id != second.id


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "a//b", "", ".ssh/keys", "a/\0"])
def test_no_name_leads_out_of_the_folder(path: str) -> None:
    with pytest.raises(DamagedBackup):
        media_files.path_of_member(f"media/{path}")
