"""Detects that a client has disconnected before its request was complete, from the state of this process's sockets.

WSGI does not report it. granian's input ends the same way whether the last chunk arrived or the connection broke
before it (its WSGIBody ignores the error), so half a form looks like a complete form with a shorter text. A client that
has sent a complete request waits for the response; a connection that its client has closed was therefore interrupted.

Not detected: a client that sends a malformed chunk and stays connected. Only Linux exposes the state of a socket; on
other systems no client counts as disconnected.
"""

import os
import socket
import stat
from collections.abc import Iterator

CLOSE, CLOSE_WAIT = 7, 8  # <netinet/tcp.h>: reset by the client; closed by it, and not yet by us
RECEIVED = slice(128, 136)  # tcpi_bytes_received of struct tcp_info, <linux/tcp.h>


def has_disconnected(client: str, port: int) -> bool:
    """Whether a client at this IP address has closed a connection to our `port` that is still being served.

    It may be another connection from the same address, just before granian closes it too. So use this only where the
    end of a body cannot be known otherwise, and where a refusal only makes the client retry.
    """
    return any(address in (client, None) for address in closed_connections(port))


def closed_connections(port: int) -> Iterator[str | None]:
    """The IP address of each client that has closed its end; None for a reset connection, which has no address."""
    if not hasattr(socket, "TCP_INFO"):
        return
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as twin:
                if twin.family not in (socket.AF_INET, socket.AF_INET6) or twin.getsockname()[1] != port:
                    continue
                info = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RECEIVED.stop)
                if info[0] == CLOSE_WAIT:
                    yield twin.getpeername()[0]
                elif info[0] == CLOSE and any(
                    info[RECEIVED]
                ):  # a socket that was never connected has received nothing
                    yield None
        except OSError:
            continue  # closed in the meantime, or not TCP
