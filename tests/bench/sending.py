"""Measures the sending of messages: a sender beside the sandbox messenger, which takes 100 ms for each.

A message counts when it is written with its acks and hooks. No dispatcher runs: hooks wait.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from tests.bench.environment import ROOT, Meter, empty, postgres_pid, wait_for
from tests.bench.million import copy_instance
from tests.instances.channels.sandbox.messenger_process import MessengerProcess

LATENCY = 0.1  # s
ACCEPT = """
WITH numbered AS (
    UPDATE instances_outgoingqueue SET last_number = last_number + %(count)s, length = length + %(count)s
    WHERE instance_id = ANY(%(keys)s) RETURNING instance_id, last_number - %(count)s AS before
)
INSERT INTO instances_outgoingmessage (
    instance_id, queue_number, message_id, chat_id, type, body, deletes, created_at, forwarded
)
SELECT instance_id, before + n, format('true_%%s_%%s', instance_id, before + n),
    replace(%(chat_id)s, '{}', (17680560000 + n %% %(chats)s)::text), 'chat', 'message ' || n, '', clock_timestamp(), 0
FROM numbered, generate_series(1, %(count)s) AS n
"""


def make_instances(number: int) -> list[int]:
    """Returns the keys of linked, paid instances with a webhook URL."""
    from hooks.actions.endpoints import configure
    from instances.actions.lifecycle import create_instance, link_sandbox, record_payment
    from instances.actions.settings import change_settings
    from instances.models import Instance
    from tests.factories import AccountFactory

    template = create_instance(AccountFactory())
    link_sandbox(template)
    record_payment(template, days=30)
    change_settings(template, changes={"ackNotificationsOn": True})
    configure(template.endpoint, url="http://127.0.0.1:9/hook")
    if number > 1:
        copy_instance(template.pk, number - 1)
    return list(Instance.objects.filter(pk__gte=template.pk).order_by("pk").values_list("pk", flat=True))


def accept(keys: Sequence[int], count: int, *, chats: int, chat_id: str = "{}@c.us") -> None:
    """Put messages in the queues, as the API accepts them. `chat_id` is that of a number."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(ACCEPT, {"keys": list(keys), "count": count, "chats": chats, "chat_id": chat_id})


def count_sent() -> int:
    from instances.models import Message

    return Message.objects.count()


def is_any_sent() -> bool:
    from instances.models import Message

    return Message.objects.exists()


def is_any_waiting() -> bool:
    """Cheap: it is asked 50 times per second."""
    from instances.models import OutgoingQueue

    return OutgoingQueue.objects.with_messages().exists()


@contextlib.contextmanager
def sender(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `manage.py send`, and stops it with SIGTERM."""
    environment = os.environ | {
        "SANDBOX_OVER_HTTP": "1", "SANDBOX_MESSENGER_URL": url, "HOOKS_ALLOW_NETWORKS": "127.0.0.0/8",
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "manage.py", "send"], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def forget() -> None:
    """Delete the instances and their messages."""
    from django.db import connection

    empty()
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE accounts_user, instances_message, instances_outgoingmessage, instances_sendingtry,"
            " instances_channellink, instances_receiverstate CASCADE"
        )


def rate(instances: int, each: int, *, chats: int) -> dict[str, float]:
    """Measures `each` messages of these instances, from the first one that is written to the last."""
    forget()
    keys = make_instances(instances)
    total = instances * each
    with MessengerProcess() as messenger:
        messenger.order(latency=LATENCY)
        accept(keys, each, chats=chats)
        with sender(messenger.url) as process:
            wait_for(is_any_sent, "the first message", process=process)
            began, first = time.perf_counter(), count_sent()
            with Meter([process.pid], []) as sending, Meter([], [postgres_pid()]) as database:
                wait_for(lambda: not is_any_waiting(), "all messages are sent", 300, process)
            seconds = time.perf_counter() - began
    each_ms = 1000 / (total - first)
    return {
        "rate": (total - first) / seconds,
        "sender_cpu": sending.cpu * each_ms,
        "database_cpu": database.cpu * each_ms,
        "memory": sending.peak,
    }


def isolation(*, hanging: bool, per_second: float, seconds: float) -> float:
    """Returns the p99 of the ms from a message's acceptance to its Message, of 50 instances.

    With `hanging`, another instance has 400 messages to 400 chats, and its messenger does not respond.
    """
    from instances.actions.sending.accept import send_message
    from instances.models import Instance, Message

    forget()
    keys = make_instances(51)
    with MessengerProcess() as messenger:
        victims = {instance.pk: instance for instance in Instance.objects.filter(pk__in=keys[1:])}
        noisy = Instance.objects.get(pk=keys[0])
        messenger.order(latency=LATENCY)
        if hanging:
            messenger.order(instance=noisy.number, faults=[{"kind": "hang"}])
        accept(keys[1:], 1, chats=1)
        with sender(messenger.url) as process:
            wait_for(lambda: count_sent() == len(victims), "the first round", process=process)
            if hanging:
                accept(keys[:1], 400, chats=400)
            accepted = []
            began = time.perf_counter()
            for number in range(int(per_second * seconds)):
                time.sleep(max(began + number / per_second - time.perf_counter(), 0.0))
                instance = victims[keys[1 + number % len(victims)]]
                accepted.append(send_message(instance, chat_id=f"1768056{number % 1000:04}", body="hello"))
            total = len(accepted) + len(victims)
            wait_for(lambda: count_sent() == total, "all messages are sent", process=process)
    rows = Message.objects.filter(message_id__in=[each.message_id for each in accepted])
    waits = sorted(
        (written - queued).total_seconds() * 1000
        for written, queued in rows.values_list("time", "queued_at")
        if queued is not None
    )
    return waits[min(int(len(waits) * 0.99), len(waits) - 1)]


if __name__ == "__main__":
    from tests.bench.environment import bench_database

    with bench_database():
        print("1 000 instances:", rate(1000, 10, chats=5))
        print("one instance:", rate(1, 400, chats=100))
        print("p99 calm:", isolation(hanging=False, per_second=100, seconds=5))
        print("p99 beside a hanging messenger:", isolation(hanging=True, per_second=100, seconds=5))
