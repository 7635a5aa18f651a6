"""A success that does not come from the messenger, such as the page of a portal: nothing is taken for received."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from instances.channels import CHANNELS
from instances.channels.receiving import Batch, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.waha import history
from instances.channels.waha.api import API_KEY, SESSION, URL
from instances.models import Channel
from instances.receiving.network import LoopNetwork
from tests.doubles.web_server import WebServer

PAGE = b"<!doctype html><title>Sign in to this network</title>"
FOREIGN = [PAGE, b"", b"[]", b'"text"', b'{"next_batch": "s9", "status": "WORKING"']
WORKING = {"name": "tea", "status": "WORKING", "me": {"id": "15551234567@c.us"}, "config": {}}
BEGIN = str(history.Position(1_800_000_000))


class Portal(WebServer):
    """Responds to each request with 200, also where the messenger would respond."""

    def __init__(self, body: bytes, own: Mapping[str, Any] | None = None) -> None:
        super().__init__(threading.RLock())
        self.body = body
        self.own = own or {}  # by path: what the messenger itself responds with

    def respond(self, request: Request) -> Response:
        found = self.own.get(request.path)
        return Response(self.body if found is None else json.dumps(found), content_type="text/html")


def link_of(portal: Portal) -> Link:
    credentials = {
        "access_token": "a-token",
        API_KEY: "a-key",
        URL: portal.url,
        "token": "1:a",
        "bot_token": "1:a",
    }
    return Link(
        1234567890,
        "15551234567@c.us",
        credentials,
        "@bot:example.org",
        {"base_url": portal.url, "since": "s0", URL: portal.url, SESSION: "tea"},
    )


def received_until_failure(name: Channel, portal: Portal, cursor: str) -> list[Batch]:
    """Receives until the channel says that it cannot; returns its batches."""
    channel: Any = CHANNELS[name]
    found: list[Batch] = []

    async def main() -> None:
        network = LoopNetwork()
        try:
            async with (
                asyncio.timeout(120),
                contextlib.aclosing(channel.receive(link_of(portal), cursor, network)) as batches,
            ):
                async for batch in batches:
                    found.append(batch)
        finally:
            network.close()

    with pytest.raises(ReceiveFailed):
        asyncio.run(main())
    return found


@pytest.mark.parametrize("body", [*FOREIGN, b"{}"], ids=range(len(FOREIGN) + 1))
def test_a_matrix_sync_of_another_server_neither_is_healthy_nor_moves_the_position(body: bytes) -> None:
    with Portal(body) as portal:
        for cursor in ("s5", ""):
            assert received_until_failure(Channel.MATRIX, portal, cursor) == []


@pytest.mark.parametrize("body", FOREIGN, ids=range(len(FOREIGN)))
def test_a_waha_session_or_history_of_another_server_does_not_move_the_position(body: bytes) -> None:
    with Portal(body) as portal:
        assert received_until_failure(Channel.WAHA, portal, BEGIN) == []
    if body == b"[]":
        return  # a history without chats
    with Portal(body, {"/api/sessions/tea": WORKING}) as portal:
        assert {batch.cursor for batch in received_until_failure(Channel.WAHA, portal, BEGIN)} == {BEGIN}


@pytest.mark.parametrize("body", FOREIGN, ids=range(len(FOREIGN)))
@pytest.mark.parametrize("name", [Channel.MATRIX, Channel.WAHA, Channel.TELEGRAM, Channel.WHATSAPP_CLOUD])
def test_the_check_of_a_link_does_not_call_it_healthy(name: Channel, body: bytes, settings: Any) -> None:
    channel: Any = CHANNELS[name]

    async def check(portal: Portal) -> None:
        network = LoopNetwork()
        try:
            await channel.health(link_of(portal), network)
        finally:
            network.close()

    with Portal(body) as portal:
        settings.TELEGRAM_URL = settings.WHATSAPP_URL = portal.url
        with pytest.raises(ReceiveFailed):
            asyncio.run(check(portal))
