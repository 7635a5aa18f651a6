"""`manage.py up`: the whole product in one process tree, from an empty folder to `Ready`, until Ctrl-C or SIGTERM.

Order of start: port free? → database → migrations, static files, demo account → web, worker and standby. Order of stop:
web, worker and standby together, then the database. All children have sessions of their own, so Ctrl-C reaches this
process only. All children die with it, so after kill -9 of any process the next start works.

What needs much memory once, the checks and the preparation, runs in forks, so that this process keeps 60 instead of 150
MB (measured at a first start).
"""

import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from types import FrameType
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.prepare import prepare
from chatapi.runtime.processes import ForkEnded, Part, in_fork, own_command, start
from chatapi.runtime.start_checks import (
    check_port,
    lock_data_dir,
    raise_on_wrong_settings,
)
from chatapi.runtime.unprivileged import leave_root

CHECK_SECONDS = 0.2
STOP_SECONDS = 11.5  # for all parts; PostgreSQL's own stop is within it, see postgres.STOP_SECONDS
WEB_AND_WORKER_SECONDS = 11.0
SLOW_SECONDS = 60  # not ready after this: print what is missing, and continue


class Stop(Exception):
    """Ctrl-C or SIGTERM, at any point of the start."""


class Product:
    """The running product: its parts, started in order, supervised, and stopped in order."""

    def __init__(self, stdout: OutputWrapper) -> None:
        self.stdout = stdout

    def run_until_stopped(self) -> None:
        def stop(signum: int, frame: FrameType | None) -> None:
            # A second signal during the stop would break its order.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Stop

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        try:
            with ExitStack() as held:
                self.run(held)
        except Stop:
            self.say("Stopped.")
        except (postgres_server.PostgresError, ForkEnded) as error:
            raise CommandError(str(error)) from None

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def run(self, held: ExitStack) -> None:
        warnings = in_fork(raise_on_wrong_settings)
        check_port(settings.HOST, settings.PORT)
        leave_root()
        for warning in warnings:
            self.say(f"Warning: {warning}")
        held.callback(os.close, lock_data_dir())
        parts: list[Part | Database] = []
        if settings.EMBEDDED_POSTGRES:
            parts.append(self.database(held))
        in_fork(lambda: prepare(self.say))
        web = Part("The web server", lambda: start([sys.executable, "-m", "chatapi.runtime.web"]))
        worker = Part("The worker", lambda: start(own_command("worker")))
        started = [web, worker]
        if settings.STANDBY:
            started.append(Part("The standby", lambda: start(own_command("standby"))))
        held.callback(stop_together, *started)
        for part in started:
            part.start()
            parts.append(part)
        self.supervise(parts)

    # -- the start

    def database(self, held: ExitStack) -> "Database":
        path = settings.DATA_DIR / "pg"
        postgres_server.folder_with_owner(path)
        held.enter_context(postgres_server.in_use(path))
        server = postgres_server.start(path)
        held.callback(lambda: postgres_server.stop(database.server))
        database = Database(server)
        if server.process is None:
            self.say(
                f"A PostgreSQL of an earlier start (process {server.pid}) still runs on {path}; using it."
            )
        return database

    # -- supervision

    def supervise(self, parts: "list[Part | Database]") -> None:
        started, ready, reported = time.monotonic(), False, False
        while True:
            for part in parts:
                part.restart_if_ended(self.say)
            if not ready:
                missing = not_ready(settings.HOST, settings.PORT)
                if missing is None:
                    ready = True
                    self.announce()
                elif not reported and time.monotonic() - started > SLOW_SECONDS:
                    reported = True
                    self.say(f"Not ready yet after {SLOW_SECONDS} s: {missing}")
            time.sleep(CHECK_SECONDS)

    def announce(self) -> None:
        self.say(f"Ready: http://localhost:{settings.PORT}")
        try:
            demo = json.loads((settings.DATA_DIR / "demo.json").read_text())
            self.say(f"Demo login: {demo['email']}  password: {demo['password']}")
        except (OSError, ValueError, KeyError):
            pass  # an external database has no demo account


class Database:
    """The embedded PostgreSQL as a supervised part: restarted when it ends."""

    def __init__(self, server: postgres_server.Server) -> None:
        self.server = server
        self.due = 0.0

    def restart_if_ended(self, say: Any) -> None:
        now = time.monotonic()
        if now < self.due or self.server.alive():
            return
        self.due = now + 2
        say("PostgreSQL ended unexpectedly; restarting it.")
        try:
            self.server = postgres_server.start(self.server.path)
        except postgres_server.PostgresError as error:
            say(str(error))


def stop_together(*parts: Part) -> None:
    until = time.monotonic() + WEB_AND_WORKER_SECONDS
    for part in parts:
        part.terminate()
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
