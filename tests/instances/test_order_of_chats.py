"""Lists of chats are in the order of the latest times of their messages, which the rows of the chats do not have."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Max
from django.test import Client

from instances.actions.messages import receive_message, type_on_phone
from instances.models import Chat, Instance, Message
from instances.models.last_messages import period
from instances.pages.messages import conversations
from instances.pages.messages.conversations import list_chats
from tests.executed_plans import executed_plans, nodes

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CHATS = 40
MANY = 5_000


@pytest.fixture
def in_order(instance: Instance) -> list[int]:
    """Receives messages of several periods, with times in any order; returns the keys of their chats, newest first."""
    dice = random.Random(7)
    for _ in range(4 * CHATS):
        contact = f"1768056{dice.randrange(CHATS):04}"
        # whole minutes: some chats have the same time
        time = NOON + timedelta(minutes=dice.randrange(30))
        if dice.randrange(3):
            receive_message(instance, sender=contact, sender_name="Anna", body="hello", time=time)
        else:
            type_on_phone(instance, chat_id=f"{contact}@c.us", body="typed", time=time)
    latest = Message.objects.values("chat").annotate(latest=Max("time")).order_by("-latest", "-chat")
    assert latest.filter(latest__gt=NOON).count() > CHATS / 2
    return [int(row["chat"]) for row in latest]


def test_the_chats_are_in_the_periods_of_their_rows(in_order: list[int]) -> None:
    exact = dict(Message.objects.values_list("chat").annotate(Max("time")))
    rows = Chat.objects.annotate(period=period("stored_last_time")).with_last_message()
    assert {chat.pk: chat.last_time for chat in rows} == exact
    for chat in rows:
        assert chat.period <= chat.last_time < chat.period + timedelta(minutes=5)  # type: ignore[attr-defined]
        assert chat.stored_last_time <= chat.last_time
    assert any(chat.stored_last_time < chat.last_time for chat in rows)


def test_pages_of_chats_have_each_once_and_in_order(
    instance: Instance, in_order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "CHATS_SHOWN", 3)
    for q in ("", "1768056", "Ann"):
        before, found = None, list[int]()
        while (page := list_chats(instance, q=q, before=before)).rows:
            found += [row.chat.pk for row in page.rows]
            last = page.rows[-1].chat
            before = last.last_time, last.pk
        wanted = Chat.objects.filter(name__contains="Ann") if q == "Ann" else Chat.objects.all()
        keys = set(wanted.values_list("pk", flat=True))
        assert found == [key for key in in_order if key in keys]


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_dialogs_are_in_order_in_both_directions(
    client: Client, instance: Instance, in_order: list[int], order: str
) -> None:
    found: list[str] = []
    for page in range(CHATS):
        query = f"token={instance.token}&limit=7&page={page}&order={order}"
        dialogs = client.get(f"/instance{instance.number}/dialogs?{query}").json()["dialogs"]
        found += [dialog["id"] for dialog in dialogs]
    names = Chat.objects.in_bulk(in_order)
    wanted = [names[key].chat_id for key in in_order]
    assert found == (wanted if order == "desc" else wanted[::-1])


def test_a_message_of_a_chat_of_version_0_1_0(instance: Instance) -> None:
    """Its messages have no time and number of unread messages of their chat; its row has them."""
    receive_message(instance, sender="17680561234", sender_name="Anna", body="old", time=NOON)
    Message.objects.update(chat_last_time=None, chat_unread=None)
    Chat.objects.update(stored_last_time=NOON + timedelta(minutes=1), stored_unread=7)
    chat = Chat.objects.get()
    assert (chat.last_time, chat.unread) == (NOON + timedelta(minutes=1), 7)
    receive_message(instance, sender="17680561234", sender_name="Anna", body="late", time=NOON)
    chat.refresh_from_db()
    assert (chat.last_time, chat.unread) == (NOON + timedelta(minutes=1), 8)


def test_a_page_among_many_reads_few_chats(instance: Instance) -> None:
    """Of two periods at most, and of the chats before it none: also far behind the first page."""
    chats = Chat.objects.bulk_create(
        Chat(
            instance=instance, chat_id=f"1768{number:07}@c.us", stored_last_time=NOON + timedelta(seconds=6 * number)
        )
        for number in range(MANY)
    )  # fmt: skip
    Message.objects.bulk_create(
        Message(instance=instance, number=number, message_id=f"{number}", chat=chat, author=chat.chat_id)
        for number, chat in enumerate(chats, start=1)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE instances_chat, instances_message")
    middle = Chat.objects.get(chat_id=f"1768{MANY // 2:07}@c.us")
    for before in (None, (middle.last_time, middle.pk)):
        with executed_plans('FROM "instances_chat"') as plans:
            assert len(list_chats(instance, before=before).rows) == 40
        found = [node for plan in plans for node in nodes(plan)]
        assert "Sort" not in {node["Node Type"] for node in found}
        [read] = [node for node in found if node.get("Relation Name") == "instances_chat"]
        assert read["Index Name"] == "instances_chat_newest"
        # 50 chats in each period
        assert read["Actual Rows"] + read.get("Rows Removed by Filter", 0) <= 200
