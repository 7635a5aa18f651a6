"""A messenger that gives messages and chats ids of its own, as a small real server, and its channel.

`POST /send` responds with the next of `responses`, or with a new id. A group is moved by {"moved_to": …}.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from hooks.http import Response
from instances.channels.links import link_of_instance
from instances.channels.requests import (
    Failed,
    Link,
    MessageToSend,
    Moved,
    Prepared,
    Request,
    Result,
    Sent,
)
from instances.channels.responses import json_object
from instances.models import Instance
from tests.instances.channels.notepad import NotepadChannel, Pad

NAME = "numbering"


class NumberingChannel(NotepadChannel):
    """The messenger's URL is an option of the link."""

    def __init__(self) -> None:
        super().__init__(Pad())

    def link(self, instance: Instance) -> Link:
        return link_of_instance(instance)

    def is_idempotent(self, link: Link) -> bool:
        return False

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        fields = {
            "from": link.external_id,
            "to": message.messenger_chat_id or message.chat_id,
            "text": message.body,
            "quotes": (message.quoted or {}).get("messenger_id", ""),
            "deletes": message.deletes_messenger_id,
        }
        headers = {"Authorization": f"Bearer {link.credentials['token']}"}
        return Request("POST", f"{link.options['url']}/send", headers, body=json.dumps(fields).encode())

    def read(self, request: Request, response: Response) -> Result:
        found = json_object(response)
        if "moved_to" in found:
            return Moved(found["moved_to"], "The group was upgraded.")
        if response.status != 200:
            return Failed(f"The messenger responded with {response.status}.")
        acks = () if json.loads(request.body)["deletes"] else Sent().acks
        return Sent(acks, messenger_id=found["id"], messenger_chat_id=found.get("chat", ""))


class NumberingMessenger:
    """`with NumberingMessenger() as messenger:` runs it on a free port."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.responses: list[dict[str, Any]] = []
        messenger = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.dumps(messenger.respond(json.loads(self.rfile.read(length)))).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def respond(self, message: dict[str, Any]) -> dict[str, Any]:
        self.received.append(message)
        return self.responses.pop(0) if self.responses else {"id": f"m{len(self.received)}"}

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
