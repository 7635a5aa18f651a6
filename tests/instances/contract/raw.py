"""A connection to the real web server that sends bytes unchanged, without an HTTP library."""

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.product import Product

FORM = "application/x-www-form-urlencoded"


@dataclass
class Response:
    """`interim` has the status lines of the 1xx responses before it. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    interim: list[str]

    @property
    def json(self) -> Any:
        """The JSON object of the body. Anything else fails the test."""
        assert self.headers["content-type"] == "application/json"
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Wire:
    """One keep-alive connection. `{id}`, `{token}` and `{uid}` in requests are replaced by the demo account's."""

    def __init__(self, product: Product) -> None:
        [self.instance] = product.demo["instances"]
        self.uid = product.demo["uid"]
        self.socket = socket.create_connection(("127.0.0.1", product.port), timeout=60)
        self.read = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.read.close()
        self.socket.close()

    def fill_in(self, text: str) -> str:
        return (
            text.replace("{id}", self.instance["id"])
            .replace("{token}", self.instance["token"])
            .replace("{uid}", self.uid)
        )

    def send(self, head: str, *headers: str, body: bytes = b"") -> None:
        lines = [f"{self.fill_in(head)} HTTP/1.1", "Host: x", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def answer(self, *, to_head: bool = False) -> Response:
        interim: list[str] = []
        while True:
            status_line = self.read.readline().decode().strip()
            assert status_line, "the server has closed the connection"
            headers = {}
            while line := self.read.readline().decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            status = int(status_line.split()[1])
            if status >= 200:
                break
            interim.append(status_line)
        body = b"" if to_head else self.read.read(int(headers["content-length"]))
        return Response(status, headers, body, interim)

    def ask(self, head: str, *headers: str, body: bytes = b"") -> Response:
        """Sends a request and reads its response. Adds Content-Length if there is a body and no framing header."""
        framed = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
        length = () if framed or not body else (f"Content-Length: {len(body)}",)
        self.send(head, *headers, *length, body=body)
        return self.answer(to_head=head.startswith("HEAD "))

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the connection and there is nothing left to read."""
        return self.read.read(1) == b""


def chunked(*blocks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"
