"""A messenger that is polled, as a small real server, and its channel.

`GET /updates?account=…&after=…` responds with the account's events after that number, at most PAGE of them; it waits up
to WAIT_SECONDS for one. Each event has its number; events below `after` are gone then, as with Telegram's getUpdates.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from instances.channels.receiving import Batch, LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link, Request
from tests.instances.channels.notepad import NotepadChannel
from tests.instances.receiving.file_server import FetchesByUrl
from tests.instances.receiving.wire_format import read_events

NAME = "polling"
PAGE = 5
WAIT_SECONDS = 2.0


class PollingChannel(FetchesByUrl, NotepadChannel):
    """The cursor is the number of the next update."""

    keeps_stream = False

    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        credentials = link.credentials
        while True:
            url = f"{credentials['url']}/updates?account={credentials['account']}&after={cursor or 0}"
            request = Request("GET", url, {"Authorization": f"Bearer {credentials['token']}"})
            response = await network.send(request, seconds=WAIT_SECONDS + 10)
            if response.status == 401:
                raise LinkLost("The messenger does not accept the token any more.")
            if response.status == 429:
                raise ReceiveFailed(
                    "The messenger asks to wait.", seconds=float(response.header("retry-after"))
                )
            if response.status != 200:
                raise ReceiveFailed(f"The messenger responded with {response.status} to {url}.")
            found = json.loads(response.body)
            if found:
                cursor = str(found[-1]["number"] + 1)
            yield Batch(cursor, read_events(update["event"] for update in found))


class PollingMessenger:
    """`with PollingMessenger() as messenger:` runs it on a free port."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.confirmed: Counter[str] = Counter()  # account → events below this number were confirmed
        self.asked: Counter[str] = Counter()
        self.fault: tuple[int, dict[str, str]] | None = None  # a status and headers for all requests
        self.changed = threading.Condition()
        self.is_stopping = False
        messenger = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                messenger.respond(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def credentials(self, account: str) -> dict[str, str]:
        return {"url": self.url, "account": account, "token": f"token-of-{account}"}

    def add(self, account: str, *events: dict[str, Any]) -> None:
        with self.changed:
            self.events[account] += events
            self.changed.notify_all()

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        account, after = query["account"][0], int(query["after"][0])
        self.asked[account] += 1
        if self.fault is None and handler.headers["Authorization"] != f"Bearer token-of-{account}":
            status, headers = 401, dict[str, str]()
        else:
            status, headers = self.fault or (200, {})
        found: list[dict[str, Any]] = []
        if status == 200:
            with self.changed:
                assert after >= self.confirmed[account], "events that were confirmed are gone"
                self.confirmed[account] = after
                until = time.monotonic() + WAIT_SECONDS
                while not self.is_stopping and len(self.events[account]) <= after:
                    if not self.changed.wait(max(0.0, until - time.monotonic())):
                        break
                found = [
                    {"number": number, "event": event}
                    for number, event in list(enumerate(self.events[account]))[after : after + PAGE]
                ]
        body = json.dumps(found).encode()
        handler.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
