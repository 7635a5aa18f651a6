"""Child processes that end with their parent, forks for one function, supervised ones, and processes of a session."""

import atexit
import ctypes
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar, cast

T = TypeVar("T")

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15  # linux/prctl.h
PARENT = "CHATAPI_PARENT"  # environment: the pid of the process that the child must not outlive

# A part that ran this long restarts immediately; otherwise each pause is twice the previous one.
SETTLED_SECONDS = 10.0
MAX_PAUSE_SECONDS = 10.0
STOP_FORK_SECONDS = 5.0  # after a fork has sent its result
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    """Make the kernel kill this process when its parent ends, also after kill -9. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before prctl was called
        os._exit(1)


def end_with_parent() -> None:
    """End this process with the one that started it through `start`, and its forks with this process."""
    if parent := os.environ.pop(PARENT, ""):
        end_with(int(parent))
    before = os.getpid()

    def remember() -> None:
        nonlocal before
        before = os.getpid()

    os.register_at_fork(before=remember, after_in_child=lambda: end_with(before))


def own_command(*words: str) -> list[str]:
    """Returns the command line that runs another command of the product as this one was run."""
    if os.path.basename(sys.argv[0]) == "__main__.py":  # python -m chatapi
        return [sys.executable, "-m", "chatapi", *words]
    return [sys.executable, sys.argv[0], *words]


def start(
    command: Sequence[str], *, pass_fds: Sequence[int] = (), **environment: str
) -> "subprocess.Popen[bytes]":
    """Start the command in its own session: a terminal's Ctrl-C reaches only us, and we decide the order of stops.

    The files `pass_fds` stay open in it.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=pass_fds,
        env=os.environ | environment | {PARENT: str(os.getpid())},
    )


class ForkEnded(Exception):
    """A fork ended without a result; str() is a sentence for users."""


def in_fork(function: Callable[[], T]) -> T:
    """Returns what the function returns, or raises what it raises. It runs in a fork of this process.

    So the memory for what it imports and allocates is free again afterwards. Only for a process with one thread.
    SIGINT and SIGTERM are for this process alone: if one raises an exception here, the fork is killed.

    Raises:
        ForkEnded: the fork was killed.
    """
    reader, writer = multiprocessing.Pipe(duplex=False)
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=run_and_send, args=(function, writer, os.getpid()))
    try:
        # The fork starts with our signal handlers: no signal may arrive before it ignores them.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        writer.close()
        value, error = reader.recv()
        process.join(STOP_FORK_SECONDS)
    except EOFError:
        process.join()
        sentence = f"A process of the start {describe_exit(process.exitcode or 0)}."
        if process.exitcode == -signal.SIGKILL:
            sentence += " If it was the kernel (`dmesg`), the machine has too little memory."
        raise ForkEnded(sentence) from None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        reader.close()
        if process.pid:
            process.kill()
            process.join()
    if error is not None:
        raise error
    return cast(T, value)


def run_and_send(function: Callable[[], Any], writer: Connection, parent: int) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    end_with(parent)
    result: tuple[Any, Exception | None]
    try:
        result = function(), None
    except Exception as error:  # noqa: BLE001 - the parent raises it
        result = None, with_traceback_as_note(error)
    with suppress(BrokenPipeError):  # the parent was stopped meanwhile
        writer.send(result)


def with_traceback_as_note(error: Exception) -> Exception:
    """Returns the error for another process, which does not get its traceback. One that cannot be sent becomes text."""
    text = "".join(traceback.format_exception(error))
    error.add_note(text)
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever the class of the error raises
        return RuntimeError(text)
    return error


def session_pids(leader: int) -> list[int]:
    """The pids of running processes in the session that `leader` started; the leader itself may have ended."""
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
    """Send SIGKILL to each process of the session, repeatedly, to include those forked in the meantime."""
    deadline = time.monotonic() + seconds
    while (pids := session_pids(leader)) and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


class AdoptedChild:
    """A child process that was not started by subprocess; with the methods of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Returns the exit code, or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.02)
        return code

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        if self.poll() is None:  # so the pid is still its own
            os.kill(self.pid, number)


class Fork(AdoptedChild):
    """A fork of this process that runs one function, in a session of its own; it ends when the function returns.

    `name` is what `ps -o comm` shows, 15 characters at most. Only for a process with one thread and without a session
    of the database. Call `end_with_parent` before, so that the fork ends with this process.
    """

    def __init__(self, name: str, function: Callable[[], object]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        # The fork starts with our signal handlers: no signal may arrive before they are replaced.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                run_as_fork(name, function)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        super().__init__(pid)


def run_as_fork(name: str, function: Callable[[], object]) -> NoReturn:
    code: str | int | None = 1
    try:
        os.setsid()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        function()
        code = 0
    except SystemExit as exit:
        code = exit.code
    except BaseException:  # noqa: BLE001 - as at the end of a program
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()  # such as the one that sends the last error reports
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


class Part:
    """A supervised process of the product: it is restarted when it ends. It leads a session."""

    def __init__(self, name: str, launch: Callable[[], "subprocess.Popen[bytes] | Fork"]) -> None:
        self.name = name
        self.launch = launch
        self.pause = 0.0
        self.due = 0.0
        self.process: subprocess.Popen[bytes] | Fork | None = None

    def start(self) -> None:
        self.process = self.launch()
        self.since = time.monotonic()

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def restart_if_ended(self, say: Callable[[str], None]) -> None:
        """Restart the process if it has ended and its pause is over; report it. Called several times a second."""
        if self.is_alive():
            return
        now = time.monotonic()
        if self.process is not None:
            how = describe_exit(self.process.returncode or 0)
            kill_session(self.process.pid)
            self.process = None
            uptime = now - self.since
            self.pause = 0.0 if uptime > SETTLED_SECONDS else min(max(2 * self.pause, 1.0), MAX_PAUSE_SECONDS)
            self.due = now + self.pause
            say(f"{self.name} {how}; restarting" + (f" in {self.pause:.0f} s." if self.pause else "."))
        if now >= self.due:
            self.start()

    def terminate(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until the process has ended; at the deadline (time.monotonic) kill its session."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        kill_session(self.process.pid)
        self.process.wait()


def describe_exit(code: int) -> str:
    return f"was killed (signal {-code})" if code < 0 else f"ended (code {code})"
