"""People and bots write to each other over a messenger while web server, receiver and sender are killed.

The same for each channel: `run` links instances to accounts of a messenger, writes MESSAGES messages in each direction,
kills the processes meanwhile, and then checks that nothing is lost. CHANNEL_MESSAGES=10000 runs it at full length.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil
import psycopg
import requests

from instances.channels import CHANNELS
from instances.channels.requests import Link
from tests.faults import victims
from tests.faults.product_instance import database_of, kill
from tests.hooks.dispatch.dispatching import wait_until
from tests.messengers.linked_instance import LinkedInstance
from tests.messengers.service import Account, Service
from tests.product import Product
from tests.receiver import Received, Receiver

MESSAGES = int(os.environ.get("CHANNEL_MESSAGES", "400"))  # in each direction
INSTANCES = 5
# WhatsApp takes 45 messages to one person at once, and Telegram one per second.
PEOPLE = max(4, MESSAGES // INSTANCES // 40)  # of each instance
KILLS = max(3, MESSAGES // 1_000)  # of each process
PAUSE_SECONDS = 1.0  # between two kills
SECONDS = 900.0  # for what is left after the last kill
VICTIMS: Sequence[Callable[[Product], psutil.Process]] = (victims.web, victims.receiver, victims.sender)

RECORDED = """
    SELECT i.number, chat.chat_id, m.body FROM instances_message m JOIN instances_chat chat ON chat.id = m.chat_id
    JOIN instances_instance i ON i.id = m.instance_id
    WHERE i.number = ANY(%s) AND m.from_me = %s ORDER BY i.number, m.number
"""
WAITING_MESSAGES = "SELECT count(*) FROM instances_outgoingmessage WHERE failed_at IS NULL"
WAITING_HOOKS = "SELECT count(*) FROM hooks_hook WHERE state IN ('queued', 'sending', 'retrying')"


@dataclass
class Story:
    """What is written: message n belongs to an instance, and there to a person, by its number."""

    product: Product
    instances: list[LinkedInstance]
    reported: Counter[str] = field(default_factory=Counter)  # bodies of people's messages at the webhook
    repeated_calls: int = 0  # of sendMessage, without a response
    faults: Sequence[Callable[[], None]] = ()

    def account(self, index: int) -> Account:
        return self.instances[index].account

    @staticmethod
    def person_of(number: int) -> int:
        return number // INSTANCES % PEOPLE

    def webhook(self, received: Received) -> tuple[int, dict[str, str], bytes]:
        for message in received.json().get("messages", []):
            if not message["fromMe"]:
                self.reported[message["body"]] += 1
        return 200, {}, b""

    # -- both sides write

    def write(self, index: int, numbers: range) -> None:
        """The people of one instance write."""
        for number in numbers[index::INSTANCES]:
            self.account(index).write(self.person_of(number), f"in {number}", key=f"in{number}")

    def send(self, index: int, numbers: range) -> None:
        """Queue messages by the wire contract. A call without a response is repeated, so it may be queued twice."""
        instance = self.instances[index]
        for number in numbers[index::INSTANCES]:
            chat_id = instance.account.chat_ids[self.person_of(number)]
            while True:
                try:
                    answer = instance.call("sendMessage", chatId=chat_id, body=f"out {number}")
                except (requests.RequestException, ValueError):
                    self.repeated_calls += 1
                    time.sleep(0.1)
                    continue
                if answer.get("sent"):
                    break
                assert "queue" in answer["message"], answer  # it is full
                time.sleep(0.2)

    def write_and_kill(self, numbers: range) -> None:
        """Write these messages in both directions; kill each process once meanwhile, and cause further faults."""
        jobs = [
            threading.Thread(target=write, args=(index, numbers))
            for index, write in itertools.product(range(INSTANCES), (self.write, self.send))
        ]
        for job in jobs:
            job.start()
        for find in VICTIMS:
            kill_one(self.product, find)
            time.sleep(PAUSE_SECONDS)
        for cause in self.faults:
            cause()
            time.sleep(PAUSE_SECONDS)
        for job in jobs:
            job.join()

    # -- what is recorded

    def recorded(self, *, from_me: bool) -> list[tuple[str, str, str]]:
        """Returns instance, chat id and body of each message, in the order of the instance's numbers."""
        keys = [int(instance.id) for instance in self.instances]
        with psycopg.connect(database_of(self.product.environment)) as session:
            return [(str(row[0]), row[1], row[2]) for row in session.execute(RECORDED, [keys, from_me])]

    def sent(self) -> list[tuple[str, str, str]]:
        """Returns the same of what the people have got."""
        return [
            (instance.id, chat_id, text)
            for instance in self.instances
            for person, chat_id in enumerate(instance.account.chat_ids)
            for text in instance.account.texts(person)
        ]

    def count(self, sql: str) -> int:
        with psycopg.connect(database_of(self.product.environment)) as session:
            row = session.execute(sql).fetchone()
        return row[0] if row else 0


def kill_one(product: Product, find: Callable[[Product], psutil.Process]) -> None:
    """Kill the process as soon as it runs: it may be starting again after the last kill."""

    def is_killed() -> bool:
        try:
            kill([find(product)])
        except (StopIteration, psutil.NoSuchProcess):
            return False
        return True

    wait_until(is_killed, "it is killed", 120)


def run(product: Product, channel: str, service: Service, *faults: Callable[[], None]) -> None:
    """`faults` are caused beside the kills of the product's processes, such as a kill of the messenger's server."""
    story = Story(product, [], faults=faults)
    began = time.monotonic()
    with Receiver(story.webhook) as receiver:
        for _ in range(INSTANCES):
            story.instances.append(
                LinkedInstance(
                    product,
                    channel,
                    service.add_account(PEOPLE),
                    webhookUrl=receiver.url,
                    guaranteedHooks=True,
                )
            )
        linked = time.monotonic()
        for number in range(KILLS):
            story.write_and_kill(range(MESSAGES * number // KILLS, MESSAGES * (number + 1) // KILLS))
        written = time.monotonic()
        # A server that dies does not say which of the messages in flight it has sent on.
        is_idempotent = CHANNELS[channel].is_idempotent(Link(0, "")) and not faults
        doubled = check_messages(story, is_idempotent=is_idempotent)
        in_flight = INSTANCES * CHANNELS[channel].limits.in_flight
        assert doubled <= KILLS * (len(VICTIMS) + len(faults)) * in_flight
        wait_until(lambda: story.count(WAITING_HOOKS) == 0, "all hooks are delivered", SECONDS)
    expected = {f"in {number}" for number in range(MESSAGES)}
    assert set(story.reported) == expected, "the webhook got each message"
    assert_nothing_is_missing(product)
    ended = time.monotonic()
    print(
        f"{channel}: {MESSAGES} in and {MESSAGES} out, {INSTANCES} instances, {KILLS} kills of each process; 0 lost, "
        f"{doubled} sent twice, {story.reported.total() - MESSAGES} hooks twice, {story.repeated_calls} calls "
        f"without a response; {linked - began:.0f} s to link, {written - linked:.0f} s to write, "
        f"{ended - written:.0f} s for the rest"
    )


def check_messages(story: Story, *, is_idempotent: bool) -> int:
    """Wait until all have arrived, and compare both sides; returns how many messages the messenger has got twice."""

    def received() -> list[tuple[str, str, str]]:
        return story.recorded(from_me=False)

    wait_until(lambda: len(received()) >= MESSAGES, "all that people wrote is recorded", SECONDS)
    found = received()
    assert Counter(body for _, _, body in found) == Counter(f"in {number}" for number in range(MESSAGES)), (
        "each is recorded once"
    )
    assert_in_order(found)

    def accepted() -> Counter[str]:
        return Counter(body for _, _, body in story.recorded(from_me=True))

    expected = {f"out {number}" for number in range(MESSAGES)}
    wait_until(lambda: set(accepted()) >= expected, "all that was queued is sent", SECONDS)
    wait_until(lambda: story.count(WAITING_MESSAGES) == 0, "nothing is left in the queues", SECONDS)
    sent = story.sent()
    at_messenger, here = Counter(body for _, _, body in sent), accepted()
    assert set(at_messenger) == expected, "the people got all of them"
    assert_in_order(list(dict.fromkeys(sent)))
    assert not here - at_messenger, "what is recorded as sent has been sent"
    if is_idempotent:
        assert at_messenger == here, "with an idempotency key, each message is sent once"
    return (at_messenger - here).total()


def assert_in_order(messages: list[tuple[str, str, str]]) -> None:
    by_chat: dict[tuple[str, str], list[int]] = {}
    for instance, chat_id, body in messages:
        by_chat.setdefault((instance, chat_id), []).append(int(body.split()[1]))
    for chat, numbers in by_chat.items():
        assert numbers == sorted(numbers), f"in the order of the chat {chat}: {numbers}"


def assert_nothing_is_missing(product: Product) -> None:
    for what in ("messages", "hooks"):
        done = product.manage(what, "check")
        assert done.returncode == 0, done.stdout + done.stderr
