"""What a person reads if a messenger's name has no address."""

import asyncio
import socket
from typing import Any

import pytest

from instances.channels.receiving import ReceiveFailed
from instances.receiving.network import LoopNetwork


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (socket.EAI_NONAME, "No server has the name chat.exmaple.org: check its spelling."),
        (
            socket.EAI_AGAIN,
            "The name chat.exmaple.org cannot be looked up: Temporary failure in name resolution.",
        ),
    ],
    ids=["unknown", "no resolver"],
)
def test_the_name_is_in_the_sentence(monkeypatch: pytest.MonkeyPatch, reason: int, sentence: str) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        words = {socket.EAI_NONAME: "Name or service not known"}
        raise socket.gaierror(reason, words.get(reason, "Temporary failure in name resolution"))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def connect() -> None:
        network = LoopNetwork()
        try:
            await network.connect("chat.exmaple.org", 5222, has_tls=False)
        finally:
            network.close()

    with pytest.raises(ReceiveFailed) as raised:
        asyncio.run(connect())
    assert str(raised.value) == sentence


@pytest.mark.parametrize("host", ["chat..org", "a" * 64 + ".org", "ü" * 64 + ".org"])
def test_a_name_that_no_server_can_have_is_misspelled_too(host: str) -> None:
    async def connect() -> None:
        network = LoopNetwork()
        try:
            await network.connect(host, 5222, has_tls=False)
        finally:
            network.close()

    with pytest.raises(ReceiveFailed, match="No server has the name"):
        asyncio.run(connect())
