"""Deadlines of the web server, with limits of a fraction of a second, and what slow clients occupy."""

import socket
import threading
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from chatapi.runtime import client_address
from chatapi.runtime.web import body_rules, connection, server
from instances.limits.waiting_calls import Repeat
from tests.chatapi.runtime.web.serving import Running, receive_all, receive_until, reset, serving, wait_until

HEAD = b"Host: x\r\nConnection: close\r\n"
GET = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
POST = b"POST /page/of/site HTTP/1.1\r\n" + HEAD


@pytest.fixture(autouse=True)
def without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_rules, "check", lambda rule, *_: (None, rule.max_bytes()))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All deadlines of a request are over at the next sweep; its first byte may come late."""
    for name in ("HEAD_SECONDS", "GRACE_SECONDS"):
        monkeypatch.setattr(connection, name, 0.2)
    monkeypatch.setattr(connection, "MIN_RATE", 1_000_000)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (b"GET / HT", b"The request was sent too slowly."),
        (GET[:-2], b"The request was sent too slowly."),
        (POST + b"Content-Length: 9\r\n\r\nslow", b"The body was sent too slowly."),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n", b"The body was sent too slowly."),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n0\r\nX: ", b"The body was sent too slowly."),
    ],
)
def test_a_slow_request_gets_408(impatient: None, sent: bytes, sentence: bytes) -> None:
    with serving() as running:
        found = running.ask(sent)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert sentence in found
    assert running.requests == []


def test_an_idle_connection_is_closed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.2)
    with serving() as running:
        assert running.ask(b"") == b""


def test_a_client_that_does_not_read_is_cut_off(impatient: None) -> None:
    closed = threading.Event()

    def view(environ: dict[str, Any]) -> StreamingHttpResponse:
        response = StreamingHttpResponse(b"a" * 65_536 for _ in range(1000))
        response._resource_closers.append(closed.set)  # type: ignore[attr-defined]  # what close() calls
        return response

    with serving(view) as running, running.connect() as client:
        client.sendall(GET)
        wait_until(lambda: bool(running.requests))
        wait_until(lambda: not running.web.connections)
        assert closed.wait(20)


def test_a_body_in_time_may_take_longer_than_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rate counts, and the time until its first byte."""
    monkeypatch.setattr(connection, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(connection, "MIN_RATE", 1)
    swept = threading.Semaphore(0)
    sweep = connection.Connection.sweep

    def sweep_and_tell(self: connection.Connection, now: float) -> None:
        sweep(self, now)
        swept.release()

    monkeypatch.setattr(connection.Connection, "sweep", sweep_and_tell)
    with serving() as running, running.connect() as client:
        client.sendall(POST + b"Content-Length: 200\r\n\r\n" + b"a" * 100)
        assert swept.acquire(timeout=60)
        assert swept.acquire(timeout=60)
        client.sendall(b"a" * 100)
        assert receive_all(client).startswith(b"HTTP/1.1 200 ")


def test_a_thousand_slow_clients_take_no_thread() -> None:
    with serving() as running:
        slow = [running.connect() for _ in range(1000)]
        for number, client in enumerate(slow):
            client.sendall((b"", GET[:-2], POST + b"Content-Length: 9\r\n\r\nslow")[number % 3])
        wait_until(lambda: len(running.web.connections) == 1000)
        assert [running.ask(GET)[:12] for _ in range(3)] == [b"HTTP/1.1 200"] * 3
        for client in slow:
            reset(client)


def test_downloads_that_are_not_read_take_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def view(environ: dict[str, Any]) -> Any:
        if environ["PATH_INFO"] == "/file":
            return StreamingHttpResponse(b"a" * 65_536 for _ in range(100))
        return HttpResponse(b"page")

    with serving(view) as running:
        readers = [running.connect() for _ in range(2 * server.THREADS)]
        for reader in readers:
            reader.sendall(GET.replace(b" / ", b" /file "))
        for reader in readers:
            receive_until(reader, b"aaaa")
        assert running.ask(GET).endswith(b"page")
        whole = len(receive_all(readers[0]))
        assert whole > 5_000_000
        for reader in readers:
            reset(reader)


def hold(running: Running, count: int, path: bytes, begun: threading.Semaphore) -> list[socket.socket]:
    """Sends so many requests, and waits until threads run as many of them as they may."""
    clients = [running.connect() for _ in range(count)]
    for client in clients:
        client.sendall(GET.replace(b" / ", b" " + path + b" "))
    for _ in range(min(count, server.THREADS_PER_CLIENT)):
        assert begun.acquire(timeout=60)
    return clients


def test_one_client_cannot_occupy_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients' addresses come from a trusted proxy."""
    begun, end = threading.Semaphore(0), threading.Event()

    def view(environ: dict[str, Any]) -> HttpResponse:
        if environ["PATH_INFO"] == "/slow":
            begun.release()
            assert end.wait(60)
        return HttpResponse(b"page")

    monkeypatch.setattr(
        connection, "trusted_networks", lambda: client_address.parse_networks(("127.0.0.0/8",))
    )
    forwarded = GET[:-2] + b"X-Forwarded-For: 192.0.2.7\r\n\r\n"
    with serving(view) as running:
        clients = hold(running, 3 * server.THREADS, b"/slow", begun)
        assert running.ask(forwarded).endswith(b"page")
        end.set()
        for client in clients:
            assert receive_all(client).endswith(b"page")


def test_health_checks_respond_while_all_threads_are_occupied() -> None:
    begun, end = threading.Semaphore(0), threading.Event()

    def view(environ: dict[str, Any]) -> HttpResponse:
        if environ["PATH_INFO"] == "/slow":
            begun.release()
            assert end.wait(60)
        return HttpResponse(environ["PATH_INFO"])

    with serving(view) as running:
        running.web.threads.per_owner = 2 * server.THREADS
        clients = hold(running, 2 * server.THREADS, b"/slow", begun)
        for path in server.HEALTH_PATHS:
            assert running.ask(GET.replace(b" / ", b" " + path + b" ")).endswith(path)
        end.set()
        for client in clients:
            reset(client)


def test_a_response_may_wait_without_a_thread() -> None:
    def view(environ: dict[str, Any]) -> HttpResponse:
        response = HttpResponse(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/later":
            response.send_after = 3600.0 if environ["QUERY_STRING"] else 0.5  # type: ignore[attr-defined]
        return response

    with serving(view) as running:
        waiting = [running.connect() for _ in range(2 * server.THREADS)]
        for client in waiting:
            client.sendall(GET.replace(b" / ", b" /later?long "))
        wait_until(lambda: len(running.requests) == 2 * server.THREADS)
        assert running.ask(GET).endswith(b"/")
        assert running.ask(GET.replace(b" / ", b" /later ")).endswith(b"/later")
        for client in waiting:
            reset(client)
        wait_until(lambda: not running.web.connections)


def test_a_waiting_call_ends_when_its_client_sends_no_more() -> None:
    """It may have gone: an ordinary close looks the same. Its place among the waiting calls is free at once."""

    def view(environ: dict[str, Any]) -> HttpResponse:
        response = HttpResponse(environ["PATH_INFO"])
        response.repeat = Repeat(0.01, 7)  # type: ignore[attr-defined]
        return response

    with serving(view) as running:
        with running.connect() as client:
            client.sendall(GET)
            wait_until(lambda: len(running.requests) > 1)
            client.shutdown(socket.SHUT_WR)
            assert receive_all(client).endswith(b"/")
        most = server.MAX_WAITING_PER_OWNER
        assert [running.web.waiting.acquire(7) for _ in range(most + 1)] == [True] * most + [False]


def test_too_many_connections_of_one_address_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "trusted_networks", lambda: ())
    monkeypatch.setattr(server, "MAX_CONNECTIONS_PER_ADDRESS", 5)
    with serving() as running:
        kept = [running.connect() for _ in range(5)]
        wait_until(lambda: len(running.web.connections) == 5)
        assert running.ask(b"") == b""
        for client in kept:
            reset(client)


def test_the_oldest_idle_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 5)
    with serving() as running:
        kept = []
        for number in range(5):
            kept.append(running.connect())
            wait_until(lambda count=number + 1: len(running.web.connections) == count)  # type: ignore[misc]
        assert running.ask(GET).endswith(b"ok")
        assert kept[0].recv(1) == b""
        for client in kept:
            reset(client)
