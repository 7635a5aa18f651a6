"""Whether a bot has responded: the definition, the list of received messages, and how far a page looks."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hooks.models import Hook, Kind, State
from instances.models import Chat, Instance, Message, OutgoingQueue
from instances.turns import responses
from instances.turns.reading import read_turn
from instances.turns.responses import RESPONSE_TIME, ResponseState, list_received
from tests.factories import fail_message
from tests.instances.turns.playing import ANNA, BERT, START, call, receive

pytestmark = pytest.mark.django_db
LIMIT = RESPONSE_TIME.total_seconds()


def states(instance: Instance, **given: object) -> list[tuple[str, str]]:
    return [
        (row.message.body, row.response.state.value)
        for row in list_received(instance, **given).rows  # type: ignore[arg-type]
    ]


def both(instance: Instance, message: Message) -> ResponseState:
    """The state in the list, which is the one on the message's page."""
    [row] = [row for row in list_received(instance).rows if row.message.pk == message.pk]
    assert read_turn(instance, message).response == row.response
    return row.response.state


def test_a_message_to_the_chat_is_a_response_until_five_minutes_after_the_delivery(
    instance: Instance,
) -> None:
    early, _ = receive(instance, ANNA, "early", at=0)
    call(instance, ANNA, "reply", at=LIMIT - 1)
    late, _ = receive(instance, BERT, "late", at=1000)
    call(instance, BERT, "reply", at=1000 + LIMIT + 1)
    assert both(instance, early) == ResponseState.RESPONDED
    assert both(instance, late) == ResponseState.NONE
    assert states(instance, response=ResponseState.NONE) == [("late", "none")]
    assert states(instance, response=ResponseState.RESPONDED) == [("early", "responded")]


def test_a_message_that_was_delivered_late_has_five_minutes_from_then(instance: Instance) -> None:
    message, hook = receive(instance, ANNA, "hello", at=0)
    Hook.objects.filter(pk=hook.pk).update(finished_at=START + timedelta(minutes=30))
    call(instance, ANNA, "reply", at=30 * 60 + LIMIT - 1)
    assert both(instance, message) == ResponseState.RESPONDED


def test_queued_and_failed_messages_are_responses(instance: Instance) -> None:
    queued, _ = receive(instance, ANNA, "first", at=0)
    failed, _ = receive(instance, BERT, "second", at=1)
    call(instance, ANNA, "waits", at=2, sends=False)
    fail_message(call(instance, BERT, "fails", at=3, sends=False))
    assert both(instance, queued) == both(instance, failed) == ResponseState.RESPONDED


def test_messages_to_other_chats_and_before_it_are_no_response(instance: Instance) -> None:
    call(instance, ANNA, "good morning", at=-20)
    message, _ = receive(instance, ANNA, "hello", at=0)
    call(instance, BERT, "Anna wrote", at=1)
    assert both(instance, message) == ResponseState.NONE


def test_a_message_that_the_bot_did_not_get_is_not_its_fault(instance: Instance) -> None:
    refused, _ = receive(instance, ANNA, "refused", at=0, status=500)
    waiting, _ = receive(instance, BERT, "queued", at=1, status=None)
    assert both(instance, refused) == ResponseState.NOT_DELIVERED
    assert both(instance, waiting) == ResponseState.WAITING
    assert states(instance, response=ResponseState.NONE) == []


def test_a_message_that_was_delivered_now_waits(instance: Instance) -> None:
    message, hook = receive(instance, ANNA, "hello", at=0)
    Hook.objects.filter(pk=hook.pk).update(finished_at=timezone.now())
    assert both(instance, message) == ResponseState.WAITING


def test_pages_follow_each_other_and_know_the_calls_of_the_page_before(instance: Instance) -> None:
    for number in range(6):
        receive(instance, ANNA, f"{number}", at=number)
    call(instance, ANNA, "reply to all", at=10)
    receive(instance, BERT, "silent", at=11)
    first = list_received(instance, limit=4)
    assert [row.message.body for row in first.rows] == ["silent", "5", "4", "3"]
    second = list_received(instance, limit=4, before=first.next_before)
    assert [row.message.body for row in second.rows] == ["2", "1", "0"]
    assert {row.response.state for row in second.rows} == {ResponseState.RESPONDED}
    assert list_received(instance, before=1).next_before is None
    assert list_received(instance, limit=4, before=2**31 - 1) == first
    assert states(instance, response=ResponseState.NONE, before=first.next_before) == []


def fill(instance: Instance, count: int, *, responds: bool) -> None:
    """`count` messages of 100 chats; with `responds` every second one is the bot's response to the one before."""
    chats = Chat.objects.bulk_create(
        Chat(instance=instance, chat_id=f"4915{number:09}@c.us", name=f"{number}") for number in range(100)
    )
    Message.objects.bulk_create(
        (
            Message(
                instance=instance,
                number=number,
                message_id=f"{number}",
                chat=chats[(number - 1) // 2 % 100],
                author=chats[(number - 1) // 2 % 100].chat_id,
                body=f"{number}",
                from_me=responds and number % 2 == 0,
                by_api=responds and number % 2 == 0,
                queue_number=number if responds and number % 2 == 0 else None,
                queued_at=START + timedelta(seconds=number) if responds and number % 2 == 0 else None,
                time=START + timedelta(seconds=number),
            )
            for number in range(1, count + 1)
        ),
        batch_size=5000,
    )


def test_a_page_reads_a_bounded_part_of_the_messages_by_their_index(instance: Instance) -> None:
    """Of any number of messages, 5,000 are read, and the next page continues there."""
    fill(instance, 6000, responds=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE instances_message")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = list_received(instance, response=ResponseState.NONE)
    assert (page.rows, page.next_before) == ([], 1001)
    assert page.looked_until == START + timedelta(seconds=1001)
    walks = [query["sql"] for query in queries if '"number" >=' in query["sql"]]
    assert len(walks) == responses.MOST_NUMBERS // responses.NUMBERS_AT_ONCE
    assert len(queries) == len(walks) + 1
    for sql in walks:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
            plan = json.dumps(cursor.fetchone()[0])
        assert '"Index Name": "instances_message_number"' in plan
        assert "Seq Scan" not in plan and '"Sort"' not in plan
    last = list_received(instance, response=ResponseState.NONE, before=page.next_before)
    assert (last.rows, last.next_before) == ([], None)


def test_of_a_bot_that_gets_nothing_the_hooks_of_500_messages_are_read(instance: Instance) -> None:
    fill(instance, 1500, responds=False)
    with CaptureQueriesContext(connection) as queries:
        page = list_received(instance, response=ResponseState.NONE)
    assert (page.rows, page.next_before) == ([], 1001)
    assert len(queries) <= 2 + 6 * responses.MOST_EXAMINED // responses.EXAMINED_AT_ONCE


def test_the_hooks_of_many_messages_are_found_by_their_index(instance: Instance) -> None:
    """PostgreSQL does not see by itself that none of more than 100 ids is empty, as the partial index requires."""
    message, hook = receive(instance, ANNA, "hello", at=0)
    ids = [message.message_id, *(f"{number}" for number in range(150))]
    with CaptureQueriesContext(connection) as queries:
        found = responses.hooks_by_message(instance, ids)
    assert [one.pk for one in found[message.message_id]] == [hook.pk]
    assert (hook.kind, hook.state) == (Kind.MESSAGE, State.DELIVERED)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {queries[-1]['sql']}")
        plan = " ".join(row[0] for row in cursor.fetchall())
    assert "_message" in plan or "endpoint_id_message" in plan
    assert OutgoingQueue.objects.get(instance=instance).length == 0
