"""The process of `manage.py worker` that checks whether the cluster does its work; it alone uses the database.

The health checks (settings.WORKER_HEALTH_CHECKS) are functions that queue a missing long task and return whether all
is well. After a process of the cluster died, a probe task shows whether the queue is frozen. The process ends with
FROZEN if the cluster must be restarted; the worker then starts both again.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from django_q.tasks import async_task

from chatapi.runtime.schedules import correct_schedules, write_schedules

log = structlog.get_logger("worker")

HEALTH_CHECK_SECONDS = 1.0  # between runs of the health checks
SCHEDULE_CHECK_SECONDS = 60.0  # between looks at schedules that a clock, set back since, has planned too late
# After a process died they run this often, for this long: a task that was requested may have died with it.
FAST_CHECK_SECONDS, FAST_CHECKS_FOR_SECONDS = 0.5, 15.0
UNHEALTHY_SECONDS = 30.0  # unhealthy for this long: the cluster is restarted
PROBE_AFTER_SECONDS = 5.0  # unhealthy for this long: the queue is probed; no process was seen to die
GUARD_SECONDS = 1.2  # django-q2's guard replaces a dead process each second (guard_cycle)
PROBE_SECONDS = 4.0  # a task takes milliseconds; one not done after this is in a frozen queue
FROZEN = 3  # exit code: the cluster must be restarted


class HealthChecks:
    """The checks of one cluster, from its start on. `deaths` is a pipe: a byte for each of its processes that died."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.checks: list[tuple[str, Callable[[], bool]]] = [
            (path, import_string(path)) for path in settings.WORKER_HEALTH_CHECKS
        ]
        self.unhealthy: list[str] = []
        self.healthy_at = time.monotonic()
        self.probed_for = 0.0  # the `healthy_at` of the failure that was probed: one probe for each
        self.is_probe_requested = False  # a process of the cluster died: is its queue frozen?
        self.fast_checks_until = 0.0

    def run(self) -> None:
        """Check until the cluster must be restarted: then SystemExit is raised."""
        scheduled_at = 0.0
        while True:
            try:
                if not scheduled_at:
                    write_schedules()
                if time.monotonic() - scheduled_at > SCHEDULE_CHECK_SECONDS:
                    correct_schedules()
                    scheduled_at = time.monotonic()
                self.check()
            except Exception as error:  # noqa: BLE001 - an error of a health check must not end this process
                self.healthy_at = time.monotonic()  # without a database a restart does not help
                reason = str(error).strip().split("\n")[0]
                log.warning("The health checks failed.", error=f"{type(error).__name__}: {reason}")
                connection.close()
            is_fast = time.monotonic() < self.fast_checks_until
            self.wait(FAST_CHECK_SECONDS if is_fast else HEALTH_CHECK_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait for as long, or until a process of the cluster died. Raises SystemExit if the worker has ended."""
        if select.select([self.deaths], [], [], seconds)[0]:
            if not os.read(self.deaths, 4096):
                sys.exit()
            self.is_probe_requested = True

    def check(self) -> None:
        if self.is_probe_requested:
            self.is_probe_requested = False
            self.fast_checks_until = time.monotonic() + FAST_CHECKS_FOR_SECONDS
            self.is_healthy()  # requests what is missing at once: an idle process of the pool may take it
            time.sleep(GUARD_SECONDS)
            self.is_healthy()
            if not probe():
                restart_cluster("its queue is frozen")
        elif not self.is_healthy():
            seconds = time.monotonic() - self.healthy_at
            if seconds > UNHEALTHY_SECONDS:
                restart_cluster(f"{', '.join(self.unhealthy)} failed for {UNHEALTHY_SECONDS:.0f} s")
            elif seconds > PROBE_AFTER_SECONDS and self.probed_for != self.healthy_at:
                self.probed_for = self.healthy_at
                self.is_probe_requested = True

    def is_healthy(self) -> bool:
        """Carry out all checks; returns whether all of them passed."""
        self.unhealthy = [path for path, passes in self.checks if not passes()]
        if not self.unhealthy:
            self.healthy_at = time.monotonic()
        return not self.unhealthy


def restart_cluster(reason: str) -> None:
    log.error(f"Restarting the worker's cluster: {reason}.")
    sys.exit(FROZEN)


def probe() -> bool:
    """Whether a task passes through the queue, the pool and the record of results within PROBE_SECONDS."""
    name = async_task("time.time", task_name="probe")
    until = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < until:
        urgent = OrmQ.objects.filter(key=settings.URGENT_QUEUE)
        waiting = [row for row in urgent if row.task_id() == name]
        if not waiting:
            return True
        time.sleep(0.1)
    OrmQ.objects.filter(pk__in=[row.pk for row in waiting]).delete()
    return False
