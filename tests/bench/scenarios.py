"""The measurements of Chat API: backlogs, the time from commit to request, isolation, memory."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from tests.bench.environment import Meter, Receiver, dispatcher, empty, postgres_pid, resident_peak, wait_for

LANES = 100


def load(count: int, url: str, *words: str, instances: int = LANES) -> None:
    """Runs `manage.py hooks load`."""
    from django.core.management import call_command

    call_command(
        "hooks", "load", "--instances", str(instances), "--count", str(count), "--url", url, *words,
        stdout=io.StringIO(),
    )  # fmt: skip


def keys() -> list[int]:
    from instances.actions.load_test import load_test_instances

    return list(load_test_instances().order_by("pk").values_list("pk", flat=True))


def take_statistics() -> None:
    """ANALYZE, as autovacuum does within a minute after a change. Never between loading and sending: users cannot."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE hooks_hook, hooks_attempt, hooks_endpoint, hooks_lane, hooks_tally")


def backlog(hooks: int, *, parallel: bool, delay: float = 0.0) -> dict[str, float]:
    """Measures the delivery of a backlog, from the first request to the last stored result.

    The statistics are those of the tables before they were loaded.
    """
    from hooks.load_test import all_finished

    empty()
    with Receiver(delay) as receiver:
        load(hooks, receiver.url, *(["--parallel"] if parallel else []))
        lanes = keys()
        with dispatcher() as process:
            wait_for(lambda: receiver.get("counts")["received"], "the first request", process=process)
            with (
                Meter([process.pid], []) as sender,
                Meter([], [postgres_pid()]) as database,
                Meter([], [receiver.pid]) as receiving,
            ):
                began, first = time.perf_counter(), receiver.get("counts")["received"]
                wait_for(lambda: all_finished(lanes), "all hooks are delivered", process=process)
                seconds = time.perf_counter() - began
        each = 1000 / (hooks - first)
        return {
            "rate": (hooks - first) / seconds,
            "cpu": (sender.cpu + database.cpu + receiving.cpu) * each,
            "sender_cpu": sender.cpu * each,
            "database_cpu": database.cpu * each,
            "receiver_cpu": receiving.cpu * each,
            "memory": sender.peak,
            "inversions": receiver.get("counts")["inversions"],
        }


def steady(receiver: Receiver, lanes: list[int], rate: float, seconds: float) -> list[float]:
    """Emits `rate` events per second, one per transaction, for these instances in turn.

    Returns the ms from each commit to its request, sorted, except for hooks to hanging endpoints.
    """
    from django.db import transaction

    from hooks.outbox import emit_all
    from instances.actions.load_test import load_test_event
    from instances.models import Instance

    instances = Instance.objects.select_related("endpoint").in_bulk(lanes)
    committed: dict[tuple[str, int], int] = {}
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        pause = began + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        instance = instances[lanes[number % len(lanes)]]
        sequence = 1_000_000 + number
        with transaction.atomic():
            emit_all(instance.pk, [load_test_event(instance, sequence)])
        path = instance.endpoint.url.removeprefix(receiver.url)
        committed[path, sequence] = time.time_ns()
    expected = sum(not path.startswith("/hang/") for path, _ in committed)

    def arrived() -> list[Any]:
        return [entry for entry in receiver.get("arrivals") if (entry[0], entry[1]) in committed]

    until = time.monotonic() + 30
    while len(found := arrived()) < expected and time.monotonic() < until:
        time.sleep(0.2)
    if len(found) < expected:
        raise RuntimeError(f"{len(found)} of {expected} hooks have arrived")
    return sorted((at - committed[path, number]) / 1e6 for path, number, at in found)


def percentile(waits: list[float], share: float) -> float:
    return waits[min(int(len(waits) * share), len(waits) - 1)]


def wake_up(rate: float, seconds: float) -> dict[str, float]:
    """Measures the ms from commit to request while nothing else is sent."""
    empty()
    with Receiver() as receiver:
        load(LANES, receiver.url)
        with dispatcher():
            wait_for(lambda: receiver.get("counts")["received"] >= LANES, "the first round")
            waits = steady(receiver, keys(), rate, seconds)
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99)}


def sent_twice(hooks: int) -> int:
    """Returns how many hooks of a backlog arrive twice if the dispatcher is killed when half of them have arrived."""
    from hooks.load_test import all_finished

    empty()
    with Receiver() as receiver:
        load(hooks, receiver.url, "--parallel")
        lanes = keys()
        with dispatcher() as process:
            wait_for(
                lambda: receiver.get("counts")["received"] >= hooks / 2, "half of the hooks", process=process
            )
            process.kill()
        with dispatcher() as process:
            wait_for(lambda: all_finished(lanes), "all hooks are delivered", process=process)
        return int(receiver.get("counts")["received"]) - hooks


def send_to(lanes: Iterable[int], url: str, group: str) -> None:
    from hooks.models import Endpoint

    for key in lanes:
        Endpoint.objects.filter(pk=key).update(url=f"{url}/{group}/{key}", parallel=group == "hang")


def isolation(disturbance: str, rate: float, seconds: float, flood: int = 0) -> float:
    """Returns the p99 of the ms from commit to request at the undisturbed endpoints; `disturbance` is one of:

    "": none.
    "hang": a tenth of the 100 endpoints never respond; they have parallelHooks, so each has 16 hooks in flight.
    "flood": one lane has `flood` hooks waiting, and its endpoint takes 20 ms for each.
    """
    empty()
    with Receiver() as receiver:
        load(LANES, receiver.url)
        lanes = keys()
        noisy = lanes[::10] if disturbance == "hang" else lanes[:1]
        with dispatcher():
            wait_for(lambda: receiver.get("counts")["received"] >= LANES, "the first round")
            if disturbance == "hang":
                send_to(noisy, receiver.url, "hang")
                queue_hooks(noisy, 200)
                wait_for(lambda: receiver.get("counts")["hanging"] >= 100, "endpoints hang")
            elif disturbance == "flood":
                send_to(noisy, receiver.url, "slow")
                queue_hooks(noisy, flood)
                wait_for(lambda: receiver.get("counts")["received"] >= LANES + 5, "the flood")
            quiet = [lane for lane in lanes if lane not in noisy]
            emit_to = lanes if disturbance == "hang" else quiet
            waits = steady(receiver, emit_to, rate * len(emit_to) / len(quiet), seconds)
    return percentile(waits, 0.99)


def bursts(hooks: int, rest: float, flood: int, rate: float, seconds: float) -> dict[str, float]:
    """Measures bursts of `hooks` over 100 instances beside one dispatcher, and after a rest a flood for one instance.

    Before the second burst the statistics are taken while nothing waits; before the third nothing happens for `rest`
    seconds. Returns the rate of the first and the slowest of the later bursts, from the begin of the loading to the
    last stored result, and the p99 of the other instances' ms from commit to request without and with the flood.
    """
    from hooks.load_test import all_finished

    empty()
    rates: list[float] = []
    lanes: list[int] = []
    with Receiver() as receiver, dispatcher() as process:
        load(LANES, receiver.url)
        wait_for(lambda: receiver.get("counts")["received"] >= LANES, "the first round", process=process)
        for number in range(3):
            if number == 1:
                take_statistics()
            elif number == 2:
                time.sleep(rest)
            began = time.perf_counter()
            load(hooks, receiver.url, "--parallel")
            lanes = keys()
            wait_for(partial(all_finished, lanes), f"burst {number + 1} is delivered", process=process)
            rates.append(hooks / (time.perf_counter() - began))
        quiet = lanes[1:]
        calm = steady(receiver, quiet, rate, seconds)
        take_statistics()
        send_to(lanes[:1], receiver.url, "slow")
        queue_hooks(lanes[:1], flood)
        flooded = steady(receiver, quiet, rate, seconds)
    return {
        "first": rates[0],
        "later": min(rates[1:]),
        "calm": percentile(calm, 0.99),
        "flooded": percentile(flooded, 0.99),
    }


def bot_turns(turns: int, *, guaranteed: bool) -> list[float]:
    """Returns for each turn the seconds from the commit of a user's message to its arrival at the bot.

    The bot replies to each message at once, never responds to the hook of its reply, and gets the next message then.
    """
    from django.db import transaction

    from hooks.outbox import emit_all
    from instances.actions.load_test import load_test_event
    from instances.models import Instance

    empty()
    with Receiver() as receiver, dispatcher() as process:
        load(1, receiver.url, *(["--guaranteed"] if guaranteed else []), instances=1)
        wait_for(lambda: receiver.get("counts")["received"], "the first hook", process=process)
        instance = Instance.objects.get(pk=keys()[0])
        send_to([instance.pk], receiver.url, "bot")
        seconds = []
        for number in range(1, turns + 1):
            message = load_test_event(instance, 2 * number)
            reply = load_test_event(instance, 2 * number + 1)
            assert b'"fromMe":false' in reply.body
            reply = reply._replace(body=reply.body.replace(b'"fromMe":false', b'"fromMe":true'))
            with transaction.atomic():
                emit_all(instance.pk, [message])
            committed = time.time_ns()

            def arrivals(sequence: int = 2 * number) -> list[int]:
                return [
                    at
                    for path, found, at in receiver.get("arrivals")
                    if found == sequence and "/bot/" in path
                ]

            wait_for(arrivals, f"turn {number}", process=process)
            seconds.append((arrivals()[0] - committed) / 1e9)
            with transaction.atomic():
                emit_all(instance.pk, [reply])
    return seconds


def dropped_partition(hooks: int, rate: float, seconds: float) -> dict[str, float]:
    """Drops a partition of `hooks` old hooks with an attempt each, while events come at `rate`.

    Returns the seconds of the drop, and the p99 of the ms from commit to request before and meanwhile.
    """
    from django.db import connection
    from django.utils import timezone

    from hooks.maintenance import old_partitions

    empty()
    with Receiver() as receiver:
        load(LANES, receiver.url)
        lanes = keys()
        fill_old_partition(hooks, lanes)
        with dispatcher():
            wait_for(lambda: receiver.get("counts")["received"] >= LANES, "the first round")
            calm = steady(receiver, lanes, rate, seconds)
            took: list[float] = []

            def drop() -> None:
                time.sleep(seconds / 4)
                began = time.perf_counter()
                dropped = old_partitions.drop(timezone.now())
                took.append(time.perf_counter() - began)
                connection.close()
                if dropped != hooks:
                    raise RuntimeError(f"{dropped} of {hooks} hooks were dropped")

            thread = threading.Thread(target=drop)
            thread.start()
            disturbed = steady(receiver, lanes, rate, seconds)
            thread.join()
    return {"seconds": took[0], "calm": percentile(calm, 0.99), "disturbed": percentile(disturbed, 0.99)}


def fill_old_partition(hooks: int, lanes: list[int]) -> None:
    """Makes a partition of 100 days ago with delivered hooks of these lanes in turn, as autovacuum leaves it."""
    from django.db import connection, transaction

    from hooks.sql import partitions

    day = partitions.today() - timedelta(days=100)
    start = partitions.first_id(day)
    with transaction.atomic(), connection.cursor() as cursor:
        partitions.make(cursor, day, day + timedelta(days=1))
        cursor.execute(
            """
            INSERT INTO hooks_hook (id, public_id, endpoint_id, kind, body, message, chat, state, skip_reason,
                simulated, to_url, trigger, attempts_made, attempts_allowed, claim, created_at, finished_at,
                last_outcome, last_status, last_host, last_ms)
            SELECT %(start)s + number, gen_random_uuid(), (%(lanes)s::bigint[])[1 + number %% %(count)s], 'message',
                convert_to(repeat('x', 500), 'UTF8'), '', '', 'delivered', '', false, '', 'event', 1, 1, 0,
                clock_timestamp() - interval '100 days', clock_timestamp() - interval '100 days',
                'ok', 200, 'bot.example', 12.5
            FROM generate_series(0, %(last)s) AS number
            """,
            {"start": start, "lanes": lanes, "count": len(lanes), "last": hooks - 1},
        )
        cursor.execute(
            """
            INSERT INTO hooks_attempt (hook_id, number, trigger, started_at, url, address, request_headers, status,
                response_headers, response_body, response_size, outcome, side, error, total_ms)
            SELECT id, 1, 'event', created_at, 'http://bot.example/hook', '192.0.2.1:80', '[["Host", "bot"]]', 200,
                '[["Server", "bot"]]', 'ok'::bytea, 2, 'ok', '', '', 12.5
            FROM hooks_hook WHERE id BETWEEN %s AND %s
            """,
            [start, start + hooks],
        )
        cursor.execute(
            "UPDATE hooks_tally t SET emitted = emitted + counted.number FROM ("
            "SELECT endpoint_id, count(*) AS number FROM hooks_hook WHERE id BETWEEN %s AND %s GROUP BY endpoint_id"
            ") AS counted WHERE counted.endpoint_id = t.endpoint_id",
            [start, start + hooks],
        )
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE hooks_hook_{day:%Y%m%d}, hooks_attempt_{day:%Y%m%d}")


def queue_hooks(lanes: list[int], each: int) -> None:
    """Inserts `each` queued hooks into each of these lanes with one statement, like emit() would."""
    from django.db import connection, transaction

    from hooks.outbox import wake

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO hooks_hook (public_id, endpoint_id, kind, body, message, chat, state, skip_reason, simulated,
                to_url, trigger, attempts_made, attempts_allowed, claim, created_at, last_outcome, last_host)
            SELECT gen_random_uuid(), lane, 'message', convert_to('{"messages":[{"body":"' || repeat('x', 450) ||
                '"}]}', 'UTF8'), '', '', 'queued', '', false, '', 'event', 0, 1, 0, clock_timestamp(), '', ''
            FROM generate_series(1, %s) AS number, unnest(%s::bigint[]) AS lane
            """,
            [each, lanes],
        )
        cursor.execute(
            "UPDATE hooks_tally SET emitted = emitted + %s WHERE endpoint_id = ANY(%s)", [each, lanes]
        )
        for lane in lanes:
            wake(lane)


def in_flight(waiting: int, seconds: float) -> dict[str, float]:
    """Measures the dispatcher's memory with 1 000 hanging requests and `waiting` hooks queued behind them."""
    empty()
    with Receiver() as receiver:
        load(1000, receiver.url, instances=1000)
        lanes = keys()
        with dispatcher() as process:
            wait_for(lambda: receiver.get("counts")["received"] >= 1000, "the first round")
            send_to(lanes, receiver.url, "hang")
            queue_hooks(lanes, waiting // len(lanes))
            wait_for(lambda: receiver.get("counts")["hanging"] >= 990, "1 000 requests hang")
            with Meter([process.pid], []) as meter:
                time.sleep(seconds)
            return {
                "hanging": receiver.get("counts")["hanging"],
                "pss": meter.peak,
                "resident": resident_peak(process.pid),
            }
