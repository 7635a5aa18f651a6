"""A messenger whose accounts are linked by a token, as a small real server, and its channel.

`GET /account` responds with the account of the bearer token, `PUT /callback` sets the URL for its events, and
`DELETE /callback` removes it.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from hooks.http import Response
from instances.channels.linking import NOTHING_SAVED, Found, LinkField, LinkSetup, NotLinkable
from instances.channels.receiving import LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.models import AccountStatus
from instances.received_events import StatusReported
from tests.instances.channels.notepad import NotepadChannel

NAME = "desk"
TOKEN = "desk-1234567890"


class DeskChannel(NotepadChannel):
    """Everything but linking is the notepad's."""

    left_to_do = ""  # what a person does at the desk after unlinking

    setup = LinkSetup(
        title="Desk",
        summary="Links an account of a desk by its token.",
        fields=(
            LinkField(
                "token",
                "token",
                help="On the page “Tokens” of the desk.",
                is_secret=True,
                pattern="desk-[a-z0-9]{4,}",
                mistake="A token starts with desk-, followed by small letters and digits.",
                placeholder="desk-…",
            ),
            LinkField(
                "url",
                "URL of the desk",
                pattern="https?://[^ ]+",
                mistake="The URL starts with https:// or http://.",
                default="https://desk.example.com",
            ),
            LinkField("note", "note", is_required=False),
        ),
        steps=("Open the page “Tokens” of the desk.", "Create a token and copy it: the desk shows it once."),
        facts=("Each message costs nothing.",),
        needs=("An account at a desk.",),
        callback_steps=("Enter the callback URL on the page “Events” of the desk.",),
    )

    async def check(
        self, values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
    ) -> Found:
        response = await self.ask(network, "GET", f"{values['url']}/account", values["token"])
        if response.status == 401:
            raise NotLinkable(f"The desk does not know the token {values['token']}.", "token")
        if response.status != 200:
            raise ReceiveFailed(f"The desk responded with {response.status}.")
        account = json.loads(response.body)
        return Found(
            external_id=account["id"],
            own_chat_id=account["chat_id"],
            name=account["name"],
            credentials={"token": values["token"], "signature": f"signature of {account['id']}"},
            options={"url": values["url"], "note": values["note"]},
        )

    async def connect(self, link: Link, callback_url: str, network: Network) -> None:
        url, token = link.options["url"], link.credentials["token"]
        response = await self.ask(network, "PUT", f"{url}/callback", token, callback_url.encode())
        if response.status != 204:
            raise NotLinkable(f"The desk does not accept the callback URL {callback_url}.")

    may_remain = "The desk may still have the callback URL."

    async def disconnect(self, link: Link, network: Network) -> str:
        url, token = link.options["url"], link.credentials["token"]
        response = await self.ask(network, "DELETE", f"{url}/callback", token)
        if response.status not in (204, 401):
            raise ReceiveFailed(f"The desk responded with {response.status} to the token {token}.")
        return self.left_to_do

    async def health(self, link: Link, network: Network) -> StatusReported | None:
        url, token = link.options["url"], link.credentials["token"]
        response = await self.ask(network, "GET", f"{url}/account", token)
        if response.status == 401:
            raise LinkLost(f"The desk does not accept the token {token} any more.")
        if response.status != 200:
            raise ReceiveFailed(f"The desk responded with {response.status}.")
        return StatusReported(AccountStatus.AUTHENTICATED)

    @staticmethod
    async def ask(network: Network, method: str, url: str, token: str, body: bytes = b"") -> Response:
        request = Request(method, url, {"Authorization": f"Bearer {token}"}, body)
        return await network.send(request, seconds=5)


class Desk:
    """`with Desk() as desk:` runs it on a free port."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {}  # by token
        self.callbacks: dict[str, str] = {}  # token → URL
        self.asked: Counter[str] = Counter()  # paths
        self.faults: dict[str, int] = {}  # path → status of all responses
        self.bodies: dict[str, bytes] = {}  # path → body of all responses
        desk = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                desk.respond(self)

            do_PUT = do_DELETE = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def add(
        self, token: str = TOKEN, *, id: str = "desk 1", chat_id: str = "15550001111@c.us"
    ) -> dict[str, str]:
        """Adds an account; returns the values that link it."""
        self.accounts[token] = {"id": id, "chat_id": chat_id, "name": f"@{id.replace(' ', '')}"}
        return {"token": token, "url": self.url}

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        given = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        path = urlsplit(handler.path).path
        self.asked[path] += 1
        token = handler.headers["Authorization"].removeprefix("Bearer ")
        account = self.accounts.get(token)
        body = json.dumps(account).encode() if path == "/account" and account else b""
        status = 401 if account is None else 204 if path == "/callback" else 200
        status, body = self.faults.get(path, status), self.bodies.get(path, body)
        if path == "/callback" and status == 204:
            self.callbacks[token] = given.decode()
            if handler.command == "DELETE":
                del self.callbacks[token]
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
