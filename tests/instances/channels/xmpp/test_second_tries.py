"""A message that an earlier connection has sent is found in the archive, however much others have written since.

Real connections to a real Prosody: the first has sent the message and is gone, the second is asked to send it again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import cast
from xml.etree.ElementTree import Element

import pytest

from instances.channels.requests import Link
from instances.channels.xmpp import services
from instances.channels.xmpp.opening import open_stream
from instances.channels.xmpp.servers import Server
from instances.channels.xmpp.services import Services
from instances.channels.xmpp.session import Session
from instances.channels.xmpp.stream import MESSAGE, XmppStream
from instances.channels.xmpp.xml import parse
from instances.receiving.network import LoopNetwork
from tests.servers.prosody import Account, Prosody
from tests.servers.xmpp_client import Client

SENT, NEW, LAST = ("capi" + digit * 28 for digit in "123")


SETTLED = 3.0  # seconds after its start, which is known to the second, as are the stamps of an archive


@pytest.fixture(scope="module", autouse=True)
def wait_after_the_start(prosody: Prosody) -> None:
    time.sleep(SETTLED)


def message(to: str, key: str, body: str, type: str = "chat") -> bytes:
    return f"<message to='{to}' type='{type}' id='{key}'><body>{body}</body></message>".encode()


def again(stanza: bytes, *, minutes: float = 1) -> bytes:
    """Returns the request for a message that was tried first in the last minutes."""
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    return f"<again since='{since.isoformat()}'>{stanza.decode()}</again>".encode()


def connected(prosody: Prosody, bot: Account, work: Callable[[Session], Awaitable[None]]) -> None:
    """Runs `work` with a new connection of the account."""

    async def main() -> None:
        network = LoopNetwork()
        stream = await open_stream(network, Server("127.0.0.1", prosody.port), bot.jid, bot.password, "x")
        session = Session(Link(1234567890, ""), stream, {})

        async def read() -> None:
            while True:
                for stanza in await stream.take_all(100):
                    if stanza.tag != MESSAGE:
                        session.handle(stanza)
                    elif (found := session.reader.read(stanza)).sent:
                        session.note_sent(found.sent, found.archive_id)

        reading = asyncio.create_task(read())
        try:
            async with asyncio.timeout(60):
                await session.begin()
                await work(session)
        finally:
            reading.cancel()
            session.end()
            await stream.close()
            network.close()

    asyncio.run(main())


async def send(session: Session, action: str, stanza: bytes) -> None:
    reply = await session.call(action, stanza)
    assert reply.status == 200, reply.body
    assert json.loads(reply.body)["id"]


def test_it_is_not_sent_twice_although_hundreds_came_since(prosody: Prosody) -> None:
    bot = prosody.register("bot")
    with Client(prosody.register("ann")) as ann, Client(prosody.register("ben")) as ben:
        connected(
            prosody, bot, lambda session: send(session, "message", message(ann.account.jid, SENT, "once"))
        )
        ben.write_many(bot.jid, [f"between {number}" for number in range(260)])
        ann.write_many(bot.jid, [f"in the chat {number}" for number in range(120)])

        async def send_again(session: Session) -> None:
            await send(session, "message-again", again(message(ann.account.jid, SENT, "once")))
            await send(session, "message-again", again(message(ann.account.jid, NEW, "not sent before")))

        connected(prosody, bot, send_again)
        ann.wait_for("not sent before")
        assert ann.bodies(bot.jid) == ["once", "not sent before"]


def test_a_message_to_a_room_is_not_sent_twice(prosody: Prosody) -> None:
    bot = prosody.register("bot")
    with Client(prosody.register("ann")) as ann:
        room = ann.create_room("room", "ann")

        async def send_first(session: Session) -> None:
            await send(session, "message", message(room, SENT, "once", "groupchat"))

        async def send_again(session: Session) -> None:
            await send(session, "message-again", again(message(room, SENT, "once", "groupchat")))
            await send(session, "message-again", again(message(room, NEW, "not sent before", "groupchat")))

        connected(prosody, bot, send_first)
        connected(prosody, bot, send_again)
        ann.wait_for("not sent before")
        assert [each.body for each in ann.archive(room)] == ["once", "not sent before"]


def test_the_start_of_the_accounts_server_does_not_count_for_a_room_of_another_server(
    prosody: Prosody, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = prosody.register("bot")

    async def just_now(services: Services) -> datetime:
        return datetime.now(UTC)

    with Client(prosody.register("ann")) as ann:
        room = ann.create_room("room", "ann")
        once = message(room, SENT, "once", "groupchat")
        connected(prosody, bot, lambda session: send(session, "message", once))
        monkeypatch.setattr(Services, "started_at", just_now)

        async def send_again(session: Session) -> None:
            session.reader.domain = "elsewhere.example"
            await send(session, "message-again", again(once))

        connected(prosody, bot, send_again)
        assert [each.body for each in ann.archive(room)] == ["once"]


@pytest.mark.parametrize(
    ("seconds", "age"), [("60", timedelta(minutes=1)), ("9" * 18, None), ("9" * 5_000, None), ("-1", None)]
)
def test_the_start_of_the_server(seconds: str, age: timedelta | None) -> None:
    now = "2026-01-02T03:04:05Z"

    class Stream:
        domain = "example.org"

        async def iq(self, kind: str, to: str, payload: Element) -> Element:
            last = f"<query xmlns='{services.LAST}' seconds='{seconds}'/>"
            time = f"<time xmlns='{services.TIME}'><utc>{now}</utc></time>"
            return parse(f"<iq>{last if payload.tag.endswith('query') else time}</iq>".encode())

    found = Services(Link(1234567890, ""), cast(XmppStream, Stream()))
    found.features = frozenset({services.LAST, services.TIME})
    expected = None if age is None else datetime.fromisoformat(now) - age
    assert asyncio.run(found.started_at()) == expected


def test_what_is_from_before_the_servers_start_is_sent_again(prosody: Prosody) -> None:
    """A server that was killed may have archived it without sending it on; which one cannot be known."""
    bot = prosody.register("bot")
    with Client(prosody.register("ann")) as ann:
        to = ann.account.jid
        connected(prosody, bot, lambda session: send(session, "message", message(to, SENT, "before")))
        prosody.kill()
        prosody.start()
        ann.connect()
        time.sleep(SETTLED)
        connected(prosody, bot, lambda session: send(session, "message", message(to, NEW, "after")))

        async def send_again(session: Session) -> None:
            await send(session, "message-again", again(message(to, NEW, "after")))
            await send(session, "message-again", again(message(to, SENT, "before")))
            await send(session, "message", message(to, LAST, "end"))

        connected(prosody, bot, send_again)
        ann.wait_for("end")
        assert ann.bodies(bot.jid) == ["before", "after", "before", "end"]
