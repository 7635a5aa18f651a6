"""`manage.py worker`: supervises the background work.

Runs django-q2's cluster in a session of its own and stops it with one SIGTERM. A cluster can look healthy and be
frozen: SIGKILL of an idle worker never releases the lock of its queue. So three things are watched: the cluster's
processes, a probe task after one of them died, and the health checks (settings.WORKER_HEALTH_CHECKS), functions that
queue a missing long task and return whether all is well. A frozen cluster is killed and restarted.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from chatapi.runtime.processes import Part, kill_session, session_pids, start
from chatapi.runtime.schedules import correct_schedules, write_schedules

log = structlog.get_logger("worker")

PROCESS_CHECK_SECONDS = 0.2  # between checks of the processes
KNOWN_SECONDS = 0.5  # between looks at the processes of the cluster's session, which take 3 ms
HEALTH_CHECK_SECONDS = 1.0  # between runs of the health checks
SCHEDULE_CHECK_SECONDS = 60.0  # between looks at schedules that a clock, set back since, has planned too late
# After a process died they run this often, for this long: a task that was requested may have died with it.
FAST_CHECK_SECONDS, FAST_CHECKS_FOR_SECONDS = 0.5, 15.0
UNHEALTHY_SECONDS = 30.0  # unhealthy for this long: the cluster is restarted
PROBE_AFTER_SECONDS = 5.0  # unhealthy for this long: the queue is probed; no process was seen to die
GUARD_SECONDS = 1.2  # django-q2's guard replaces a dead process each second (guard_cycle)
PROBE_SECONDS = 4.0  # a task takes milliseconds; one not done after this is in a frozen queue
STOP_SECONDS = 11.0  # of the 12 that `up` allows


class Worker:
    """The main thread supervises processes; a second one queries the database, so that it never blocks a stop."""

    def __init__(self) -> None:
        self.cluster = Part(
            "The worker's cluster", lambda: start([sys.executable, "-m", "chatapi.runtime.cluster"])
        )
        self.health = Health([(path, import_string(path)) for path in settings.WORKER_HEALTH_CHECKS])
        self.stopping = threading.Event()
        self.check_now = threading.Event()  # run the health checks without waiting
        self.probe_requested = threading.Event()  # a process of a running cluster died: is its queue frozen?
        self.frozen = threading.Event()  # restart the cluster
        self.known_pids: set[int] = set()
        self.known_at = 0.0
        self.fast_checks_until = 0.0
        self.probed_for = 0.0  # the `healthy_at` of the failure that was probed: one probe for each

    def run(self) -> None:
        def stop(signum: int, frame: FrameType | None) -> None:
            self.stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.cluster.start()
        threading.Thread(target=self.run_health_checks, daemon=True, name="health-checks").start()
        while not self.stopping.wait(PROCESS_CHECK_SECONDS):
            self.check_processes()
        self.check_now.set()
        self.cluster.terminate()
        self.cluster.wait(time.monotonic() + STOP_SECONDS)

    def check_processes(self) -> None:
        """Restart a cluster that ended or is frozen; request a probe when one of its processes died."""
        if self.frozen.is_set() and self.cluster.process:
            kill_session(self.cluster.process.pid)
        if not self.cluster.is_alive():
            self.known_pids.clear()
            self.cluster.restart_if_ended(log.warning)
            self.frozen.clear()
            self.check_now.set()
            return
        now = time.monotonic()
        if now - self.known_at >= KNOWN_SECONDS and self.cluster.process:
            pids = set(session_pids(self.cluster.process.pid))
            if died := self.known_pids - pids:
                log.warning("A process of the cluster died.", pids=sorted(died))
                self.probe_requested.set()
                self.check_now.set()
            self.known_pids, self.known_at = pids, now

    def run_health_checks(self) -> None:
        """The second thread: runs the health checks, and probes the queue after a process died."""
        scheduled_at = 0.0
        while not self.stopping.is_set():
            try:
                if not scheduled_at:
                    write_schedules()
                if time.monotonic() - scheduled_at > SCHEDULE_CHECK_SECONDS:
                    correct_schedules()
                    scheduled_at = time.monotonic()
                self.check_health()
            except Exception as error:  # noqa: BLE001 - an error of a health check must not end this thread
                self.health.healthy_at = time.monotonic()  # without a database a restart does not help
                reason = str(error).strip().split("\n")[0]
                log.warning("The health checks failed.", error=f"{type(error).__name__}: {reason}")
                connection.close()
            fast = time.monotonic() < self.fast_checks_until
            self.check_now.wait(FAST_CHECK_SECONDS if fast else HEALTH_CHECK_SECONDS)
            self.check_now.clear()

    def check_health(self) -> None:
        health = self.health
        if self.probe_requested.is_set():
            self.probe_requested.clear()
            probed = self.cluster.process
            self.fast_checks_until = time.monotonic() + FAST_CHECKS_FOR_SECONDS
            health.check()  # requests what is missing at once: an idle process of the pool may take it
            self.stopping.wait(GUARD_SECONDS)
            health.check()
            if not probe(self.stopping) and self.cluster.process is probed:  # not one that is still starting
                self.restart("its queue is frozen")
                health.healthy_at = time.monotonic()
        elif not health.check():
            seconds = time.monotonic() - health.healthy_at
            if seconds > UNHEALTHY_SECONDS:
                failed = ", ".join(health.unhealthy)
                self.restart(f"{failed} failed for {UNHEALTHY_SECONDS:.0f} s")
                health.healthy_at = time.monotonic()
            elif seconds > PROBE_AFTER_SECONDS and self.probed_for != health.healthy_at:
                self.probed_for = health.healthy_at
                self.probe_requested.set()

    def restart(self, reason: str) -> None:
        if not self.stopping.is_set():
            log.error(f"Restarting the worker's cluster: {reason}.")
            self.frozen.set()


class Health:
    """Results of the latest health checks, and when all of them last passed."""

    def __init__(self, health_checks: list[tuple[str, Callable[[], bool]]]) -> None:
        self.health_checks = health_checks
        self.healthy_at = time.monotonic()
        self.unhealthy: list[str] = []

    def check(self) -> bool:
        self.unhealthy = [path for path, is_healthy in self.health_checks if not is_healthy()]
        if not self.unhealthy:
            self.healthy_at = time.monotonic()
        return not self.unhealthy


def probe(stopping: threading.Event) -> bool:
    """Whether a task passes through the queue, the pool and the record of results within PROBE_SECONDS."""
    from django_q.models import OrmQ
    from django_q.tasks import async_task

    name = async_task("time.time", task_name="probe")
    until = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < until and not stopping.is_set():
        urgent = OrmQ.objects.filter(key=settings.URGENT_QUEUE)
        waiting = [row for row in urgent if row.task_id() == name]
        if not waiting:
            return True
        stopping.wait(0.1)
    OrmQ.objects.filter(pk__in=[row.pk for row in waiting]).delete()
    return stopping.is_set()
