"""The links of files: who has one may save the file, and nothing else can come of it; for 30 days."""

import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone
from django.utils.http import http_date

from instances.actions import deleted_data
from instances.actions import media as media_actions
from instances.actions.lifecycle import delete_instance
from instances.actions.media import extend_expiry, store_media
from instances.actions.stopping import block_account, unblock_account
from instances.media.kinds import WrongFile
from instances.models import Instance, Media
from tests.factories import InstanceFactory, UserFactory

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


CONTENT = bytes(range(256)) * 4


def ask(client: Client, media: Media, method: str = "get", **headers: str) -> Any:
    """The response; `if_range="…"` is the header If-Range."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return getattr(client, method)(path(media), headers=named)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-1", 0, 1),  # the first request of an iPhone
        ("bytes=100-199", 100, 199),
        ("bytes=1000-", 1000, 1023),  # open end
        ("bytes=0-", 0, 1023),
        ("bytes=-10", 1014, 1023),  # suffix
        ("bytes=-5000", 0, 1023),
        ("bytes=1000-5000", 1000, 1023),
        ("bytes=1000-" + "9" * 40, 1000, 1023),
        ("Bytes=1-2", 1, 2),
    ],
)
def test_a_range_is_a_206_with_these_bytes(
    client: Client, instance: Instance, asked: str, first: int, last: int
) -> None:
    response = ask(client, keep(instance, "clip.mp4", CONTENT), range=asked)
    assert (response.status_code, b"".join(response)) == (206, CONTENT[first : last + 1])
    wanted = {
        "Content-Range": f"bytes {first}-{last}/1024",
        "Content-Length": str(last - first + 1),
        "Content-Type": "video/mp4",
        "Content-Disposition": 'attachment; filename="clip.mp4"',
        "Accept-Ranges": "bytes",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Access-Control-Allow-Origin": "*",
    }
    assert {name: response.headers[name] for name in wanted} == wanted


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=1024-2000", "bytes=" + "9" * 40 + "-", "bytes=-0"])
def test_a_range_beyond_the_file_is_a_416(client: Client, instance: Instance, asked: str) -> None:
    response = ask(client, keep(instance, "clip.mp4", CONTENT), range=asked)
    assert (response.status_code, response.content) == (416, b"")
    assert response.headers["Content-Range"] == "bytes */1024"


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-9", "bytes=5-1", "bytes=-", "bytes=a-b", "bytes", "lines=0-1", "bytes=1-2-3", "bytes=+1-2"],
)
def test_several_ranges_or_an_invalid_one_get_the_whole_file(
    client: Client, instance: Instance, asked: str
) -> None:
    response = ask(client, keep(instance, "clip.mp4", CONTENT), range=asked)
    assert (response.status_code, b"".join(response)) == (200, CONTENT)
    assert "Content-Range" not in response.headers


def test_head_ignores_a_range_and_says_that_ranges_work(client: Client, instance: Instance) -> None:
    response = ask(client, keep(instance, "clip.mp4", CONTENT), "head", range="bytes=0-1")
    assert (response.status_code, list(response)) == (200, [])
    assert (response.headers["Content-Length"], response.headers["Accept-Ranges"]) == ("1024", "bytes")
    assert response.headers["ETag"]


def test_the_etag_and_the_date_of_a_file_do_not_change(client: Client, instance: Instance) -> None:
    media, other = keep(instance), keep(instance)
    first, second = ask(client, media), ask(client, media, range="bytes=0-1")
    for name in ("ETag", "Last-Modified"):
        assert first.headers[name] == second.headers[name]
    assert first.headers["ETag"] != ask(client, other).headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["ETag"])
    assert media.key not in str(first.headers)
    assert first.headers["Last-Modified"] == http_date(media.created_at.timestamp())


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_file_that_the_client_has_is_a_304(client: Client, instance: Instance, method: str) -> None:
    media = keep(instance)
    headers = ask(client, media).headers
    etag, modified = headers["ETag"], headers["Last-Modified"]
    later = http_date(media.created_at.timestamp() + 5000)
    for conditions in (
        {"if_none_match": etag},
        {"if_none_match": f'"x", W/{etag}'},
        {"if_none_match": "*"},
        {"if_modified_since": modified},
        {"if_modified_since": later},
        {"if_none_match": etag, "if_modified_since": http_date(0), "range": "bytes=0-1"},
    ):
        response = ask(client, media, method, **conditions)
        assert (response.status_code, response.content) == (304, b"")
        assert (response.headers["ETag"], response.headers["Last-Modified"]) == (etag, modified)
    for conditions in (
        {"if_none_match": '"x"'},
        {"if_modified_since": http_date(0)},
        {"if_modified_since": "yesterday"},
        {"if_none_match": '"x"', "if_modified_since": later},
    ):
        assert ask(client, media, method, **conditions).status_code == 200


def test_if_range_continues_a_download_of_the_same_file(client: Client, instance: Instance) -> None:
    media = keep(instance, "clip.mp4", CONTENT)
    headers = ask(client, media).headers
    for same in (headers["ETag"], headers["Last-Modified"]):
        response = ask(client, media, range="bytes=1000-", if_range=same)
        assert (response.status_code, b"".join(response)) == (206, CONTENT[1000:])
    for other in ('"x"', f"W/{headers['ETag']}", http_date(0), "yesterday"):
        response = ask(client, media, range="bytes=1000-", if_range=other)
        assert (response.status_code, b"".join(response)) == (200, CONTENT)


def test_if_match_of_another_file_is_a_412(client: Client, instance: Instance) -> None:
    media = keep(instance)
    assert ask(client, media, if_match='"x"').status_code == 412
    assert ask(client, media, if_match=ask(client, media).headers["ETag"]).status_code == 200


def test_a_range_of_a_file_that_is_not_there_is_a_404(client: Client, instance: Instance) -> None:
    over, lost = keep(instance), keep(instance, content=b"\xff\xd8\xffother")
    etags = [ask(client, media).headers["ETag"] for media in (over, lost)]
    Media.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    storages["media"].delete(lost.path)
    for media, etag in zip((over, lost), etags, strict=True):
        for headers in ({"range": "bytes=0-1"}, {"range": "bytes=99-"}, {"if_none_match": etag}):
            response = ask(client, media, **headers)
            assert (response.status_code, response.json()) == (404, GONE)


def test_a_part_is_read_in_blocks_and_its_file_is_closed(
    client: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = keep(instance, "clip.mp4", bytes(1_000_000))
    opened: list[Any] = []
    real = storages["media"].open

    def open_and_watch(name: str) -> Any:
        file = real(name)
        opened.append(file)
        return file

    monkeypatch.setattr(storages["media"], "open", open_and_watch)
    response = ask(client, media, range="bytes=10-900000")
    sizes = [len(block) for block in response]
    assert (sum(sizes), max(sizes)) == (899_991, 65_536)
    for headers in ({"range": "bytes=2000000-"}, {"if_none_match": "*"}, {"if_match": '"x"'}):
        ask(client, media, **headers)
    assert len(opened) == 4
    assert all(file.closed for file in opened)


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
    over, lost = keep(instance), keep(instance, content=b"\xff\xd8\xffother")
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
    over, kept = keep(instance), keep(instance, content=b"\xff\xd8\xffother")
    Media.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    assert media_actions.drop_old() == "1 links expired, 1 files deleted"
    assert list(Media.objects.all()) == [kept]
    assert (storages["media"].exists(over.path), storages["media"].exists(kept.path)) == (False, True)
    assert media_actions.drop_old() == "0 links expired, 0 files deleted"


def test_retention_drops_the_files_of_deleted_instances(instance: Instance) -> None:
    bobs = InstanceFactory(owner__email="bob@example.org")
    theirs, kept = keep(bobs), keep(instance)
    delete_instance(bobs, acting_user=None)
    deleted_data.drop()
    assert media_actions.drop_old() == "0 links expired, 1 files deleted"
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


def test_files_of_a_blocked_account_are_404_until_it_is_unblocked(client: Client, instance: Instance) -> None:
    media, staff = keep(instance), UserFactory(is_staff=True)
    block_account(instance.owner, reason="spam", acting_user=staff)
    blocked = client.get(path(media))
    assert (blocked.status_code, blocked.json()) == (404, GONE)
    unblock_account(instance.owner, acting_user=staff)
    assert client.get(path(media)).status_code == 200
