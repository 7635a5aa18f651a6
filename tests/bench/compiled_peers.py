"""Measures webhook senders in Go and Rust beside Chat API in one run, and writes their section of docs/performance.md.

`python -m tests.bench.compiled_peers [--rounds 2] [--hooks 20000] [--print]`. Their programs, peer_programs/*, are
built in var/bench-programs from pinned versions that `go` and `cargo` fetch. All of them use the same PostgreSQL, the
same receiver, 100 endpoints, and signed bodies of about 500 bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.bench import django_webhook, report
from tests.bench.environment import (
    ROOT,
    Meter,
    Receiver,
    bench_database,
    dispatcher,
    empty,
    postgres_pid,
    wait_for,
)

SOURCES = Path(__file__).parent / "peer_programs"
BUILDS = ROOT / "var" / "bench-programs"
NAME = "compiled peers"  # in the comments of docs/performance.md
LANES = 100
HANGING_ENDPOINTS, HANGING_HOOKS, HEALTHY_HOOKS = 10, 2000, 3000
LONGEST_WAIT = 60.0  # seconds for the healthy hooks behind the hanging ones

Figures = dict[str, float]


class NotAvailable(Exception):
    """A peer cannot be measured; the message is the reason, as in the notes of the page."""


@dataclass(frozen=True)
class Peer:
    """A sender in another language: how its program is built, and where its unfinished hooks are counted."""

    name: str
    made_of: str
    folder: str
    build: tuple[str, ...]  # run in a copy of the folder; the first word is the tool
    program: str  # the file that is built
    query: str = ""  # counts the unfinished hooks in PostgreSQL
    keys: tuple[str, ...] = ()  # the commands that count them in Redis; the sender needs one then

    @property
    def tool(self) -> str:
        return self.build[0]

    @property
    def title(self) -> str:
        return f"{self.name} ({self.made_of})"


PEERS = (
    Peer(
        "River 0.51.2",
        "Go, PostgreSQL",
        "golang",
        ("go", "build", "-o", "river-peer", "./river"),
        "river-peer",
        query="SELECT count(*) FROM river_job WHERE state <> 'completed'",
    ),
    Peer(
        "asynq 0.26.0",
        "Go, Redis",
        "golang",
        ("go", "build", "-o", "asynq-peer", "./asynq"),
        "asynq-peer",
        keys=("LLEN asynq:{default}:pending", "LLEN asynq:{default}:active", "ZCARD asynq:{default}:retry"),
    ),
    Peer(
        "webhooksmith 0.2.1",
        "Rust, PostgreSQL",
        "webhooksmith",
        ("cargo", "build", "--release", "--quiet"),
        "target/release/webhooksmith-peer",
        query="SELECT count(*) FROM webhook_events WHERE status <> 'delivered'",
    ),
)


def build(peer: Peer) -> Path:
    """Builds the peer's program, unless this version of it is built; returns its path.

    Raises:
        NotAvailable: its tool is missing, or its packages could not be fetched or built.
    """
    source = SOURCES / peer.folder
    files = sorted(path for path in source.rglob("*") if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = BUILDS / f"{peer.folder}-{digest}"
    program = folder / peer.program
    if program.exists():
        return program
    if not shutil.which(peer.tool):
        raise NotAvailable(f"`{peer.tool}` is not installed")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    done = subprocess.run(peer.build, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotAvailable(f"it could not be built ({last})")
    return program


class Running:
    """A peer's program, with an empty database of its own or an empty Redis."""

    def __init__(self, peer: Peer, program: Path, redis: tuple[int, str] | None) -> None:
        from django.db import connection

        self.peer, self.program = peer, program
        self.redis_pids = [redis[0]] if redis else []
        self.redis_url = redis[1] if redis else ""
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS peer WITH (FORCE)")
            cursor.execute("CREATE DATABASE peer")
            cursor.execute("CHECKPOINT")
        settings = connection.settings_dict
        self.host, self.port = str(settings["HOST"]), str(settings["PORT"] or 5432)
        url = (
            f"postgres://chatapi@localhost:{self.port}/peer?host={quote(self.host, safe='')}&sslmode=disable"
        )
        self.environment = {"PATH": os.defpath, "PEER_DATABASE": url, "PEER_REDIS": self.redis_url}
        self.run("migrate")

    def run(self, *words: str) -> str:
        """Runs a command of the program to its end; returns what it prints."""
        done = subprocess.run(
            [self.program, *words], env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    @contextlib.contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen([self.program, "work"], env=self.environment)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def unfinished(self) -> int:
        """Returns the number of hooks that are not delivered and recorded."""
        if self.peer.keys:
            return sum(redis_number(self.redis_url, command) for command in self.peer.keys)
        import psycopg

        with psycopg.connect(
            host=self.host, port=self.port, user="chatapi", dbname="peer", autocommit=True
        ) as peer:
            row = peer.execute(self.peer.query.encode()).fetchone()
        return int(row[0]) if row else 0


@contextlib.contextmanager
def running(peer: Peer, program: Path) -> Iterator[Running]:
    """Runs the peer's Redis, if it needs one, and prepares its database; Redis ends with the block."""
    with django_webhook.redis(durable=True) if peer.keys else contextlib.nullcontext() as redis:
        yield Running(peer, program, redis)


def redis_number(url: str, command: str) -> int:
    """Returns the reply of Redis to an inline command whose reply is a number."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 6379)), 10) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return int(connection.makefile().readline().removeprefix(":"))


def measured_backlog(
    receiver: Receiver,
    process: subprocess.Popen[bytes],
    redis: list[int],
    hooks: int,
    is_finished: Callable[[], bool],
) -> Figures:
    """Measures from the first request to the last stored result."""
    wait_for(lambda: receiver.get("counts")["received"], "the first request", process=process)
    with Meter([process.pid, *redis], [postgres_pid(), receiver.pid]) as meter:
        began, first = time.perf_counter(), receiver.get("counts")["received"]
        wait_for(lambda: receiver.get("counts")["received"] >= hooks, "all hooks are sent", 300, process)
        wait_for(is_finished, "all results are stored", 60, process)
        seconds = time.perf_counter() - began
    sent = hooks - first
    return {"rate": sent / seconds, "cpu": meter.cpu * 1000 / sent, "memory": meter.peak}


def measured_wait(receiver: Receiver, process: subprocess.Popen[bytes]) -> Figures:
    """Measures how long the healthy hooks take that wait behind those of hanging endpoints."""
    began = time.perf_counter()
    left: dict[str, float] = {}
    while True:
        passed = time.perf_counter() - began
        waiting = HEALTHY_HOOKS - receiver.get("counts")["received"]
        if passed >= 10:
            left.setdefault("left", max(waiting, 0))
        if waiting <= 0 or passed >= LONGEST_WAIT:
            return {"left": 0.0, "healthy": passed} | left
        if process.poll() is not None:
            raise RuntimeError("the process ended before the healthy hooks were sent")
        time.sleep(0.05)


def latencies(committed: dict[tuple[str, int], int], arrivals: list[Any]) -> Figures:
    """Returns p50 and p99 of the ms from each commit to its request. Raises RuntimeError if a request is missing."""
    waits = sorted(
        (at - committed[path, number]) / 1e6 for path, number, at in arrivals if (path, number) in committed
    )
    if len(waits) < len(committed):
        raise RuntimeError(f"{len(waits)} of {len(committed)} hooks have arrived")
    return {f"p{share}": waits[min(len(waits) * share // 100, len(waits) - 1)] for share in (50, 99)}


def measure_peer(peer: Peer, program: Path, hooks: int, rate: float, seconds: float) -> Figures:
    """Returns rate, cpu and memory of the backlog; p50, p99 and steady_cpu at `rate` events/s; healthy and left."""
    with running(peer, program) as sender, Receiver() as receiver:
        sender.run("fill", receiver.url, str(hooks), "0")
        with sender.worker() as process:
            found = measured_backlog(
                receiver, process, sender.redis_pids, hooks, lambda: not sender.unfinished()
            )
    with running(peer, program) as sender, Receiver() as receiver:
        sender.run("fill", receiver.url, str(LANES), "0")
        with sender.worker() as process:
            wait_for(lambda: receiver.get("counts")["received"] >= LANES, "the first round", process=process)
            with Meter([process.pid, *sender.redis_pids], [postgres_pid(), receiver.pid]) as meter:
                printed = sender.run("emit", receiver.url, str(rate), str(seconds))
                committed = {(path, number): at for path, number, at in json.loads(printed)}
                with contextlib.suppress(RuntimeError):  # latencies() says how many are missing
                    wait_for(
                        lambda: receiver.get("counts")["received"] >= LANES + len(committed), "all arrive", 30
                    )
            found |= latencies(committed, receiver.get("arrivals"))
            found["steady_cpu"] = meter.cpu * 1000 / len(committed)
    with running(peer, program) as sender, Receiver() as receiver:
        sender.run("fill", receiver.url, str(HEALTHY_HOOKS), str(HANGING_HOOKS))
        with sender.worker() as process:
            found |= measured_wait(receiver, process)
    return found


def measure_ours(hooks: int, rate: float, seconds: float) -> Figures:
    """Returns the same figures for Chat API."""
    from hooks.load_test import all_finished, emit_evenly
    from instances.actions.load_test import load_test_event
    from instances.models import Instance
    from tests.bench import scenarios

    empty()
    with Receiver() as receiver:
        scenarios.load(hooks, receiver.url, "--parallel")
        lanes = scenarios.keys()
        with dispatcher() as process:
            found = measured_backlog(receiver, process, [], hooks, lambda: all_finished(lanes))
    empty()
    with Receiver() as receiver:
        scenarios.load(LANES, receiver.url)
        with dispatcher() as process:
            wait_for(lambda: receiver.get("counts")["received"] >= LANES, "the first round", process=process)
            with Meter([process.pid], [postgres_pid(), receiver.pid]) as meter:
                waits = scenarios.steady(receiver, scenarios.keys(), rate, seconds)
        found |= {"p50": scenarios.percentile(waits, 0.5), "p99": scenarios.percentile(waits, 0.99)}
        found["steady_cpu"] = meter.cpu * 1000 / len(waits)
    empty()
    with Receiver() as receiver:
        count = LANES + HANGING_ENDPOINTS
        scenarios.load(count, receiver.url, "--parallel", instances=count)
        lanes = scenarios.keys()
        hanging, healthy = lanes[:HANGING_ENDPOINTS], lanes[HANGING_ENDPOINTS:]
        scenarios.send_to(hanging, receiver.url, "hang")
        instances = Instance.objects.in_bulk(lanes)
        for keys, number in ((hanging, HANGING_HOOKS), (healthy, HEALTHY_HOOKS)):
            emit_evenly(keys, number - len(keys), lambda key, number: load_test_event(instances[key], number))
        with dispatcher() as process:
            found |= measured_wait(receiver, process)
    return found


@dataclass(frozen=True)
class Line:
    """A line of the table: what a figure means, how it is written, and whether a higher one is better."""

    key: str
    what: str
    form: str
    higher_is_better: bool = False


def table_lines(hooks: int, rate: float) -> list[Line]:
    return [
        Line("rate", f"backlog of {hooks:,} over {LANES} endpoints, deliveries/s", "{:,.0f}", True),
        Line("cpu", "CPU s per 1 000 of that backlog, all processes", "{:.3f}"),
        Line("memory", "the sender's peak MB", "{:.0f}"),
        Line("p50", f"commit to request at {rate:.0f} events/s, p50 ms", "{:.1f}"),
        Line("p99", "the same, p99 ms", "{:.1f}"),
        Line("steady_cpu", f"CPU s per 1 000 at {rate:.0f} events/s, without the emitting process", "{:.2f}"),
        Line(
            "healthy",
            f"{HANGING_HOOKS:,} hooks of {HANGING_ENDPOINTS} endpoints that hang are in front: seconds until "
            f"{HEALTHY_HOOKS:,} hooks of {LANES} others are sent",
            "{:.1f}",
        ),
        Line("left", "of those, not sent after 10 s", "{:,.0f}"),
    ]


def best(rounds: list[Figures], lines: list[Line]) -> Figures:
    """Returns the best of each figure: other load on the machine can only make it worse."""
    return {
        line.key: (max if line.higher_is_better else min)(one[line.key] for one in rounds) for line in lines
    }


def shown(value: float, ours: float, line: Line) -> str:
    """Returns a peer's figure with its ratio to Chat API's, without a ratio to or of zero."""
    text = line.form.format(value)
    if line.key == "healthy" and value >= LONGEST_WAIT:
        text = f"more than {LONGEST_WAIT:.0f}"
    return f"{text} ({value / ours:.2f} ×)" if ours and value else text


def table(figures: dict[str, Figures], lines: list[Line]) -> str:
    """Returns the Markdown table; the first sender is Chat API, whose figures the ratios relate to."""
    ours, *peers = figures
    rows = [
        f"| what | **{ours}** | {' | '.join(peers)} |",
        f"| --- | ---: | {' | '.join('---:' for _ in peers)} |",
    ]
    for line in lines:
        base = figures[ours][line.key]
        cells = [shown(figures[peer][line.key], base, line) for peer in peers]
        rows.append(f"| {line.what} | {line.form.format(base)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def measure(rounds: int, hooks: int, rate: float = 100.0, seconds: float = 10.0) -> str:
    """Measures Chat API and all peers in turn; returns the table and the notes about peers that are not measured."""
    programs, notes = {}, []
    for peer in PEERS:
        say(f"building {peer.name}")
        try:
            programs[peer] = build(peer)
            if peer.keys and not shutil.which("redis-server"):
                django_webhook.install()  # its packages have a Redis server
        except (NotAvailable, django_webhook.NotAvailable) as why:
            notes.append(f"{peer.name} was not measured: {why}.")
    if not programs:
        return "\n".join(notes)
    found: dict[str, list[Figures]] = {name: [] for name in ["Chat API", *(peer.title for peer in programs)]}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: Chat API")
        found["Chat API"].append(measure_ours(hooks, rate, seconds))
        say(json.dumps(found["Chat API"][-1]))
        for peer, program in programs.items():
            say(f"round {number + 1} of {rounds}: {peer.name}")
            found[peer.title].append(measure_peer(peer, program, hooks, rate, seconds))
            say(json.dumps(found[peer.title][-1]))
    lines = table_lines(hooks, rate)
    parts = [table({name: best(one, lines) for name, one in found.items()}, lines)]
    when = f"{datetime.now(UTC):%-d %B %Y}"
    parts.insert(0, f"{when}, {report.machine()}. Each figure is the best of {rounds} rounds in turn.")
    return "\n\n".join(parts + notes)


def say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.compiled_peers")
    parser.add_argument("--rounds", type=int, default=2, help="number of rounds of which the best counts")
    parser.add_argument("--hooks", type=int, default=20_000, help="size of the backlog")
    parser.add_argument("--print", action="store_true", help="do not write docs/performance.md")
    options = parser.parse_args()
    with bench_database():
        text = measure(options.rounds, options.hooks)
    if not options.print:
        report.replace_measured(NAME, text)
    print(text)


if __name__ == "__main__":
    main()
