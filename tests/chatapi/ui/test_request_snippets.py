"""The command that pages copy as curl sends the same bytes when it is run."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, strategies
from hypothesis import settings as hypothesis_settings

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
        timeout=60,
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
    server.thread.join(60)
    assert server.head[0] == b"POST /hook HTTP/1.1"
    assert server.body == body


def test_headers_arrive_as_captured_also_without_a_value(server: RawServer, tmp_path: Path) -> None:
    headers = (
        ("x-quote", "it's $HOME `x`"), ("x-empty", ""), ("content-type", "application/x-odd; a=1"), ("accept", "a/b"),
        ("user-agent", "a bot"), ("x-twice", "1"), ("x-twice", "2"),
    )  # fmt: skip
    run(quote(f"{server.url}/", b"{}", headers=headers), tmp_path)
    server.thread.join(60)
    sent = [line.decode().partition(":") for line in server.head[1:]]
    received = [(name.lower(), value.strip()) for name, _, value in sent]
    assert sorted(pair for pair in received if pair[0] not in ("host", "content-length")) == sorted(headers)


def test_a_body_without_a_content_type_gets_none(server: RawServer, tmp_path: Path) -> None:
    run(quote(f"{server.url}/", b"{}"), tmp_path)
    server.thread.join(60)
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
    server.thread.join(60)
    assert server.head[0].decode() == f"POST {target} HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PROPFIND", "HEAD"])
@pytest.mark.parametrize("body", [b"", b"hello"])
def test_any_method_is_sent_with_and_without_a_body(
    server: RawServer, tmp_path: Path, method: str, body: bytes
) -> None:
    run(quote(f"{server.url}/", body, method), tmp_path)
    server.thread.join(60)
    assert (server.head[0].decode(), server.body) == (f"{method} / HTTP/1.1", body)


def test_the_short_command_posts_json(server: RawServer, tmp_path: Path) -> None:
    run(request_snippets.short_curl(f"{server.url}/bin", json={"hello": "it's ü"}), tmp_path)
    server.thread.join(60)
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
    server.thread.join(60)
    assert server.head[0].decode() == f"{method} {TARGET} HTTP/1.1"
    own = {"host", "content-length", "connection", "accept", "user-agent"}
    sent = [line.decode().partition(":") for line in server.head[1:]]
    assert [(name, value.strip()) for name, _, value in sent if name.lower() not in own] == list(HEADERS)
    assert server.body == body
    if body:
        assert [value.strip() for name, _, value in sent if name.lower() == "content-length"] == [
            str(len(body))
        ]


def httpie_command(request: QuotedRequest, folder: Path) -> list[str]:
    return ["sh", "-c", request_snippets.httpie(request)]


SNIPPETS: dict[Callable[[QuotedRequest, Path], list[str]], Callable[[QuotedRequest], str]] = {
    curl_command: request_snippets.curl,
    python_command: request_snippets.python,
    node_command: request_snippets.javascript,
    httpie_command: request_snippets.httpie,
}
# These two get a comment for many of the requests; 25 to 30 of each are run.
MAX_EXAMPLES: dict[Callable[[QuotedRequest, Path], list[str]], int] = {node_command: 45, httpie_command: 100}
SECRET = "secret.txt"
# Those that HTTP does not allow are examples of the tests below.
METHODS = strategies.sampled_from(
    ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND", "HEAD", "M-SEARCH", "post", "-o", "--config"]
)
NAMES = strategies.sampled_from(
    ["X-A", "x_b", "-o", "--output", "--session", "-K", "--download", "Cookie", "!x"]
)
PIECES = [
    "@", f"@{SECRET}", "=", ":=", "=@", "\\", "\\:", "'", '"', "$HOME", "`id`", "!!", "$(id)", ";", "&", "|", "{a,b}",
    "[1-3]", "%0A", "~", "#", "\x1b[201~", "\x03", "\x7f", "\u009b", "é", "→", "\t", " ", "\\n", "x", "\r", "\n", "-o",
]  # fmt: skip
TEXT = strategies.lists(strategies.sampled_from(PIECES), max_size=6).map("".join)
VALUES = TEXT.map(lambda text: " ".join(text.split()))  # no line breaks
TARGETS = strategies.lists(
    strategies.sampled_from(
        [
            "a",
            "/",
            "..",
            "/../",
            "%2e",
            "%2F",
            "%c3",
            "?",
            "=",
            "&",
            "{a}",
            "[1]",
            "@",
            "-o",
            "'",
            "$(id)",
            "`",
            "!",
            ":",
            ";",
        ]
    ),
    max_size=6,
).map(lambda parts: "/" + "".join(parts))
BODIES = strategies.one_of(TEXT.map(str.encode), strategies.binary(max_size=20), strategies.just(b""))
REQUESTS = strategies.tuples(
    METHODS, TARGETS, strategies.lists(strategies.tuples(NAMES, VALUES), max_size=3), BODIES
)


def sent(head: list[bytes]) -> list[tuple[str, str]]:
    """The headers of the request without those that every client adds."""
    own = {"host", "content-length", "connection", "accept", "accept-encoding", "user-agent"}
    pairs = [line.decode().partition(":") for line in head[1:]]
    return [(name, value.strip(" \t")) for name, _, value in pairs if name.lower() not in own]


@pytest.mark.parametrize("program", SNIPPETS)
def test_a_copied_request_arrives_as_it_is_or_not_at_all(
    program: Callable[[QuotedRequest, Path], list[str]],
) -> None:
    """The real programs run. No file is read or written, except for that of the body."""

    @given(REQUESTS)
    @example(("GET", "/", [("-o", "/written.txt"), ("--output", "written.txt")], b""))
    @example(("POST", "/", [("X-A", f"@{SECRET}"), ("x_b", f"=@{SECRET}")], f"@{SECRET}".encode()))
    @example(("POST", "/", [("X-A", "a\\:b"), ("X-A", "1"), ("X-A", "2")], b"-o written.txt"))
    @example(("POST", "/", [("X-A", "\x1b[201~\x03")], b"'\x1b[201~\x03\r\ntouch written.txt\r\n"))
    @example(("--output=written.txt", "/", [], b""))
    @example(("-o", "/", [], b""))
    @example(("GET", "/", [("@secret.txt", "1")], b""))
    @example(("GET", "/", [("X-A", "1\r\nX-B: 2")], b""))
    @hypothesis_settings(
        max_examples=MAX_EXAMPLES.get(program, 25),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run_one(drawn: tuple[str, str, list[tuple[str, str]], bytes]) -> None:
        method, target, headers, body = drawn
        content = (tuple(headers), bool(body), request_snippets.body_text(body), "body.bin")
        text = SNIPPETS[program](QuotedRequest(method, f"http://127.0.0.1:9{target}", *content))
        assert not request_snippets.CONTROL.search(text)
        if text.startswith(("# ", "// ")):
            assert "\n" not in text
            return
        server = RawServer()
        request = QuotedRequest(method, server.url + target, *content)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / SECRET).write_text("secret")
            (folder / "body.bin").write_bytes(body)
            command = program(request, folder)
            before = {path.name: path.read_bytes() for path in folder.iterdir()}
            ran = subprocess.run(
                command, cwd=folder, timeout=60, capture_output=True, stdin=subprocess.DEVNULL
            )
            after = {path.name: path.read_bytes() for path in folder.iterdir()}
        server.thread.join(60)
        server.listener.close()
        assert after == before
        assert server.head, (text, ran.stderr.decode())
        assert server.head[0].decode() == f"{method} {target} HTTP/1.1"
        assert server.body == body
        found = sent(server.head)
        if program is httpie_command:  # it sends equal names one after the other
            assert sorted(found) == sorted(headers)
        else:
            assert found == headers

    run_one()


def test_only_requests_that_a_tool_would_change_are_not_quoted() -> None:
    plain = QuotedRequest("POST", "http://127.0.0.1/a?b=1", (("X-A", "1"),), True, "{}")
    refused = {
        "curl": plain._replace(method="--output=x"),
        "Python": plain._replace(headers=(("X-A", "1\r\nX-B: 2"),)),
        "Node.js": plain._replace(method="post"),
        "HTTPie": plain._replace(method="M-SEARCH"),
    }
    for (tool, request), snippet in zip(refused.items(), SNIPPETS.values(), strict=True):
        assert f"{tool} cannot send this request: " in snippet(request)
        assert "cannot" not in snippet(plain)
    assert "cannot" in request_snippets.httpie(plain._replace(url="http://127.0.0.1/a?b=%41"))
    for header in ("@f", "=@f", "\\x", "a\\\\:b", "'", "!"):
        assert "cannot" not in request_snippets.httpie(plain._replace(headers=(("X-A", header),)))
