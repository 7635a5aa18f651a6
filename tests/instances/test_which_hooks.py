"""Which event creates which hooks, in what order, and why some are skipped (contract.md, section 3)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from hooks.models import Hook, State
from instances.actions.lifecycle import link_sandbox
from instances.actions.message_lookup import UnknownMessage
from instances.actions.messages import receive_message, record_ack, type_on_phone
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.models import Chat, Instance, Message
from instances.sending import outgoing
from tests.factories import InstanceFactory
from tests.instances.conftest import Emitted


def kinds(emitted: Emitted) -> list[tuple[str, str]]:
    return [(kind, skip) for kind, skip, _ in emitted()]


def test_a_received_message_from_a_new_contact_and_its_second_one(
    instance: Instance, emitted: Emitted
) -> None:
    receive_message(instance, sender="17680561234", body="hello")
    receive_message(instance, sender="17680561234", body="again")
    assert kinds(emitted) == [("chat", ""), ("message", ""), ("message", "")]
    assert Hook.objects.exclude(state=State.QUEUED).count() == 0


def test_a_contact_who_changes_name(instance: Instance, emitted: Emitted) -> None:
    receive_message(instance, sender="17680561234", sender_name="Anna", body="hello")
    receive_message(instance, sender="17680561234", sender_name="Anna B", body="again")
    assert kinds(emitted) == [("chat", ""), ("message", ""), ("chat", ""), ("message", "")]
    change = emitted()[2][2]
    assert (change["old"]["name"], change["new"]["name"]) == ("Anna", "Anna B")


def test_a_sent_message_creates_a_hook_then_its_acks_with_the_same_id_and_queue_number(
    instance: Instance, emitted: Emitted
) -> None:
    Chat.objects.create(instance=instance, chat_id="17680561234@c.us")
    queued = send_message(instance, chat_id="17680561234", body="hello")
    assert emitted() == []
    outgoing.send_due()
    (message, sent, delivered) = emitted()
    assert (message[0], message[2]["fromMe"], message[2]["self"]) == ("message", True, 1)
    acks = [(kind, item["id"], item["queueNumber"], item["status"]) for kind, _, item in (sent, delivered)]
    assert acks == [
        ("ack", queued.message_id, queued.queue_number, "sent"),
        ("ack", queued.message_id, queued.queue_number, "delivered"),
    ]
    assert Message.objects.get().ack == 2


def test_an_ack_is_never_lowered(instance: Instance, emitted: Emitted) -> None:
    queued = send_message(instance, chat_id="17680561234", body="hello")
    outgoing.send_due()
    before = len(emitted())
    for status in ("sent", "delivered", "viewed", "viewed", "delivered"):
        message = record_ack(instance, message_id=queued.message_id, status=status)
    assert message.ack == 3
    assert [item["status"] for _, _, item in emitted()[before:]] == ["viewed"]


def test_an_ack_of_an_unknown_message(instance: Instance, emitted: Emitted) -> None:
    received = receive_message(instance, sender="17680561234", body="hello")
    before = len(emitted())
    for message_id in ("true_17680561234@c.us_3EB0", received.message_id):
        with pytest.raises(UnknownMessage):
            record_ack(instance, message_id=message_id, status="viewed")
    assert len(emitted()) == before


def test_a_message_typed_on_the_phone_creates_a_hook_and_its_acks_are_skipped(
    instance: Instance, emitted: Emitted
) -> None:
    message = type_on_phone(instance, chat_id="17680561234", body="by hand")
    record_ack(instance, message_id=message.message_id, status="viewed")
    assert kinds(emitted) == [
        ("chat", ""),
        ("message", ""),
        ("ack", "typed_on_phone"),
        ("ack", "typed_on_phone"),
    ]
    item = emitted()[1][2]
    assert (item["fromMe"], item["self"]) == (True, 0)


def test_flags_that_are_off_skip_all_but_messages(instance: Instance, emitted: Emitted) -> None:
    flags = ("ackNotificationsOn", "statusNotificationsOn", "chatUpdateOn")
    change_settings(instance, changes=dict.fromkeys(flags, False))
    send_message(instance, chat_id="17680561234", body="hello")
    outgoing.send_due()
    change_status(instance, substatus="phone")
    assert kinds(emitted) == [
        ("chat", "flag_off"),
        ("message", ""),
        ("ack", "flag_off"),
        ("ack", "flag_off"),
        ("status", "flag_off"),
    ]


def test_without_a_url_all_hooks_are_skipped_with_the_reason(instance: Instance, emitted: Emitted) -> None:
    change_settings(instance, changes={"webhookUrl": None})
    receive_message(instance, sender="17680561234", body="hello")
    assert kinds(emitted) == [("chat", "no_address"), ("message", "no_address")]


def test_hooks_of_an_unpaid_instance_are_skipped_with_the_reason(
    instance: Instance, emitted: Emitted
) -> None:
    Instance.objects.update(paid_until=timezone.now() - timedelta(seconds=1))
    receive_message(instance, sender="17680561234", body="hello")
    type_on_phone(instance, chat_id="17680561234", body="by hand")
    change_status(instance, substatus="phone")
    assert {skip for _, skip in kinds(emitted)} == {"not_paid"}
    assert [kind for kind, _ in kinds(emitted)] == ["chat", "message", "message", "ack", "status"]
    assert Message.objects.count() == 2


@pytest.mark.parametrize(
    ("ignore", "age", "skip"),
    [(True, 301, "too_old"), (True, 200, ""), (False, 301, ""), (False, 99_999, "")],
)
def test_old_messages_are_ignored_if_the_setting_is_on(
    instance: Instance, emitted: Emitted, ignore: bool, age: int, skip: str
) -> None:
    change_settings(instance, changes={"ignoreOldMessages": ignore})
    then = timezone.now() - timedelta(seconds=age)
    receive_message(instance, sender="17680561234", body="hello", time=then)
    assert kinds(emitted)[-1] == ("message", skip)


def test_an_unchanged_status_creates_no_hook(instance: Instance, emitted: Emitted) -> None:
    change_status(instance, account_status="authenticated", substatus="normal")
    assert emitted() == []


def test_linking_goes_through_loading(instance: Instance, emitted: Emitted) -> None:
    Instance.objects.update(account_status="got qr code")
    link_sandbox(instance)
    assert instance.account_status == "authenticated"
    assert [item["new"]["accountStatus"] for _, _, item in emitted()] == ["loading", "authenticated"]


@pytest.mark.parametrize(
    ("type", "on", "body"),
    [
        ("video", False, "upload disabled"),
        ("video", True, "https://example.com/a.mp4"),
        ("call_log", False, "[Call]"),
    ],
)
def test_fixed_bodies_of_calls_and_videos(instance: Instance, type: str, on: bool, body: str) -> None:
    change_settings(instance, changes={"videoUploadOn": on})
    message = receive_message(instance, sender="17680561234", type=type, body="https://example.com/a.mp4")
    assert message.body == body


def test_a_failed_event_writes_neither_message_nor_hook(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.payloads.message_body", lambda *about: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        receive_message(instance, sender="17680561234", body="hello")
    assert (Message.objects.count(), Chat.objects.count(), Hook.objects.count()) == (0, 0, 0)
    instance.refresh_from_db()
    assert instance.last_message_number == 0


def test_each_instance_numbers_its_own_messages(instance: Instance) -> None:
    other = InstanceFactory(owner__email="bob@example.org")
    for each in (instance, other, instance):
        receive_message(each, sender="17680561234", body="hello")
    numbers = Message.objects.filter(instance=instance).order_by("number").values_list("number", flat=True)
    assert list(numbers) == [1, 2]
    assert Message.objects.get(instance=other).number == 1
