"""What any channel must pass (instances/channels/base.py), and what its test must offer to show it.

A channel comes with a Messenger: its other side, played by the test. The sandbox's is its own people; that of a
channel over the network is a small HTTP server of the test's own. CHECKS are functions of a channel, its
messenger and an instance; each holds one promise and fails with an AssertionError that says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db import connection
from django.utils import timezone

from hooks.models import Hook
from instances.actions.chats.groups import create_group
from instances.actions.lifecycle import create_instance
from instances.actions.sending.accept import record_sent, send_message
from instances.channels.base import Button, Can, CannotDo, Channel
from instances.commands import (
    AddParticipant,
    Command,
    CreateGroup,
    JoinGroup,
    LeaveGroup,
    ReadChat,
    RemoveParticipant,
    SetAdmin,
    ShowActivity,
)
from instances.models import (
    Ack,
    ActionType,
    Chat,
    Instance,
    Message,
    MessageType,
    OutgoingMessage,
)
from instances.sending import outgoing

ANN, BEN = "17680561234@c.us", "4915112345678@c.us"
BODIES = {
    MessageType.CHAT: "hello",
    MessageType.LOCATION: "52.5200;13.4050",
    MessageType.VCARD: "BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nTEL:+4915112345678\nEND:VCARD",
}
SENT_TYPES = [type for type in MessageType if type != MessageType.CALL_LOG]  # nobody sends a missed call


class Messenger(Protocol):
    """The other side of a channel. What its messenger has no way to do is in the channel's `cannot`, and not asked."""

    def is_linked(self, instance: Instance) -> None:
        """The account is linked: the channel reports `authenticated`."""
        ...

    def is_logged_out(self, instance: Instance) -> None:
        """Somebody logs the account out: the channel reports it."""
        ...

    def writes(self, instance: Instance, *, chat_id: str, name: str, type: str, body: str, key: str) -> None:
        """A person writes to the account; `key` is the messenger's id of the message."""
        ...

    def types_by_hand(self, instance: Instance, *, chat_id: str, body: str, key: str) -> None:
        """Somebody writes on the account's own phone, apart from us."""
        ...

    def ticks(self, instance: Instance, *, message_id: str, status: str) -> None:
        """The person who got our message gets it ("delivered") or reads it ("viewed")."""
        ...

    def has_got(self, instance: Instance, *, chat_id: str) -> list[str]:
        """The bodies of the account's messages that have reached this person, in order."""
        ...

    def has_no_account(self, instance: Instance, phone: str) -> None:
        """From now on this number does not use the messenger."""
        ...


def waiting(instance: Instance, *, type: str = MessageType.CHAT, body: str = "hello") -> OutgoingMessage:
    """A message to Ann in the queue."""
    return send_message(instance, chat_id=ANN, body=body, type=type)


def refused(call: Callable[[], Any], sentence: str) -> None:
    """The call raises CannotDo with the sentence of `cannot`."""
    try:
        call()
    except CannotDo as error:
        assert str(error) == sentence, "CannotDo says the sentence of `cannot`"
    else:
        raise AssertionError("what stands in `cannot` raises CannotDo")


def says_in_sentences_what_it_cannot_do(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    words = {*Can.values, *Button.values, *MessageType.values, *ActionType.values}
    for word, sentence in channel.cannot.items():
        assert word in words, f"{word!r} in `cannot` is a word of Can, Button, MessageType or ActionType"
        assert sentence.endswith(".") and 10 <= len(sentence) <= 200, f"{sentence!r} is a sentence for people"


def gives_ticks_in_order_from_sent_on(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    acks = list(channel.deliver(instance, waiting(instance)))
    assert acks[:1] == [Ack.SENT], "the first tick is SENT"
    assert acks == sorted(set(acks)), "ticks come once each and in order"
    for ack, word in ((Ack.DELIVERED, Can.DELIVERED), (Ack.VIEWED, Can.VIEWED)):
        assert not (word in channel.cannot and ack in acks), f"{word} can't come: `cannot` says so"


def brings_every_type_to_its_receiver(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    bodies = []
    for type in SENT_TYPES:
        body = BODIES.get(type, f"https://example.com/{type}.bin")
        message = waiting(instance, type=type, body=body)
        if type in channel.cannot:
            refused(lambda message=message: channel.deliver(instance, message), channel.cannot[type])  # type: ignore[misc]
        else:
            channel.deliver(instance, message)
            record_sent(instance, [(message, (Ack.SENT,))], next_send_at=timezone.now())
            bodies.append(body)
    work(channel)
    assert messenger.has_got(instance, chat_id=ANN) == bodies, "each message arrives, once and in order"


def keeps_accounts_apart(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    other = create_instance(instance.owner, channel=instance.channel)
    messenger.is_linked(other)
    waiting(instance, body="from one")
    waiting(other, body="from the other")
    while outgoing.send_due():
        pass
    work(channel)
    for one, bodies in ((instance, ["from one"]), (other, ["from the other"])):
        assert messenger.has_got(one, chat_id=ANN) == bodies, "a message goes by its own instance's account"


def writes_nothing_by_itself(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    message = waiting(instance)
    before = Message.objects.count(), Hook.objects.count(), OutgoingMessage.objects.count()
    channel.deliver(instance, message)
    after = Message.objects.count(), Hook.objects.count(), OutgoingMessage.objects.count()
    assert after == before, "messages, hooks and queues are written by instances.actions alone"


def survives_a_second_delivery(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    """The process died after the messenger had the message, and before that was recorded."""
    message = waiting(instance)
    channel.deliver(instance, message)
    while outgoing.send_due():
        pass
    work(channel)
    assert Message.objects.filter(instance=instance, message_id=message.message_id).count() == 1
    assert messenger.has_got(instance, chat_id=ANN) == ["hello"], "the idempotency key is message_id"


def reports_what_is_written_to_it_once(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    for type in MessageType:
        if type in channel.cannot:
            continue
        body = BODIES.get(type, f"https://example.com/{type}.jpg")
        for _ in range(2):  # messengers repeat themselves
            messenger.writes(instance, chat_id=ANN, name="Ann", type=type, body=body, key=f"key of {type}")
            work(channel)
        [message] = Message.objects.filter(instance=instance, type=type)
        shown = (message.from_me, message.by_api, message.author, message.sender_name, message.chat.chat_id)
        assert shown == (False, False, ANN, "Ann", ANN), f"{type}: who has written, and where"
        expected = {MessageType.CALL_LOG: "[Call]", MessageType.VIDEO: "upload disabled"}.get(type, body)
        assert message.body == expected or message.media is not None, f"{type}: what was written"


def reports_what_is_typed_on_the_phone(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    messenger.types_by_hand(instance, chat_id=ANN, body="by hand", key="typed")
    work(channel)
    [message] = Message.objects.filter(instance=instance)
    assert (message.from_me, message.by_api, message.body) == (True, False, "by hand"), "`self` is 0"
    skips = Hook.objects.filter(endpoint=instance.pk, kind="ack").values_list("skip_reason", flat=True)
    assert set(skips) <= {"typed_on_phone"}, "no ack is made for it"


def reports_ticks_and_never_takes_one_back(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    message = waiting(instance)
    while outgoing.send_due():
        pass
    best = Ack.SENT
    for ack, word in (
        (Ack.DELIVERED, Can.DELIVERED),
        (Ack.VIEWED, Can.VIEWED),
        (Ack.DELIVERED, Can.DELIVERED),
    ):
        if word in channel.cannot:
            continue
        messenger.ticks(instance, message_id=message.message_id, status=ack.label)
        work(channel)
        best = max(best, ack)
        now = Message.objects.get(message_id=message.message_id).ack
        assert now == best, f"{ack.label} was reported, so the message is {best.label}"


def reports_the_status_of_its_account(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    messenger.is_logged_out(instance)
    work(channel)
    instance.refresh_from_db()
    assert not instance.is_authenticated, "a log-out is reported by change_status"
    messenger.is_linked(instance)
    work(channel)
    instance.refresh_from_db()
    assert instance.is_authenticated, "a link is reported by change_status"


def knows_who_uses_the_messenger(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    if Can.HAS_ACCOUNT in channel.cannot:
        refused(lambda: channel.has_account(instance, ANN), channel.cannot[Can.HAS_ACCOUNT])
        return
    messenger.has_no_account(instance, BEN)
    assert channel.has_account(instance, ANN) is True, "a chat id is taken"
    assert channel.has_account(instance, "17680561234") is True, "and a phone number in digits"
    assert channel.has_account(instance, BEN) is False


def carries_out_actions_or_says_that_it_cannot(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    group = "17680561234-1479621234@g.us"
    create_group(instance, chat_id=group, name="Holidays", members=[ANN], admins=[instance.own_chat_id])
    code = Chat.objects.get(chat_id=group).invite_code
    commands: list[Command] = [
        CreateGroup("Trip", (ANN,)),
        AddParticipant(group, BEN),
        SetAdmin(group, BEN, is_admin=True),
        SetAdmin(group, BEN, is_admin=False),
        RemoveParticipant(group, BEN),
        ReadChat(group),
        ShowActivity(group, Chat.Activity.TYPING, 5),
        ShowActivity(group, Chat.Activity.RECORDING, 5),
        LeaveGroup(group),
        JoinGroup(code),
    ]
    assert {command.type for command in commands} == set(ActionType)
    for command in commands:
        if command.type in channel.cannot:
            refused(
                lambda command=command: channel.perform(instance, command),  # type: ignore[misc]
                channel.cannot[command.type],
            )
            continue
        reported = channel.perform(instance, command)
        if isinstance(command, CreateGroup):
            assert reported is not None, "a new group is reported"
            assert reported.chat_id.endswith("@g.us") and reported.chat_id != group, "with its own id"
        elif isinstance(command, JoinGroup):
            assert reported is not None and reported.chat_id == group, "the invite code opens its group"
        else:
            assert reported is None, f"{command.type} reports no group"


def obeys_the_buttons_or_says_that_it_cannot(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    for button in (*(one for one in Button if one != Button.LOGOUT), Button.LOGOUT):
        if button in channel.cannot:
            refused(lambda button=button: channel.press(instance, button), channel.cannot[button])  # type: ignore[misc]
            continue
        channel.press(instance, button)
        work(channel)
    instance.refresh_from_db()
    assert instance.is_authenticated == (Button.LOGOUT in channel.cannot), (
        "a log-out is reported, and nothing else is"
    )


def gives_a_code_to_scan_without_secrets(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    if Can.SCAN in channel.cannot:
        refused(lambda: channel.qr_text(instance), channel.cannot[Can.SCAN])
        return
    text = channel.qr_text(instance)
    assert 0 < len(text) <= 500, "it fits into a QR code"
    assert instance.token not in text, "our token is not for a photograph"


def ends_its_work_and_says_when_to_come_back(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    waiting(instance)
    while outgoing.send_due():
        pass
    work(channel)
    due = channel.next_work(timezone.now())
    assert due is None or isinstance(due, datetime), "a time, or None"


def leaves_no_transaction_open(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    depth = len(connection.savepoint_ids)
    channel.deliver(instance, waiting(instance))
    channel.work(timezone.now())
    assert len(connection.savepoint_ids) == depth, "what a channel begins it ends"


def work(channel: Channel) -> None:
    """Lets the channel do all that is due now."""
    now = timezone.now() + timedelta(milliseconds=1)
    for _ in range(100):
        if not channel.work(now):
            return
    raise AssertionError("`work` comes to an end: it returns 0 when nothing is due")


CHECKS: Iterable[Callable[[Channel, Messenger, Instance], None]] = (
    says_in_sentences_what_it_cannot_do,
    gives_ticks_in_order_from_sent_on,
    brings_every_type_to_its_receiver,
    keeps_accounts_apart,
    writes_nothing_by_itself,
    survives_a_second_delivery,
    reports_what_is_written_to_it_once,
    reports_what_is_typed_on_the_phone,
    reports_ticks_and_never_takes_one_back,
    reports_the_status_of_its_account,
    knows_who_uses_the_messenger,
    carries_out_actions_or_says_that_it_cannot,
    obeys_the_buttons_or_says_that_it_cannot,
    gives_a_code_to_scan_without_secrets,
    ends_its_work_and_says_when_to_come_back,
    leaves_no_transaction_open,
)
