"""A session for fetching that may not be led astray, and that ends when its time is up.

The address policy is the hooks' (hooks/guard.py) and is asked about the resolved address at each connect, so neither a
name that points inside, nor one that changes between two look-ups, nor a redirect gets past it. Nothing of the
environment's proxies or logins is used.
"""

import queue
import socket
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from requests import Response
from requests.adapters import HTTPAdapter
from requests_hardened import Config, HTTPSession
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from hooks import guard
from hooks.http import certificates

CONNECT_SECONDS = 5.0


class Blocked(OSError):
    """The guard's rule that forbids the address."""


class Watch:
    """Ends the sockets of one fetch when its time is up, in whatever phase they hang."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.sockets: list[socket.socket] = []
        self.over = False
        self.timer = threading.Timer(seconds, self.end)
        self.timer.daemon = True
        self.timer.start()

    def left(self) -> float:
        return max(self.until - time.monotonic(), 0.01)

    def add(self, opened: socket.socket) -> None:
        """A second handle of it: TLS takes the first one away."""
        self.sockets.append(opened.dup())
        if self.over:
            self.end()

    def end(self) -> None:
        self.over = True
        for opened in self.sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.timer.cancel()
        for opened in self.sockets:
            opened.close()


under_way: ContextVar[Watch] = ContextVar("under_way")


def resolve(host: str, port: int, seconds: float) -> list[Any]:
    """getaddrinfo, which itself knows no deadline: in a thread that is left to its fate when it takes too long."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the name look-up took too long") from None
    if isinstance(found, OSError):
        raise found
    return list(found)


def connect(host: str, port: int) -> socket.socket:
    """A socket to the first address of the host that the guard allows and that answers."""
    watch = under_way.get()
    last: OSError | None = None
    for family, kind, protocol, _, address in resolve(host, port, watch.left()):
        rule = guard.refusal(str(address[0]))
        if rule:
            last = Blocked(rule)
            continue
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(min(CONNECT_SECONDS, watch.left()))
            opened.connect(address)
            opened.settimeout(watch.left())
            watch.add(opened)
            return opened
        except OSError as error:
            opened.close()
            last = error
    raise last or OSError("the name has no address")


class GuardedHTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return guarded(self)


class GuardedHTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return guarded(self)


def guarded(connection: HTTPConnection) -> socket.socket:
    """What urllib3 calls for a new connection; its own would ask the name again and connect to anything."""
    try:
        return connect(connection._dns_host, connection.port or connection.default_port)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error


class HTTPPool(HTTPConnectionPool):
    ConnectionCls = GuardedHTTP


class HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPS


class GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}


class Session(HTTPSession):
    """Follows no redirect, and does not read the body of one either, as requests would: whole, however long it is."""

    def get_redirect_target(self, resp: Response) -> None:
        return None


def guarded_session() -> Session:
    """A session for one fetch."""
    session = Session(
        Config(
            ip_filter_enable=False,  # ours knows more networks, and HOOKS_ALLOW_NETWORKS
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=CONNECT_SECONDS * 2,
            user_agent_override=f"ChatAPI/{settings.VERSION}",
        )
    )
    session.trust_env = False
    session.verify = certificates()
    session.headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    for scheme in ("http://", "https://"):
        session.mount(scheme, GuardedAdapter())
    return session
