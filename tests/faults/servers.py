"""Faulty servers, one fault each, on real sockets on loopback.

with faulty(hang) as port:
    ...

A fault is a function that gets the accepted connection, after the complete request was read, and an Event that
is set at the end of the test. Faults that hang wait for that event, so none outlives its test.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

Fault = Callable[[socket.socket, threading.Event], None]

TEN_MB = 10 * 1024 * 1024


@contextlib.contextmanager
def faulty(fault: Fault, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Runs a server with this fault until the end of the block; yields its port."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve(connection: socket.socket) -> None:
        # In many tests the client closes the connection, or rejects the certificate.
        with contextlib.suppress(OSError), connection:
            connection.settimeout(None)
            if tls:
                connection = handshake(connection, tls)
            while not over.is_set() and read_request(connection):
                fault(connection, over)

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=serve, args=[connection], daemon=True)
            thread.start()
            threads.append(thread)

    main = threading.Thread(target=accept, daemon=True)
    main.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        main.join()
        listener.close()


def handshake(connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Returns the TLS connection. After a failed handshake it waits for the client's end, so the alert is not lost.

    A close with unread data would reset the connection: the client could not read the alert before it.
    """
    wrapped = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        wrapped.do_handshake()
    except ssl.SSLError:
        wrapped.shutdown(socket.SHUT_WR)  # ends the TLS layer too: what follows is read as it is
        wrapped.settimeout(5)
        while wrapped.recv(65536):
            pass
        wrapped.close()
        raise
    return wrapped


def read_request(connection: socket.socket) -> bytes:
    """Returns one request with its body, or b"" if the client has closed the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


# -- the faults


def hang(connection: socket.socket, over: threading.Event) -> None:
    """Reads the request and never responds."""
    over.wait()


def drip(connection: socket.socket, over: threading.Event) -> None:
    """Responds with 200 immediately, and sends one byte of the body each half second, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not over.wait(0.5):
        connection.sendall(b".")


def drip_of_headers(connection: socket.socket, over: threading.Event) -> None:
    """Sends a status line, and then a header byte by byte, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not over.wait(0.05):
        connection.sendall(b".")


def ten_megabytes(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TEN_MB)
    connection.sendall(b"x" * TEN_MB)


def without_end(connection: socket.socket, over: threading.Event) -> None:
    """Sends a body without Content-Length that never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def gzip_bomb(connection: socket.socket, over: threading.Event) -> None:
    """Sends 100 KB that decompress to 100 MB."""
    packed = bomb()
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    )
    connection.sendall(packed)


@lru_cache
def bomb() -> bytes:
    return gzip.compress(bytes(100 * 1024 * 1024), compresslevel=9)


def hang_up(connection: socket.socket, over: threading.Event) -> None:
    """Closes the connection without a response."""
    raise ConnectionResetError


def reset(connection: socket.socket, over: threading.Event) -> None:
    """Sends half a response, then resets the TCP connection."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError


def cut_off(connection: socket.socket, over: threading.Event) -> None:
    """Sends half a response, then closes the connection normally."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    raise ConnectionResetError


def garbage(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    raise ConnectionResetError


def many_headers(connection: socket.socket, over: threading.Event) -> None:
    """Sends 20 KB of headers and a body of two bytes."""
    lines = b"".join(b"X-Filler-%04d: %s\r\n" % (n, b"f" * 80) for n in range(200))
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\nok")


def flood_of_headers(connection: socket.socket, over: threading.Event) -> None:
    """Sends headers without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.is_set():
        connection.sendall(b"X-Filler: " + b"f" * 1000 + b"\r\n")


def strange_headers(connection: socket.socket, over: threading.Event) -> None:
    """Sends bytes that are neither ASCII nor UTF-8, and a NUL, which PostgreSQL rejects in text."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Bytes: \xff\xe4\r\nContent-Length: 3\r\n\r\n\x00\xff\xfe")


def informed(connection: socket.socket, over: threading.Event) -> None:
    """Sends two interim responses (1xx), then the final one."""
    connection.sendall(b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n")
    connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Late: 1\r\nContent-Length: 2\r\n\r\nok")


def answer(status: int, *headers: str, body: bytes = b"") -> Fault:
    """Responds with this status, these header lines and this body."""

    def fault(connection: socket.socket, over: threading.Event) -> None:
        lines = [f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(body)}"]
        if status == 204:
            lines.pop()
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return fault


def raw_response(response: bytes) -> Fault:
    """Sends these bytes and closes the TCP connection; a TLS connection without close_notify."""

    def fault(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(response)
        connection.shutdown(socket.SHUT_WR)  # of a TLS socket: of the TCP connection below it

    return fault


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
# Header lines, lengths and chunks that are not valid HTTP.
BROKEN = {
    "header line without a colon": OK + b"Warning\r\nContent-Length: 2\r\n\r\nok",
    "header with a NUL": OK + b"X-A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
    "header with a carriage return": OK + b"X-A: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "negative length": OK + b"Content-Length: -2\r\n\r\nok",
    "length in words": OK + b"Content-Length: two\r\n\r\nok",
    "empty length": OK + b"Content-Length: \r\n\r\nok",
    "unknown transfer encoding": OK + b"Transfer-Encoding: sneaky\r\n\r\nok",
    "chunk without a length": CHUNKED + b"xyz\r\nok\r\n0\r\n\r\n",
    "chunk longer than its length": CHUNKED + b"2\r\nok, too long\r\n0\r\n\r\n",
    "chunk with an endless length": CHUNKED + b"f" * 20 + b"\r\nok\r\n0\r\n\r\n",
}
# Unusual, and readable: the status counts.
UNUSUAL = {
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "folded header": OK + b"X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "the same length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "length and chunks": OK + b"Content-Length: 100\r\n" + CHUNKED[len(OK) :] + b"2\r\nok\r\n0\r\n\r\n",
    "more than its length": OK + b"Content-Length: 1\r\n\r\nok",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "no length": OK + b"\r\nok",
}
# SETTINGS and GOAWAY: how a server that speaks only HTTP/2 responds to HTTP/1.1.
HTTP2 = bytes.fromhex("000006040000000000000300000064 0000080700000000000000000000000001")

# -- faults before a request is read


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """Yields a port on which nothing listens; a bound socket keeps other processes from using it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def not_accepting() -> Iterator[int]:
    """Yields a port whose backlog is full: Linux drops further SYNs, so connecting hangs."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = held.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Yields a port that accepts connections and never sends anything, not even a TLS handshake."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def answering_anything(response: bytes) -> Iterator[int]:
    """Yields a port that sends these bytes in response to any data, e.g. to a TLS handshake at a plain HTTP port."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(response)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()
        listener.close()


@contextlib.contextmanager
def several(faults: Sequence[Fault]) -> Iterator[list[int]]:
    """Runs a server for each fault; yields their ports."""
    with contextlib.ExitStack() as held:
        yield [held.enter_context(faulty(fault)) for fault in faults]
