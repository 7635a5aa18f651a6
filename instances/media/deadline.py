"""A time limit for everything that one HTTP exchange does with its sockets."""

import socket
import threading
import time
from contextlib import suppress


class Deadline:
    """Shuts the sockets of one exchange down when its time is up, in whatever phase they are.

    A socket's own timeout limits one read only: a server that sends a byte a second never reaches it.
    """

    def __init__(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds
        self.has_expired = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self.expire)
        self._timer.daemon = True
        self._timer.start()

    def remaining(self) -> float:
        """Returns the seconds left, at least 0.01: a socket timeout of 0 would mean non-blocking."""
        return max(self.ends_at - time.monotonic(), 0.01)

    def watch(self, opened: socket.socket) -> None:
        """Add a socket. Keeps a duplicate handle, because TLS detaches the one it wraps."""
        self._sockets.append(opened.dup())
        if self.has_expired:
            self.expire()

    def expire(self) -> None:
        """Shut all sockets down now; a thread that reads from one sees its end."""
        self.has_expired = True
        for opened in self._sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop the timer and close the duplicate handles."""
        self._timer.cancel()
        for opened in self._sockets:
            opened.close()
