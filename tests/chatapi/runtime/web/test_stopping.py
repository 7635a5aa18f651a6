"""A web server that stops: every client that has connected gets its response, and later ones are refused."""

import threading
from typing import Any

import pytest
from django.http import HttpResponse

from chatapi.runtime.web import connection, server
from tests.chatapi.runtime.web.serving import (
    Running,
    receive_all,
    receive_until,
    reset,
    serving,
    wait_until,
)

REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
CLOSING = b"connection: close"


@pytest.fixture
def long_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine too, requests come before idle connections are closed."""
    monkeypatch.setattr(server, "DRAIN_SECONDS", 60.0)
    monkeypatch.setattr(server, "STOP_SECONDS", 60.0)


def stop(running: Running) -> None:
    running.web.loop.call_soon_threadsafe(running.web.stop)
    wait_until(lambda: is_refused(running))


def is_refused(running: Running) -> bool:
    try:
        running.connect().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # the socket was closed while it connected
        return False
    return False


def test_connections_that_only_the_kernel_has_accepted_are_served(long_drain: None) -> None:
    connected, stopping = threading.Event(), threading.Event()

    def hold() -> None:
        """In the event loop, which accepts no connection meanwhile."""
        stopping.set()
        connected.wait()

    with serving() as running:
        running.web.loop.call_soon_threadsafe(hold)
        stopping.wait()
        clients = [running.connect() for _ in range(20)]
        for client in clients:
            client.sendall(REQUEST)
        running.web.loop.call_soon_threadsafe(running.web.stop)
        connected.set()
        for client in clients:
            response = receive_all(client)
            assert response.startswith(b"HTTP/1.1 200 OK")
            assert CLOSING in response.lower()
            client.close()


def test_a_request_in_a_kept_connection_gets_a_response_that_closes_it(long_drain: None) -> None:
    with serving() as running, running.connect() as client:
        client.sendall(REQUEST)
        assert CLOSING not in receive_until(client, b"ok").lower()
        stop(running)
        client.sendall(REQUEST)
        assert CLOSING in receive_all(client).lower()


def test_a_request_that_is_being_received_gets_its_response(long_drain: None) -> None:
    with serving() as running, running.connect() as client:
        client.sendall(REQUEST[:20])
        wait_until(lambda: bool(running.web.connections))
        stop(running)
        client.sendall(REQUEST[20:])
        assert receive_all(client).endswith(b"ok")


def test_a_request_that_is_being_served_gets_its_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.0)
    may_respond = threading.Event()

    def slow(environ: dict[str, Any]) -> HttpResponse:
        may_respond.wait()
        return HttpResponse(b"ok")

    with serving(slow) as running, running.connect() as client:
        client.sendall(REQUEST)
        wait_until(lambda: bool(running.requests))
        stop(running)
        may_respond.set()
        assert receive_all(client).endswith(b"ok")


def test_idle_connections_are_closed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(server, "STOP_SECONDS", 60.0)
    with serving() as running, running.connect() as kept, running.connect() as new:
        kept.sendall(REQUEST)
        receive_until(kept, b"ok")
        stop(running)
        for client in (kept, new):
            assert receive_all(client) == b""


def test_a_client_that_still_sends_a_refused_body_is_not_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may read the refusal only when it has sent all."""
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(server, "STOP_SECONDS", 60.0)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 60.0)
    with serving() as running, running.connect() as sending, running.connect() as idle:
        sending.sendall(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999999999\r\n\r\n")
        assert b" 413 " in receive_all(sending)
        wait_until(lambda: len(running.web.connections) == 2)
        stop(running)
        assert receive_all(idle) == b""
        for _ in range(2):
            sending.sendall(b"a" * 1000)


@pytest.mark.parametrize("seconds", [60.0, 0.0])
def test_a_request_whose_client_has_gone_is_finished(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    """One that takes too long ends after the server, without an error."""
    monkeypatch.setattr(server, "STOP_SECONDS", seconds)
    begun, end, ended = threading.Event(), threading.Event(), threading.Event()

    def view(environ: dict[str, Any]) -> HttpResponse:
        begun.set()
        end.wait()
        response = HttpResponse(b"late")
        response._resource_closers.append(ended.set)  # type: ignore[attr-defined]  # what close() calls
        return response

    with serving(view) as running:
        client = running.connect()
        client.sendall(REQUEST)
        begun.wait()
        reset(client)
        wait_until(lambda: not running.web.connections)
        if seconds:
            stop(running)
            end.set()
    assert ended.is_set() is bool(seconds)
    assert running.web.threads.is_idle is bool(seconds)
    end.set()
    wait_until(lambda: running.web.threads.is_idle)
    assert ended.is_set()
    assert not caplog.records
