"""The sandbox messenger's API: messages, deletions and files of instances; orders; and what has arrived.

POST   /instances/{number}/messages        201 {"id"}; with Idempotency-Key, as all three
DELETE /instances/{number}/messages/{id}   200 {"deleted"}: whether it had arrived
POST   /instances/{number}/files           201 {"id"}: a file for `file` of a message
POST   /control     an order for one instance, or for all (orders.py); DELETE removes all orders
GET    /received    what has arrived, of all or ?instance=; GET /totals: the numbers only; DELETE /received forgets it

Errors are {"error"} in words; a 429 has Retry-After and {"scope"}. Only what has an Authorization is accepted.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import resource
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from instances.channels.sandbox.messenger.http11 import Connection, Received, Reply
from instances.channels.sandbox.messenger.inbox import Account, Answer
from instances.channels.sandbox.messenger.orders import BadOrder, Bucket, Fault, Order, parse_order

BACKLOG = 4096  # connections that wait to be accepted
PATH = re.compile(r"/instances/(?P<number>[0-9]{1,18})/(?P<kind>messages|files)(?:/(?P<name>[^/?]+))?")


class Messenger:
    """All state of the server."""

    def __init__(self) -> None:
        self.accounts: defaultdict[int, Account] = defaultdict(Account)
        self.for_all = Order()
        self.orders: dict[int, Order] = {}
        self.buckets: dict[tuple[int, str], Bucket] = {}  # of an instance ("") or its chat

    def respond(self, request: Received) -> Reply:
        """Returns the reply to a request."""
        if request.target.startswith("/instances/"):
            return self.respond_to_instance(request)
        url = urlsplit(request.target)
        match request.method, url.path:
            case "POST", "/control":
                return self.take_order(request.body)
            case "DELETE", "/control":
                self.for_all, self.orders = Order(), {}
                self.buckets.clear()
                return Reply()
            case "GET", "/received":
                return self.show(url.query, Account.content)
            case "GET", "/totals":
                return self.show(url.query, Account.totals)
            case "DELETE", "/received":
                self.accounts.clear()
                return Reply()
            case "GET", "/":
                return Reply(body=b'{"name": "sandbox messenger"}')
        return error(404, "There is nothing at this URL.")

    def take_order(self, body: bytes) -> Reply:
        try:
            number, order = parse_order(json.loads(body or b"{}"))
        except (ValueError, RecursionError):
            return error(400, "The order must be JSON.")
        except BadOrder as fault:
            return error(400, str(fault))
        if number is None:
            self.for_all, self.orders = order, {}
            self.buckets.clear()
        else:
            self.orders[number] = order
            self.buckets = {key: bucket for key, bucket in self.buckets.items() if key[0] != number}
        return Reply()

    def show(self, query: str, view: Callable[[Account], dict[str, Any]]) -> Reply:
        wanted = parse_qs(query).get("instance")
        shown = {
            str(number): view(account)
            for number, account in self.accounts.items()
            if wanted is None or str(number) in wanted
        }
        return Reply(body=json.dumps({"instances": shown}).encode())

    def respond_to_instance(self, request: Received) -> Reply:
        """Returns the reply to a request of an instance: its order first, then what the messenger itself says."""
        path = PATH.fullmatch(request.target)
        if path is None:
            return error(404, "There is no such instance.")
        number, kind, name = int(path["number"]), path["kind"], unquote(path["name"] or "")
        account = self.accounts[number]
        order = self.orders.get(number, self.for_all)
        content: dict[str, Any] = {}
        if (request.method, kind) == ("POST", "messages"):
            try:
                content = message_of(request.body)
            except ValueError:
                return error(400, "A message must be a JSON object with a `chatId`.")
        chat_id = content.get("chatId", "")
        reply = self.refuse(request, order, number, chat_id)
        if reply is None:
            fault = next((fault for fault in order.faults if fault.applies()), None)
            if fault is None or fault.accepts:
                reply = accept(account, request, kind, name, content)
            if fault is not None:
                reply = failed(fault)
            assert reply is not None
        reply.delay = order.latency
        is_response = not (reply.hangs or reply.resets or reply.is_garbage)
        account.statuses[reply.status if is_response else 0] += 1
        reply.when_done = account.in_flight.begin(chat_id)
        return reply

    def refuse(self, request: Received, order: Order, number: int, chat_id: str) -> Reply | None:
        """Returns 401 or 429 if the token or a limit says so."""
        if order.revoked:
            return error(401, "The token was revoked.")
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return error(401, "A token is missing.")
        if not chat_id:
            return None
        limits = (("number", order.rate, ""), ("chat", order.recipient_rate, chat_id))
        for scope, limit, name in limits:
            if limit is None:
                continue
            wait = self.buckets.setdefault((number, name), Bucket(*limit)).take(time.monotonic())
            if wait:
                return limited(f"Only {limit[0]} messages per {limit[1]:g} s are allowed.", scope, wait)
        return None


def message_of(body: bytes) -> dict[str, Any]:
    """Returns the message in this body. Raises ValueError."""
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(found, dict) or not isinstance(found.get("chatId"), str):
        raise ValueError("no message")
    file = found.get("file")
    if file is not None and not (isinstance(file, dict) and isinstance(file.get("id"), str)):
        raise ValueError("no file")
    return found


def accept(account: Account, request: Received, kind: str, name: str, content: dict[str, Any]) -> Reply:
    """Keep what has arrived, once per idempotency key, and return the response."""
    key = request.headers.get("idempotency-key", "")
    if not key:
        return error(400, "The header Idempotency-Key is missing.")

    def message() -> Answer:
        sent_id = f"m{account.message_count + 1}"
        account.chats[content["chatId"]].append({"id": sent_id, "key": key, "at": time.time(), **content})
        return Answer(201, b'{"id": "%s"}' % sent_id.encode())

    def file() -> Answer:
        file_id = f"f{len(account.files) + 1}"
        account.files[file_id] = {
            "key": key,
            "bytes": len(request.body),
            "contentType": request.headers.get("content-type", ""),
        }
        return Answer(201, b'{"id": "%s"}' % file_id.encode())

    def deletion() -> Answer:
        account.deleted.append(name)
        is_known = name in account.arrivals
        return Answer(200, b'{"deleted": true}' if is_known else b'{"deleted": false}')

    match request.method, kind:
        case "POST", "messages" if not name:
            used = content.get("file")
            if used is not None and used["id"] not in account.files:
                return error(422, "The file of the message was not uploaded.")
            answer = account.accept(key, message)
        case "POST", "files" if not name:
            answer = account.accept(f"{key} (file)", file)
        case "DELETE", "messages" if name:
            answer = account.accept(key, deletion)
        case _:
            return error(404, "There is nothing at this URL.")
    return Reply(answer.status, answer.body)


def failed(fault: Fault) -> Reply:
    """Returns the reply that was ordered instead of a response."""
    if fault.kind == "status":
        text = fault.error or f"The status {fault.status} was ordered."
        reply = error(fault.status, text)
        if fault.status == 429:
            reply.body = json.dumps({"error": text, "scope": fault.scope}).encode()
        if fault.retry_after is not None:
            reply.headers["Retry-After"] = str(math.ceil(fault.retry_after))
        return reply
    return Reply(hangs=fault.kind == "hang", resets=fault.kind == "reset", is_garbage=fault.kind == "garbage")


def limited(text: str, scope: str, wait: float) -> Reply:
    body = json.dumps({"error": text, "scope": scope}).encode()
    return Reply(429, body, {"Retry-After": str(max(math.ceil(wait), 1))})


def error(status: int, text: str) -> Reply:
    return Reply(status, json.dumps({"error": text}).encode())


async def serve(host: str, port: int, when_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `when_ready` gets the URL; port 0 takes a free one."""
    messenger = Messenger()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(messenger.respond), host, port, backlog=BACKLOG, reuse_address=True
    )
    allow_many_connections()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    when_ready(f"http://{host}:{server.sockets[0].getsockname()[1]}")
    await stopped.wait()
    server.close()


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
