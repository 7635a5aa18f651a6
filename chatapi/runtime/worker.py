"""`manage.py worker`: the background work, looked after.

Runs django-q2's cluster in a session of its own and passes it one SIGTERM when told to stop. A cluster may look
healthy and be frozen (SIGKILL of an idle worker leaves its queue's lock taken for good), so three things are watched:
the cluster's processes, a probe task after one of them died, and the keepers (settings.WORKER_KEEPERS): functions
that queue whatever long task is missing and answer whether all is well. What is frozen is killed and begun again.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from django.utils.module_loading import import_string

from chatapi.runtime.processes import Part, end_with_parent, kill_session, session, start
from chatapi.runtime.schedules import write_schedules

log = structlog.get_logger("worker")

LOOK_SECONDS = 0.2  # between looks at the processes
KEEP_SECONDS = 2.0  # between calls of the keepers
# After a death they are called so often, for so long: a lost task is missed once its heartbeat is 5 s old.
HURRY_SECONDS, HURRY_FOR_SECONDS = 0.5, 15.0
SILENCE_SECONDS = 30.0  # keepers unhealthy for so long: the cluster is begun again
GUARD_SECONDS = (
    1.2  # django-q2's guard puts a new process in the place of a dead one each second (guard_cycle)
)
PROBE_SECONDS = 4.0  # a task takes milliseconds; one not done after this sits in a frozen queue
STOP_SECONDS = 11.0  # of the 12 that `up` gives


class Command(BaseCommand):
    help = "Runs the background work (django-q2's cluster) and restarts whatever of it dies or freezes."

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_parent()
        Worker().run()


class Worker:
    """The main thread looks after processes; the database is asked in a second one, so it can never block a stop."""

    def __init__(self) -> None:
        self.cluster = Part(
            "The worker's cluster", lambda: start([sys.executable, "-m", "chatapi.runtime.cluster"])
        )
        self.watch = Watch([(path, import_string(path)) for path in settings.WORKER_KEEPERS])
        self.stopping = threading.Event()
        self.wake = threading.Event()  # ask the keepers now
        self.suspect = (
            threading.Event()
        )  # a process is gone from a living cluster: does its queue still move?
        self.frozen = threading.Event()  # begin the cluster again
        self.known: set[int] = set()
        self.known_at = 0.0
        self.hurry_until = 0.0

    def run(self) -> None:
        def stop(signum: int, frame: FrameType | None) -> None:
            self.stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.cluster.start()
        threading.Thread(target=self.keep, daemon=True, name="keepers").start()
        while not self.stopping.wait(LOOK_SECONDS):
            self.look()
        self.wake.set()
        self.cluster.ask_to_stop()
        self.cluster.wait(time.monotonic() + STOP_SECONDS)

    def look(self) -> None:
        """One look at the processes."""
        if self.frozen.is_set() and self.cluster.process:
            kill_session(self.cluster.process.pid)
        if not self.cluster.alive():
            self.known.clear()
            self.cluster.look_after(log.warning)
            self.frozen.clear()
            self.wake.set()
            return
        now = time.monotonic()
        if now - self.known_at >= 1 and self.cluster.process:
            living = set(session(self.cluster.process.pid))
            if gone := self.known - living:
                log.warning("A process of the cluster is gone.", pids=sorted(gone))
                self.suspect.set()
                self.wake.set()
            self.known, self.known_at = living, now

    def keep(self) -> None:
        """The second thread: calls the keepers, and probes the queue after a death."""
        scheduled = False
        while not self.stopping.is_set():
            try:
                if not scheduled:
                    write_schedules()
                    scheduled = True
                self.ask()
            except Exception as error:  # noqa: BLE001 - whatever a keeper stumbles over, this loop is the last to die
                self.watch.healthy_at = time.monotonic()  # without a database no restart helps
                reason = str(error).strip().split("\n")[0]
                log.warning("The keepers could not look.", error=f"{type(error).__name__}: {reason}")
                connection.close()
            self.wake.wait(HURRY_SECONDS if time.monotonic() < self.hurry_until else KEEP_SECONDS)
            self.wake.clear()

    def ask(self) -> None:
        watch = self.watch
        if self.suspect.is_set():
            self.suspect.clear()
            self.hurry_until = time.monotonic() + HURRY_FOR_SECONDS
            self.stopping.wait(GUARD_SECONDS)
            watch.look()
            if not probe(self.stopping):
                self.begin_again("its queue does not move")
                watch.healthy_at = time.monotonic()
        elif not watch.look() and time.monotonic() - watch.healthy_at > SILENCE_SECONDS:
            self.begin_again(f"{', '.join(watch.ill)} found nothing alive for {SILENCE_SECONDS:.0f} s")
            watch.healthy_at = time.monotonic()

    def begin_again(self, reason: str) -> None:
        if not self.stopping.is_set():
            log.error(f"The worker's cluster is begun again: {reason}.")
            self.frozen.set()


class Watch:
    """What the keepers said last, and since when."""

    def __init__(self, keepers: list[tuple[str, Callable[[], bool]]]) -> None:
        self.keepers = keepers
        self.healthy_at = time.monotonic()
        self.ill: list[str] = []

    def look(self) -> bool:
        self.ill = [path for path, keeper in self.keepers if not keeper()]
        if not self.ill:
            self.healthy_at = time.monotonic()
        return not self.ill


def probe(stopping: threading.Event) -> bool:
    """Whether a task goes all the way through the queue, the pool and the record of results."""
    from django_q.models import OrmQ
    from django_q.tasks import async_task

    name = async_task("time.time", task_name="probe")
    until = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < until and not stopping.is_set():
        waiting = [row for row in OrmQ.objects.all()[:1000] if row.task_id() == name]
        if not waiting:
            return True
        stopping.wait(0.1)
    OrmQ.objects.filter(pk__in=[row.pk for row in waiting]).delete()
    return stopping.is_set()
