"""What fails while the web server serves a request is logged, and costs that request alone."""

import logging
import resource
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from chatapi.runtime.web import body_rules
from tests.chatapi.runtime.web.serving import receive_all, serving, wait_until

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
SMALL = 2**20  # bytes; longer than what of a body is kept in memory


class Failure(Exception):
    pass


def fail(*_: Any) -> Any:
    raise Failure


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process can be longer than SMALL: a write over it fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, type[BaseException] | None]]:
    """Returns the errors in the log, each with its exception's class."""
    return [
        (record.getMessage(), record.exc_info[0] if record.exc_info else None)
        for record in caplog.records
        if record.levelno == logging.ERROR and record.name.startswith("chatapi.runtime.web")
    ]


def test_an_application_that_raises_gives_500_and_the_next_request_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    views = [fail, lambda _: HttpResponse(b"ok")]

    def next_view(environ: dict[str, Any]) -> HttpResponse:
        return views.pop(0)(environ)

    with serving(next_view) as running:
        refused = running.ask(GET)
        assert running.ask(GET).endswith(b"ok")
    assert refused.startswith(b"HTTP/1.1 500 ")
    assert refused.endswith(b'{"error": "Internal error."}')
    assert logged(caplog) == [("The web server could not respond", Failure)]


def test_a_request_that_could_not_be_checked_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The view checks it too."""
    monkeypatch.setattr(body_rules, "check", fail)
    with serving() as running, running.connect() as client:
        client.sendall(POST % 3)
        wait_until(lambda: bool(caplog.records))
        client.sendall(b"abc")
        assert receive_all(client).endswith(b"ok")
    assert running.requests[0]["body"] == b"abc"
    assert logged(caplog) == [("A request could not be checked before its body was read", Failure)]


def test_a_stream_that_fails_is_closed_and_does_not_look_complete(caplog: pytest.LogCaptureFixture) -> None:
    closed = threading.Event()

    def parts() -> Iterator[bytes]:
        yield b"first"
        raise Failure

    def view(environ: dict[str, Any]) -> StreamingHttpResponse:
        response = StreamingHttpResponse(parts())
        response.close = closed.set  # type: ignore[method-assign]
        return response

    with serving(view) as running:
        try:
            found = running.ask(GET)
        except ConnectionResetError:
            found = b""
        assert not found.endswith(b"0\r\n\r\n")
        wait_until(closed.is_set)
    assert logged(caplog) == [("A streamed response failed", Failure)]


def test_a_stream_that_cannot_be_closed_is_complete(caplog: pytest.LogCaptureFixture) -> None:
    def view(environ: dict[str, Any]) -> StreamingHttpResponse:
        response = StreamingHttpResponse([b"all"])
        response.close = fail  # type: ignore[method-assign]
        return response

    with serving(view) as running:
        assert running.ask(GET).endswith(b"3\r\nall\r\n0\r\n\r\n")
    assert logged(caplog) == [("A streamed response could not be closed", Failure)]


@pytest.mark.parametrize(
    "more", [100, 100_000]
)  # within the last block of the file, and in a block before it
def test_a_body_that_does_not_fit_on_the_disk_gives_503_and_leaves_all_threads(
    full_disk: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, more: int
) -> None:
    monkeypatch.setattr(body_rules, "check", lambda rule, *_: (None, rule.max_bytes()))
    with serving() as running:
        refused = running.ask(POST % (SMALL + more) + b"a" * (SMALL + more))
        assert running.ask(GET).endswith(b"ok")
        assert (running.web.memory, running.web.disk) == (0, 0)
    assert refused.startswith(b"HTTP/1.1 503 ")
    [(sentence, _)] = logged(caplog)
    assert sentence.startswith("A request's body could not be written to a temporary file: ")
