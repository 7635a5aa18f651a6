"""The standby process of `manage.py up`: a fork of the worker, and a child of `up` (Linux).

As a fork it shares what the worker has loaded: measured at rest, 16 instead of 67 MB. It must survive kill -9 of
the worker, whose work it continues, and end with `up`. So it is forked by a short-lived process between the two, and
`up` adopts it (PR_SET_CHILD_SUBREAPER).

Which process is the worker and which is the standby process, `Presence` says. A worker starts a standby process when
there is none. One that has outlived its worker does not share the memory of the next worker: it finishes its
takeovers, and ends once that worker runs.

Nothing here may import a package: `up` uses it (supervision.py).
"""

import ctypes
import fcntl
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Self

from chatapi.runtime.processes import PR_SET_PDEATHSIG, Fork, Part, end_with

HAS_ADOPTION = sys.platform == "linux"  # elsewhere `up` starts `manage.py standby`
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
FD = "CHATAPI_PRESENCE"  # environment: the file descriptor of Presence, for the worker that `up` starts
NAME = "chatapi-standby"  # what `ps -o comm` shows
WORKER, STANDBY = 0, 1  # the bytes of Presence
FLOCK = "hhqqi4x"  # struct flock of Linux on 64 bits: type, base, start, length, pid


class Presence:
    """The pids of the worker and of the standby process: each holds a lock on a byte of a file in memory.

    The kernel releases a lock when its process ends. A fork does not inherit it. `up` creates the file.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def create(cls) -> Self:
        return cls(os.memfd_create("chatapi-presence"))

    @classmethod
    def from_environment(cls) -> Self | None:
        """Returns that of the `up` that started this process; None if it was started in another way."""
        fd = os.environ.pop(FD, "")
        if not fd:
            return None
        os.set_inheritable(int(fd), False)
        return cls(int(fd))

    def claim(self, role: int) -> None:
        """Be the worker or the standby process until this process ends. Raises BlockingIOError if there is one."""
        fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, role)

    def pid(self, role: int) -> int:
        """Returns the pid of another process that is the worker or the standby process; 0 if there is none."""
        lock = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, role, 1, 0)
        kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(self.fd, fcntl.F_GETLK, lock))
        return 0 if kind == fcntl.F_UNLCK else int(pid)


# -- in the worker


def fork_standby(presence: Presence, run: Callable[[], object]) -> None:
    """Fork a child of `up` that runs the function. Returns when it has claimed its role, or has failed.

    Only for a child of `up`, with one thread and without a session of the database.
    """
    up = os.getppid()

    def fork_and_end() -> None:
        between = os.getpid()
        reader, writer = os.pipe()

        def begin() -> None:
            os.close(reader)
            set_death_signal(0)  # the process between ends before this one
            presence.claim(STANDBY)
            os.close(writer)
            while os.getppid() == between:
                time.sleep(0.001)
            end_with(up)
            run()

        Fork(NAME, begin)
        os.close(writer)
        os.read(reader, 1)  # until it is closed
        os._exit(0)  # without the worker's exit functions

    Fork("chatapi-fork", fork_and_end).wait()


def set_death_signal(number: int) -> None:
    """Have the kernel send this signal to this process when its parent ends; 0 for none."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


# -- in `up`


def adopt_orphans() -> None:
    """Make this process the parent of its descendants whose own parent has ended."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(known: set[int]) -> None:
    """Reap the adopted children that have ended. `known`: the pids that others wait for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in known:
            return
        os.waitpid(ended.si_pid, 0)


def stop_standby(presence: Presence, parts: list[Part], deadline: float) -> None:
    """Stop the standby process while the parts stop, also one that the worker starts meanwhile.

    At the deadline (time.monotonic) it is killed.
    """
    stopped = 0
    while (pid := presence.pid(STANDBY)) or any(part.is_alive() for part in parts):
        if time.monotonic() >= deadline:
            if pid:
                os.kill(pid, signal.SIGKILL)
            return
        if pid not in (0, stopped):
            os.kill(pid, signal.SIGTERM)
            stopped = pid
        time.sleep(0.02)
