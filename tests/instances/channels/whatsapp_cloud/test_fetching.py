"""Files that people send: two requests to the double, and what can go wrong with each."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

import pytest
from django.conf import settings

from instances.channels.media import FileUnavailable
from instances.channels.receiving import ReceiveFailed
from instances.channels.requests import Link
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.channels.whatsapp_cloud.graph import TOKEN
from instances.received_events import Media
from instances.receiving.network import LoopNetwork
from tests.doubles.whatsapp_cloud import Number, WhatsAppCloud

PICTURE = b"\x89PNG\r\n" + bytes(range(256)) * 2000


@pytest.fixture
def number(monkeypatch: pytest.MonkeyPatch) -> Iterator[Number]:
    with WhatsAppCloud() as whatsapp:
        monkeypatch.setattr(settings, "WHATSAPP_URL", whatsapp.url)
        yield whatsapp.add_number()


def fetch(number: Number, media_id: str) -> tuple[bytes, str]:
    """Returns the content and the content type, over real sockets."""
    link = Link(1, f"{number.phone}@c.us", {TOKEN: number.token}, number.phone_number_id)

    async def main() -> tuple[bytes, str]:
        network = LoopNetwork()
        try:
            fetched = await WhatsAppCloudChannel().fetch(link, Media(media_id), network)
            with fetched.content:
                return fetched.content.read(), fetched.content_type
        finally:
            network.close()

    return asyncio.run(main())


def test_a_file_is_fetched_in_two_steps_with_the_token(number: Number) -> None:
    media_id = number.server.add_file(PICTURE, "image/png")
    assert fetch(number, media_id) == (PICTURE, "image/png")
    assert [path for _, path in number.server.requests] == [f"/v23.0/{media_id}", f"/files/{media_id}"]


def test_a_file_that_is_gone_is_not_tried_again(number: Number) -> None:
    media_id = number.server.add_file(PICTURE, "image/png")
    number.server.files[media_id].is_gone = True
    for unknown in (media_id, "1"):
        with pytest.raises(FileUnavailable, match="no longer has the file"):
            fetch(number, unknown)


def test_a_url_that_has_expired_is_asked_for_again(number: Number) -> None:
    media_id = number.server.add_file(PICTURE, "image/png")
    number.server.files[media_id].expired_urls = 1
    with pytest.raises(ReceiveFailed, match="responded with 404"):
        fetch(number, media_id)
    assert fetch(number, media_id)[0] == PICTURE


def test_a_token_that_was_revoked_may_be_replaced(number: Number) -> None:
    media_id = number.server.add_file(PICTURE, "image/png")
    number.is_revoked = True
    with pytest.raises(ReceiveFailed, match="invalid or has expired"):
        fetch(number, media_id)


def test_a_damaged_file_is_recognised_by_the_digest_of_the_callback(number: Number) -> None:
    message = number.send_file("17680561234", "image", PICTURE, "image/png")
    [event] = WhatsAppCloudChannel().read_callback(
        Link(1, "", {}, number.phone_number_id),
        number.callback(number.messages([message], {"17680561234": "Ann"})),
    )
    media = getattr(event, "media", None)
    assert isinstance(media, Media) and media.sha256 == hashlib.sha256(PICTURE).hexdigest()
    number.server.files[media.reference].is_damaged = True
    content, _ = fetch(number, media.reference)
    assert hashlib.sha256(content).hexdigest() != media.sha256
