"""CPU per call of the contract and of REST, of this version and of others in turn.

    python -m tests.bench.calls [--rounds 20] [--calls 100] [--only sendMessage] [FOLDER …]
    python -m tests.bench.calls --web 2 [--seconds 0.5] …
    python -m tests.bench.calls --web 2 --worker …
    python -m tests.bench.calls --profile contact

Calls the WSGI application in one thread, or with `--web` that many web processes over 8 connections. FOLDERs have the
files of other versions, such as `git worktree add` makes them. All use one database with this version's migrations,
and each its own instances.
The machine's other load changes within seconds, so each round measures one version after the other, and the result is
the median of the rounds' ratios to the first version. Commits do not wait for the disk.

With `--worker`, this version's worker sends the messages and hooks meanwhile, and its CPU is that of a call that was
accepted; calls that find a queue full are not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PHONE = "17680561234"
TEXT = "A message of the bench. " * 4
WARM_UP = 0.5  # of a round, which is not measured
UNLIMITED = {"CONTRACT_CALLS_PER_MINUTE": "1000000000", "API_RATE": "1000000000/min"}
# How the bodies of good responses begin.
GOOD = {
    "sendMessage": b'{"sent":true',
    "contact": b'{"id":"false_',
    "messages": b'{"messages":[{',
    "status": b'{"accountStatus":',
}
Call = tuple[str, str, str, str, str]  # method, path, query, account's key, body
Targets = dict[str, list[Call]]


class Measured(NamedTuple):
    """CPU per call in ms: of the site, of PostgreSQL, and of the worker; and calls per second."""

    site: float
    database: float
    rate: float
    worker: float = 0.0


Measure = Callable[[str], Measured]


def cpu_of(pid: int) -> float:
    """Returns the CPU of a process's threads in seconds. psutil counts in hundredths, too coarse for 40 sessions."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def cpu_of_tree(pid: int) -> float:
    import psutil

    root = psutil.Process(pid)
    return sum(cpu_of(process.pid) for process in [root, *root.children(recursive=True)])


class Application:
    """One version's WSGI application, called in this thread."""

    def __init__(self, targets: Targets) -> None:
        from chatapi.wsgi import application

        self.application = application
        self.requests = {name: [self.environ(*one) for one in given] for name, given in targets.items()}

    @staticmethod
    def environ(method: str, path: str, query: str, key: str, body: str) -> tuple[dict[str, Any], bytes]:
        found = {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost",
            "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }  # fmt: skip
        if body:
            found |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
        if key:
            found["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return found, body.encode()

    def call(self, name: str, environ: dict[str, Any], body: bytes) -> None:
        statuses: list[str] = []
        request = environ | {"wsgi.input": io.BytesIO(body)}
        response: Any = self.application(request, lambda status, headers: statuses.append(status))
        content = b"".join(response)
        response.close()
        if not content.startswith(GOOD[name]):
            raise RuntimeError(f"{environ['PATH_INFO']}: {statuses[0]} {content[:300]!r}")

    def run(self, name: str, count: int) -> Measured:
        from django.db import connection

        connection.ensure_connection()
        given = self.requests[name]
        session = connection.connection.info.backend_pid
        before, cpu, began = cpu_of(session), time.process_time(), time.perf_counter()
        for number in range(count):
            self.call(name, *given[number % len(given)])
        own, took = time.process_time() - cpu, time.perf_counter() - began
        return Measured(own / count * 1000, (cpu_of(session) - before) / count * 1000, count / took)


def serve() -> None:
    """The process of one version: reads `name count` from standard input, and writes the figures."""
    import django

    django.setup()
    application = Application(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        name, count = line.split()
        print(*application.run(name, int(count)), flush=True)


@contextlib.contextmanager
def application_of(folder: Path, targets: Targets, count: int) -> Iterator[Measure]:
    code = f"import runpy, sys; sys.path.insert(0, {str(folder)!r}); runpy.run_path({__file__!r})['serve']()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | UNLIMITED, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    stdin, stdout = process.stdin, process.stdout
    print(json.dumps(targets), file=stdin, flush=True)

    def measure(name: str) -> Measured:
        for calls in (int(count * WARM_UP), count):
            empty_queues()
            print(name, calls, file=stdin, flush=True)
            found = [float(word) for word in stdout.readline().split()]
        return Measured(*found)

    try:
        yield measure
    finally:
        stdin.close()
        process.wait()


@contextlib.contextmanager
def web_server_of(
    folder: Path, targets: Targets, processes: int, seconds: float, worker: subprocess.Popen[bytes] | None
) -> Iterator[Measure]:
    from tests.bench.contract import drive, is_ready
    from tests.bench.environment import postgres_pid, wait_for
    from tests.product import free_port

    port = free_port()
    environment = os.environ | UNLIMITED | {"PORT": str(port), "WEB_PROCESSES": str(processes)}
    server = subprocess.Popen([sys.executable, "-m", "chatapi.runtime.web"], cwd=folder, env=environment)

    def measure(name: str) -> Measured:
        requests = [raw(*one) for one in targets[name]]
        pids = [server.pid, postgres_pid(), *([worker.pid] if worker else [])]
        for duration in (seconds * WARM_UP, seconds):
            if worker:
                wait_for(is_all_sent, "all is sent", process=worker)
            else:
                empty_queues()
            before = [cpu_of_tree(pid) for pid in pids]
            fine, failed, took = drive(port, requests, duration, GOOD[name])
        if failed and not worker:
            raise RuntimeError(f"{failed} calls of {name} failed")
        used = [(cpu_of_tree(pid) - cpu) / fine * 1000 for pid, cpu in zip(pids, before, strict=True)]
        return Measured(used[0], used[1], fine / took, sum(used[2:]))

    try:
        wait_for(lambda: is_ready(port), "the web server responds", process=server)
        yield measure
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """Runs this version's worker, and a receiver of hooks, to which the endpoints lead."""
    from hooks.models import Endpoint
    from tests.bench.environment import Receiver

    with Receiver() as receiver:
        Endpoint.objects.update(url=receiver.url)
        process = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=ROOT)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def is_all_sent() -> bool:
    from hooks.models import Hook, State
    from instances.models import OutgoingQueue

    waiting = Hook.objects.filter(state__in=(State.QUEUED, State.SENDING))
    return not (OutgoingQueue.objects.with_messages().exists() or waiting.exists())


def raw(method: str, path: str, query: str, key: str, body: str) -> bytes:
    lines = [f"{method} {path}{'?' * bool(query)}{query} HTTP/1.1", "Host: localhost"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode()


def make_targets(place: int = 0) -> Targets:
    """Creates ten instances more; returns the requests of each measured call. `place`: after so many versions."""
    from accounts.actions.keys import issue_key
    from tests.bench.contract import fill, instances

    found = instances(10 * (place + 1))[-10:]
    _, key = issue_key(found[0].owner, acting_user=None)
    one = found[0]
    fill(one, 1000)
    text = json.dumps({"phone": PHONE, "body": TEXT})
    written = json.dumps({"from": PHONE, "name": "Anna", "body": TEXT})
    token = f"token={one.token}"
    return {
        "sendMessage": [
            ("POST", f"/instance{each.number}/sendMessage", f"token={each.token}", "", text) for each in found
        ],
        "contact": [
            ("POST", f"/api/v1/instances/{each.number}/sandbox/messages/", "", key, written) for each in found
        ],
        "messages": [
            ("GET", f"/instance{one.number}/messages", f"{token}&lastMessageNumber={start}", "", "")
            for start in range(0, 900, 60)
        ],
        "status": [("GET", f"/instance{one.number}/status", token, "", "")],
    }


def empty_queues() -> None:
    """No worker runs, and a queue takes 400 messages."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE instances_outgoingmessage")
        cursor.execute("UPDATE instances_outgoingqueue SET length = 0")


def compare(measures: dict[str, Measure], names: Sequence[str], rounds: int) -> None:
    """Measures each version in each round, and prints the medians."""
    for name in names:
        found: dict[str, list[Measured]] = {version: [] for version in measures}
        order = list(measures)
        for _ in range(rounds):
            for version in order:
                found[version].append(measures[version](name))
            order.append(order.pop(0))
        first = found[next(iter(measures))]
        for version, figures in found.items():
            site, database, rate, sent = (statistics.median(each) for each in zip(*figures, strict=True))
            pairs = list(zip(figures, first, strict=True))
            ratio = statistics.median(
                (own.site + own.database) / (of.site + of.database) for own, of in pairs
            )
            rates = statistics.median(own.rate / of.rate for own, of in pairs)
            print(
                f"{name:12} site {site:.3f} ms, PostgreSQL {database:.3f} ms, worker {sent:.3f} ms, "
                f"ratio {ratio:.2f}; {rate:.0f}/s, ratio {rates:.2f}  {version}",
                flush=True,
            )


def profile(name: str, count: int) -> None:
    """Prints where this version's Python spends its CPU."""
    import cProfile
    import pstats

    from django.conf import settings

    settings.CONTRACT_CALLS_PER_MINUTE = 1_000_000_000
    application = Application(make_targets())
    application.run(name, 30)
    profiler = cProfile.Profile(time.thread_time)
    profiler.runcall(application.run, name, count)
    stats = pstats.Stats(profiler)
    stats.sort_stats("tottime").print_stats(45)
    stats.sort_stats("cumtime").print_stats(70)


def main() -> None:
    from tests.bench.environment import bench_database

    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=100, help="through the WSGI application, in each round")
    parser.add_argument("--web", type=int, default=0, help="web processes")
    parser.add_argument("--worker", action="store_true", help="with --web, send messages and hooks meanwhile")
    parser.add_argument("--seconds", type=float, default=0.5, help="with --web, in each round")
    parser.add_argument("--only", action="append", default=[], choices=GOOD)
    parser.add_argument("--profile", default="", choices=GOOD)
    given = parser.parse_args()
    with bench_database():
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        if given.profile:
            profile(given.profile, given.calls)
            return
        with contextlib.ExitStack() as stack:
            measures: dict[str, Measure] = {}
            sender = stack.enter_context(worker()) if given.worker else None
            for folder in [*(folder.resolve() for folder in given.folders), ROOT]:
                targets = make_targets(len(measures))
                measured = (
                    web_server_of(folder, targets, given.web, given.seconds, sender)
                    if given.web
                    else application_of(folder, targets, given.calls)
                )
                measures[str(folder)] = stack.enter_context(measured)
            compare(measures, given.only or list(GOOD), given.rounds)


if __name__ == "__main__":
    main()
