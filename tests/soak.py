"""Keeps hooks under steady load: `make soak MINUTES=10`. Finds growing memory, dead rows that pile up, and lost hooks.

A tenth of the endpoints always fail, two hang, and one of two dispatchers is killed (kill -9) every 35 s. During the
middle third, a transaction stays open and idle: vacuum can remove no row that was updated or deleted since. Prints a
line every ten seconds, and at the end the curves and `manage.py hooks check`. p99 is of the time from an event, before
its commit, to its first request at a working endpoint; seconds with a kill count too.

Exit code 1: the memory or p99 grows, dead rows stay after the idle transaction, hooks of a working endpoint were not
sent, or a hook is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from typing import ClassVar

import psutil

from tests.bench.environment import bench_database

TICK = 0.05  # s between two rounds of events
MOST_AT_ONCE = 500  # events of one round, if the machine is too slow
EVENTS_AT_ONCE = 10  # events of one transaction: each waits for the commit of all of them
SAMPLE = 10.0  # s between two lines
KILL = 35.0  # s between two kills
HANGING_EVERY = (
    15.0  # s between two events of a lane that hangs: it takes an attempt's deadline to get rid of one
)
LANES, FAILING, HANGING = 40, 4, 2
DRAIN = 60.0  # s for what is left at the end
GROWTH, SLACK = 1.10, 2.0  # of memory from the middle third to the last: that many times, and so many MB
P99_GROWTH, P99_SLACK = 1.5, 5.0  # of p99 from the first third to the others: that many times, and so many ms
DEAD_GROWTH, DEAD_SLACK = 1.5, 5000.0  # of dead rows from the first third to the end: so many times, and rows
TABLES = ("hooks_hook", "hooks_attempt", "hooks_tally", "hooks_lane", "hooks_endpoint")
BARS = "▁▂▃▄▅▆▇█"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"


class Endpoint(asyncio.Protocol):
    """Responds to /ok with 200, to /fail with 500, and never to /hang.

    GET responds with the delays of /ok since the last GET: a JSON array, in ms from the time in the body's "at".
    """

    delays: ClassVar[list[float]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            if head.startswith(b"get "):
                said = json.dumps(self.delays).encode()
                self.delays.clear()
                self.buffer = b""
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
                return
            whole = end + 4 + int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
            if len(self.buffer) < whole:
                return
            body = self.buffer[end + 4 : whole]
            self.buffer = self.buffer[whole:]
            if head.startswith(b"post /ok"):
                self.delays.append((time.time() - float(body.rpartition(b'"at":')[2].rstrip(b"}]"))) * 1000)
            if not head.startswith(b"post /hang"):
                self.transport.write(OK if head.startswith(b"post /ok") else BAD)


async def receive() -> None:
    """Runs the receiver: prints its port, and ends at a SIGTERM."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Endpoint, "127.0.0.1", 0, backlog=4096)
    loop.add_signal_handler(signal.SIGTERM, over.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()


class Child:
    """A child process that ends with the `with` block."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    @property
    def megabytes(self) -> float:
        """Returns the memory of the process with its share of pages that it shares with others (PSS)."""
        try:
            return psutil.Process(self.process.pid).memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            return 0.0


@dataclass
class Lane:
    key: int
    kind: str  # ok, fail, hang
    sequence: itertools.count[int]


def open_lanes(url: str) -> list[Lane]:
    from accounts.actions.users import sign_up
    from hooks.actions.endpoints import configure
    from instances.actions.lifecycle import create_instance

    account = sign_up("soak@example.org", password=None)
    lanes = []
    for number in range(LANES):
        kind = "fail" if number < FAILING else "hang" if number < FAILING + HANGING else "ok"
        endpoint = create_instance(account).endpoint
        configure(endpoint, url=f"{url}/{kind}/{number}", parallel=number % 4 == 0, guaranteed=kind == "fail")
        lanes.append(Lane(endpoint.pk, kind, itertools.count()))
    return lanes


def emit(lanes: list[Lane]) -> None:
    """Emits one hook in each lane, in one transaction."""
    from django.db import transaction

    from hooks import outbox
    from hooks.models import Kind

    with transaction.atomic():
        for lane in lanes:
            body = b'{"messages":[{"body":"%s","n":%d,"at":%f}]}' % (
                b"x" * 400,
                next(lane.sequence),
                time.time(),
            )
            outbox.emit(instance_id=lane.key, kind=Kind.MESSAGE, body=body)


@dataclass
class Sample:
    """One line of the table."""

    seconds: float
    memory: float  # MB of the dispatcher that is never killed
    other: float  # MB of the one that is
    kills: int
    rate: float  # deliveries a second since the last line
    p99: float  # ms from an event to its first request, of working endpoints
    idle: bool  # is the idle transaction open?
    waiting: int  # due and not sent, of all lanes
    oldest: float  # s that the oldest hook of a working endpoint has waited
    retrying: int
    dead: dict[str, int]  # rows of each table that vacuum has not removed yet
    hot: dict[str, float]  # updates since the last line that changed no index, in %

    HEAD = (
        "    time   memory    other  kills    rate       p99  waiting  oldest  retrying   idle   dead rows: "
        "hook attempt   tally    lane endpoint   HOT: hook   tally    lane"
    )

    def __str__(self) -> str:
        dead = "".join(f"{self.dead[table]:8}" for table in TABLES)
        hot = "".join(f"{self.hot[table]:7.0f}%" for table in ("hooks_hook", "hooks_tally", "hooks_lane"))
        idle = "yes" if self.idle else ""
        return (
            f"{self.seconds:6.0f} s {self.memory:5.1f} MB {self.other:5.1f} MB {self.kills:6} {self.rate:5.0f}/s"
            f" {self.p99:6.0f} ms {self.waiting:8} {self.oldest:5.1f} s {self.retrying:9} {idle:>6}"
            f"      {dead}       {hot}"
        )


class Meter:
    def __init__(self, receiver: str) -> None:
        self.receiver = receiver
        self.began = self.last = time.monotonic()
        self.delivered = 0
        self.updates: dict[str, tuple[int, int]] = dict.fromkeys(TABLES, (0, 0))

    def p99(self) -> float:
        """Returns the 99th percentile of the delays since the last call, in ms; 0 without any."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.receiver, timeout=30) as response:
            delays = sorted(json.load(response))
        return delays[int(len(delays) * 0.99)] if delays else 0.0

    def read(self, steady: Child, killed: Child, kills: int, working: list[int], *, idle: bool) -> Sample:
        from django.db import connection

        from hooks.models import Hook, State

        now = time.monotonic()
        counts = Hook.objects.all().counts()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname, n_dead_tup, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
                " WHERE relname = ANY(%s)",
                [list(TABLES)],
            )
            stats = {row[0]: row[1:] for row in cursor.fetchall()}
            cursor.execute(
                "SELECT count(*), COALESCE(max(extract(epoch FROM clock_timestamp() - since))"
                " FILTER (WHERE endpoint_id = ANY(%s)), 0)::float8 FROM ("
                " SELECT endpoint_id, created_at AS since FROM hooks_hook WHERE state = 'queued' UNION ALL"
                " SELECT endpoint_id, next_attempt_at FROM hooks_hook"
                " WHERE state = 'retrying' AND next_attempt_at < clock_timestamp()) due",
                [working],
            )
            waiting, oldest = cursor.fetchone()
        hot = {}
        for table, (_dead, updates, hot_updates) in stats.items():
            before = self.updates[table]
            hot[table] = 100 * (hot_updates - before[1]) / max(updates - before[0], 1)
            self.updates[table] = (updates, hot_updates)
        sample = Sample(
            seconds=now - self.began,
            memory=steady.megabytes,
            other=killed.megabytes,
            kills=kills,
            rate=(counts[State.DELIVERED] - self.delivered) / (now - self.last),
            p99=self.p99(),
            idle=idle,
            waiting=waiting,
            oldest=oldest,
            retrying=counts[State.RETRYING],
            dead={table: found[0] for table, found in stats.items()},
            hot=hot,
        )
        self.last, self.delivered = now, counts[State.DELIVERED]
        return sample


def curve(name: str, values: list[float]) -> str:
    top = max(values) or 1.0
    bars = "".join(BARS[min(int(value / top * len(BARS)), len(BARS) - 1)] for value in values)
    return f"{name:>20}  {bars}  {values[0]:.0f} … {values[-1]:.0f}, at most {max(values):.0f}"


def medians_of_thirds(values: list[float]) -> tuple[float, float, float] | None:
    """Returns the median of each third; None with too few samples."""
    third = len(values) // 3
    if third < 2:
        return None
    parts = values[:third], values[third : 2 * third], values[2 * third :]
    first, middle, last = map(statistics.median, parts)
    return first, middle, last


def growth(samples: list[Sample]) -> list[str]:
    """Returns what grows, as sentences."""
    found = []
    memory = medians_of_thirds([sample.memory for sample in samples])
    if memory and memory[2] > memory[1] * GROWTH + SLACK:
        found.append("the dispatcher's memory grows")
    p99 = medians_of_thirds([sample.p99 for sample in samples])
    if p99 and max(p99[1:]) > p99[0] * P99_GROWTH + P99_SLACK:
        found.append("p99 grows: medians of the thirds are {:.0f}, {:.0f} and {:.0f} ms".format(*p99))
    dead = medians_of_thirds([float(sum(sample.dead.values())) for sample in samples])
    end = samples[-3:]  # vacuum needs some time after the idle transaction
    if dead and min(sum(sample.dead.values()) for sample in end) > dead[0] * DEAD_GROWTH + DEAD_SLACK:
        found.append("dead rows are not removed after the idle transaction")
    return found


class IdleTransaction:
    """A session that, from `begin` to `end`, has a transaction open whose snapshot holds back vacuum."""

    def __init__(self) -> None:
        from hooks import worker_slots

        self.session = worker_slots.connect()
        self.is_open = False

    def begin(self) -> None:
        self.session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self.session.execute("SELECT pg_current_xact_id(), count(*) FROM hooks_lane")
        self.is_open = True

    def end(self) -> None:
        self.session.execute("ROLLBACK")
        self.is_open = False


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def soak(minutes: float, rate: float) -> int:
    from django.core.management import call_command

    from hooks.models import Hook, Runner, State

    dispatch = ("manage.py", "dispatch")
    samples: list[Sample] = []
    kills = 0
    with ExitStack() as held:
        receiver = held.enter_context(Child("-m", "tests.soak", "--receive"))
        assert receiver.process.stdout
        url = f"http://127.0.0.1:{receiver.process.stdout.readline().strip()}"
        lanes = open_lanes(url)
        working = [lane.key for lane in lanes if lane.kind == "ok"]
        hanging = [lane for lane in lanes if lane.kind == "hang"]
        busy = itertools.cycle([lane for lane in lanes if lane.kind != "hang"])
        steady, killed = held.enter_context(Child(*dispatch)), held.enter_context(Child(*dispatch))
        wait_until(lambda: Runner.objects.filter(finished_at=None).count() == 2, 30)
        meter = Meter(url)
        idle = IdleTransaction()
        third = minutes * 60 / 3
        began = time.monotonic()
        emitted, next_sample, next_kill, next_hang = 0, SAMPLE, KILL, 0.0
        print(
            f"{LANES} instances, {FAILING} failing, {HANGING} hanging, {rate:.0f} events/s, {minutes:g} min"
        )
        print(Sample.HEAD, flush=True)
        while (passed := time.monotonic() - began) < minutes * 60:
            due = [next(busy) for _ in range(min(int(passed * rate) - emitted, MOST_AT_ONCE))]
            for number in range(0, len(due), EVENTS_AT_ONCE):
                emit(due[number : number + EVENTS_AT_ONCE])
            emitted += len(due)
            if passed >= next_hang:
                next_hang += HANGING_EVERY
                emit(hanging)
            if not idle.is_open and third <= passed < 2 * third:
                idle.begin()
            elif idle.is_open and passed >= 2 * third:
                idle.end()
            if passed >= next_kill:
                next_kill += KILL
                killed.process.kill()
                killed.process.wait()
                killed = held.enter_context(Child(*dispatch))
                kills += 1
            if passed >= next_sample:
                next_sample += SAMPLE
                samples.append(meter.read(steady, killed, kills, working, idle=idle.is_open))
                print(samples[-1], flush=True)
            time.sleep(TICK)
        waits = Hook.objects.filter(endpoint__in=working, state__in=(State.QUEUED, State.SENDING))
        drained = wait_until(lambda: not waits.exists(), DRAIN)
        survived = steady.process.poll() is None
        print(f"{emitted} events emitted, {meter.read(steady, killed, kills, working, idle=idle.is_open)}")
    print()
    print(curve("memory, MB", [sample.memory for sample in samples]))
    print(curve("dead rows", [float(sum(sample.dead.values())) for sample in samples]))
    print(curve("p99, ms", [sample.p99 for sample in samples]))
    print(curve("deliveries/s", [sample.rate for sample in samples]))
    print(curve("retrying", [float(sample.retrying) for sample in samples]))
    faults = growth(samples)
    if not survived:
        faults.append("a dispatcher that was not killed has ended")
    if not drained:
        faults.append(f"{waits.count()} hooks of working endpoints were not sent in {DRAIN:.0f} s")
    said = StringIO()
    try:
        call_command("hooks", "check", stdout=said)
    except SystemExit:
        faults.append("hooks were lost")
        print(said.getvalue())
    print(f"hooks check: {said.getvalue().splitlines()[-1]}")
    print("Passed." if not faults else "Failed: " + "; ".join(faults) + ".")
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=200, help="events a second, over all instances")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        asyncio.run(receive())
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that its child processes end with it
    with bench_database():
        return soak(options.minutes, options.rate)


if __name__ == "__main__":
    sys.exit(main())
