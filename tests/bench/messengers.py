"""Measures the channels of real messengers over their doubles: sending, and one receiver for many instances.

`python -m tests.bench.messengers` prints all of it, `… receiving telegram` one part, and `… beside` how much one slow
messenger delays others. The doubles are threads of Python in a process of their own, on the same cores.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from tests.bench import sending
from tests.bench.doubles import FIRST_PERSON, PEOPLE, running_double
from tests.bench.environment import ROOT, Meter, memory, postgres_pid, wait_for
from tests.bench.report import Requirement

INSTANCES = 10  # a messenger allows each of them a rate of its own
LATENCY = 0.1  # s
SLOW = 9.0  # s, just below the deadline
ROUNDS = 3  # calm and beside a slow messenger, in turn: one round shows what else the machine does


@dataclass(frozen=True)
class Messenger:
    """A channel of the product, and how its double is reached."""

    channel: str
    setting: str = ""  # with the URL of the double, if all instances have the same
    chat_id: str = ""  # of a person's number


TELEGRAM = Messenger("telegram", "TELEGRAM_URL", "telegram:{}@c.us")
WHATSAPP = Messenger("whatsapp_cloud", "WHATSAPP_URL", "{}@c.us")
MATRIX = Messenger("matrix")


def link(messenger: Messenger, double: Any, number: int) -> list[int]:
    """Returns the keys of new instances with a webhook URL, each linked to an account of the double."""
    from hooks.actions.endpoints import configure
    from instances.actions.channel_links import save_link
    from instances.actions.lifecycle import create_instance
    from instances.actions.settings import change_settings
    from instances.actions.status import change_status
    from tests.factories import AccountFactory

    sending.forget()
    keys = []
    for index, account in enumerate(double.add(number)):
        if index % INSTANCES == 0:  # a new account of the product; each may have so many
            owner = AccountFactory()
        instance = create_instance(owner, channel=messenger.channel)
        change_settings(instance, changes={"ackNotificationsOn": True})
        configure(instance.endpoint, url="http://127.0.0.1:9/hook")
        save_link(
            instance,
            credentials=account.credentials,
            external_id=account.external_id,
            options=account.options,
            acting_user=None,
        )
        change_status(instance, account_status="authenticated")
        keys.append(instance.pk)
    return keys


@contextlib.contextmanager
def process(command: str, messenger: Messenger, double: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `manage.py send` or `receive`, and stops it with SIGTERM."""
    urls = {messenger.setting: double.url()} if messenger.setting else {}
    environment = {**os.environ, **urls, "HOOKS_ALLOW_NETWORKS": "127.0.0.0/8"}
    running = subprocess.Popen([sys.executable, "manage.py", command], cwd=ROOT, env=environment)
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


# -- sending


def rate(messenger: Messenger, instances: int, each: int, *, chats: int) -> dict[str, float]:
    """Measures `each` messages of these instances, from the first one that is written to the last."""
    total = instances * each
    with running_double(messenger.channel) as double:
        keys = link(messenger, double, instances)
        double.set_latency(LATENCY)
        sending.accept(keys, each, chats=chats, chat_id=messenger.chat_id)
        with process("send", messenger, double) as sender:
            wait_for(sending.is_any_sent, "the first message", process=sender)
            began, first = time.perf_counter(), sending.count_sent()
            with Meter([sender.pid], []) as own, Meter([], [postgres_pid()]) as database:
                wait_for(lambda: not sending.is_any_waiting(), "all messages are sent", 300, sender)
            seconds = time.perf_counter() - began
    each_ms = 1000 / (total - first)
    return {
        "rate": (total - first) / seconds,
        "sender_cpu": own.cpu * each_ms,
        "database_cpu": database.cpu * each_ms,
        "memory": own.peak,
    }


def request_times(messenger: Messenger, *, slow: bool, per_second: float, seconds: float) -> list[float]:
    """Returns the ms from each message's commit to its arrival at the messenger, of INSTANCES instances, sorted.

    With `slow`, one more instance has 400 messages to as many chats, and each takes SLOW seconds.
    """
    from instances.actions.sending.accept import send_message
    from instances.models import Instance

    with running_double(messenger.channel) as double:
        keys = link(messenger, double, INSTANCES + 1)
        instances = list(Instance.objects.filter(pk__in=keys[1:]).order_by("pk"))
        double.set_latency(LATENCY)
        sending.accept(keys[1:], 1, chats=1, chat_id=messenger.chat_id)
        committed: dict[str, float] = {}
        with process("send", messenger, double) as sender:
            wait_for(lambda: sending.count_sent() == INSTANCES, "the first round", process=sender)
            if slow:
                double.set_latency(SLOW, 0)
                sending.accept(keys[:1], 400, chats=400, chat_id=messenger.chat_id)
                time.sleep(1)  # so that the sender has begun with them
            began = time.perf_counter()
            for number in range(int(per_second * seconds)):
                time.sleep(max(began + number / per_second - time.perf_counter(), 0.0))
                # the first chat had a message just now
                chat_id = messenger.chat_id.format(FIRST_PERSON + 1 + number % (PEOPLE - 1))
                text = f"text {number}"
                send_message(instances[number % INSTANCES], chat_id=chat_id, body=text)
                committed[text] = time.monotonic()
            wait_for(lambda: committed.keys() <= double.arrivals().keys(), "all arrive", process=sender)
        arrivals = double.arrivals()
    return sorted((arrivals[text] - at) * 1000 for text, at in committed.items())


def percentile(times: Sequence[float], share: float) -> float:
    return times[min(int(len(times) * share), len(times) - 1)]


# -- receiving


def receiving(messenger: Messenger, instances: int, each: int, idle_seconds: float) -> Mapping[str, float]:
    """Measures one receiver of many instances: idle, with `each` messages to each of them, and its stop in the middle.

    The stop is measured while `each` more are waiting. `lost` is how many the next receiver has not received.
    """
    from instances.models import Message

    with running_double(messenger.channel) as double:
        link(messenger, double, instances)
        found: dict[str, float] = {}
        with process("receive", messenger, double) as receiver:
            wait_for(lambda: is_listening(receiver.pid), "it runs", process=receiver)
            wait_for(lambda: double.polls() == instances, "all are polled", 120, receiver)
            time.sleep(3)
            with Meter([receiver.pid], []) as idle, Meter([], [postgres_pid()]) as database:
                time.sleep(idle_seconds)
            found |= {
                "memory": idle.peak,
                "idle_cpu": idle.cpu / idle_seconds,
                "idle_database_cpu": database.cpu / idle_seconds,
            }
            began = time.perf_counter()
            with Meter([receiver.pid], []) as busy:
                double.write(each)
                found["written"] = time.perf_counter() - began
                wait_for(lambda: Message.objects.count() == instances * each, "all", 600, receiver)
            found["seconds"] = time.perf_counter() - began
            found["cpu"] = busy.cpu / (instances * each) * 1000
            found["busy_memory"] = busy.peak
            double.write(each)
            began = time.perf_counter()
            receiver.terminate()
            receiver.wait()
            found["stop"] = time.perf_counter() - began
            found["before"] = Message.objects.count() - instances * each
        with process("receive", messenger, double) as receiver:
            wait_for(lambda: Message.objects.count() >= 2 * instances * each, "the rest", 600, receiver)
        found["doubled"] = Message.objects.count() - 2 * instances * each
    return found


def is_listening(pid: int) -> bool:
    from hooks.models import Runner

    return Runner.objects.filter(pid=pid, finished_at=None).exists()


def sending_figures(seconds: float) -> list[Requirement]:
    """Returns the rows beside those of the sandbox messenger. A rate is compared with the messenger's limit."""
    found = []
    for messenger, instances, each, chats, limit in (
        (TELEGRAM, 1, 150, 150, 30),
        (TELEGRAM, INSTANCES, 150, 150, 300),
        (WHATSAPP, 1, 400, 200, 80),
        (WHATSAPP, INSTANCES, 400, 200, 800),
    ):
        one = rate(messenger, instances, each, chats=chats)
        found.append(
            Requirement(
                f"sends of {instances} instances of {messenger.channel}, messenger of 100 ms",
                f"{one['rate']:,.0f}/s; per message, the sender needs {one['sender_cpu'] * 1000:.0f} µs of CPU and "
                f"PostgreSQL {one['database_cpu'] * 1000:.0f} µs; {one['memory']:.0f} MB",
                f"{limit}/s, the messenger's limit",
                one["rate"] >= 0.95 * limit,
            )
        )
    found += [beside_slow(messenger, seconds) for messenger in (TELEGRAM, WHATSAPP)]
    sending.forget()
    return found


def beside_slow(messenger: Messenger, seconds: float) -> Requirement:
    """Returns how much one slow messenger delays others: of ROUNDS rounds in turn, those with the least p99."""
    calm, beside = [], []
    for _ in range(ROUNDS):
        calm.append(request_times(messenger, slow=False, per_second=100, seconds=seconds))
        beside.append(request_times(messenger, slow=True, per_second=100, seconds=seconds))
    least, least_beside = (min(rounds, key=lambda one: percentile(one, 0.99)) for rounds in (calm, beside))
    p99, p99_beside = percentile(least, 0.99), percentile(least_beside, 0.99)
    return Requirement(
        f"100 messages/s of {INSTANCES} instances of {messenger.channel}, from commit to request; beside one that "
        f"takes {SLOW:.0f} s",
        f"p50 {percentile(least, 0.5):.1f} ms, p99 {p99:.1f} ms; p50 {percentile(least_beside, 0.5):.1f} ms, "
        f"p99 {p99_beside:.1f} ms, {p99_beside / p99:.2f} ×",
        "p99 ≤ 1.2 ×",
        p99_beside <= 1.2 * p99,
    )


def print_receiving(names: Sequence[str], instances: int, each: int) -> None:
    for messenger in (TELEGRAM, MATRIX):
        if not names or messenger.channel in names:
            print(f"{messenger.channel}, {instances} instances: {receiving(messenger, instances, each, 20)}")


if __name__ == "__main__":
    from tests.bench.environment import bench_database

    words = sys.argv[1:]
    with bench_database():
        print(f"load {psutil.getloadavg()[0]:.1f}, memory of this process {memory([os.getpid()]):.0f} MB")
        if "beside" in words:
            for row in (beside_slow(TELEGRAM, 5), beside_slow(WHATSAPP, 5)):
                print(f"{row.what}: {row.measured} (required: {row.required})", flush=True)
        elif "receiving" not in words:
            for row in sending_figures(5):
                print(f"{row.what}: {row.measured} (required: {row.required})")
        if not {"sending", "beside"} & set(words):
            sizes = [int(word) for word in words if word.isdigit()] or [500, 20]
            print_receiving([word for word in words if word in ("telegram", "matrix")], sizes[0], sizes[-1])
        print(f"load {psutil.getloadavg()[0]:.1f}")
