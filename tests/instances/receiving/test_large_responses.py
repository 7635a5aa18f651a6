"""A messenger's server that responds with megabytes is not read by the event loop that serves all instances."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hooks.http import Response
from instances.channels.linking import NotLinkable
from instances.channels.matrix import account as matrix
from instances.channels.receiving import MAX_RESPONSE_BYTES, Network, ReceiveFailed, ResponseTooLarge
from instances.channels.requests import Link, Request
from instances.channels.telegram import linking as telegram
from instances.channels.waha import history
from instances.channels.waha import linking as waha
from instances.channels.whatsapp_cloud import linking as whatsapp
from instances.receiving.network import LoopNetwork

OTHERS = 20
SMALL = b'{"ok": true}'
LARGE = b'{"result": [' + b'{"a": {}}, ' * (MAX_RESPONSE_BYTES // 4) + b"{}]}"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    body = SMALL if b"/small" in head.splitlines()[0] else LARGE
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    try:
        await writer.drain()
    except ConnectionError:
        pass  # it was not read to the end
    writer.close()


def matrix_link(url: str) -> Link:
    return Link(1, "", {"access_token": "t"}, options={"base_url": url})


def waha_link(url: str) -> Link:
    return Link(1, "", {"api_key": "key", "hmac_key": "key"}, options={"url": url, "session": "default"})


async def look_at_session(url: str, network: Network) -> None:
    async for _ in history.receive(waha_link(url), "", network):
        raise AssertionError("the response was read")


async def ask_telegram(url: str, network: Network) -> None:
    await telegram.check({"token": "1:a"}, network)


CALLS: dict[str, Callable[[str, Network], Awaitable[Any]]] = {
    "matrix, whoami": lambda url, network: matrix.health(matrix_link(url), network),
    "matrix, sign-in": lambda url, network: matrix.Homeserver(network).find("@bot:example.org", url),
    "whatsapp": lambda url, network: whatsapp.health(Link(1, "", {"token": "t"}, external_id="1"), network),
    "waha, session": lambda url, network: waha.connect(waha_link(url), "", network),
    "waha, health": lambda url, network: waha.health(waha_link(url), network),
    "waha, history": look_at_session,
    "telegram": ask_telegram,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_large_response_is_not_read(
    call: Callable[[str, Network], Awaitable[Any]], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others receive meanwhile is all that is read."""
    read: list[int] = []
    loads = json.loads

    def count(text: Any, **options: Any) -> Any:
        read.append(len(text))
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", count)

    async def main() -> None:
        server, network = await asyncio.start_server(serve, "127.0.0.1", 0), LoopNetwork()
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings.WHATSAPP_URL = settings.TELEGRAM_URL = url

        async def small() -> Response:
            return await network.send(Request("GET", f"{url}/small"), seconds=60)

        try:
            found = await asyncio.gather(
                call(url, network), *(small() for _ in range(OTHERS)), return_exceptions=True
            )
        finally:
            network.close()
            server.close()
        assert isinstance(found[0], ReceiveFailed | NotLinkable)
        assert isinstance(found[0], ResponseTooLarge) or "longer than 256 KiB" in str(found[0])
        assert [each.body for each in found[1:] if isinstance(each, Response)] == [SMALL] * OTHERS

    asyncio.run(main())
    assert sum(read) < 1_000
