"""A sender in its own process and what Telegram may do to it: nothing is lost, in the order of each chat."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from instances.actions.sending.accept import send_message
from instances.models import AccountStatus, Chat, Instance, Message, OutgoingMessage, SendingTry, SendState
from tests.doubles.telegram import Bot, Fault, Limits, Telegram, User, flood
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.telegram.messenger import save_bot
from tests.instances.sending.sending import SenderProcess, assert_nothing_lost, wait_until_empty

pytestmark = [pytest.mark.usefixtures("checked"), pytest.mark.timeout(400)]

PEOPLE = [User(100 + number, f"person {number}") for number in range(20)]


@pytest.fixture
def double() -> Iterator[Telegram]:
    with Telegram() as running:
        yield running


@pytest.fixture
def bot(double: Telegram) -> Bot:
    bot = double.add_bot()
    for person in PEOPLE:
        double.private_chat(bot, person)
    return bot


@pytest.fixture
def alice(transactional_db: None, bot: Bot) -> Instance:
    instance: Instance = InstanceFactory(channel="telegram", url="https://example.com/hook")
    save_bot(instance, bot)
    return instance


def sender(folder: Path, double: Telegram) -> SenderProcess:
    return SenderProcess(folder, "", TELEGRAM_URL=double.url)


def chat_of(person: User) -> str:
    return f"telegram:{person.id}@c.us"


def texts(double: Telegram, bot: Bot, person: User) -> list[str]:
    return [message["text"] for message in double.sent(bot, person) if "text" in message]


def without_repeats(found: list[str]) -> list[str]:
    return list(dict.fromkeys(found))


def test_faults_and_kills_lose_nothing(tmp_path: Path, double: Telegram, bot: Bot, alice: Instance) -> None:
    """A message may arrive twice if the connection broke before the response, and only then."""
    number = 100
    for body in range(number):
        send_message(alice, chat_id=chat_of(PEOPLE[body % len(PEOPLE)]), body=str(body))
    faults = [
        Fault("error", method="sendMessage", status=502, description="Bad Gateway"),
        Fault("page", method="sendMessage"),
        Fault("garbage", method="sendMessage"),
        Fault("reset", method="sendMessage"),
        Fault("reset", method="sendMessage", is_done=True),
        Fault("hang", method="sendMessage"),
        Fault("reset", method="sendMessage", is_done=True),
    ]

    def count() -> int:
        return sum(len(texts(double, bot, person)) for person in PEOPLE)

    with sender(tmp_path / "one", double) as first:
        for fault in faults[:4]:
            before = count()
            double.order(fault)
            wait_until(lambda before=before: count() > before, "it sends", 120)  # type: ignore[misc]
        first.kill()
    for fault in faults[4:]:
        double.order(fault)
    with sender(tmp_path / "two", double):
        wait_until_empty(alice, seconds=240)
    assert not any(fault.times for fault in faults), "all orders were carried out"
    twice = 0
    for place, person in enumerate(PEOPLE):
        found = texts(double, bot, person)
        assert without_repeats(found) == [str(body) for body in range(place, number, len(PEOPLE))]
        twice += sum(times > 1 for times in Counter(found).values())
    assert twice >= 2, "the resets after the message was taken"
    assert Message.objects.filter(instance=alice, maybe_twice=True).count() >= twice
    assert_nothing_lost()


def test_a_storm_of_429_is_waited_out_within_the_limits(
    tmp_path: Path, double: Telegram, bot: Bot, alice: Instance
) -> None:
    """The double enforces Telegram's limits. What it refuses is sent when it has asked for it, and not before."""
    double.limits = Limits()
    for body in range(60):
        send_message(alice, chat_id=chat_of(PEOPLE[body % len(PEOPLE)]), body=str(body))
    double.order(flood(2, method="sendMessage", times=5))
    with sender(tmp_path, double):
        wait_until_empty(alice, seconds=240)
    sent = [text for person in PEOPLE for text in texts(double, bot, person)]
    assert sorted(map(int, sent)) == list(range(60))
    tries = SendingTry.objects.filter(instance_id=alice.pk)
    refused = tries.filter(reason__startswith="Too Many Requests")
    assert refused.count() >= 5, (
        "those that were ordered; also others, as the requests of a second do not take equally long"
    )
    for refusal in refused:
        after = timedelta(seconds=json.loads(refusal.response_body)["parameters"]["retry_after"])
        [again] = tries.filter(message_id=refusal.message_id, number=refusal.number + 1)
        assert again.started_at >= refusal.started_at + after
    assert "***" in tries.values_list("url", flat=True)[0] and bot.token not in str(list(tries.values()))


def test_a_revoked_token_holds_the_queue_until_the_bot_is_linked_again(
    tmp_path: Path, double: Telegram, bot: Bot, alice: Instance
) -> None:
    for body in ("1", "2", "3"):
        send_message(alice, chat_id=chat_of(PEOPLE[0]), body=body)
    double.revoke(bot)

    def is_lost() -> bool:
        alice.refresh_from_db()
        return alice.account_status == AccountStatus.INIT

    with sender(tmp_path, double):
        wait_until(is_lost, "the instance is not linked any more", 60)
        assert OutgoingMessage.objects.waiting().filter(instance=alice).count() == 3
        bot.is_revoked = False
        save_bot(alice, bot)
        wait_until_empty(alice, seconds=120)
    assert texts(double, bot, PEOPLE[0]) == ["1", "2", "3"]


def test_a_block_fails_its_messages_and_a_migrated_group_gets_them(
    tmp_path: Path, double: Telegram, bot: Bot, alice: Instance
) -> None:
    group = double.add_group(bot)
    new = double.migrate(bot, PEOPLE[0], group)
    double.block(bot, PEOPLE[1])
    for body in ("to the group", "again"):
        send_message(alice, chat_id=f"telegram:{group.id}@g.us", body=body)
    send_message(alice, chat_id=chat_of(PEOPLE[1]), body="blocked")
    with sender(tmp_path, double):
        wait_until_empty(alice, seconds=120)
    assert [message["text"] for message in double.sent(bot, new)] == ["to the group", "again"]
    chat = Chat.objects.get(instance=alice, chat_id=f"telegram:{group.id}@g.us")
    assert chat.messenger_chat_id == str(new.id), "remembered, so that the next message goes there at once"
    [failed] = OutgoingMessage.objects.filter(instance=alice, state=SendState.FAILED)
    assert failed.reason.startswith("This person has blocked the bot.")
