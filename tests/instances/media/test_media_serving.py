"""The links of files: who has one may save the file, and nothing else can come of it; for 30 days."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone

from instances.actions import media as media_actions
from instances.actions.lifecycle import delete_instance
from instances.actions.media import extend_expiry, store_media
from instances.media.kinds import WrongFile
from instances.models import Instance, Media
from tests.factories import InstanceFactory

GONE = {"error": "There is no file with this URL. Files are kept for 30 days."}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, settings: Any) -> None:
    """A store with nothing of the other tests' in it."""
    local = settings.STORAGES["media"]
    options = local["OPTIONS"] | {"location": tmp_path / "media"}
    settings.STORAGES = settings.STORAGES | {"media": local | {"OPTIONS": options}}


def keep(instance: Instance, name: str = "photo.jpg", content: bytes = b"\xff\xd8\xffpicture") -> Media:
    return store_media(instance, content=io.BytesIO(content), filename=name)


def path(media: Media) -> str:
    return media.link.removeprefix("http://localhost:8000")


def test_a_file_is_an_attachment_that_can_do_nothing(client: Client, instance: Instance) -> None:
    response = client.get(path(keep(instance)))
    assert response.status_code == 200
    assert b"".join(response) == b"\xff\xd8\xffpicture"
    wanted = {
        "Content-Type": "image/jpeg",
        "Content-Length": "10",
        "Content-Disposition": 'attachment; filename="photo.jpg"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Access-Control-Allow-Origin": "*",
    }
    assert {name: response.headers[name] for name in wanted} == wanted
    assert not response.cookies


def test_head_says_the_same_without_the_file(client: Client, instance: Instance) -> None:
    response = client.head(path(keep(instance)))
    assert (response.status_code, response.headers["Content-Length"], list(response)) == (200, "10", [])


def test_a_file_of_no_known_type_is_bytes(client: Client, instance: Instance) -> None:
    response = client.get(path(keep(instance, "a.unheard", b"\x01")))
    assert response.headers["Content-Type"] == "application/octet-stream"


def test_a_name_in_another_alphabet_is_kept_for_who_saves_it(client: Client, instance: Instance) -> None:
    media = keep(instance, "счёт № 5.pdf")
    assert media.name_in_link == "5.pdf"
    assert client.get(path(media)).headers["Content-Disposition"] == (
        "attachment; filename*=utf-8''%D1%81%D1%87%D1%91%D1%82%20%E2%84%96%205.pdf"
    )


def test_a_link_can_not_be_guessed_nor_its_name_changed(client: Client, instance: Instance) -> None:
    media = keep(instance)
    assert len(media.key) == 48
    for wrong in (
        path(media).replace("photo.jpg", "photo.html"), path(media).replace(media.key, "0" * 48), "/media/x/y.jpg",
    ):  # fmt: skip
        response = client.get(wrong)
        assert (response.status_code, response.json()) == (404, GONE)


def test_a_file_whose_time_is_over_or_that_is_not_in_the_store_is_not_there(
    client: Client, instance: Instance
) -> None:
    over, lost = keep(instance), keep(instance)
    assert over.expires_at - over.created_at == pytest.approx(timedelta(days=30), abs=timedelta(seconds=5))
    Media.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    storages["media"].delete(lost.path)
    for media in (over, lost):
        response = client.get(path(media))
        assert (response.status_code, response.json()) == (404, GONE)


def test_nobody_can_write_there(client: Client, instance: Instance) -> None:
    assert client.post(path(keep(instance))).status_code == 405


def test_an_empty_file_is_refused(instance: Instance) -> None:
    with pytest.raises(WrongFile, match="the file is empty"):
        keep(instance, content=b"")
    assert not Media.objects.exists()


def test_a_file_that_can_not_be_written_leaves_no_row(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, content: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(storages["media"], "save", full)
    with pytest.raises(OSError, match="no space left"):
        keep(instance)
    assert not Media.objects.exists()


def test_retention_drops_rows_and_files_that_are_over_and_no_others(instance: Instance) -> None:
    over, kept = keep(instance), keep(instance)
    Media.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    assert media_actions.drop_old() == "1 expired, 0 of deleted instances"
    assert list(Media.objects.all()) == [kept]
    assert (storages["media"].exists(over.path), storages["media"].exists(kept.path)) == (False, True)
    assert media_actions.drop_old() == "0 expired, 0 of deleted instances"


def test_retention_drops_the_files_of_deleted_instances(instance: Instance) -> None:
    bobs = InstanceFactory(owner__email="bob@example.org")
    theirs, kept = keep(bobs), keep(instance)
    delete_instance(bobs, acting_user=None)
    assert media_actions.drop_old() == "0 expired, 1 of deleted instances"
    assert (storages["media"].exists(theirs.path), storages["media"].exists(kept.path)) == (False, True)


def test_retention_keeps_what_was_sent_once_more_meanwhile(instance: Instance) -> None:
    media = keep(instance)
    Media.objects.filter(pk=media.pk).update(expires_at=timezone.now())
    stale = Media.objects.get()
    extend_expiry(media)
    assert media_actions.delete_if_expired(stale) == 0
    assert storages["media"].exists(media.path)


def test_files_can_be_read_by_their_owner_alone(instance: Instance) -> None:
    media = keep(instance)
    assert Path(storages["media"].path(media.path)).stat().st_mode & 0o777 == 0o600
