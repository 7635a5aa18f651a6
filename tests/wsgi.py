"""Calls the WSGI application that the web server serves, with any connection and any headers."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock
from urllib.parse import urlencode

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from chatapi import wsgi
from chatapi.wsgi import application


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def kept_connections() -> Iterator[None]:
    """Requests within the block do not close the database connection, which would end the test's transaction."""
    signals = (request_started, request_finished)  # of the test client and of streams
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        with mock.patch.object(wsgi, "close_if_unusable"):
            yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


def call_site(
    path: str,
    *,
    peer: str = "127.0.0.1",
    method: str = "GET",
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Sends a request to the whole application, as a connection from the IP address `peer` would."""
    target, _, query = path.partition("?")
    body = urlencode(form or {}).encode()
    environ = {
        "REQUEST_METHOD": method if form is None else "POST",
        "SCRIPT_NAME": "", "PATH_INFO": target, "QUERY_STRING": query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost",
        "REMOTE_ADDR": peer,
        "CONTENT_TYPE": "application/x-www-form-urlencoded" if form is not None else "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.version": (1, 0), "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
    }  # fmt: skip
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    with kept_connections():
        blocks = application(environ, lambda status, sent: begun.append((status, sent)))
        answer = b"".join(blocks)
    status, sent = begun[0]
    return Answer(int(status.split()[0]), dict(sent), answer)
