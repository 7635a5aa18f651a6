"""A connection to the real web server over which bytes go as they are, put right by no library."""

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.product import Product

FORM = "application/x-www-form-urlencoded"


@dataclass
class Answer:
    """`interim` are the status lines of the 1xx answers before it; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    interim: list[str]

    @property
    def json(self) -> Any:
        """Its object; whatever else it is fails the test."""
        assert self.headers["content-type"] == "application/json"
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Wire:
    """One connection, kept open; `{id}` and `{token}` in what is sent become the demo instance's."""

    def __init__(self, product: Product) -> None:
        [self.instance] = product.demo["instances"]
        self.uid = product.demo["uid"]
        self.socket = socket.create_connection(("127.0.0.1", product.port), timeout=20)
        self.read = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.read.close()
        self.socket.close()

    def filled(self, text: str) -> str:
        return (
            text.replace("{id}", self.instance["id"])
            .replace("{token}", self.instance["token"])
            .replace("{uid}", self.uid)
        )

    def send(self, head: str, *headers: str, body: bytes = b"") -> None:
        lines = [f"{self.filled(head)} HTTP/1.1", "Host: x", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def answer(self, *, to_head: bool = False) -> Answer:
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
        return Answer(status, headers, body, interim)

    def ask(self, head: str, *headers: str, body: bytes = b"") -> Answer:
        """Sends a request, with a Content-Length where it has a body and nothing else is said, and reads its answer."""
        framed = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
        length = () if framed or not body else (f"Content-Length: {len(body)}",)
        self.send(head, *headers, *length, body=body)
        return self.answer(to_head=head.startswith("HEAD "))

    @property
    def is_closed(self) -> bool:
        """Has the server closed it, with nothing more to be read?"""
        return self.read.read(1) == b""


def chunked(*blocks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"
