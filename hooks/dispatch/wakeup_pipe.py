"""A pipe that wakes the sending thread from its epoll."""

from __future__ import annotations

import contextlib
import os


class WakeupPipe:
    """Register `fd` with epoll. Further calls of wake() before drain() cost nothing."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        self._is_awake = False

    def wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(BlockingIOError):
                os.write(self._write_fd, b"!")

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        self._is_awake = False

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._write_fd)
