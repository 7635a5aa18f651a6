"""Measures how many events per second 32 clients commit where a commit takes long: a slow disk, a synchronous standby.

Each event is a hook emitted in a transaction of its own, for one of 1 000 instances at random. Two kinds of clients:

- threads of 4 processes, which call the product's emit(), as in the web server;
- pgbench, which sends the same statements and needs hardly any CPU: the limit of PostgreSQL on this machine. Beside it,
  4 processes send wake-ups as often as they ever do.

"Before" is the way of version 0.1.0, which called NOTIFY inside the transaction. All are measured in turn, on one
server for each of the two: `python -m tests.bench.commits flush|standby SECONDS ROUNDS` prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any
from unittest import mock

from tests.bench.environment import ROOT, Meter, bench_database, postgres_pid, wait_for

INSTANCES = 1000
PROCESSES, THREADS = 4, 8
FLUSH_MICROSECONDS = 4000  # of a cloud volume
STANDBY_MICROSECONDS = 1000  # until a standby in the same region has confirmed a commit
STANDBY_PORT = 5433
BODY = b'{"messages":[{"body":"%s"}]}' % (b"x" * 470)
# In the JSON of emit(): each execution needs another one.
IDS = r'"endpoint": \d+, "public_id": "\w+"'
NEW_ID = """"public_id": "' || uuidv7() || '\""""


class NotAvailable(Exception):
    """The measurement needs a C compiler; str() says so."""


def measure(where: str, seconds: float, rounds: int) -> dict[str, float]:
    """Returns commits/s, the best of the rounds: with emit() (`now`, `before`), and of PostgreSQL alone (`pg_…`).

    `cpu` are the CPU seconds of emit()'s clients and PostgreSQL per 1 000 commits.
    """
    if not shutil.which("cc"):
        raise NotAvailable("there is no C compiler (cc)")
    command = [sys.executable, "-m", "tests.bench.commits", where, str(seconds), str(rounds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


# -- the servers


def slow_flush(folder: Path, microseconds: int) -> dict[str, str]:
    """Compiles slow_flush.c; returns the environment in which a process flushes with this delay."""
    library = folder / "slow_flush.so"
    source = Path(__file__).with_suffix("").with_name("slow_flush.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    library.chmod(0o755)
    return {"LD_PRELOAD": str(library), "FLUSH_MICROSECONDS": str(microseconds)}


@contextlib.contextmanager
def slow_disk(folder: Path) -> Iterator[None]:
    """Restarts the database so that each flush takes FLUSH_MICROSECONDS longer."""
    from chatapi.runtime.postgres import server
    from chatapi.runtime.postgres.data_folder import environment
    from chatapi.runtime.postgres.discovery import find_running_server

    running = find_running_server(folder / "pg")
    assert running
    server.stop(running)
    slow = environment() | slow_flush(folder, FLUSH_MICROSECONDS)
    with mock.patch.object(server, "environment", lambda: slow):
        started = server.start(folder / "pg")
    try:
        yield
    finally:
        server.stop(started)


@contextlib.contextmanager
def synchronous_standby(folder: Path) -> Iterator[None]:
    """Adds a standby that must confirm each commit, and whose flushes take STANDBY_MICROSECONDS longer."""
    import psycopg
    from django.db import connection

    from chatapi.runtime.postgres.data_folder import environment, programs
    from chatapi.runtime.postgres.discovery import NAME, socket_folder
    from chatapi.runtime.postgres.system_user import folder_with_owner, prefix

    path, data = folder / "pg", folder / "pg" / "standby"
    words = prefix(folder_with_owner(path), [programs() / "postgres", path], True)
    subprocess.run(
        [
            *words, str(programs() / "pg_basebackup"), "-h", str(socket_folder(path)), "-U", NAME, "-D", str(data),
            "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
        ],
        check=True, cwd="/", env=environment(),
    )  # fmt: skip
    log = (folder / "standby.log").open("wb")
    standby = subprocess.Popen(
        [
            *words, str(programs() / "postgres"), "-D", str(data), "-c", f"port={STANDBY_PORT}",
            "-c", f"unix_socket_directories={socket_folder(path)}", "-c", "listen_addresses=",
            "-c", "max_connections=200",
        ],
        cwd="/", env=environment() | slow_flush(folder, STANDBY_MICROSECONDS), stdout=log, stderr=log,
    )  # fmt: skip
    parameters = connection.get_connection_params() | {"user": NAME}
    with psycopg.connect(**parameters, autocommit=True) as superuser:

        def states() -> list[Any]:
            return superuser.execute("SELECT state, sync_state FROM pg_stat_replication").fetchall()

        try:
            wait_for(lambda: ("streaming", "async") in states(), "the standby follows", process=standby)
            superuser.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            superuser.execute("SELECT pg_reload_conf()")
            wait_for(lambda: ("streaming", "sync") in states(), "commits wait for the standby")
            yield
        finally:
            superuser.execute("ALTER SYSTEM RESET synchronous_standby_names")
            superuser.execute("SELECT pg_reload_conf()")
            standby.terminate()
            standby.wait()
            log.close()


# -- the clients


def notify_in_transaction(instance_id: int) -> None:
    """Wakes the dispatchers as version 0.1.0 did."""
    from django.db import connection

    from hooks.outbox import CHANNEL

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(instance_id)])


def client_process(before: bool, lanes: list[int], ready: Barrier, stop: Event, counts: Any) -> None:
    """Commits events in THREADS threads until the stop."""
    from hooks import outbox

    if before:
        mock.patch.object(outbox, "wake", notify_in_transaction).start()
    done = [0] * THREADS
    threads = [
        threading.Thread(target=client, args=(number, done, lanes, ready, stop)) for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put(sum(done))


def client(number: int, done: list[int], lanes: list[int], ready: Barrier, stop: Event) -> None:
    from django.db import connection, transaction

    from hooks.models import Kind
    from hooks.outbox import emit

    chosen = random.Random(f"{os.getpid()} {number}")
    try:
        connection.ensure_connection()
        ready.wait()
        while not stop.is_set():
            with transaction.atomic():
                emit(instance_id=chosen.choice(lanes), kind=Kind.MESSAGE, body=BODY)
            done[number] += 1
    finally:
        connection.close()


def commits(before: bool, lanes: list[int], seconds: float) -> dict[str, float]:
    """Returns the commits/s of all clients, and the CPU seconds of clients and PostgreSQL per 1 000 commits."""
    context = multiprocessing.get_context("fork")
    ready, stop, counts = context.Barrier(PROCESSES * THREADS + 1), context.Event(), context.Queue()
    processes = [
        context.Process(target=client_process, args=(before, lanes, ready, stop, counts))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    with Meter([process.pid for process in processes if process.pid], [postgres_pid()]) as meter:
        ready.wait()
        began = time.perf_counter()
        time.sleep(seconds)
        stop.set()
        total = sum(counts.get() for _ in processes)
        took = time.perf_counter() - began
    for process in processes:
        process.join()
    return {"rate": total / took, "cpu": meter.cpu * 1000 / total}


# -- PostgreSQL alone


def pgbench_script(before: bool, lanes: list[int]) -> str:
    """Returns a script of pgbench with the statements of emit() in its transaction, for one of the lanes at random."""
    from django.db import connection, transaction
    from django.test.utils import CaptureQueriesContext

    from hooks.models import Kind
    from hooks.outbox import CHANNEL, emit

    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        emit(instance_id=lanes[0], kind=Kind.MESSAGE, body=BODY)
    statements = [
        re.sub(rf"\b{lanes[0]}\b", ":lane", re.sub(IDS, NEW_ID, query["sql"]))
        for query in captured.captured_queries
        if query["sql"] not in ("BEGIN", "COMMIT")
    ]
    assert all(":lane" in statement for statement in statements)
    if before:
        statements.append(f"SELECT pg_notify('{CHANNEL}', (:lane)::text)")
    lines = ["BEGIN", *(" ".join(statement.split()) for statement in statements), "COMMIT"]
    return f"\\set lane random({lanes[0]}, {lanes[-1]})\n" + "".join(f"{line};\n" for line in lines)


def pgbench(before: bool, lanes: list[int], seconds: float) -> float:
    """Returns the commits/s of pgbench with as many clients."""
    from django.db import connection, connections

    from chatapi.runtime.postgres.data_folder import programs

    parameters = connection.get_connection_params()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script, sending_wakeups(lanes, not before):
        script.write(pgbench_script(before, lanes))
        script.flush()
        connections.close_all()
        command = [
            str(programs() / "pgbench"), "--no-vacuum", "--protocol=prepared",
            "-c", str(PROCESSES * THREADS), "-j", str(PROCESSES),
            "-T", f"{seconds:.0f}", "-f", script.name, "-h", parameters["host"], "-p", str(parameters["port"]),
            "-U", parameters["user"], parameters["dbname"],
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.findall(r"tps = ([\d.]+)", done.stdout)[0])


@contextlib.contextmanager
def sending_wakeups(lanes: list[int], is_wanted: bool) -> Iterator[None]:
    """Runs PROCESSES processes that always have a wake-up to send."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=send_wakeups, args=(lanes,)) for _ in range(PROCESSES if is_wanted else 0)
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def send_wakeups(lanes: list[int]) -> None:
    from hooks.outbox import CHANNEL
    from hooks.wakeups import notifier

    while True:
        notifier.add(CHANNEL, str(random.choice(lanes)))
        time.sleep(0.001)


# -- all together


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Receives the notifications in a process of its own, as a dispatcher does."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.commits", "listen"], cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def listen() -> None:
    import django

    django.setup()
    from hooks import worker_slots
    from hooks.outbox import CHANNEL

    with worker_slots.connect() as session:
        session.execute(f"LISTEN {CHANNEL}")
        for _ in session.notifies():
            pass


def main(where: str, seconds: float, rounds: int) -> None:
    with bench_database():
        from django.db import connection, connections

        from tests.bench.scenarios import keys, load

        folder = Path(os.environ["DATA_DIR"])
        folder.chmod(0o711)  # PostgreSQL, which does not run as root, loads the library from it
        with connection.cursor() as cursor:  # keys that are no other number in the statements of emit()
            cursor.execute("ALTER SEQUENCE instances_instance_id_seq RESTART WITH 7000001")
        load(INSTANCES, "http://127.0.0.1:9", instances=INSTANCES)
        lanes = keys()
        assert lanes == list(range(lanes[0], lanes[0] + INSTANCES))
        found: dict[str, list[float]] = {"before": [], "now": [], "pg_before": [], "pg_now": []}
        cpu = []
        connections.close_all()
        with {"flush": slow_disk, "standby": synchronous_standby}[where](folder), listening():
            for _ in range(rounds):
                for way in ("before", "now"):
                    connections.close_all()  # the clients are forks
                    measured = commits(way == "before", lanes, seconds)
                    found[way].append(measured["rate"])
                    if way == "now":
                        cpu.append(measured["cpu"])
                    found[f"pg_{way}"].append(pgbench(way == "before", lanes, seconds))
        print(json.dumps({way: max(rates) for way, rates in found.items()} | {"cpu": min(cpu)}))


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen()
    else:
        main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
