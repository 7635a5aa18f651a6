"""The files of received messages: fetched over real sockets and stored, or left out with a sentence."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from instances.actions.media import storage
from instances.channels.requests import Link as ChannelLink
from instances.models import Instance, Message, StoredCallback
from instances.models import Media as StoredMedia
from instances.received_events import Media
from instances.receiving import files
from instances.receiving.files import FileFetcher, WantedFile
from instances.receiving.network import LoopNetwork
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.receiving import polling, pushing
from tests.instances.receiving.conftest import Link
from tests.instances.receiving.file_server import FetchesByUrl, FileServer
from tests.instances.receiving.polling import PollingMessenger
from tests.instances.receiving.processes import Receive
from tests.instances.receiving.pushing import CREDENTIALS
from tests.instances.receiving.wire_format import message

pytestmark = [pytest.mark.usefixtures("checked"), pytest.mark.timeout(300)]

PICTURE = b"\x89PNG\r\n" + bytes(range(256)) * 2000  # 512 KB: kept on disk while it is fetched
SECRET = "a-secret-of-the-link"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as server:
        yield server


@pytest.fixture
def alice(transactional_db: None, link: Link) -> Instance:
    return link(pushing.NAME, CREDENTIALS)


def fetch(instance: Instance, *wanted: Media, type: str = "image") -> list[StoredMedia | str]:
    """Fetch and store files as a receiver does; returns what each message gets."""

    async def main() -> list[StoredMedia | str]:
        network = LoopNetwork()
        fetcher = FileFetcher(network)
        link = ChannelLink(instance.number, instance.own_chat_id, {"token": SECRET})
        try:
            found = await fetcher.fetch_all(
                instance, link, FetchesByUrl(), [WantedFile(media, type) for media in wanted]
            )
        finally:
            fetcher.end()
            network.close()
        return [found[media.reference] for media in wanted]

    return asyncio.run(main())


def content_of(stored: StoredMedia | str) -> bytes:
    assert isinstance(stored, StoredMedia), stored
    with storage().open(stored.path) as file:
        return bytes(file.read())


def test_files_are_stored_with_their_names_and_types(alice: Instance, server: FileServer) -> None:
    picture = Media(**server.add("holiday.png", PICTURE), size=len(PICTURE))
    voice = Media(server.add("voice", b"OggS and sound", "audio/ogg; codecs=opus")["reference"])
    stored = fetch(alice, picture, voice, picture)
    assert [content_of(file) for file in stored] == [PICTURE, b"OggS and sound", PICTURE]
    shown = [(file.filename, file.content_type) for file in stored if isinstance(file, StoredMedia)]
    assert shown[:2] == [("holiday.png", "image/png"), ("image.ogg", "audio/ogg")]
    assert server.asked == {"holiday.png": 1, "voice": 1}


def test_a_failure_that_passes_is_tried_again(alice: Instance, server: FileServer) -> None:
    server.failures["a.png"] = 2
    assert content_of(fetch(alice, Media(**server.add("a.png", PICTURE)))[0]) == PICTURE
    assert server.asked["a.png"] == 3


class OnFullDisk(tempfile.SpooledTemporaryFile[bytes]):
    """There is no space for the first bytes."""

    refused = 0

    def write(self, data: Any) -> int:
        if not OnFullDisk.refused:
            OnFullDisk.refused = len(data)
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_file_is_tried_again_if_the_disk_was_full(
    alice: Instance, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PAUSES", (0.1, 0.1))
    monkeypatch.setattr(OnFullDisk, "refused", 0)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", OnFullDisk)
    assert content_of(fetch(alice, Media(**server.add("a.png", PICTURE)))[0]) == PICTURE
    assert OnFullDisk.refused and server.asked["a.png"] == 2


def test_a_file_that_cannot_be_had_has_a_sentence(
    alice: Instance, server: FileServer, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(files, "FILE_SECONDS", 5.0)
    monkeypatch.setattr(files, "PAUSES", (0.1, 0.1))
    settings.MEDIA_MAX_BYTES = 1024 * 1024
    server.slow.add("slow.png")
    server.failures["failing.png"] = 99
    damaged = hashlib.sha256(b"another picture").hexdigest()
    wanted = {
        "the messenger no longer has the file.": Media(server.url("gone.png")),
        "the file is larger than 1 MB.": Media(**server.add("large.png", bytes(2 * 1024 * 1024))),
        "the messenger did not send the file within 5 s.": Media(**server.add("slow.png", PICTURE)),
        "the file that the messenger sent is damaged: its SHA-256 is not the announced one.": Media(
            **server.add("damaged.png", PICTURE), sha256=damaged
        ),
        "the messenger responded with 503.": Media(**server.add("failing.png", PICTURE)),
        "files with the extension .exe are rejected, because they may run when they are opened.": Media(
            **server.add("virus.exe", b"MZ")
        ),
    }
    assert fetch(alice, *wanted.values()) == list(wanted)
    assert server.asked["gone.png"] == 1, "what is gone is not tried again"
    assert server.asked["damaged.png"] == server.asked["failing.png"] == 3
    assert not StoredMedia.objects.exists()
    announced = Media(server.url("unasked.png"), size=1024 * 1024 + 1)
    assert fetch(alice, announced) == ["the file is larger than 1 MB."]
    assert server.asked["unasked.png"] == 0, "a file that is announced as too large is not asked for"


def test_a_messenger_that_cannot_be_reached_is_named_without_secrets(
    alice: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PAUSES", (0.1, 0.1))
    [sentence] = fetch(alice, Media(f"http://127.0.0.1:9/{SECRET}"))
    assert isinstance(sentence, str) and sentence.startswith("The messenger cannot be reached")
    assert SECRET not in sentence


def received(instance: Instance) -> list[Message]:
    found = Message.objects.filter(instance=instance).select_related("media__file")
    return list(found.order_by("number"))


def assert_has_picture(received: Message, folder: Path) -> None:
    """The receiver's process has stored the picture in its own folder."""
    media = received.media
    assert media is not None and media.file is not None
    assert (received.type, received.body) == ("image", media.link)
    assert media.file.digest == hashlib.sha256(PICTURE).hexdigest()
    [path] = folder.rglob(media.path.rpartition("/")[2])
    assert path.read_bytes() == PICTURE


def store(instance: Instance, *events: dict[str, Any], id: str) -> None:
    body, headers = pushing.pushed(*events, id=id)
    StoredCallback.objects.create(
        instance=instance, key=id, method="POST", headers=[list(one) for one in headers.items()], body=body
    )


def test_a_pushed_message_has_its_file_and_keeps_its_place(
    alice: Instance, server: FileServer, tmp_path: Path
) -> None:
    server.slow.add("a.png")
    picture = server.add("a.png", PICTURE)
    gone = {"reference": server.url("gone.png")}
    store(alice, message(0, type="image", media=picture, caption="look"), id="first")
    store(alice, message(1), message(2, type="image", media=gone), id="second")
    with Receive(tmp_path):
        wait_until(lambda: server.asked["a.png"] == 1, "the file is asked for")
        assert received(alice) == [], "later messages wait for it"
        server.is_fast.set()
        wait_until(lambda: len(received(alice)) == 3, "all are recorded")
    first, second, third = received(alice)
    assert_has_picture(first, tmp_path)
    assert first.caption == "look"
    assert second.body == "1"
    assert (third.media, third.body) == (None, "file not available")
    assert third.caption == "(The file is not available: the messenger no longer has the file.)"
    assert not StoredCallback.objects.waiting().exists()


def test_a_receiver_killed_while_it_fetches_loses_and_doubles_nothing(
    alice: Instance, server: FileServer, tmp_path: Path
) -> None:
    server.slow.add("a.png")
    store(alice, message(0, type="image", media=server.add("a.png", PICTURE)), message(1), id="one")
    with Receive(tmp_path / "killed") as killed:
        wait_until(lambda: server.asked["a.png"] == 1, "it fetches")
        killed.kill()
    assert received(alice) == []
    server.is_fast.set()
    with Receive(tmp_path / "next"):
        wait_until(lambda: len(received(alice)) == 2, "the next one fetches it again", 120)
    assert [one.type for one in received(alice)] == ["image", "chat"]
    assert_has_picture(received(alice)[0], tmp_path)


def test_a_receiver_that_stops_while_it_fetches_leaves_the_callback_to_the_next(
    alice: Instance, server: FileServer, tmp_path: Path
) -> None:
    server.slow.add("a.png")
    store(alice, message(0, type="image", media=server.add("a.png", PICTURE)), id="one")
    with Receive(tmp_path / "stopped"):
        wait_until(lambda: server.asked["a.png"] == 1, "it fetches")
    [waiting] = StoredCallback.objects.waiting()
    assert waiting.tries == 0
    server.is_fast.set()
    with Receive(tmp_path / "next"):
        wait_until(lambda: len(received(alice)) == 1, "the next one handles it")
    assert_has_picture(received(alice)[0], tmp_path)


def test_a_polled_message_has_its_file_also_after_a_kill(
    transactional_db: None, link: Link, server: FileServer, tmp_path: Path
) -> None:
    server.slow.add("a.png")
    picture, gone = server.add("a.png", PICTURE), {"reference": server.url("gone.pdf")}
    with PollingMessenger() as messenger:
        bob = link(polling.NAME, messenger.credentials("bob"))
        messenger.add("bob", message(0), message(1, type="image", media=picture))
        messenger.add("bob", message(2, type="document", media=gone), message(3))
        with Receive(tmp_path / "killed") as killed:
            wait_until(lambda: server.asked["a.png"] == 1, "it fetches")
            killed.kill()
        server.is_fast.set()
        with Receive(tmp_path / "next"):
            wait_until(lambda: len(received(bob)) == 4, "all are recorded", 120)
    assert [one.body for one in received(bob)][::3] == ["0", "3"]
    assert_has_picture(received(bob)[1], tmp_path)
    assert (received(bob)[2].media, received(bob)[2].body) == (None, "file not available")


def test_the_file_of_a_video_that_is_not_uploaded_is_not_fetched(
    alice: Instance, server: FileServer, tmp_path: Path
) -> None:
    store(alice, message(0, type="video", media=server.add("a.mp4", b"video", "video/mp4")), id="one")
    with Receive(tmp_path):
        wait_until(lambda: len(received(alice)) == 1, "it is recorded")
    assert received(alice)[0].body == "upload disabled"
    assert server.asked["a.mp4"] == 0
