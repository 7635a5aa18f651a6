"""bulk_insert.insert(): the rows equal those that save() would have stored, or none is stored."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, connection, transaction

from hooks.models import Endpoint, Hook, Kind, State
from hooks.sql import bulk_insert
from instances.models import Ack, Chat, Instance, Message
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


def messages(*fields: dict[str, Any]) -> list[Message]:
    """Inserts one message for each set of fields; returns them as read from the database."""
    instance = Instance.objects.first() or InstanceFactory()
    chat, _ = Chat.objects.get_or_create(instance=instance, chat_id="1@c.us")
    rows = [
        Message(instance=instance, chat=chat, number=number, message_id=f"m{number}", author="1@c.us", **each)
        for number, each in enumerate(fields, 1)
    ]
    bulk_insert.insert(rows)
    return [Message.objects.get(pk=row.pk) for row in rows]


def test_json_values_equal_in_python_stay_different() -> None:
    made = messages(*({"metadata": {"n": value}} for value in (1, True, 1.0)))
    assert [repr(message.metadata) for message in made] == ["{'n': 1}", "{'n': True}", "{'n': 1.0}"]


def test_the_same_json_in_all_rows() -> None:
    made = messages({"metadata": {"a": [None, 'ü\\"']}}, {"metadata": {"a": [None, 'ü\\"']}})
    assert [message.metadata for message in made] == [{"a": [None, 'ü\\"']}] * 2


def test_missing_json_is_null_with_and_without_other_json() -> None:
    made = messages({"metadata": {"n": None}}, {"metadata": None}, {})
    assert [message.metadata for message in made] == [{"n": None}, None, None]
    assert Message.objects.filter(metadata__isnull=True).count() == 2
    messages_alone = Message.objects.filter(quoted__isnull=True).count()
    assert messages_alone == 3


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("same", [True, False])
def test_a_text_that_is_too_long_is_rejected_not_truncated(count: int, same: bool) -> None:
    long = [{"sender_name": "x" * 201 + ("" if same else str(number))} for number in range(count)]
    with pytest.raises(DataError), transaction.atomic():
        messages(*long)
    assert not Message.objects.exists()


def test_texts_with_all_allowed_characters() -> None:
    texts = ["", "NULL", "null", "\\N", "\\u0041", '"', "'", "a\nb\tc\x01\x7f", "\u2028😀ü", "x" * 300_000]
    made = messages(*({"body": text} for text in texts))
    assert [message.body for message in made] == texts


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_invalid_characters_are_rejected_and_nothing_is_stored(text: str) -> None:
    for fields in ([{"body": text}], [{"body": text}, {"body": "b"}]):
        with pytest.raises((DataError, ValueError)), transaction.atomic():
            messages(*fields)
    assert not Message.objects.exists()


def test_bodies_are_the_exact_bytes_and_keys_are_ascending(endpoint: Endpoint) -> None:
    at = datetime(2024, 5, 1, 12, 0, 0, 1, tzinfo=UTC)
    bodies = [b"", b"\x00\xff\\x41", b"{}", b"a" * 3_000_000]
    hooks = [
        Hook(endpoint=endpoint, kind=Kind.ACK, body=body, created_at=at, state=State.QUEUED)
        for body in bodies
    ]
    bulk_insert.insert(hooks)
    keys = [hook.pk for hook in hooks]
    assert keys == sorted(keys)
    found = [Hook.objects.get(pk=key) for key in keys]
    assert [bytes(hook.body) for hook in found] == bodies
    assert [(hook.created_at, hook.last_answer, hook.public_id) for hook in found] == [
        (at, "", hook.public_id) for hook in hooks
    ]


def test_any_number_of_rows_is_one_statement(endpoint: Endpoint, django_assert_num_queries: Any) -> None:
    hooks = [Hook(endpoint=endpoint, kind=Kind.ACK, body=b"{}") for _ in range(300)]
    with django_assert_num_queries(1, connection=connection):
        bulk_insert.insert(hooks)
    assert Hook.objects.count() == 300
    assert {hook._state.adding for hook in hooks} == {False}


def test_numbers_and_nulls_in_one_insert() -> None:
    made = messages({"from_me": True, "ack": Ack.SENT, "queue_number": 7}, {"caption": "c"}, {"ack": None})
    assert [(m.from_me, m.ack, m.queue_number, m.caption) for m in made] == [
        (True, 1, 7, None), (False, None, None, "c"), (False, None, None, None),
    ]  # fmt: skip
