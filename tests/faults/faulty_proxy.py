"""A proxy in front of a messenger that passes requests on, or fails as ordered: the same faults for each messenger.

with FaultyProxy(lambda: double.url) as proxy:
    proxy.order(hang, "/sendMessage")
    ...

Each request has a connection of its own. Faults are those of servers.py.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tests.faults.servers import Fault, read_request


@dataclass
class Order:
    """For one request whose first line contains `path`. If `is_done`, the messenger gets it before the fault."""

    fault: Fault
    path: str
    is_done: bool


class FaultyProxy:
    """`target` returns the messenger's URL. `url` is that of the proxy."""

    def __init__(self, target: Callable[[], str]) -> None:
        self.target = target
        self.orders: list[Order] = []
        self.lock, self.over = threading.Lock(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def order(self, fault: Fault, path: str, *, is_done: bool = False) -> None:
        with self.lock:
            self.orders.append(Order(fault, path, is_done))

    def left(self) -> int:
        """Returns the number of orders that no request has met."""
        with self.lock:
            return len(self.orders)

    def take(self, request: bytes) -> Order | None:
        line = request.partition(b"\r\n")[0].decode()
        with self.lock:
            found = next((order for order in self.orders if order.path in line), None)
            if found is not None:
                self.orders.remove(found)
        return found

    def accept(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError):  # the listener is closed at the end
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        # The client or the messenger may close its connection at any time.
        with contextlib.suppress(OSError, ValueError), connection:
            if not (request := read_request(connection)):
                return
            order = self.take(request)
            if order is None or order.is_done:
                response = self.forward(request)
            if order is not None:
                order.fault(connection, self.over)
            if order is None or order.is_done:
                connection.sendall(response)

    def forward(self, request: bytes) -> bytes:
        """Returns the messenger's response."""
        target = urlsplit(self.target())
        line, _, rest = request.partition(b"\r\n")
        with socket.create_connection((str(target.hostname), target.port or 80)) as upstream:
            upstream.sendall(line + b"\r\nConnection: close\r\n" + rest)
            parts = []
            while part := upstream.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def __enter__(self) -> Self:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
