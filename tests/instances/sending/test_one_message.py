"""One message of the API is cancelled or resent; none is lost or sent twice, also while a sender works."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.audit import AuditAction, AuditEntry
from hooks.actions.hooks import NotPossible
from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending import accept
from instances.actions.sending.accept import QueueFull, send_message
from instances.actions.sending.forwarding import delete_message
from instances.actions.sending.one_message import cancel_message, resend_message
from instances.channels.base import Channel
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Link, Request
from instances.channels.xmpp.channel import XmppChannel
from instances.maintenance.conservation import totals
from instances.models import (
    Instance,
    Media,
    Message,
    MessageType,
    OutgoingMessage,
    OutgoingQueue,
    SendState,
)
from instances.sending import claims, outgoing
from tests.factories import InstanceFactory, fail_message
from tests.instances.test_concurrency import THREADS, TIMES, run_in_threads

ANNA = "17680561234@c.us"
pytestmark = pytest.mark.django_db


@pytest.fixture
def three(instance: Instance) -> list[OutgoingMessage]:
    return [send_message(instance, chat_id=ANNA, body=text) for text in ("first", "second", "third")]


def assert_nothing_is_lost() -> None:
    for total in totals():
        assert total.is_right, str(total)


def audit_entries() -> list[tuple[str, str, dict[str, int]]]:
    found = AuditEntry.objects.filter(action__startswith="instance.message_").order_by("pk")
    return list(found.values_list("action", "actor_text", "detail"))


def send_all() -> list[str]:
    """Sends every queue; returns the texts of all sent messages, in order."""
    while outgoing.send_due():
        pass
    return list(Message.objects.order_by("number").values_list("body", flat=True))


def test_one_message_is_cancelled_and_the_others_are_sent(
    instance: Instance, three: list[OutgoingMessage]
) -> None:
    alice = instance.owner.owner
    cancel_message(instance, message_id=three[1].message_id, acting_user=alice)
    assert OutgoingQueue.objects.get().length == 2
    assert_nothing_is_lost()
    assert send_all() == ["first", "third"]
    assert_nothing_is_lost()
    assert audit_entries() == [
        (AuditAction.MESSAGE_CANCELLED, alice.email, {"queue_number": three[1].queue_number})
    ]


def test_the_request_for_a_deletion_is_cancelled(instance: Instance, three: list[OutgoingMessage]) -> None:
    send_all()
    sent = Message.objects.get(body="second")
    cancel_message(instance, message_id=delete_message(instance, message_id=sent.message_id).message_id)
    send_all()
    sent.refresh_from_db()
    assert sent.deleted_at is None
    assert_nothing_is_lost()


def test_a_message_that_is_being_sent_is_not_cancelled(
    instance: Instance, three: list[OutgoingMessage]
) -> None:
    with outgoing.owner() as (session, me):
        claims.own(session, me, [instance.pk])
        claims.take(session, me, [instance.pk], [three[0].pk])
    with pytest.raises(NotPossible, match="being sent now"):
        cancel_message(instance, message_id=three[0].message_id)
    OutgoingMessage.objects.filter(pk=three[1].pk).update(state=SendState.SENDING)
    with pytest.raises(NotPossible, match="being sent now"):
        cancel_message(instance, message_id=three[1].message_id)
    assert OutgoingQueue.objects.get().length == 3
    assert audit_entries() == []


def test_a_message_that_waits_for_its_next_try_is_cancelled(
    instance: Instance, three: list[OutgoingMessage]
) -> None:
    now = timezone.now()
    OutgoingMessage.objects.filter(pk=three[0].pk).update(
        tries=1, last_try_at=now, next_try_at=now + timedelta(seconds=1)
    )
    cancel_message(instance, message_id=three[0].message_id)
    assert send_all() == ["second", "third"]


def test_a_message_that_is_not_in_the_queue_is_not_cancelled(
    instance: Instance, three: list[OutgoingMessage]
) -> None:
    fail_message(three[0])
    with pytest.raises(NotPossible, match="has failed already"):
        cancel_message(instance, message_id=three[0].message_id)
    send_all()
    with pytest.raises(NotPossible, match="was sent already"):
        cancel_message(instance, message_id=three[1].message_id)
    with pytest.raises(UnknownMessage, match="no message with the id nothing in the queue"):
        cancel_message(instance, message_id="nothing")
    other = InstanceFactory()
    with pytest.raises(UnknownMessage):
        cancel_message(other, message_id=three[0].message_id)
    assert_nothing_is_lost()


def test_a_failed_message_is_resent_as_the_last_and_keeps_its_id(
    instance: Instance, three: list[OutgoingMessage]
) -> None:
    alice = instance.owner.owner
    fail_message(three[0], reason="blocked", tries=3, maybe_twice=True)
    resent = resend_message(instance, message_id=three[0].message_id, acting_user=alice)
    resent.refresh_from_db()
    assert (resent.message_id, resent.queue_number) == (three[0].message_id, 4)
    assert (resent.state, resent.failed_at, resent.reason, resent.tries) == (SendState.QUEUED, None, "", 0)
    assert resent.maybe_twice  # an earlier try may have reached the recipient
    assert_nothing_is_lost()
    assert send_all() == ["second", "third", "first"]
    assert Message.objects.get(body="first").message_id == three[0].message_id
    assert_nothing_is_lost()
    assert audit_entries() == [(AuditAction.MESSAGE_RESENT, alice.email, {"queue_number": 4})]


def request_of_next_try(message: OutgoingMessage) -> tuple[str, str]:
    """Returns the last part of the URL and the body of what a sender would send to an XMPP connection now."""
    message.refresh_from_db()
    message.tries += 1  # as the claim does
    prepared = XmppChannel().prepare(
        message_to_send(message, XmppChannel()),
        Link(message.instance.number, "", stream_url="http://127.0.0.1:4000", stream_token="t" * 64),
    )
    assert isinstance(prepared, Request)
    return prepared.url.rpartition("/")[2], prepared.body.decode()


def test_a_resent_message_that_may_have_been_sent_is_looked_for_before_it_is_sent(instance: Instance) -> None:
    """Also if it is resent several times: since its first try."""
    message = send_message(instance, chat_id="xmpp:ann@example.org@c.us", body="once")
    assert request_of_next_try(message)[0] == "message"
    first = message.created_at
    for tries in (1, 0, 2):  # it may fail before its first try, because its file is gone
        fail_message(message, tries=tries)
        message = resend_message(instance, message_id=message.message_id)
        assert message.created_at > first
        action, body = request_of_next_try(message)
        assert action == "message-again"
        assert f'since="{first.isoformat()}"' in body


def test_a_resent_message_that_was_never_tried_is_not_looked_for(instance: Instance) -> None:
    message = send_message(instance, chat_id="xmpp:ann@example.org@c.us", body="once")
    fail_message(message)
    assert request_of_next_try(resend_message(instance, message_id=message.message_id))[0] == "message"


def test_a_message_that_failed_after_it_was_sent_is_resent_under_a_new_id(
    instance: Instance, three: list[OutgoingMessage]
) -> None:
    send_all()
    Message.objects.filter(body="second").update(failed_at=timezone.now(), failure="expired", ack=1)
    first, failed = Message.objects.get(body="first"), Message.objects.get(body="second")
    resent = resend_message(instance, message_id=failed.message_id)
    assert resent.message_id != failed.message_id
    assert send_all() == ["first", "second", "third", "second"]
    failed.refresh_from_db()
    assert failed.failed_at is not None
    assert_nothing_is_lost()
    with pytest.raises(NotPossible, match="Only a failed message"):
        resend_message(instance, message_id=first.message_id)


def test_a_message_that_has_not_failed_is_not_resent(
    instance: Instance, three: list[OutgoingMessage]
) -> None:
    with pytest.raises(NotPossible, match="still in the queue"):
        resend_message(instance, message_id=three[0].message_id)
    with pytest.raises(UnknownMessage):
        resend_message(instance, message_id="nothing")
    with pytest.raises(UnknownMessage):
        resend_message(InstanceFactory(), message_id=three[0].message_id)
    assert audit_entries() == []


def test_a_full_queue_takes_no_resent_message(
    instance: Instance, three: list[OutgoingMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_message(three[0])
    OutgoingQueue.objects.update(length=accept.QUEUE_LIMIT)
    with pytest.raises(QueueFull, match="the queue holds 400 messages"):
        resend_message(instance, message_id=three[0].message_id)
    OutgoingQueue.objects.update(length=2)
    assert_nothing_is_lost()


def test_a_file_that_is_no_longer_kept_is_not_resent(instance: Instance) -> None:
    media = Media.objects.create(instance=instance, filename="a.jpg", extension=".jpg", size=1, path="none")
    message = send_message(
        instance, chat_id=ANNA, body="a.jpg", type=MessageType.IMAGE, caption="", media=media
    )
    fail_message(message)
    media.delete()
    with pytest.raises(NotPossible, match="is no longer kept"):
        resend_message(instance, message_id=message.message_id)
    assert_nothing_is_lost()


def test_messages_are_cancelled_and_resent_while_senders_work(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads add messages, two send, and two cancel or resend what they find; every message ends in one state."""
    instance = InstanceFactory(number=12345)
    channel = type(outgoing.channel_of(instance))
    carry_out = channel.carry_out
    delivered: list[str] = []

    def remember(self: Channel, taken: Sequence[tuple[Instance, OutgoingMessage]]) -> object:
        delivered.extend(message.body for _, message in taken)
        time.sleep(0.01)  # the others find messages that are being sent
        return carry_out(self, taken)

    monkeypatch.setattr(channel, "carry_out", remember)
    expected = [f"{thread} {number}" for thread in (0, 1) for number in range(TIMES)]
    cancelled: list[str] = []
    connected = threading.Barrier(THREADS)
    finished: list[int] = []  # threads that have added all of their messages

    def add(mine: Instance, thread: int) -> None:
        for number in range(TIMES):
            message = send_message(mine, chat_id=ANNA, body=f"{thread} {number}")
            if number % 5 == 0 and OutgoingMessage.objects.filter(pk=message.pk, last_try_at=None).exists():
                fail_if_free(message)

    def work(thread: int) -> None:
        mine = Instance.objects.get(pk=instance.pk)
        connected.wait(60)
        if thread < 2:
            try:
                add(mine, thread)
            finally:
                finished.append(thread)
        elif thread < 4:
            for _ in range(TIMES):
                outgoing.send_due()
        else:
            while len(finished) < 2:
                change(mine, cancelled)

    run_in_threads(work)
    while OutgoingMessage.objects.exists():
        for failed in OutgoingMessage.objects.failed():
            resend_message(instance, message_id=failed.message_id)
        OutgoingQueue.objects.update(next_send_at=timezone.now())
        send_all()
    assert_nothing_is_lost()
    assert sorted(send_all() + cancelled) == sorted(expected)
    assert cancelled
    assert sorted(delivered + cancelled) == sorted(expected)


def fail_if_free(message: OutgoingMessage) -> None:
    """Lets the message fail in one statement, unless a sender has it."""
    failed = OutgoingMessage.objects.filter(pk=message.pk, last_try_at=None).update(
        state=SendState.FAILED, failed_at=timezone.now()
    )
    OutgoingQueue.objects.filter(pk=message.instance_id).shorten(failed)


def change(instance: Instance, cancelled: list[str]) -> None:
    """Cancels the newest waiting message, and resends a failed one."""
    newest = OutgoingMessage.objects.waiting().filter(instance=instance).order_by("-queue_number").first()
    failed = OutgoingMessage.objects.failed().filter(instance=instance).first()
    try:
        if newest is not None:
            cancel_message(instance, message_id=newest.message_id)
            cancelled.append(newest.body)
    except (NotPossible, UnknownMessage):
        pass  # a sender, or the other thread, was first
    try:
        if failed is not None:
            resend_message(instance, message_id=failed.message_id)
    except (NotPossible, UnknownMessage):
        pass
