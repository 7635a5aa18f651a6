"""A Matrix homeserver as far as the conformance tests need one: it can refuse what a real one cannot be made to refuse.

The real one is in tests/servers/synapse.py, and judges what the channel sends. Here each account has a token, rooms
exist as soon as they are written to, and the stream of events is one list.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

SERVER = "example.org"
TIMELINE = 5  # events of a room in one response of /sync; the others are a gap


@dataclass
class Account:
    """One account: its token, the events that it can see, in order, and what it has sent."""

    user: str
    token: str
    changed: threading.Condition  # of the double's lock
    is_soft_logout: bool = False
    has_no_state: bool = False  # the state of rooms cannot be read at the moment
    retry_after: int = 0  # seconds; the next messages are refused for a limit
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (room, event)
    receipts: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)  # (room, position, content)
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)  # by transaction
    files: dict[str, bytes] = field(default_factory=dict)  # by mxc URI
    asked: list[str] = field(default_factory=list)  # "METHOD path" of each request


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # the standard five are too few for hundreds of accounts

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed leave broken connections."""


class MatrixDouble:
    """`with MatrixDouble() as homeserver:` runs it on a free port."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.numbers = itertools.count(1)
        self.lock = threading.RLock()
        self.max_poll_seconds = 2.0
        self.is_stopping = False
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                with contextlib.suppress(ConnectionError):  # the client has gone during a poll
                    double.respond(self)

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    # -- what a test does

    def account(self, name: str) -> Account:
        """Returns the account of this name, a new one if there is none."""
        user = f"@{name}:{SERVER}"
        new = Account(user, f"token-of-{name}-{next(self.numbers)}", threading.Condition(self.lock))
        return self.accounts.setdefault(user, new)

    def revoke(self, account: Account) -> None:
        account.token = f"another-token-{next(self.numbers)}"

    def write(
        self, account: Account, room: str, content: dict[str, Any], *, sender: str, name: str = "", key: str = "",
        type: str = "m.room.message",
    ) -> str:  # fmt: skip
        """Add an event to a room of the account; returns its id."""
        event = {
            "type": type,
            "event_id": key or f"$event{next(self.numbers)}",
            "sender": sender,
            "origin_server_ts": int(time.time() * 1000),
            "content": content,
        }
        with self.lock:
            if name:
                account.events.append((room, member(sender, name, f"$member{next(self.numbers)}")))
            account.events.append((room, event))
            account.changed.notify_all()
        return str(event["event_id"])

    def change(
        self, account: Account, room: str, kind: str, content: dict[str, Any], *, by: str, key: str = ""
    ) -> None:
        """Change the state of a room, as `by` does: an event with this `state_key`."""
        event = {
            "type": kind, "event_id": f"$state{next(self.numbers)}", "sender": by, "state_key": key,
            "origin_server_ts": int(time.time() * 1000), "content": content,
        }  # fmt: skip
        with self.lock:
            account.events.append((room, event))
            account.changed.notify_all()

    def change_member(
        self, account: Account, room: str, user: str, membership: str, *, by: str = "", name: str = ""
    ) -> None:
        """Have a user join, leave or be banned; the account itself finds the room among those that it has left."""
        content = {"membership": membership} | ({"displayname": name} if name else {})
        self.change(account, room, "m.room.member", content, by=by or user, key=user)

    def upload(self, account: Account, content: bytes) -> str:
        """Returns the mxc URI of a file that the account may fetch."""
        uri = f"mxc://{SERVER}/file{next(self.numbers)}"
        account.files[uri] = content
        return uri

    def read(self, account: Account, room: str, event: str, *, reader: str) -> None:
        """Have `reader` read a room up to an event."""
        receipt = {event: {"m.read": {reader: {"ts": int(time.time() * 1000)}}}}
        with self.lock:
            account.receipts.append((room, len(account.events), receipt))
            account.events.append((room, {}))  # moves the position
            account.changed.notify_all()

    # -- responses

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"] or 0))
        parts = urlsplit(handler.path)
        path = [unquote(part) for part in parts.path.split("/")[3:]]  # v3 or v1, and the rest
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        token = (handler.headers["Authorization"] or "").removeprefix("Bearer ")
        account = next((each for each in self.accounts.values() if each.token == token), None)
        headers: dict[str, str] = {}
        found: dict[str, Any] | list[dict[str, Any]] | bytes
        if account is None or account.is_soft_logout:
            soft = {"soft_logout": account is not None}
            status, found = 401, error("M_UNKNOWN_TOKEN", "Invalid access token passed.") | soft
        else:
            account.asked.append(f"{handler.command} /{'/'.join(path)}")
            with self.lock:
                status, found, headers = self.answer(account, handler.command, path[1:], query, body)
        sent = found if isinstance(found, bytes) else json.dumps(found).encode()
        handler.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(sent))} | headers
        ).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(sent)

    def answer(
        self, account: Account, method: str, path: list[str], query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, Any] | list[dict[str, Any]] | bytes, dict[str, str]]:
        match method, path:
            case "PUT", ["rooms", room, "send", kind, transaction]:
                if account.retry_after:
                    return (
                        429,
                        error("M_LIMIT_EXCEEDED", "Too Many Requests"),
                        {"Retry-After": str(account.retry_after)},
                    )
                return 200, {"event_id": self.send(account, room, kind, transaction, json.loads(body))}, {}
            case "PUT", ["rooms", room, "redact", event, transaction]:
                return 200, {"event_id": self.redact(account, room, event, transaction)}, {}
            case "POST", ["upload"]:
                return 200, {"content_uri": self.upload(account, body)}, {}
            case "GET", ["media", "download", server, name]:
                return 200, account.files[f"mxc://{server}/{name}"], {"Content-Type": "application/pdf"}
            case "GET", ["sync"]:
                return 200, self.sync(account, query), {}
            case "GET", ["rooms", room, "messages"]:
                return 200, self.messages(account, room, query), {}
            case "GET", ["rooms", room, "state"]:
                if account.has_no_state:
                    return 502, error("M_UNKNOWN", "Bad gateway"), {}
                return 200, state_of(account, room), {}
            case "GET", ["rooms", room, "state", kind]:
                return content_of(account, room, kind)
            case "GET", ["user", _, "account_data", "m.direct"]:
                return 200, {f"@ann:{SERVER}": [f"!ann:{SERVER}"]}, {}
            case "GET", ["account", "whoami"]:
                return 200, {"user_id": account.user, "device_id": "DEVICE"}, {}
            case "POST", ["logout"]:
                self.revoke(account)
                return 200, {}, {}
            case (("PUT" | "POST"), _):
                return 200, {}, {}
        return 404, error("M_UNRECOGNIZED", "Unrecognized request"), {}

    def send(self, account: Account, room: str, kind: str, transaction: str, content: dict[str, Any]) -> str:
        if transaction not in account.sent:
            key = f"$sent{next(self.numbers)}"
            account.sent[transaction] = {"event_id": key, "room": room, "type": kind, "content": content}
            own = {"type": kind, "event_id": key, "sender": account.user, "content": content}
            account.events.append((room, own | {"unsigned": {"transaction_id": transaction}}))
            account.changed.notify_all()
        return str(account.sent[transaction]["event_id"])

    def redact(self, account: Account, room: str, event: str, transaction: str) -> str:
        for each in account.sent.values():
            if each["event_id"] == event:
                each["content"] = {}
        return f"$redaction-{transaction}"

    def sync(self, account: Account, query: dict[str, str]) -> dict[str, Any]:
        """Returns the events since the position, of each room at most TIMELINE; waits for one as it is asked to."""
        if "since" not in query:
            return {"next_batch": f"s{len(account.events)}"}
        since = int(query["since"][1:])
        until = time.monotonic() + min(int(query["timeout"]) / 1000, self.max_poll_seconds)
        while len(account.events) <= since and not self.is_stopping:
            if not account.changed.wait(max(0.0, until - time.monotonic())):
                break
        end = len(account.events)
        joined: dict[str, Any] = {}
        left: dict[str, Any] = {}
        for room in dict.fromkeys(room for room, _ in account.events[since:end]):
            found = in_room(account, room, since, end)
            if is_left(account, room):
                left[room] = {"timeline": {"events": [event for _, event in found[-TIMELINE:]]}}
                continue
            first = found[-TIMELINE][0] if len(found) > TIMELINE else since
            joined[room] = {
                "timeline": {
                    "events": [event for _, event in found[-TIMELINE:]],
                    "limited": len(found) > TIMELINE,
                    "prev_batch": f"s{first}",
                },
                "ephemeral": {
                    "events": [
                        {"type": "m.receipt", "content": content}
                        for where, position, content in account.receipts
                        if where == room and position >= since
                    ]
                },
            }
        return {"next_batch": f"s{end}", "rooms": {"join": joined, "leave": left}}

    def messages(self, account: Account, room: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of a gap, in which it is shorter than asked for."""
        begin, end = int(query["from"][1:]), int(query["to"][1:])
        page = in_room(account, room, begin, end)[:3]
        if not page:
            return {"chunk": [], "start": query["from"]}
        return {"chunk": [event for _, event in page], "start": query["from"], "end": f"s{page[-1][0] + 1}"}

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.is_stopping = True
            for account in self.accounts.values():
                account.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()


def in_room(account: Account, room: str, begin: int, end: int) -> list[tuple[int, dict[str, Any]]]:
    """Returns the events of a room between two positions, with the position of each."""
    return [
        (position, event)
        for position, (where, event) in list(enumerate(account.events))[begin:end]
        if where == room and event
    ]


def state_of(account: Account, room: str) -> list[dict[str, Any]]:
    """Returns the state of a room: the last event of each type and key."""
    events = [event for where, event in account.events if where == room and "state_key" in event]
    return list({(event["type"], event["state_key"]): event for event in events}.values())


def content_of(account: Account, room: str, kind: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Returns the response with one part of a room's state, which has the key ""."""
    for event in state_of(account, room):
        if (event["type"], event["state_key"]) == (kind, ""):
            return 200, event["content"], {}
    return 404, error("M_NOT_FOUND", "Event not found."), {}


def is_left(account: Account, room: str) -> bool:
    own = [event for event in state_of(account, room) if event["state_key"] == account.user]
    return any(event["content"].get("membership") in ("leave", "ban") for event in own)


def member(user: str, name: str, key: str) -> dict[str, Any]:
    content = {"membership": "join", "displayname": name}
    return {"type": "m.room.member", "event_id": key, "sender": user, "state_key": user, "content": content}


def error(code: str, said: str) -> dict[str, Any]:
    return {"errcode": code, "error": said}
