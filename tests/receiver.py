"""A small HTTP server on loopback, like a user's: records every request and responds as the test wants.

with Receiver() as receiver:
    receiver.answers = [(500, {}, b"busy"), (200, {}, b"")]
    ...
    [first, second] = receiver.wait_for(2)
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Received:
    """One request as received: `path` with its query, `headers` by lower-case name, `body` in bytes."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    client_port: int = 0  # one for each connection

    def json(self) -> Any:
        return json.loads(self.body)


class Server(ThreadingHTTPServer):
    # The standard five: of a hundred connections opened at once some would wait for seconds, and time out.
    request_queue_size = 1024


class Receiver:
    """An HTTP/1.1 server on a free port, until the end of the `with` block.

    `answers` is a list of responses (status, headers, body), used in turn, the last one for all further requests; or
    a callable that gets the Received and returns such a tuple (it may sleep, or call the API). Default: 200, empty.
    """

    def __init__(
        self,
        answers: list[Answer] | Callable[[Received], Answer] | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.answers: list[Answer] | Callable[[Received], Answer] = answers or [(200, {}, b"")]
        self.requests: list[Received] = []
        self.arrived = threading.Condition()
        self.server = Server((host, port), self._handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://{host}:{self.port}/hook"

    def __enter__(self) -> Self:
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def wait_for(self, count: int, seconds: float = 60) -> list[Received]:
        """Returns all requests once there are `count`. Raises AssertionError after `seconds`."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.requests) >= count, timeout=seconds)
            assert len(self.requests) >= count, (
                f"{len(self.requests)} of {count} requests arrived in {seconds} s"
            )
            return list(self.requests)

    def _take(self, received: Received) -> Answer:
        with self.arrived:
            self.requests.append(received)
            self.arrived.notify_all()
            answers = self.answers
            if not callable(answers):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return answers(received)  # outside the lock: it may sleep while other requests arrive

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # The response is sent in one packet: otherwise Nagle and delayed ACK cost 40 ms each time.
            wbufsize = -1

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = receiver._take(
                    Received(self.command, self.path, headers, body, client_port=self.client_address[1])
                )
                status, headers, text = answer[0], dict(answer[1]), answer[2]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "content-length" not in {name.lower() for name in headers}:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                self.wfile.flush()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def log_message(self, *arguments: object) -> None:
                """Logs nothing, to keep the output of the tests clean."""

        return Handler
