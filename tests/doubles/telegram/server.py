"""The double's server: `/bot<token>/<method>`, with arguments in the query, a form, JSON or multipart, and files."""

from __future__ import annotations

import email.parser
import email.policy
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.doubles.telegram.faults import GARBAGE, PAGE, Fault, reset
from tests.doubles.telegram.methods import METHODS
from tests.doubles.telegram.state import ApiError, State

MAX_REQUEST = 60 * 1024**2  # bytes


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, state: State) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = state
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str]] = []  # token and method, in order

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed leave broken connections."""

    def take_fault(self, token: str, method: str) -> Fault | None:
        with self.state.lock:
            self.calls.append((token, method))
            for fault in self.faults:
                if fault.applies_to(token, method):
                    fault.times -= 1
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/file/bot"):
            self.send_file(path.removeprefix("/file/bot"))
        else:
            self.call(path)

    def do_POST(self) -> None:
        self.call(urlsplit(self.path).path)

    def send_file(self, rest: str) -> None:
        token, _, path = unquote(rest).partition("/")
        state = self.server.state
        if fault := self.server.take_fault(token, "download"):
            self.fail(fault)
            return
        try:
            state.bot(token)
        except ApiError as error:
            self.respond_error(error)
            return
        found = next((stored for stored in state.files.values() if stored.path == path), None)
        if found is None:
            self.respond_error(ApiError(404, "Not Found"))
        else:
            self.respond(200, found.content, "application/octet-stream")

    def call(self, path: str) -> None:
        """Carry out a method of the Bot API and respond."""
        token, _, name = unquote(path.removeprefix("/bot")).partition("/")
        fault = self.server.take_fault(token, name)
        arguments = self.read_arguments()
        if fault and not fault.is_done:
            self.fail(fault)
            return
        state = self.server.state
        try:
            if not path.startswith("/bot") or name.lower() not in METHODS:
                raise ApiError(404, "Not Found")
            with state.lock:
                bot = state.bot(token)
                result = METHODS[name.lower()](state, bot, arguments)
        except ApiError as error:
            self.respond_error(error)
            return
        except (ValueError, KeyError, TypeError) as error:
            self.respond_error(ApiError(400, f"Bad Request: {error}"))
            return
        if name.lower().startswith("send"):
            time.sleep(bot.latency)
        if fault:
            self.fail(fault)
        else:
            self.respond_json(200, {"ok": True, "result": result})

    def read_arguments(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, MAX_REQUEST))
        found: dict[str, Any] = dict(parse_qsl(urlsplit(self.path).query))
        kind = self.headers.get_content_type()
        if not body:
            return found
        if kind == "application/json":
            return found | json.loads(body)
        if kind == "multipart/form-data":
            return found | self.read_multipart(body)
        return found | dict(parse_qsl(body.decode(), keep_blank_values=True))

    def read_multipart(self, body: bytes) -> dict[str, Any]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        found: dict[str, Any] = {}
        for part in form.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            if (filename := part.get_filename()) is None:
                found[name] = content.decode()
            else:
                found[name] = self.server.state.store_file(filename, part.get_content_type(), content)
        return found

    # -- responses

    def fail(self, fault: Fault) -> None:
        match fault.kind:
            case "error":
                self.respond_error(ApiError(fault.status, fault.description, **fault.parameters))
            case "page":
                self.respond(502, PAGE, "text/html")
            case "garbage":
                self.connection.sendall(GARBAGE)
                self.close_connection = True
            case "reset":
                self.close_connection = True
                reset(self.connection)
            case "hang":
                self.hang()

    def hang(self) -> None:
        """Say nothing until the client closes the connection, or the server ends."""
        self.close_connection = True
        self.connection.settimeout(0.2)
        while not self.server.state.is_stopping:
            try:
                if not self.connection.recv(1024):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def respond_error(self, error: ApiError) -> None:
        content: dict[str, Any] = {
            "ok": False,
            "error_code": error.status,
            "description": error.description,
        }
        if error.parameters:
            content["parameters"] = error.parameters
        self.respond_json(error.status, content)

    def respond_json(self, status: int, content: dict[str, Any]) -> None:
        self.respond(status, json.dumps(content).encode(), "application/json")

    def respond(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # it was reset
            pass
