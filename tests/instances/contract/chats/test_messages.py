"""`messages` (contract.md §2)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from instances import payloads
from instances.actions.messages import receive_message
from instances.contract.chats import messages as chats_messages
from instances.limits import login_throttle
from instances.models import Instance, Message
from tests.executed_plans import nodes
from tests.factories import InstanceFactory
from tests.instances.contract.conftest import Call

NOON = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
NOON_SECONDS = 1714564800


def receive(instance: Instance, count: int, sender: str = "17680561234") -> None:
    """`count` messages from a contact, one a second from noon; the first makes the chat, the rest are only rows."""
    first = receive_message(instance, sender=sender, body="0", time=NOON)
    for more in range(1, count):
        first.pk, first._state.adding = None, True
        first.number += 1
        first.message_id, first.time = f"{sender}-{more}", NOON + timedelta(seconds=more)
        first.save()
    Instance.objects.filter(pk=instance.pk).update(stored_message_number=first.number)


def numbers(answer: dict[str, list[dict[str, int]]]) -> list[int]:
    return [message["messageNumber"] for message in answer["messages"]]


def test_a_message_looks_as_in_its_hook(get: Call, instance: Instance) -> None:
    message = receive_message(instance, sender="17680561234", sender_name="Anna", body="hello", time=NOON)
    hook = payloads.message_dict(message, chat_id="17680561234@c.us", chat_name="Anna")
    assert [list(item.items()) for item in get("messages")["messages"]] == [[*hook.items(), ("ack", None)]]


def test_the_numbers_after_last_message_number(get: Call, instance: Instance) -> None:
    receive(instance, 5)
    answer = get("messages", lastMessageNumber=2)
    assert (numbers(answer), answer["lastMessageNumber"]) == ([3, 4, 5], 5)
    assert list(answer) == ["messages", "lastMessageNumber"]


def test_a_client_loops_until_the_list_is_empty(get: Call, instance: Instance) -> None:
    receive(instance, 5)
    seen, last = [], 0
    while numbers(answer := get("messages", lastMessageNumber=last, limit=2)):
        seen += numbers(answer)
        last = answer["lastMessageNumber"]
    assert seen == [1, 2, 3, 4, 5]
    assert answer == {"messages": [], "lastMessageNumber": 5}


def test_a_page_has_100_messages_unless_told_otherwise(get: Call, instance: Instance) -> None:
    receive(instance, 103)
    assert numbers(get("messages")) == list(range(1, 101))
    assert numbers(get("messages", limit=101)) == list(range(1, 102))
    assert numbers(get("messages", limit=0)) == list(range(1, 104))


def test_last_gives_the_newest_100_and_beats_last_message_number(get: Call, instance: Instance) -> None:
    receive(instance, 103)
    answer = get("messages", last=1, lastMessageNumber=3)
    assert numbers(answer) == list(range(4, 104))
    assert answer["lastMessageNumber"] == 103


@pytest.mark.parametrize("chat", ["19990001122@c.us", "19990001122"])
def test_one_chat_alone(get: Call, instance: Instance, chat: str) -> None:
    receive(instance, 2)
    receive(instance, 2, sender="19990001122")
    assert numbers(get("messages", chatId=chat)) == [3, 4]
    assert numbers(get("messages", chatId="15550009999@c.us")) == []


def test_a_period_with_both_ends(get: Call, instance: Instance) -> None:
    receive(instance, 5)
    assert numbers(get("messages", min_time=NOON_SECONDS + 1, max_time=NOON_SECONDS + 3)) == [2, 3, 4]


def test_sender_name_is_that_of_the_address_book_else_the_number(get: Call, instance: Instance) -> None:
    group = "15550001111-1479621234@g.us"
    for sender, name, where in [
        ("17680561234", "", None), ("17680561234", "Ann", None), ("17680561234", "", None), ("17680561234", "", group),
        ("17472822486", "", group),
    ]:  # fmt: skip
        receive_message(instance, sender=sender, sender_name=name, chat_id=where, body="hello")
    receive_message(instance, sender="17680561234", type="call_log")
    names = [message["senderName"] for message in get("messages")["messages"]]
    assert names == ["17680561234", "Ann", "Ann", "Ann", "17472822486", "Ann"]


@pytest.mark.parametrize("time", [f"{NOON_SECONDS + 3}.8141592", NOON_SECONDS + 3.9])
def test_a_time_with_a_fraction_as_python_has_it(get: Call, instance: Instance, time: object) -> None:
    receive(instance, 5)
    assert numbers(get("messages", min_time=time)) == [4, 5]
    assert numbers(get("messages", max_time=time)) == [1, 2, 3, 4]


def test_a_fraction_in_json_too(post: Call, instance: Instance) -> None:
    receive(instance, 5)
    assert numbers(post("messages", min_time=NOON_SECONDS + 3.9)) == [4, 5]


@pytest.mark.parametrize("ever", [9_999_999_999, 253_402_300_799])
def test_max_time_for_ever(get: Call, instance: Instance, ever: int) -> None:
    receive(instance, 2)
    assert numbers(get("messages", max_time=ever)) == [1, 2]
    assert numbers(get("messages", min_time=ever)) == []


def test_a_phone_number_as_last_message_number_beside_last(get: Call, instance: Instance) -> None:
    receive(instance, 2)
    assert numbers(get("messages", lastMessageNumber=6281234567890, last=1)) == [1, 2]
    later = get("messages", lastMessageNumber=6281234567890)
    assert later == {"messages": [], "lastMessageNumber": 6281234567890}


@pytest.mark.parametrize("word", ["undefined", "null", "None"])
def test_a_variable_without_a_value_is_as_if_it_had_not_come(
    get: Call, instance: Instance, word: str
) -> None:
    receive(instance, 2)
    assert numbers(get("messages", lastMessageNumber=word, limit=word, max_time=word)) == [1, 2]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("limit=-1", [1, 2, 3]),
        ("limit=many", [1, 2, 3]),
        ("limit=99999999999999999999", [1, 2, 3]),
        ("lastMessageNumber=1.5", [2, 3]),
        ("lastMessageNumber=-1", [1, 2, 3]),
        ("min_time=4102444800000", []),  # milliseconds, in the year 2100
        ("min_time=noon", [1, 2, 3]),
        ("max_time=-1", [1, 2, 3]),
        ("last=maybe", [1, 2, 3]),
        ("chatId=x", []),
        ("chatId=" + "x" * 101, []),
    ],
)
def test_an_argument_that_cannot_be_read_does_not_stop_a_poller(
    client: Client, instance: Instance, argument: str, expected: list[int]
) -> None:
    receive(instance, 3)
    response = client.get(f"/instance12345/messages?token=secret&{argument}")
    assert (response.status_code, numbers(response.json())) == (200, expected)


def test_an_empty_argument_is_as_if_it_had_not_come(get: Call, instance: Instance) -> None:
    receive(instance, 2)
    assert numbers(get("messages", lastMessageNumber="", limit="", chatId="", min_time="")) == [1, 2]


def test_another_instances_messages_are_not_there(get: Call, instance: Instance) -> None:
    receive(InstanceFactory(owner__email="bob@example.org"), 2)
    assert get("messages") == {"messages": [], "lastMessageNumber": 0}
    assert Message.objects.count() == 2


def test_a_page_takes_one_query_after_the_token(
    client: Client, instance: Instance, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    receive(instance, 50)
    login_throttle.reset()  # the first call with this token
    with django_assert_num_queries(2):
        client.get("/instance12345/messages?token=secret")


def test_a_page_is_found_by_the_index_of_numbers_alone(instance: Instance) -> None:
    """Only rows of the page are read, so a million messages cost the same as a thousand."""
    receive(instance, 1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE instances_message")
    conditions = [("message.instance_id = %s", [instance.pk]), ("message.number > %s", [500])]
    sql, parameters = chats_messages.page_query(conditions, 100, newest=False)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT json) {sql}", parameters)
        (plan,) = cursor.fetchone()[0]
    scans = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "instances_message"]
    assert [(scan["Node Type"], scan["Index Name"], scan["Actual Rows"]) for scan in scans] == [
        ("Index Scan", "instances_message_number", 100)
    ]
    assert not any(node["Node Type"] == "Sort" for node in nodes(plan["Plan"]))
    assert "Rows Removed by Filter" not in scans[0]


@pytest.mark.django_db
def test_a_page_has_the_bytes_of_the_hooks(client: Client, instance: Instance) -> None:
    """PostgreSQL writes pages, Python writes hooks. Only `"ack":null` is added to incoming messages."""
    odd = 'ü "quoted" \\ / \b\f\n\r\t\x01\x1f\x7f\u2028 \U0001f600 <b>&\'</b>'
    receive(instance, 8)
    rows = list(Message.objects.select_related("chat").order_by("number"))
    changed: list[dict[str, Any]] = [
        {"body": odd, "sender_name": odd, "forwarded": 3},
        {"caption": odd, "type": "image"},
        {"caption": "", "sender_name": ""},
        {"quoted": {"id": "false_1@c.us_A", "body": odd, "type": "chat"}},
        {"metadata": {"mentionedPhones": ["1", odd], "a": [1.5, True, None, {}], "": {"b": "c: d, e"}}},
        {"metadata": {}, "from_me": True, "by_api": True, "ack": 3, "author": "abc"},
        {"from_me": True, "ack": None},
        {"time": datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC), "from_me": True, "ack": 1},
    ]
    for row, changes in zip(rows, changed, strict=True):
        Message.objects.filter(pk=row.pk).update(**changes)
    shown = []
    for row in Message.objects.select_related("chat").order_by("number"):
        data = payloads.message_dict(row, chat_id=row.chat.chat_id, chat_name=row.chat.name)
        shown.append({**data, "ack": data.get("ack")})
    expected = payloads.encode({"messages": shown, "lastMessageNumber": 8})
    response = client.get("/instance12345/messages?token=secret")
    assert response.content == expected
    assert response.headers["Content-Type"] == "application/json"
    newest_first = payloads.encode({"messages": shown[::-1], "page": 0})
    assert client.get("/instance12345/messagesHistory?token=secret").content == newest_first


def test_long_texts_come_in_several_answers(
    get: Call, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(instance, 7)
    Message.objects.update(body="x" * 40)
    monkeypatch.setattr(chats_messages, "MAX_TEXT", 100)
    assert numbers(get("messages", limit=0)) == [1, 2]
    assert numbers(get("messages", limit=0, lastMessageNumber=2)) == [3, 4]
    assert numbers(get("messages", limit=0, last=1)) == [6, 7]
    Message.objects.update(body="x" * 400)  # always at least one, or a client could never continue
    assert numbers(get("messages", limit=0)) == [1]


@pytest.mark.parametrize("limit", [0, 4, 5, 6, 100])
def test_messages_that_are_fetched_in_parts_are_all_there(
    get: Call, instance: Instance, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    receive(instance, 6)
    monkeypatch.setattr(chats_messages, "CHUNK", 2)
    assert numbers(get("messages", limit=limit)) == list(range(1, (min(limit, 6) or 6) + 1))
    assert numbers(get("messages", limit=limit, last=1)) == list(range(7 - (min(limit, 6) or 6), 7))
