"""The servers of a domain are found by its SRV records, and a stream may begin with TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import pytest

from instances.channels.receiving import ReceiveFailed
from instances.channels.xmpp.opening import Server, open_stream
from instances.channels.xmpp.servers import servers_of
from instances.receiving.network import LoopNetwork
from tests.servers.prosody import Prosody

PLAIN, DIRECT = "_xmpp-client._tcp.example.org.", "_xmpps-client._tcp.example.org."


class NameServer(asyncio.DatagramProtocol):
    """Responds with these records: priority, weight, port and target, by name."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        self.records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        asked = dns.message.from_wire(data)
        name, response = str(asked.question[0].name), dns.message.make_response(asked)
        if name in self.records:
            response.answer.append(dns.rrset.from_text_list(name, 60, "IN", "SRV", self.records[name]))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), address)


def look_up(records: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    async def main() -> list[Server]:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: NameServer(records), ("127.0.0.1", 0)
        )
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
        monkeypatch.setattr(dns.asyncresolver, "default_resolver", resolver)
        try:
            return await servers_of("example.org", "", "")
        finally:
            transport.close()

    return asyncio.run(main())


def test_both_kinds_of_records_are_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    records = {
        PLAIN: ["10 0 5222 b.example.org.", "30 0 5222 d.example.org."],
        DIRECT: ["20 0 443 c.example.org.", "5 0 5223 a.example.org."],
    }
    assert look_up(records, monkeypatch) == [
        Server("a.example.org", 5223, has_direct_tls=True),
        Server("b.example.org", 5222),
        Server("c.example.org", 443, has_direct_tls=True),
        Server("d.example.org", 5222),
    ]


def test_a_domain_without_records_is_its_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look_up({}, monkeypatch) == [Server("example.org", 5222)]


def test_a_domain_may_say_that_it_has_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReceiveFailed, match="no XMPP server"):
        look_up({PLAIN: ["0 0 0 ."]}, monkeypatch)
    only_direct = {PLAIN: ["0 0 0 ."], DIRECT: ["0 0 5223 a.example.org."]}
    assert look_up(only_direct, monkeypatch) == [Server("a.example.org", 5223, has_direct_tls=True)]
    only_plain = {DIRECT: ["0 0 0 ."], PLAIN: ["0 0 5222 a.example.org."]}
    assert look_up(only_plain, monkeypatch) == [Server("a.example.org", 5222)]
    assert look_up({DIRECT: ["0 0 0 ."]}, monkeypatch) == [Server("example.org", 5222)]


def test_a_server_that_is_entered_may_have_direct_tls() -> None:
    async def main() -> None:
        assert await servers_of("example.org", "a.example.org", "") == [Server("a.example.org", 5222)]
        assert await servers_of("example.org", "", "5223") == [
            Server("example.org", 5223, has_direct_tls=True)
        ]

    asyncio.run(main())


def with_network(work: Callable[[LoopNetwork], Awaitable[None]]) -> None:
    async def main() -> None:
        network = LoopNetwork()
        try:
            await work(network)
        finally:
            network.close()

    asyncio.run(main())


def test_a_stream_begins_with_tls(prosody: Prosody) -> None:
    bot = prosody.register("bot")

    async def work(network: LoopNetwork) -> None:
        server = Server("127.0.0.1", prosody.tls_port, has_direct_tls=True)
        stream = await open_stream(network, server, bot.jid, bot.password, "x")
        assert stream.is_encrypted and stream.has_acks
        assert stream.jid == f"{bot.jid}/x"
        await stream.close()

    with_network(work)


def test_a_port_without_direct_tls_is_named(prosody: Prosody) -> None:
    async def work(network: LoopNetwork) -> None:
        server = Server("127.0.0.1", prosody.port, has_direct_tls=True)
        with pytest.raises(ReceiveFailed, match="encrypted connection"):
            await open_stream(network, server, "bot@localhost", "a password", "x")

    with_network(work)
