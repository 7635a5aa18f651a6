"""The web server in a thread of the test, on a real socket, with an application of the test."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvloop
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from chatapi.runtime.web import server
from chatapi.runtime.web.server import WebServer

View = Callable[[dict[str, Any]], HttpResponseBase]


class Running:
    """A web server that runs; `port`, and `requests`, the environments that it has served."""

    def __init__(self, port: int, web: WebServer, requests: list[dict[str, Any]]) -> None:
        self.port = port
        self.web = web
        self.requests = requests

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def ask(self, data: bytes) -> bytes:
        """Sends the bytes and returns all that comes until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            return receive_all(client)


def receive_all(client: socket.socket) -> bytes:
    found = b""
    while block := client.recv(65_536):
        found += block
    return found


def receive_until(client: socket.socket, text: bytes) -> bytes:
    """Returns what came, up to and including `text`."""
    found = b""
    while text not in found:
        block = client.recv(65_536)
        assert block, found
        found += block
    return found


def reset(client: socket.socket) -> None:
    """Closes so that the server gets a reset; after an ordinary close it still sends its response."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until the server has come so far; the test's time limit ends it."""
    while not condition():
        time.sleep(0.01)


@contextlib.contextmanager
def serving(view: View | None = None) -> Iterator[Running]:
    """Runs the server until the end of the block. Without a view, it responds "ok"."""
    requests: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> HttpResponseBase:
        seen = environ | {"body": environ["wsgi.input"].read()}
        requests.append(seen)
        response = view(seen) if view else HttpResponse(b"ok")
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return response

    listening = server.listen("127.0.0.1", 0)
    loop = uvloop.new_event_loop()
    web = WebServer(application, loop, is_multiprocess=False)

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(web.serve(listening))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Running(listening.getsockname()[1], web, requests)
    finally:
        loop.call_soon_threadsafe(web.stop)
        thread.join()
