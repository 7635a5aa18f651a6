"""The wire contract and REST under load: the real web server, worker and PostgreSQL, called over kept connections.

The clients are threads on raw sockets, which need 40 µs of CPU per call (http.client: 150 µs): they share two cores
with the server that they measure.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.environment import ROOT, Meter, bench_database, empty, postgres_pid, wait_for
from tests.product import free_port

CONNECTIONS = 8
WEB_PROCESSES = os.cpu_count() or 1
PHONE = "17680561234"


@contextlib.contextmanager
def site(*, worker: bool) -> Iterator[tuple[int, list[int]]]:
    """Runs the web server and, if asked for, the worker that empties the queues; yields the port and their pids."""
    from chatapi.runtime import static_files

    static_files.collect()
    port = free_port()
    environment = os.environ | {
        "PORT": str(port), "WEB_PROCESSES": str(WEB_PROCESSES), "CONTRACT_CALLS_PER_MINUTE": "1000000",
        "API_RATE": "1000000/min",
    }  # fmt: skip
    commands = [[sys.executable, "-m", "chatapi.runtime.web"]]
    if worker:
        commands.append([sys.executable, "manage.py", "worker"])
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        wait_for(lambda: is_ready(port), "the site responds", process=processes[0])
        yield port, [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def is_ready(port: int) -> bool:
    try:
        return call(connect(port), b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 200
    except OSError:
        return False


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def call(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Sends one request on a kept connection; returns the status and the body of the response."""
    connection.sendall(request)
    data = connection.recv(65_536)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += receive(connection)
    head = data[:end].lower()
    begin = head.index(b"content-length:") + 15
    length = int(head[begin : (head + b"\r").index(b"\r", begin)])
    parts, have = [data[end + 4 :]], len(data) - end - 4
    while have < length:
        parts.append(receive(connection))
        have += len(parts[-1])
    return int(data[9:12]), b"".join(parts)


def receive(connection: socket.socket) -> bytes:
    data = connection.recv(262_144)
    if not data:
        raise ConnectionError("the site closed the connection")
    return data


def post(instance: Any, name: str, arguments: dict[str, Any]) -> bytes:
    body = json.dumps(arguments).encode()
    return (
        f"POST /instance{instance.number}/{name}?token={instance.token} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(instance: Any, name: str, query: str) -> bytes:
    return (
        f"GET /instance{instance.number}/{name}?token={instance.token}&{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ).encode()


def drive(
    port: int, requests: list[bytes], seconds: float, good: bytes, rate: float = 0.0
) -> tuple[int, int, float]:
    """Sends these requests in turn over CONNECTIONS connections, at most `rate` per second (0: no limit).

    Returns the number of responses that contain `good`, the number of others, and the duration in seconds.
    """
    counts = [[0, 0] for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    until = began + seconds

    def work(number: int) -> None:
        with connect(port) as connection:
            turn = number
            while (now := time.perf_counter()) < until:
                if rate and (pause := began + turn / rate - now) > 0:
                    time.sleep(pause)
                status, body = call(connection, requests[turn % len(requests)])
                counts[number][0 if status in (200, 201) and good in body[:40] else 1] += 1
                turn += CONNECTIONS if rate else 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(one[0] for one in counts), sum(one[1] for one in counts), time.perf_counter() - began


def measure(
    port: int, pids: list[int], requests: list[bytes], seconds: float, good: bytes, rate: float = 0.0
) -> dict[str, float]:
    """Returns successful and failed calls per second, and the CPU of the site and of PostgreSQL in ms per call."""
    drive(port, requests, 1.0, good)  # the first calls open the threads' connections to the database
    with Meter(pids, []) as site_meter, Meter([], [postgres_pid()]) as database:
        fine, failed, took = drive(port, requests, seconds, good, rate)
    return {
        "rate": fine / took,
        "failed": failed / took,
        "cpu": site_meter.cpu / max(fine, 1) * 1000,
        "database_cpu": database.cpu / max(fine, 1) * 1000,
    }


def instances(count: int) -> list[Any]:
    """Creates load-test instances, linked and paid; nothing listens at their webhook URL."""
    from instances.actions.load_test import open_load_test

    return open_load_test(count, url="http://127.0.0.1:9", parallel=False, guaranteed=False)


def send_message(count: int, seconds: float, rate: float = 0.0) -> dict[str, float]:
    """Measures `sendMessage` over `count` instances while the worker empties their queues."""
    from hooks.models import Endpoint
    from instances.models import OutgoingQueue

    empty()
    found = instances(count)
    Endpoint.objects.filter(pk__in=[instance.pk for instance in found]).update(url="")
    with site(worker=True) as (port, pids):
        text = "A message of the bench. " * 4
        requests = [post(instance, "sendMessage", {"phone": PHONE, "body": text}) for instance in found]
        result = measure(port, pids, requests, seconds, b'{"sent":true', rate)
        wait_for(
            lambda: not OutgoingQueue.objects.with_messages().exists(),
            "the queues are empty",
        )
    return result


def contact_message(count: int, seconds: float) -> dict[str, float]:
    """Measures messages that a contact sends over REST to `count` instances. Each is stored with its queued hook."""
    from accounts.actions.keys import issue_key

    empty()
    found = instances(count)
    _, key = issue_key(found[0].owner, acting_user=None)
    body = json.dumps({"from": PHONE, "name": "Anna", "body": "A message of the bench. " * 4}).encode()
    requests = [
        (
            f"POST /api/v1/instances/{instance.number}/sandbox/messages/ HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for instance in found
    ]
    with site(worker=False) as (port, pids):
        return measure(port, pids, requests, seconds, b'{"id":"false_')


def fill(instance: Any, count: int) -> None:
    """Inserts `count` received messages of one chat, numbered from 1, with one statement."""
    from django.db import connection

    from instances.models import Chat, Instance

    chat, _ = Chat.objects.get_or_create(instance=instance, chat_id=f"{PHONE}@c.us")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO instances_message (instance_id, number, message_id, chat_id, author, sender_name, type, body,
                from_me, by_api, forwarded, time)
            SELECT %s, n, 'false_17680561234@c.us_' || lpad(to_hex(n), 32, '0'), %s, '17680561234@c.us', 'Anna', 'chat',
                'A message of the bench, number ' || n, false, false, 0, now() - (%s - n) * interval '1 second'
            FROM generate_series(1, %s) AS n
            """,
            [instance.pk, chat.pk, count, count],
        )
        cursor.execute("VACUUM ANALYZE instances_message")
    Instance.objects.filter(pk=instance.pk).update(stored_message_number=count)


def messages(count: int, seconds: float) -> dict[str, float]:
    """Measures `messages` by lastMessageNumber: pages of 100 from 16 places in an instance with `count` messages."""
    empty()
    (instance,) = instances(1)
    fill(instance, count)
    starts = [int(count * share / 17) for share in range(16)]
    with site(worker=False) as (port, pids):
        requests = [get(instance, "messages", f"lastMessageNumber={start}") for start in starts]
        return measure(port, pids, requests, seconds, b'{"messages":[{')


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with bench_database():
        for count, rate in ((10, 0.0), (1, 550.0), (1, 0.0)):
            print(f"sendMessage, {count}, {rate:g}/s", send_message(count, seconds, rate), flush=True)
        for count in (10, 1):
            print(f"a contact's message, {count}", contact_message(count, seconds), flush=True)
        for count in (1000, 1_000_000):
            print(f"messages, {count}", messages(count, seconds), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
