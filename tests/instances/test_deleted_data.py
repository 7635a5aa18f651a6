"""Deleting an instance: the request touches a few rows only, and a task deletes its data in small transactions."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actions.keys import issue_key
from chatapi.account_data.deletion import delete_everything
from hooks.models import Hook, Outcome
from instances.actions import deleted_data, lifecycle
from instances.actions.lifecycle import create_instance, delete_instance
from instances.models import (
    Chat,
    DeletedInstance,
    Instance,
    Label,
    Media,
    MembershipChange,
    Message,
    OutgoingMessage,
    Participant,
    QueuedAction,
    SandboxContact,
    SandboxReceipt,
    SendingTry,
    StatusChange,
    TryResult,
)
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
MESSAGES = 5_000
DATA: list[type[models.Model]] = [
    Message, OutgoingMessage, SendingTry, QueuedAction, SandboxReceipt, SandboxContact, StatusChange, Chat, Label,
    Media, Participant, MembershipChange, Hook,
]  # fmt: skip
NAMES = re.compile("|".join(rf'"?\b{model._meta.db_table}\b"?' for model in [*DATA, Chat.labels.through]))


def fill(instance: Instance, messages: int = MESSAGES) -> None:
    """Gives the instance 10 chats, and messages, hooks and more rows of each kind."""
    chats = Chat.objects.bulk_create(
        Chat(instance=instance, chat_id=f"{number}@c.us", is_group=number % 2 == 0) for number in range(10)
    )
    label = Label.objects.create(instance=instance, name="important")
    chats[0].labels.add(label)
    Participant.objects.create(chat=chats[0], member="1@c.us")
    MembershipChange.objects.create(chat=chats[0], member="1@c.us", at=timezone.now())
    media = Media.objects.create(
        instance=instance, filename="a.txt", extension=".txt", content_type="text/plain", size=1, path="a"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO instances_message (instance_id, number, message_id, chat_id, author, sender_name, type, body,"
            " from_me, by_api, forwarded, time, media_id) SELECT %s, n, 'false_' || n, %s, '', '', 'chat', 'hello',"
            " false, false, 0, clock_timestamp(), %s FROM generate_series(1, %s) AS n",
            [instance.pk, chats[1].pk, media.pk, messages],
        )
        cursor.execute(
            "INSERT INTO hooks_hook (public_id, endpoint_id, kind, body, message, chat, state, skip_reason, simulated,"
            " to_url, trigger, attempts_made, attempts_allowed, claim, created_at, last_outcome, last_host)"
            " SELECT gen_random_uuid(), %s, 'message', '', '', '', 'queued', '', false, '', 'event', 0, 1, 0,"
            " clock_timestamp(), '', '' FROM generate_series(1, %s)",
            [instance.endpoint.pk, messages],
        )
        cursor.execute(
            "INSERT INTO instances_statuschange (instance_id, account_status, substatus, at) SELECT %s, 'loading',"
            " 'normal', clock_timestamp() FROM generate_series(1, %s)",
            [instance.pk, messages],
        )
    OutgoingMessage.objects.create(
        instance=instance, queue_number=1, message_id="true_1", chat_id="1@c.us", body="hello", media=media
    )
    SandboxReceipt.objects.create(instance=instance, message_id="true_1", chat_id="1@c.us", ack=1)
    SendingTry.objects.create(
        instance=instance,
        message_id="true_1",
        queue_number=1,
        number=1,
        started_at=timezone.now(),
        method="POST",
        url="https://messenger.example/messages",
        outcome=Outcome.TIMEOUT,
        result=TryResult.RETRY,
    )


@pytest.fixture
def alices() -> Instance:
    instance = InstanceFactory(owner=AccountFactory(email="alice@example.org"), url="http://bot.example/hook")
    fill(instance)
    return instance


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(deleted_data.time, "sleep", lambda seconds: None)
    yield


def statements_on_data(captured: CaptureQueriesContext) -> list[str]:
    """Returns the statements that name a table with the data of instances."""
    return [query["sql"] for query in captured.captured_queries if NAMES.search(query["sql"])]


def rows_of(instance_key: int) -> dict[str, int]:
    """Returns how many rows each table has of the instance, without the tables that have none."""
    found = {}
    for model in DATA:
        column = {
            "Hook": "endpoint_id",
            "Participant": "chat__instance_id",
            "MembershipChange": "chat__instance_id",
        }.get(model.__name__, "instance_id")
        manager: Any = model._default_manager
        if number := manager.filter(**{column: instance_key}).count():
            found[model.__name__] = number
    return found


def test_the_statements_of_the_data_are_recognised(alices: Instance) -> None:
    with CaptureQueriesContext(connection) as captured:
        alices.messages.count()
        list(alices.chats.all())
    assert len(statements_on_data(captured)) == 2


def test_the_request_touches_none_of_the_data(alices: Instance) -> None:
    key = alices.pk
    with CaptureQueriesContext(connection) as captured:
        delete_instance(alices, acting_user=None)
    assert statements_on_data(captured) == []
    assert len(captured.captured_queries) < 40
    assert rows_of(key)["Message"] == MESSAGES


def test_neither_does_the_deletion_of_the_account(alices: Instance) -> None:
    alice = alices.owner
    with CaptureQueriesContext(connection) as captured:
        delete_everything(alice, acting_user=alice.owner)
    assert statements_on_data(captured) == []
    deleted_data.drop()
    assert not Message.objects.exists()


def test_the_instance_is_gone_at_once(client: Client, alices: Instance) -> None:
    alice, number, token = alices.owner, alices.number, alices.token
    media = Media.objects.get()
    group = Chat.objects.filter(is_group=True).first()
    assert group is not None
    group.invite_code = "abcdefghijklmnopqrstuv"
    group.save()
    _, key = issue_key(alice, acting_user=None)
    headers = {"Authorization": f"Bearer {key}"}
    client.force_login(alice.owner)
    urls = [f"/instances/{number}/", f"/instances/{number}/messages/", f"/log/?instance={number}"]
    assert client.get(f"/instance{number}/status?token={token}").status_code == 200
    assert [client.get(url).status_code for url in urls] == [200, 200, 200]
    assert Chat.objects.with_invite_code(group.invite_code).exists()
    assert Media.objects.served(timezone.now()).filter(pk=media.pk).exists()
    delete_instance(alices, acting_user=None)
    assert client.get(f"/instance{number}/status?token={token}").status_code in (401, 403, 404)
    assert [client.get(url).status_code for url in urls[:2]] == [404, 404]
    assert client.get(f"/api/v1/instances/{number}/", headers=headers).status_code == 404
    assert client.get("/api/v1/hooks/", headers=headers).json()["results"] == []
    assert client.get(media.link.removeprefix("http://localhost:8000")).status_code == 404
    assert not Chat.objects.with_invite_code(group.invite_code).exists()


def test_the_task_deletes_everything_and_nothing_else(
    alices: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleted_data, "BATCH", 1_000)
    bobs = InstanceFactory()
    fill(bobs, 10)
    before, key = rows_of(bobs.pk), alices.pk
    delete_instance(alices, acting_user=None)
    with CaptureQueriesContext(connection) as captured:
        deleted_data.drop()
    assert set(rows_of(key)) == {"Hook"}  # another task
    assert rows_of(bobs.pk) == before
    deletes = [
        query["sql"] for query in captured.captured_queries if "DELETE FROM instances_message" in query["sql"]
    ]
    assert len(deletes) == MESSAGES / 1_000


def test_a_row_that_is_stored_late_is_found(alices: Instance) -> None:
    key = alices.pk
    delete_instance(alices, acting_user=None)
    deleted_data.drop()
    StatusChange.objects.create(instance_id=key, account_status="loading")
    deleted_data.drop()
    assert not StatusChange.objects.exists()
    assert DeletedInstance.objects.get().dropped_at is None
    DeletedInstance.objects.update(deleted_at=timezone.now() - timedelta(minutes=11))
    deleted_data.drop()
    assert DeletedInstance.objects.get().dropped_at is not None


def test_a_run_that_is_over_is_continued_by_the_next(
    alices: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleted_data, "BATCH", 1_000)
    key = alices.pk
    delete_instance(alices, acting_user=None)
    assert deleted_data.drop(seconds=0) == "1000 rows of 1 deleted instances dropped, more are left"
    assert rows_of(key)["Message"] == MESSAGES - 1_000
    deleted_data.drop()
    assert "Message" not in rows_of(key)


def test_its_number_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, taken = InstanceFactory(number=111), InstanceFactory(number=222)
    delete_instance(gone, acting_user=None)
    numbers = iter([111, taken.number, 333])
    monkeypatch.setattr(lifecycle, "new_number", lambda: next(numbers))
    assert create_instance(taken.owner).number == 333


@pytest.mark.parametrize("model", deleted_data.TABLES)
def test_a_batch_is_found_by_an_index(alices: Instance, model: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {model._meta.db_table}")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN SELECT id FROM {model._meta.db_table} WHERE instance_id = %s LIMIT 2000",
            [alices.pk + 1],
        )
        assert "Seq Scan" not in "\n".join(row[0] for row in cursor.fetchall())
