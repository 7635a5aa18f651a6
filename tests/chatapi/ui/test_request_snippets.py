"""The command that pages copy as curl sends the same bytes when it is run."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatapi.ui import request_snippets
from chatapi.ui.request_snippets import QuotedRequest
from tests.raw_server import RawServer

AWKWARD = 'it\'s "quoted" $HOME `x` \\ !bang \r\n ü 👋\ttab @file'


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
    [
        "/a%2Fb/%41%c3%A4?x=%c3",
        "/a#b",
        "/a/../%c3",
        "/ä→?ü",
        "/a/../b",
        "/a/./b?x=1",
        "/[1-3]/{a,b}?q[]=1&{c}",
        "/a%20b/%0A?x=%20&y='z'",
        "/..",
        "/$HOME;ls",
    ],
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


# Names that differ in case, repeated, with "_"; values that are empty, not ASCII, or look like code.
HEADERS = (
    ("X_Under", "one"), ("ALPHA", "1"), ("beta", ""), ("Alpha", "2"), ("Alpha", "3"), ("X-Umlaut", "ä→"),
    ("X-Quote", "it's \"$HOME\" `x` ${1} {2} \\"), ("Content-Type", "text/odd"),
)  # fmt: skip
TARGET = "/a%2Fb/%41%c3%A4/../c?x=%2F&x=1&{y}='"


def python_command(request: QuotedRequest, folder: Path) -> list[str]:
    (folder / "copied.py").write_text(request_snippets.python(request))
    return [sys.executable, "copied.py"]


def node_command(request: QuotedRequest, folder: Path) -> list[str]:
    (folder / "copied.mjs").write_text(request_snippets.javascript(request))
    return ["node", "copied.mjs"]


def curl_command(request: QuotedRequest, folder: Path) -> list[str]:
    return ["sh", "-c", request_snippets.curl(request)]


@pytest.mark.parametrize("program", [curl_command, python_command, node_command])
@pytest.mark.parametrize(
    ("method", "body"),
    [("POST", AWKWARD.encode()), ("PUT", bytes(range(256))), ("POST", b""), ("GET", b""), ("GET", b"{}")],
)
def test_copied_code_sends_the_same_target_headers_and_body(
    server: RawServer,
    tmp_path: Path,
    program: Callable[[QuotedRequest, Path], list[str]],
    method: str,
    body: bytes,
) -> None:
    (tmp_path / "body.bin").write_bytes(body)
    request = QuotedRequest(
        method, server.url + TARGET, HEADERS, bool(body), request_snippets.body_text(body), "body.bin"
    )
    subprocess.run(program(request, tmp_path), cwd=tmp_path, check=True, timeout=60, capture_output=True)
    server.thread.join(10)
    assert server.head[0].decode() == f"{method} {TARGET} HTTP/1.1"
    own = {"host", "content-length", "connection", "accept", "user-agent"}
    sent = [line.decode().partition(":") for line in server.head[1:]]
    assert [(name, value.strip()) for name, _, value in sent if name.lower() not in own] == list(HEADERS)
    assert server.body == body
    if body:
        assert [value.strip() for name, _, value in sent if name.lower() == "content-length"] == [
            str(len(body))
        ]
