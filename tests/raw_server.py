"""A server for one request, which it keeps in bytes."""

import socket
import threading


class RawServer:
    """Accepts one connection on loopback, records the bytes of its request and responds 204."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.head: list[bytes] = []
        self.body = b""
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rb") as reader:
            while line := reader.readline().rstrip(b"\r\n"):
                self.head.append(line)
            length = next(
                (int(line[15:]) for line in self.head if line.lower().startswith(b"content-length:")), 0
            )
            self.body = reader.read(length)
            connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
