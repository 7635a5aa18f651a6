"""The files of a snapshot stay until the backup has copied them."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from chatapi.runtime.backup import media_files
from chatapi.runtime.backup.archive import ArchiveWriter
from chatapi.runtime.backup.dump import site_database, snapshot
from chatapi.runtime.backup.errors import BackupError, DamagedBackup
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
        with media_files.opened(first.path) as found:
            assert found
            assert (found.read(), found.size) == (b"\xff\xd8\xfffirst", 8)
    assert media_actions.drop_old() == "1 links expired, 1 files deleted"
    with media_files.opened(first.path) as lost:
        assert lost is None


@pytest.mark.django_db(transaction=True)
def test_a_file_that_changes_while_it_is_copied(folder: Path) -> None:
    """What was added is not copied; an end that is missing fails the backup, and names the file."""
    path = store(InstanceFactory(), b"content").path
    with media_files.opened(path) as source:
        assert source
        (folder / path).write_bytes(b"more content")
        raw = io.BytesIO()
        ArchiveWriter(raw).add_file("media/file", source, source.size)
        assert b"more conte" in raw.getvalue() and b"more conten" not in raw.getvalue()
    with media_files.opened(path) as source:
        assert source
        (folder / path).write_bytes(b"less")
        with pytest.raises(BackupError, match=f"The file {path} of a message became shorter"):
            ArchiveWriter(io.BytesIO()).add_file("media/file", source, source.size)


@pytest.mark.django_db(transaction=True)
def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    path = store(InstanceFactory(), b"content").path
    (folder / path).unlink()
    (folder / path).mkdir()
    with (
        pytest.raises(BackupError, match=f"The file {path} of a message cannot be read: .*Is a directory"),
        media_files.opened(path),
    ):
        pass


@pytest.mark.django_db(transaction=True)
def test_two_backups_run_at_the_same_time() -> None:
    with snapshot(site_database()) as first, snapshot(site_database()) as second:
        assert first.id != second.id


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "a//b", "", ".ssh/keys", "a/\0"])
def test_no_name_leads_out_of_the_folder(path: str) -> None:
    with pytest.raises(DamagedBackup):
        media_files.path_of_member(f"media/{path}")
