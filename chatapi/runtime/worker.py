"""`manage.py worker`: supervises the background work.

It loads the program once and runs forks of itself, which share that memory: django-q2's cluster (cluster.py), the
health checks (health_checks.py) and, under `up`, the standby process, which outlives it (standby_process.py). Each is
in a session of its own, and the cluster is stopped with one SIGTERM. A cluster can look healthy and be frozen: SIGKILL
of an idle worker never releases the lock of its queue. So three things are watched: the cluster's processes, a probe
task after one of them died, and the health checks. A frozen cluster is killed and restarted.

This process has one thread and no database session, so it may fork at any time. Measured at rest: 152 instead of 201
MB for all of them, and a restarted cluster does not load the program again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType

import structlog
from django.db import connections

from chatapi.runtime.cluster import run_cluster, share_memory
from chatapi.runtime.health_checks import FROZEN, HealthChecks
from chatapi.runtime.processes import Fork, Part, kill_session, session_pids
from chatapi.runtime.standby import Standby
from chatapi.runtime.standby_process import STANDBY, WORKER, Presence, fork_standby

log = structlog.get_logger("worker")

PROCESS_CHECK_SECONDS = 0.2  # between checks of the processes
KNOWN_SECONDS = 0.5  # between looks at the processes of the cluster's session, which take 3 ms
STANDBY_PAUSE_SECONDS = 10.0  # between two starts of the standby process
STOP_SECONDS = 11.0  # of the 12 that `up` allows


class Worker:
    """The worker's main process; it must not use the database."""

    def __init__(self) -> None:
        share_memory()
        connections.close_all()
        self.cluster = Part("The worker's cluster", lambda: Fork("chatapi-cluster", run_cluster))
        self.health_checks: Fork | None = None
        self.deaths = -1  # the pipe to the health checks
        self.stopping = threading.Event()
        self.known_pids: set[int] = set()
        self.known_at = 0.0
        self.presence = Presence.from_environment()  # None: `up` has not started this worker
        if self.presence:
            self.presence.claim(WORKER)
        self.standby_at: float | None = None  # when it was last started

    def run(self) -> None:
        def stop(signum: int, frame: FrameType | None) -> None:
            self.stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.cluster.start()
        self.start_health_checks()
        while not self.stopping.wait(PROCESS_CHECK_SECONDS):
            self.check_processes()
            if self.presence:
                self.check_standby(self.presence)
        self.end_health_checks()
        self.cluster.terminate()
        self.cluster.wait(time.monotonic() + STOP_SECONDS)

    def check_processes(self) -> None:
        """Restart a cluster that ended or is frozen; tell the health checks when one of its processes died."""
        if self.cluster.process and self.health_checks and self.health_checks.poll() == FROZEN:
            kill_session(self.cluster.process.pid)
        if not self.cluster.is_alive():
            self.end_health_checks()
            self.known_pids.clear()
            self.cluster.restart_if_ended(log.warning)
            if self.cluster.is_alive():
                self.start_health_checks()
            return
        if self.health_checks and self.health_checks.poll() is not None:
            log.warning("The process of the health checks ended; restarting it.")
            self.end_health_checks()
            self.start_health_checks()
        now = time.monotonic()
        if now - self.known_at >= KNOWN_SECONDS and self.cluster.process:
            pids = set(session_pids(self.cluster.process.pid))
            if died := self.known_pids - pids:
                log.warning("A process of the cluster died.", pids=sorted(died))
                with suppress(BrokenPipeError):  # the health checks have just ended, too
                    os.write(self.deaths, b"!")
            self.known_pids, self.known_at = pids, now

    def start_health_checks(self) -> None:
        """Start the checks of a cluster that has just started, or whose checks ended."""
        reader, writer = os.pipe()

        def run() -> None:
            os.close(writer)  # else the pipe would not end with the worker
            HealthChecks(reader).run()

        self.health_checks, self.deaths = Fork("chatapi-health", run), writer
        os.close(reader)

    def end_health_checks(self) -> None:
        if self.health_checks:
            self.health_checks.kill()
            self.health_checks.wait()
            os.close(self.deaths)
            self.health_checks = None

    def check_standby(self, presence: Presence) -> None:
        """Start the standby process if there is none. `up` stops it."""
        if presence.pid(STANDBY):
            return
        now = time.monotonic()
        if self.standby_at is not None:
            if now - self.standby_at < STANDBY_PAUSE_SECONDS:
                return
            log.warning("The standby process ended; restarting it.")
        worker, self.standby_at = os.getpid(), now

        def run() -> None:
            if self.health_checks:
                os.close(self.deaths)  # else the pipe would not end with the worker
            Standby(is_replaceable=lambda: presence.pid(WORKER) not in (0, worker)).run()

        fork_standby(presence, run)
