"""A messenger with a stream, as a small real server, and its channel: lines of JSON in both directions.

The client says {"token", "account", "after"}; the server says {"ready": true} and then each event {"number", "event"}.
The client confirms with {"confirmed": number} what it has recorded. An account has one stream: a second one ends the
first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any, Self

from instances.channels.receiving import Batch, LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link
from tests.instances.channels.notepad import NotepadChannel
from tests.instances.receiving.wire_format import read_events

NAME = "streaming"


class StreamingChannel(NotepadChannel):
    """The cursor is the number of the last event."""

    keeps_stream = True

    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        credentials = link.credentials
        reader, writer = await network.connect(credentials["host"], int(credentials["port"]), has_tls=False)
        try:
            hello = {key: credentials[key] for key in ("token", "account")} | {"after": int(cursor or -1)}
            writer.write(json.dumps(hello).encode() + b"\n")
            while line := await reader.readline():
                found = json.loads(line)
                if "refused" in found:
                    raise LinkLost(found["refused"])
                if "error" in found:
                    raise ReceiveFailed(found["error"])
                if "ready" in found:
                    yield Batch(cursor)
                    continue
                cursor = str(found["number"])
                yield Batch(cursor, read_events([found["event"]]))
                writer.write(json.dumps({"confirmed": found["number"]}).encode() + b"\n")
        finally:
            writer.close()


class StreamingMessenger:
    """`with StreamingMessenger() as messenger:` runs it in a thread. `add` and `drop` are called from any thread."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.confirmed: Counter[str] = Counter()  # account → how many events were confirmed
        self.streams: dict[str, asyncio.StreamWriter] = {}
        self.opened: Counter[str] = Counter()
        self.port = 0
        self.is_ready = threading.Event()

    def credentials(self, account: str) -> dict[str, str]:
        token = f"token-of-{account}"
        return {"host": "127.0.0.1", "port": str(self.port), "account": account, "token": token}

    def add(self, account: str, *events: dict[str, Any]) -> None:
        self.loop.call_soon_threadsafe(self._add, account, events)

    def _add(self, account: str, events: tuple[dict[str, Any], ...]) -> None:
        first = len(self.events[account])
        self.events[account] += events
        if stream := self.streams.get(account):
            for number, event in enumerate(events, first):
                self._say(stream, {"number": number, "event": event})

    def drop(self) -> None:
        """Reset all streams."""
        for stream in list(self.streams.values()):
            self.loop.call_soon_threadsafe(stream.transport.abort)

    @staticmethod
    def _say(stream: asyncio.StreamWriter, what: dict[str, Any]) -> None:
        stream.write(json.dumps(what).encode() + b"\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        account = ""
        with contextlib.suppress(ConnectionError):
            hello = json.loads(await reader.readline())
            if hello["token"] != f"token-of-{hello['account']}":
                self._say(writer, {"refused": "The messenger does not know this token."})
            else:
                account = hello["account"]
                if before := self.streams.get(account):
                    before.close()
                self.streams[account] = writer
                self.opened[account] += 1
                self._say(writer, {"ready": True})
                for number in range(hello["after"] + 1, len(self.events[account])):
                    self._say(writer, {"number": number, "event": self.events[account][number]})
                while line := await reader.readline():
                    self.confirmed[account] = json.loads(line)["confirmed"] + 1
        if self.streams.get(account) is writer:
            del self.streams[account]
        writer.close()

    async def run(self) -> None:
        self.loop, self.stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=2000)
        self.port = server.sockets[0].getsockname()[1]
        self.is_ready.set()
        await self.stopped.wait()
        server.close()

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)
        self.thread.start()
        assert self.is_ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(10)
