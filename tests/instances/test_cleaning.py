"""Cleaning an instance: the request deletes some rows, a task the others in small transactions; new ones stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from hooks.models import Outcome
from instances.actions import cleaning
from instances.actions.cleaning import clean_instance
from instances.actions.lifecycle import delete_instance, link_sandbox
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.api.serializers.instances import InstanceSerializer
from instances.channels.sandbox.actions.reset import reset_sandbox
from instances.maintenance import conservation
from instances.models import (
    Chat,
    Instance,
    Label,
    Message,
    OutgoingMessage,
    OutgoingQueue,
    SendingTry,
    SendState,
    TryResult,
)
from tests.factories import InstanceFactory
from tests.product import ROOT, database_url, product_environment

MESSAGES = 20_000
CHATS = 10
DATA: tuple[type[models.Model], ...] = (Message, OutgoingMessage, SendingTry, Chat, Label)
# Ends inside a transaction that has deleted rows, and waits to be killed.
KILLED = """
import time
import django
django.setup()
from instances.actions import cleaning

delete_batch, batches = cleaning.delete_batch, []

def count_and_wait(*arguments):
    deleted = delete_batch(*arguments)
    batches.append(deleted)
    if len(batches) == 3:
        print("deleting", flush=True)
        time.sleep(3600)
    return deleted

cleaning.delete_batch = count_and_wait
cleaning.clean()
"""


@pytest.fixture
def instance() -> Instance:
    """An instance with messages, each third one sent by the API and with a try; one waits and one has failed."""
    made: Instance = InstanceFactory()
    chats = Chat.objects.bulk_create(
        Chat(instance=made, chat_id=f"1768056{number:04}@c.us", stored_unread=100) for number in range(CHATS)
    )
    label = Label.objects.create(instance=made, name="important")
    chats[0].labels.add(label)
    Message.objects.bulk_create(
        (
            Message(
                instance=made, number=number, message_id=f"message {number}", chat=chats[number % CHATS],
                author="17680560000@c.us", from_me=number % 3 == 0,
                queue_number=number // 3 if number % 3 == 0 else None,
            )
            for number in range(1, MESSAGES + 1)
        ),
        batch_size=5_000,
    )  # fmt: skip
    SendingTry.objects.bulk_create(
        (
            SendingTry(
                instance=made, message_id=f"message {number}", queue_number=number // 3, number=1,
                started_at=timezone.now(), outcome=Outcome.OK, result=TryResult.SENT,
            )
            for number in range(3, MESSAGES + 1, 3)
        ),
        batch_size=5_000,
    )  # fmt: skip
    Instance.objects.filter(pk=made.pk).update(stored_message_number=MESSAGES)
    OutgoingQueue.objects.filter(pk=made.pk).update(last_number=MESSAGES // 3)
    for body in ("failed", "waits"):
        send_message(made, chat_id="17680560000", body=body)
    OutgoingMessage.objects.filter(body="failed").update(state=SendState.FAILED, failed_at=timezone.now())
    OutgoingQueue.objects.filter(pk=made.pk).update(length=1)
    assert_nothing_lost()
    made.refresh_from_db()
    return made


def assert_nothing_lost() -> None:
    wrong = [str(found) for found in conservation.totals() if not found.is_right]
    assert not wrong, wrong


def assert_clean(instance: Instance) -> None:
    for model in DATA:
        assert not model._default_manager.filter(instance=instance).exists(), model
    assert Instance.objects.get(pk=instance.pk).cleaning is None
    assert OutgoingQueue.objects.get(pk=instance.pk).length == 0
    assert_nothing_lost()


@pytest.mark.django_db
def test_the_request_deletes_what_waits_and_some_other_rows(instance: Instance) -> None:
    clean_instance(instance, acting_user=None)
    left = sum(model._default_manager.filter(instance=instance).count() for model in (Message, SendingTry))
    assert 0 < left < MESSAGES * 4 // 3
    assert not OutgoingMessage.objects.exists()
    assert [task.func() for task in OrmQ.objects.all()] == ["instances.actions.cleaning.clean"]
    assert_nothing_lost()
    cleaning.clean()
    assert_clean(instance)
    assert cleaning.clean() == "0 rows of cleaned instances deleted"


@pytest.mark.django_db
def test_what_comes_after_the_cleaning_stays_with_its_chat(instance: Instance) -> None:
    clean_instance(instance, acting_user=None)
    link_sandbox(instance)
    for sender in ("17680560000", "17680569999"):
        receive_message(instance, sender=sender, body="new")
    send_message(instance, chat_id="17680560000", body="new")
    assert Chat.objects.get(chat_id="17680560000@c.us").unread == 101
    cleaning.clean()
    assert [chat.unread for chat in Chat.objects.order_by("pk")] == [1, 1]
    assert list(Message.objects.order_by("number").values_list("number", "body")) == [
        (MESSAGES + 1, "new"),
        (MESSAGES + 2, "new"),
    ]
    assert set(Chat.objects.values_list("chat_id", flat=True)) == {
        "17680560000@c.us",
        "17680569999@c.us",
    }
    assert OutgoingMessage.objects.get().body == "new"
    assert Instance.objects.get().cleaning is None
    assert_nothing_lost()
    receive_message(instance, sender="17680560000", body="newer")
    assert Chat.objects.get(chat_id="17680560000@c.us").unread == 2


@pytest.mark.django_db
def test_pages_and_rest_say_so_until_it_is_done(instance: Instance, client: Client) -> None:
    client.force_login(instance.owner.owner)
    pages = [reverse(name, args=[instance.number]) for name in ("instances:detail", "instances:messages")]

    def shown() -> set[bool]:
        of_pages = {"are being deleted" in client.get(page).content.decode() for page in pages}
        return of_pages | {InstanceSerializer(Instance.objects.get(pk=instance.pk)).data["cleaning"]}

    assert shown() == {False}
    clean_instance(instance, acting_user=None)
    assert shown() == {True}
    cleaning.clean()
    assert shown() == {False}


@pytest.mark.django_db
def test_instances_take_turns(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with few rows does not wait for one with many."""
    other: Instance = InstanceFactory()
    Label.objects.bulk_create(Label(instance=other, name=str(number)) for number in range(cleaning.BATCH + 1))
    for each in (instance, other):
        clean_instance(each, acting_user=None)
    clean_batch = cleaning.clean_batch
    turns: list[int] = []

    def note_turn(key: int) -> int:
        turns.append(key)
        return clean_batch(key)

    monkeypatch.setattr(cleaning, "clean_batch", note_turn)
    cleaning.clean()
    assert turns[:4] == [instance.pk, other.pk] * 2
    assert set(turns[4:]) == {instance.pk}
    for each in (instance, other):
        assert_clean(each)


@pytest.mark.django_db
def test_a_run_that_has_no_time_left_queues_the_next_one(instance: Instance) -> None:
    clean_instance(instance, acting_user=None)
    OrmQ.objects.all().delete()
    assert cleaning.clean(seconds=0) == f"{cleaning.BATCH} rows of cleaned instances deleted, more are left"
    assert OrmQ.objects.count() == 1


@pytest.mark.django_db
def test_a_cleaning_that_began_before_an_upgrade_is_finished(instance: Instance) -> None:
    """The upgrade has added a table at the end."""
    clean_instance(instance, acting_user=None)
    assert instance.cleaning is not None
    instance.cleaning.pop()
    instance.save(update_fields=["cleaning"])
    reset_sandbox(instance)
    cleaning.clean()
    assert not Chat.objects.exists()
    assert Label.objects.count() == 1

    clean_instance(instance, acting_user=None)
    assert_clean(instance)


@pytest.mark.django_db
def test_a_deletion_of_the_instance_ends_it(instance: Instance) -> None:
    clean_instance(instance, acting_user=None)
    delete_instance(instance, acting_user=None)
    assert cleaning.clean() == "0 rows of cleaned instances deleted"


@pytest.mark.django_db
def test_the_reset_of_a_sandbox_keeps_labels(instance: Instance) -> None:
    reset_sandbox(instance)
    assert Instance.objects.get().cleaning is not None
    cleaning.clean()
    assert not Message.objects.exists() and not Chat.objects.exists()
    assert Label.objects.count() == 1
    assert_nothing_lost()


@pytest.mark.django_db(transaction=True)
def test_a_task_that_is_killed_in_the_middle_loses_no_count_and_is_continued(
    instance: Instance, tmp_path: Path
) -> None:
    clean_instance(instance, acting_user=None)
    before = Message.objects.count()
    environment = product_environment(tmp_path, DATABASE_URL=database_url()) | {
        "SECRETS_KEY": ",".join(settings.SECRETS_KEY),
        "DJANGO_SETTINGS_MODULE": "chatapi.settings",
    }
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    with killed:
        assert killed.stdout
        assert killed.stdout.readline() == "deleting\n"
        killed.kill()
    assert Message.objects.count() == before - 2 * cleaning.BATCH
    assert_nothing_lost()
    cleaning.clean()
    assert_clean(instance)
