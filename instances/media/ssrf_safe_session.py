"""A `requests` session for URLs that a user chose: it connects only to addresses that hooks/guard.py allows.

Each connection resolves the host once, checks every address with the guard, and connects to a checked one. A host
name that resolves to a private address, one that changes between two lookups, and a redirect are all caught there.
Proxies and credentials from the environment (HTTP_PROXY, .netrc) are not used.
"""

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from hooks import guard
from hooks.http import trusted_certificates
from instances.media.deadline import Deadline

CONNECT_TIMEOUT = 5.0  # seconds, per address
READ_TIMEOUT = 10.0  # seconds without a byte

_deadline: ContextVar[Deadline] = ContextVar("deadline")


class AddressRefused(OSError):
    """The guard refuses the resolved address; str() is the name of its rule ("private", "metadata")."""


@contextmanager
def ssrf_safe_session(deadline: Deadline) -> Iterator["SsrfSafeSession"]:
    """Returns a session whose connections all end at `deadline`.

    A request raises requests.ConnectionError, caused by AddressRefused, if every address of its host is refused.
    """
    token = _deadline.set(deadline)
    try:
        with SsrfSafeSession() as session:
            yield session
    finally:
        _deadline.reset(token)


class SsrfSafeSession(requests.Session):
    """Returns a redirect as a response, without reading its body; requests would read it whole, whatever its length.

    The caller validates the URL of the redirect and requests it, which checks its address again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = trusted_certificates()
        self.headers.clear()
        self.headers.update(
            {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": f"ChatAPI/{settings.VERSION}"}
        )
        for scheme in ("http://", "https://"):
            self.mount(scheme, GuardedAdapter())

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        kwargs["allow_redirects"] = False
        kwargs["timeout"] = kwargs.get("timeout") or READ_TIMEOUT
        return super().send(request, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Returns None: `send` calls this even if redirects are not allowed, and would then read the body."""
        return


def resolve(host: str, port: int, *, timeout: float) -> list[Any]:
    """Returns what socket.getaddrinfo returns.

    getaddrinfo has no timeout, so it runs in a thread, which is abandoned if it takes longer than `timeout` seconds.

    Raises:
        TimeoutError: the lookup took too long.
        socket.gaierror: the name was not found.
    """
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            results.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            results.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        found = results.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError("the DNS lookup took too long") from None
    if isinstance(found, OSError):
        raise found
    return list(found)


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Returns a socket connected to the first address of the host that the guard allows and that accepts.

    Raises:
        AddressRefused: the last address was refused by the guard.
        OSError: the lookup failed, or the last address did not accept.
    """
    failure: OSError | None = None
    for family, kind, protocol, _, address in resolve(host, port, timeout=deadline.remaining()):
        rule = guard.refusal(str(address[0]))
        if rule:
            failure = AddressRefused(rule)
            continue
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(min(CONNECT_TIMEOUT, deadline.remaining()))
            opened.connect(address)
            opened.settimeout(deadline.remaining())
            deadline.watch(opened)
            return opened
        except OSError as error:
            opened.close()
            failure = error
    raise failure or OSError("the host has no address")


def open_guarded_socket(connection: HTTPConnection) -> socket.socket:
    """Returns the socket of a new urllib3 connection, with urllib3's exceptions.

    urllib3's own `_new_conn` would resolve the host again and connect to any address.
    """
    try:
        return connect(
            connection._dns_host, connection.port or connection.default_port, deadline=_deadline.get()
        )
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error


class GuardedHTTPConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return open_guarded_socket(self)


class GuardedHTTPSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return open_guarded_socket(self)


class GuardedHTTPPool(HTTPConnectionPool):
    ConnectionCls = GuardedHTTPConnection


class GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection


class GuardedAdapter(HTTPAdapter):
    """The transport of the session; its connections are opened by open_guarded_socket."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": GuardedHTTPPool, "https": GuardedHTTPSPool}
