"""WhatsApp Business in and out while web, receiver and sender are killed: nothing is lost.

WHATSAPP_MESSAGES=10000 runs it at full length.
"""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests

from tests.acceptance.test_whatsapp import Linked
from tests.doubles.whatsapp_cloud import Number, WhatsAppCloud
from tests.faults import victims
from tests.faults.product_instance import database_of, kill
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product
from tests.receiver import Receiver

MESSAGES = int(os.environ.get("WHATSAPP_MESSAGES", "300"))
# WhatsApp takes 45 messages to one person at once, and then one each 6 s.
PEOPLE = [f"1768056{index:04}" for index in range(max(20, MESSAGES // 40))]
KILLS = 3
RECEIVED = """
    SELECT body FROM instances_message WHERE NOT from_me AND messenger_id <> '' ORDER BY instance_id, number
"""


def push_like_meta(number: Number, body: dict[str, Any]) -> None:
    """Send a callback until it gets 200, as Meta does; each second one twice."""
    raw, headers = number.signed(body)
    for attempt in range(600):
        try:
            response = requests.post(number.callback_url, data=raw, headers=headers, timeout=30)
        except requests.RequestException:
            response = None
        if response is not None and response.status_code == 200:
            if attempt or zlib.crc32(raw) % 2:
                return
        elif attempt:
            time.sleep(0.1)
    raise AssertionError("the callback is never accepted")


def write(number: Number) -> None:
    for index in range(MESSAGES):
        message = number.message(PEOPLE[index % len(PEOPLE)], body=f"in {index}", id=f"wamid.in{index}")
        push_like_meta(number, number.messages([message], {message["from"]: "Ann"}))


def send(linked: Linked) -> None:
    """Queue the messages by the wire contract. A call without a response is repeated, so it may be queued twice."""
    url = f"{linked.contract}/sendMessage?token={linked.token}"
    for index in range(MESSAGES):
        while True:
            arguments = {"phone": PEOPLE[index % len(PEOPLE)], "body": f"out {index}"}
            try:
                answer = requests.post(url, json=arguments, timeout=30).json()
            except (requests.RequestException, ValueError):
                time.sleep(0.1)
                continue
            if answer.get("sent"):
                break
            assert "queue" in answer["message"], answer  # it is full: 400 messages
            time.sleep(0.2)


def kill_one(product: Product, find: Callable[[Product], psutil.Process]) -> None:
    """Kill the process as soon as it runs: it may be starting again after the last kill."""

    def is_killed() -> bool:
        try:
            kill([find(product)])
        except (StopIteration, psutil.NoSuchProcess):
            return False
        return True

    wait_until(is_killed, "it is killed", 120)


def newest_receiver(product: Product) -> psutil.Process:
    return victims.run_of(product, "receiving")


@pytest.mark.timeout(3600)
def test_nothing_is_lost_while_web_receiver_and_sender_are_killed(tmp_path: Path) -> None:
    with WhatsAppCloud() as whatsapp:
        environment: dict[str, Any] = {"WHATSAPP_URL": whatsapp.url, "HOOKS_ALLOW_NETWORKS": "127.0.0.0/8"}
        with Product(tmp_path, **environment) as product, Receiver() as receiver:
            number = whatsapp.add_number()
            linked = Linked(product, number, receiver.url)
            jobs = [
                threading.Thread(target=write, args=(number,)),
                threading.Thread(target=send, args=(linked,)),
            ]
            for job in jobs:
                job.start()
            finders: list[Callable[[Product], psutil.Process]] = [
                victims.web,
                newest_receiver,
                victims.sender,
            ]
            for _ in range(KILLS):
                for find in finders:
                    kill_one(product, find)
                    time.sleep(2)
            for job in jobs:
                job.join()
            assert_all_arrived(product, number)


def assert_all_arrived(product: Product, number: Number) -> None:
    def received() -> list[str]:
        with psycopg.connect(database_of(product.environment)) as session:
            return [row[0] for row in session.execute(RECEIVED).fetchall()]

    wait_until(lambda: len(received()) >= MESSAGES, "all that people wrote is recorded", 600)
    found = received()
    assert Counter(found) == Counter(f"in {index}" for index in range(MESSAGES)), "each once"
    for person in range(len(PEOPLE)):
        own = [body for body in found if int(body.split()[1]) % len(PEOPLE) == person]
        assert own == sorted(own, key=lambda body: int(body.split()[1])), "in the order of each chat"

    def sent() -> Counter[str]:
        return Counter(one["text"]["body"] for one in number.accepted)

    wait_until(lambda: len(sent()) >= MESSAGES, "all that was queued is sent", 600)
    twice = sum(times - 1 for times in sent().values())
    print(f"{MESSAGES} in and out, {twice} sent twice")
