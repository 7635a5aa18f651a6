"""The command that pages copy as curl sends the same bytes when it is run."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatapi.ui import request_snippets
from chatapi.ui.request_snippets import QuotedRequest

AWKWARD = 'it\'s "quoted" $HOME `x` \\ !bang \r\n ü 👋\ttab @file'


class RawServer:
    """Accepts one connection on loopback, records the bytes of its request and responds 204."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
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


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.listener.close()


def run(command: str, folder: Path) -> None:
    subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        check=True,
        timeout=20,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def quote(
    url: str, body: bytes = b"", method: str = "POST", headers: tuple[tuple[str, str], ...] = ()
) -> str:
    text = request_snippets.body_text(body)
    return request_snippets.curl(QuotedRequest(method, url, headers, bool(body), text, "capture-1.bin"))


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"body":"it\'s"}]}',
        AWKWARD.encode(),
        b"@capture-1.bin",
        b"\r\n",
        b"a\x00b",
        bytes(range(256)) * 3,
        b"x" * 10_000,
    ],
    ids=["json", "awkward", "at", "line break", "NUL", "bytes", "long"],
)
def test_the_body_arrives_byte_for_byte(server: RawServer, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "capture-1.bin").write_bytes(body)
    run(quote(f"{server.url}/hook", body), tmp_path)
    server.thread.join(10)
    assert server.head[0] == b"POST /hook HTTP/1.1"
    assert server.body == body


def test_headers_arrive_as_captured_also_without_a_value(server: RawServer, tmp_path: Path) -> None:
    headers = (
        ("x-quote", "it's $HOME `x`"), ("x-empty", ""), ("content-type", "application/x-odd; a=1"), ("accept", "a/b"),
        ("user-agent", "a bot"), ("x-twice", "1"), ("x-twice", "2"),
    )  # fmt: skip
    run(quote(f"{server.url}/", b"{}", headers=headers), tmp_path)
    server.thread.join(10)
    sent = [line.decode().partition(":") for line in server.head[1:]]
    received = [(name.lower(), value.strip()) for name, _, value in sent]
    assert sorted(pair for pair in received if pair[0] not in ("host", "content-length")) == sorted(headers)


def test_a_body_without_a_content_type_gets_none(server: RawServer, tmp_path: Path) -> None:
    run(quote(f"{server.url}/", b"{}"), tmp_path)
    server.thread.join(10)
    assert not any(line.lower().startswith(b"content-type:") for line in server.head)


@pytest.mark.parametrize(
    "target",
    ["/a/../b", "/a/./b?x=1", "/[1-3]/{a,b}?q[]=1&{c}", "/a%20b/%0A?x=%20&y='z'", "/..", "/$HOME;ls"],
)
def test_the_path_and_query_arrive_unchanged(server: RawServer, tmp_path: Path, target: str) -> None:
    run(quote(f"{server.url}{target}"), tmp_path)
    server.thread.join(10)
    assert server.head[0].decode() == f"POST {target} HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PROPFIND", "HEAD"])
@pytest.mark.parametrize("body", [b"", b"hello"])
def test_any_method_is_sent_with_and_without_a_body(
    server: RawServer, tmp_path: Path, method: str, body: bytes
) -> None:
    run(quote(f"{server.url}/", body, method), tmp_path)
    server.thread.join(10)
    assert (server.head[0].decode(), server.body) == (f"{method} / HTTP/1.1", body)


def test_the_short_command_posts_json(server: RawServer, tmp_path: Path) -> None:
    run(request_snippets.short_curl(f"{server.url}/bin", json={"hello": "it's ü"}), tmp_path)
    server.thread.join(10)
    assert server.head[0] == b"POST /bin HTTP/1.1"
    assert b"Content-Type: application/json" in server.head
    assert server.body.decode() == '{"hello": "it\'s ü"}'
