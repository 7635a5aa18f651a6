"""Has the client of a request gone away? WSGI can't say it, so this process's own sockets are asked.

granian's input ends in the same way, whether the last chunk came or the connection broke before it (its WSGIBody
swallows the error), and half a form reads as a whole one with a shorter text. But who has sent a whole request waits
for the answer, so a connection that its client has closed meanwhile was the one that broke off.

What this can't tell: a client that sends a malformed chunk and stays. Only Linux shows the state of a socket; elsewhere
no client ever counts as disconnected.
"""

import os
import socket
import stat
from collections.abc import Iterator

CLOSE, CLOSE_WAIT = 7, 8  # <netinet/tcp.h>: reset by the client; closed by it, and not yet by us
RECEIVED = slice(128, 136)  # tcpi_bytes_received of struct tcp_info, <linux/tcp.h>


def has_gone(client: str, port: int) -> bool:
    """Has a client at this address closed a connection to our `port` that is still served?

    It may be another one of the same address, in the moment before granian closes it too: so ask this only where
    the end of a body can't be known otherwise, and a refusal leads to nothing worse than a second try.
    """
    return any(address in (client, None) for address in left_connections(port))


def left_connections(port: int) -> Iterator[str | None]:
    """The address of each client that has closed its end; None of one that was reset, for it has none any more."""
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
                elif info[0] == CLOSE and any(info[RECEIVED]):  # one that never listened has received nothing
                    yield None
        except OSError:
            continue  # closed while we looked, or no TCP
