"""`manage.py up`: the whole product in one process tree, from an empty folder to `Ready`, until Ctrl-C or SIGTERM.

Order of start: port free? → database → migrations, static files, demo account → web, worker and standby. Order of stop:
web, worker and standby together, then the database. All children have sessions of their own, so Ctrl-C reaches this
process only. All children die with it, so after kill -9 of any process the next start works.

What needs much memory once, the checks and the preparation, runs in forks. When they are done, this process replaces
itself by one without Django (supervision.py), with the same pid.
"""

import os
from contextlib import ExitStack

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.prepare import prepare
from chatapi.runtime.processes import ForkEnded, in_fork
from chatapi.runtime.start_checks import (
    check_port,
    lock_data_dir,
    raise_on_wrong_settings,
)
from chatapi.runtime.supervision import Plan, Stop, continue_as_supervisor, stop_on_signals
from chatapi.runtime.unprivileged import leave_root


class Product:
    """The start of the product: what is done before its parts run."""

    def __init__(self, stdout: OutputWrapper) -> None:
        self.stdout = stdout

    def run_until_stopped(self) -> None:
        stop_on_signals()
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
        lock = lock_data_dir()
        held.callback(os.close, lock)
        plan = Plan(
            data_dir=str(settings.DATA_DIR),
            host=settings.HOST,
            port=settings.PORT,
            has_standby=settings.STANDBY,
            locks=[lock],
        )
        if settings.EMBEDDED_POSTGRES:
            path = settings.DATA_DIR / "pg"
            postgres_server.folder_with_owner(path)
            plan.locks.append(postgres_server.mark_as_used(path))
            held.callback(os.close, plan.locks[-1])
            server = postgres_server.start(path)
            held.callback(postgres_server.stop, server)
            plan.postgres_pid, plan.is_postgres_child = server.pid, server.process is not None
            if server.process is None:
                self.say(
                    f"A PostgreSQL of an earlier start (process {server.pid}) still runs on {path}; using it."
                )
        in_fork(lambda: prepare(self.say))
        continue_as_supervisor(plan)
