"""Child processes that end with their parent, one that is looked after, and what to do with a session's rest."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PARENT = "CHATAPI_PARENT"  # environment: the pid of the process that the child must not outlive

# A part that lived this long had nothing to do with the last fall; before that, each pause is twice the last.
SETTLED_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0


def restore_signals() -> None:
    """Restores the default handling of the signals that we rely on, where the parent process ignored them.

    A script's `nohup make run &` starts us with SIGINT ignored, and Python then leaves it ignored: a Ctrl-C sent while
    the program loads would be lost. With SIGCHLD ignored the exit codes of our children would be. SIGHUP stays
    ignored: that is what nohup is for. Children inherit what is set here.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def end_with(parent: int) -> None:
    """From now on the kernel kills this process when its parent dies, by kill -9 too. Does nothing off Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(1)


def end_with_parent() -> None:
    """Binds this process to the one that started it through `Part` or `start`, and its own forks to itself."""
    if parent := os.environ.pop(PARENT, ""):
        end_with(int(parent))
    before = os.getpid()

    def remember() -> None:
        nonlocal before
        before = os.getpid()

    os.register_at_fork(before=remember, after_in_child=lambda: end_with(before))


def start(command: Sequence[str], **environment: str) -> "subprocess.Popen[bytes]":
    """The command in a session of its own: a terminal's Ctrl-C goes to us alone, and we decide the order."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | environment | {PARENT: str(os.getpid())},
    )


def session(leader: int) -> list[int]:
    """The pids of the session that `leader` began, living ones only; the leader may be dead by now."""
    import psutil

    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (psutil.Error, OSError):
            continue
    return found


def kill_session(leader: int, seconds: float = 3.0) -> None:
    """SIGKILL to each process of the session, again for those that were being forked meanwhile."""
    until = time.monotonic() + seconds
    while (pids := session(leader)) and time.monotonic() < until:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


class Part:
    """One process of the product that is started again when it ends by itself."""

    def __init__(self, name: str, begin: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self.name = name
        self.begin = begin
        self.pause = 0.0
        self.due = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = self.begin()
        self.since = time.monotonic()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look_after(self, say: Callable[[str], None]) -> None:
        """Called often: starts it again when it is down and its pause is over, and says so in one line."""
        if self.alive():
            return
        now = time.monotonic()
        if self.process is not None:
            how = ending(self.process.returncode)
            kill_session(self.process.pid)
            self.process = None
            lived = now - self.since
            self.pause = (
                0.0 if lived > SETTLED_SECONDS else min(max(2 * self.pause, 1.0), LONGEST_PAUSE_SECONDS)
            )
            self.due = now + self.pause
            say(f"{self.name} {how}; starting it again" + (f" in {self.pause:.0f} s." if self.pause else "."))
        if now >= self.due:
            self.start()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, until: float) -> None:
        """Until it is gone; what is left of it at the moment `until` (time.monotonic) is killed."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        kill_session(self.process.pid)
        self.process.wait()


def ending(code: int) -> str:
    """A return code in words."""
    return f"was killed (signal {-code})" if code < 0 else f"ended (code {code})"
