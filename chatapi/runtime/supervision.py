"""Supervises the parts of `manage.py up`: starts them, restarts each that ends, and stops them in order.

It runs without Django and without a database driver, so that this process takes 14 instead of 64 MB: `up` replaces
itself by it once everything is prepared (`continue_as_supervisor`). The pid and the command line stay the same,
PostgreSQL remains its child, and the locks on DATA_DIR stay held. Nothing here may import a package,
except psutil when a part has died.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.processes import STOP_SIGNALS, AdoptedChild, Part, own_command, start
from chatapi.runtime.standby_process import (
    FD,
    HAS_ADOPTION,
    Presence,
    adopt_orphans,
    reap_orphans,
    stop_standby,
)

CHECK_SECONDS = 0.2
WEB_AND_WORKER_SECONDS = (
    11.0  # of the 12 in which all parts stop; then PostgreSQL, see postgres.server.STOP_SECONDS
)
SLOW_SECONDS = 60  # not ready after this: print what is missing, and continue
PLAN = "CHATAPI_SUPERVISE"  # environment: the Plan, for the process that `up` becomes


class Stop(Exception):
    """Ctrl-C or SIGTERM, at any point of the start."""


@dataclass
class Plan:
    """What the supervisor gets from the start of `up`."""

    data_dir: str
    host: str
    port: int
    has_standby: bool
    locks: list[int] = field(default_factory=list)  # files that stay open until this process ends
    postgres_pid: int = 0  # 0: DATABASE_URL names a server
    is_postgres_child: bool = False  # False: it was found running


def stop_on_signals() -> None:
    """Raise Stop in the main thread at the first SIGINT or SIGTERM."""

    def stop(signum: int, frame: FrameType | None) -> None:
        # A second signal during the stop would break its order.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise Stop

    for number in STOP_SIGNALS:
        signal.signal(number, stop)


def continue_as_supervisor(plan: Plan) -> NoReturn:
    """Replace this process by the supervisor. A signal that arrives meanwhile is handled there."""
    for handle in plan.locks:
        os.set_inheritable(handle, True)
    environment = os.environ | {PLAN: json.dumps(asdict(plan))}
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    finally:  # it failed
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def is_supervisor() -> bool:
    """Returns whether `up` has replaced itself: this process has to call `supervise`."""
    return PLAN in os.environ


def supervise() -> None:
    """Run the product until SIGINT or SIGTERM."""
    plan = Plan(**json.loads(os.environ.pop(PLAN)))
    for handle in plan.locks:
        os.set_inheritable(handle, False)
    try:
        with ExitStack() as held:
            database = Database(plan) if plan.postgres_pid else None
            if database:
                held.callback(lambda: postgres_server.stop(database.server))
            stop_on_signals()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            run_parts(plan, database, held)
    except Stop:
        say("Stopped.")


def say(line: str) -> None:
    print(line, flush=True)


def run_parts(plan: Plan, database: "Database | None", held: ExitStack) -> NoReturn:
    """Start the web server and the worker, which starts the standby process, and restart what ends."""
    presence = Presence.create() if plan.has_standby and HAS_ADOPTION else None
    started = [
        Part("The web server", lambda: start([sys.executable, "-m", "chatapi.runtime.web"])),
        Part("The worker", lambda: start_worker(presence)),
    ]
    if presence:
        adopt_orphans()
    elif plan.has_standby:
        started.append(Part("The standby", lambda: start(own_command("standby"))))
    held.callback(stop_together, started, presence)
    for part in started:
        part.start()
    began, is_ready, is_reported = time.monotonic(), False, False
    while True:
        if database:
            database.restart_if_ended(say)
        for part in started:
            part.restart_if_ended(say)
        if presence:
            waited_for = {part.process.pid for part in started if part.process}
            reap_orphans(waited_for | ({database.server.pid} if database else set()))
        if not is_ready:
            missing = not_ready(plan.host, plan.port)
            if missing is None:
                is_ready = True
                announce(plan)
            elif not is_reported and time.monotonic() - began > SLOW_SECONDS:
                is_reported = True
                say(f"Not ready yet after {SLOW_SECONDS} s: {missing}")
        time.sleep(CHECK_SECONDS)


def start_worker(presence: Presence | None) -> "subprocess.Popen[bytes]":
    if presence is None:
        return start(own_command("worker"))
    return start(own_command("worker"), pass_fds=[presence.fd], **{FD: str(presence.fd)})


def announce(plan: Plan) -> None:
    say(f"Ready: http://localhost:{plan.port}")
    try:
        demo = json.loads((Path(plan.data_dir) / "demo.json").read_text())
        say(f"Demo login: {demo['email']}  password: {demo['password']}")
    except (OSError, ValueError, KeyError):
        pass  # an external database has no demo account


class Database:
    """The embedded PostgreSQL as a supervised part: restarted when it ends."""

    def __init__(self, plan: Plan) -> None:
        pid = plan.postgres_pid
        child = AdoptedChild(pid) if plan.is_postgres_child else None
        self.server = postgres_server.Server(Path(plan.data_dir) / "pg", pid, child)
        self.due = 0.0

    def restart_if_ended(self, say: Callable[[str], None]) -> None:
        now = time.monotonic()
        if now < self.due or self.server.alive():
            return
        self.due = now + 2
        say("PostgreSQL ended unexpectedly; restarting it.")
        try:
            self.server = postgres_server.start(self.server.path)
        except postgres_server.PostgresError as error:
            say(str(error))


def stop_together(parts: list[Part], presence: Presence | None) -> None:
    until = time.monotonic() + WEB_AND_WORKER_SECONDS
    for part in parts:
        part.terminate()
    if presence:
        stop_standby(presence, parts, until)
    for part in parts:
        part.wait(until)


# /readyz is on this machine: never through a proxy from the environment.
LOCAL = build_opener(ProxyHandler({}))


def own_url(host: str, port: int) -> str:
    """The web server's URL on this machine; `host` is the address at which it listens, or all addresses."""
    address = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def not_ready(host: str, port: int) -> str | None:
    """What /readyz reports as missing; None if it returned 200."""
    try:
        with LOCAL.open(f"{own_url(host, port)}/readyz", timeout=5):
            return None
    except HTTPError as error:
        try:
            return str(json.load(error)["reason"])
        except (ValueError, KeyError, TypeError):
            return f"/readyz responded with {error.code}."
    except (URLError, OSError) as error:
        return f"The web server does not respond ({error})."
