"""The WSGI application does at the begin and the end of a request what receivers of Django's signals do there."""

import gc
import weakref
from typing import Any

import pytest
from django.core.cache import BaseCache, caches
from django.core.signals import request_finished, request_started
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpResponse, HttpResponseBase
from django.test import RequestFactory

from chatapi import wsgi


def receivers(signal: Any) -> set[str]:
    return {function().__name__ for _, function, *_ in signal.receivers if function() is not None}


def test_only_django_s_own_receivers_listen_to_the_signals_that_are_not_sent() -> None:
    assert receivers(request_started) == {"reset_queries", "close_old_connections"}
    assert receivers(request_finished) == {"close_old_connections", "close_caches", "reset_urlconf"}


def test_there_is_one_database_and_no_cache_that_is_closed() -> None:
    assert list(connections) == [DEFAULT_DB_ALIAS]
    assert {type(caches[alias]).close for alias in caches} == {BaseCache.close}


class Failed(Exception):
    pass


def fail() -> None:
    raise Failed


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The databases whose connections are checked."""
    found: list[str] = []
    monkeypatch.setattr(wsgi, "close_if_unusable", lambda connection: found.append(connection.alias))
    return found


def respond(response: HttpResponseBase) -> HttpResponseBase:
    handler = wsgi.Handler()
    handler._middleware_chain = lambda request: response  # type: ignore[attr-defined]  # not in the stubs
    found = handler(RequestFactory().get("/").environ, lambda status, headers: None)
    del handler._middleware_chain  # type: ignore[attr-defined]  # the handler stays until the garbage is collected
    return found


def test_the_connection_is_checked_before_and_after_a_request(checked: list[str]) -> None:
    connections[DEFAULT_DB_ALIAS].queries_log.append({"sql": "of before", "time": "0"})
    response = HttpResponse("body")
    assert respond(response) is response
    assert checked == [DEFAULT_DB_ALIAS]
    assert not connections[DEFAULT_DB_ALIAS].queries_log
    response.close()
    assert checked == [DEFAULT_DB_ALIAS] * 2


def test_what_a_response_holds_is_closed_although_a_part_fails(checked: list[str]) -> None:
    closed: list[str] = []
    response = HttpResponse()
    response._resource_closers += [fail, lambda: closed.append("file")]  # type: ignore[attr-defined]
    respond(response).close()
    assert closed == ["file"]
    assert response.closed
    assert checked == [DEFAULT_DB_ALIAS] * 2


def test_a_response_with_a_close_of_its_own_keeps_it(checked: list[str]) -> None:
    class Own(HttpResponse):
        def close(self) -> None:
            closed.append("own")

    closed: list[str] = []
    respond(Own()).close()
    assert closed == ["own"]


def test_a_response_is_freed_without_the_garbage_collector(checked: list[str]) -> None:
    response = respond(HttpResponse())
    response.close()
    freed = weakref.ref(response)
    gc.disable()
    try:
        del response
        assert freed() is None
    finally:
        gc.enable()
