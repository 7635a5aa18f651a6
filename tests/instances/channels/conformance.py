"""The checks that every channel must pass (instances/channels/base.py), and what its test must provide.

A channel's test provides a Messenger, which simulates the other side. The sandbox's Messenger is its own contacts; that
of a network channel is a small HTTP server. CHECKS are functions of a channel, its messenger and an instance; each
checks one requirement and fails with an AssertionError that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, Protocol, runtime_checkable

from django.db import connection
from django.utils import timezone

from hooks.models import Hook
from instances import chat_ids
from instances.actions.chats.groups import create_group
from instances.actions.lifecycle import create_instance
from instances.actions.media import store_media
from instances.actions.sending.accept import send_message
from instances.channels.base import Button, Can, CannotDo, Channel
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Local, Refused, Sent, Unlinked, Wait
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
from tests.instances.channels.pure_checks import ANN, PURE_CHECKS, is_an_id, people_of
from tests.instances.channels.sending import is_carried_out, send, send_waiting, try_once

BODIES = {
    MessageType.CHAT: "hello",
    MessageType.LOCATION: "52.52;13.405",
    MessageType.VCARD: "BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nTEL:+4915112345678\nEND:VCARD",
}
SENT_TYPES = [type for type in MessageType if type != MessageType.CALL_LOG]  # a missed call cannot be sent


class Messenger(Protocol):
    """The other side of a channel. What is in the channel's `cannot` is never called.

    If it is found by settings of this product, it has `settings`, names with values. If the messenger has no phone
    numbers, it also has `people` (pure_checks.People). A messenger that gives messages ids of its own reports acks by
    them: `acknowledge` gets this product's id, with which its request was made.
    """

    def link(self, instance: Instance) -> None:
        """Link the account: the channel reports `authenticated`."""
        ...

    def log_out(self, instance: Instance) -> None:
        """Log the account out on the phone: the channel reports it."""
        ...

    def write(self, instance: Instance, *, chat_id: str, name: str, type: str, body: str, key: str) -> None:
        """Write to the account as a contact; `key` is the messenger's id of the message."""
        ...

    def type_on_phone(self, instance: Instance, *, chat_id: str, body: str, key: str) -> None:
        """Type a message on the account's own phone."""
        ...

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        """Receive ("delivered") or read ("viewed") a message as the contact it was sent to."""
        ...

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        """Returns the bodies of the account's messages that have reached this contact, in order."""
        ...

    def received_files(self, instance: Instance) -> list[int]:
        """Returns the sizes in bytes of the files that the account has sent, in order."""
        ...

    def remove_account(self, instance: Instance, phone: str) -> None:
        """Make this number one that does not use the messenger."""
        ...


@runtime_checkable
class NetworkMessenger(Messenger, Protocol):
    """The other side of a channel that makes requests: a small HTTP server."""

    def revoke(self, instance: Instance) -> None:
        """Make the account's credentials invalid: the server refuses them."""
        ...

    def limit(self, instance: Instance, *, seconds: int) -> None:
        """Refuse the account's next messages for a limit, asking to wait for `seconds`."""
        ...


def waiting(
    instance: Instance, *, type: str = MessageType.CHAT, body: str = "hello", chat_id: str = ANN
) -> OutgoingMessage:
    """Returns a message to Ann in the queue."""
    return send_message(instance, chat_id=chat_id, body=body, type=type)


def assert_refused(call: Callable[[], Any], sentence: str) -> None:
    """Assert that the call raises CannotDo with the sentence of `cannot`."""
    try:
        call()
    except CannotDo as error:
        assert str(error) == sentence, "CannotDo has the sentence of `cannot`"
    else:
        raise AssertionError("a function in `cannot` raises CannotDo")


def ann(messenger: Messenger) -> str:
    """Returns the chat id of Ann, to whom most checks write."""
    return people_of(messenger).ann


def describes_what_it_cannot_do_in_sentences(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    words = {*Can.values, *Button.values, *MessageType.values, *ActionType.values}
    for word, sentence in channel.cannot.items():
        assert word in words, f"{word!r} in `cannot` is a value of Can, Button, MessageType or ActionType"
        assert sentence.endswith(".") and 10 <= len(sentence) <= 200, f"{sentence!r} is a sentence for people"


def returns_acks_in_order_starting_with_sent(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    result = send(channel, instance, waiting(instance, chat_id=ann(messenger)))
    assert isinstance(result, Sent), f"it is sent: {result}"
    acks = list(result.acks)
    assert acks[:1] == [Ack.SENT], "the first ack is SENT"
    assert acks == sorted(set(acks)), "acks are unique and in order"
    for ack, word in ((Ack.DELIVERED, Can.DELIVERED), (Ack.VIEWED, Can.VIEWED)):
        assert not (word in channel.cannot and ack in acks), f"{word} is in `cannot`"


def sends_every_message_type(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    bodies = []
    for type in SENT_TYPES:
        body = BODIES.get(type, f"https://example.com/{type}.bin")
        message = waiting(instance, type=type, body=body, chat_id=ann(messenger))
        if type in channel.cannot:
            result = send(channel, instance, message)
            assert result == Refused(channel.cannot[type]), f"{type} is refused with the sentence of `cannot`"
            message.delete()
        else:
            send_waiting(channel, instance)
            bodies.append(body)
    work(channel)
    assert messenger.received(instance, chat_id=ann(messenger)) == bodies, (
        "each message arrives once and in order"
    )


def sends_a_stored_file(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    stored = store_media(instance, content=BytesIO(b"a stored file\n"), filename="notes.txt")
    message = send_message(
        instance, chat_id=ann(messenger), body=stored.link, type=MessageType.DOCUMENT, media=stored
    )
    if MessageType.DOCUMENT in channel.cannot:
        result = send(channel, instance, message)
        assert result == Refused(channel.cannot[MessageType.DOCUMENT]), "it is refused"
        return
    send_waiting(channel, instance)
    work(channel)
    assert messenger.received_files(instance) == [len(b"a stored file\n")], "the file arrives once, and whole"


def deletes_a_message(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    message = waiting(instance, chat_id=ann(messenger))
    send_waiting(channel, instance)
    deletion = send_message(instance, chat_id=ann(messenger), body="", deletes=message.message_id)
    result = send(channel, instance, deletion)
    if Can.DELETE in channel.cannot:
        assert result == Refused(channel.cannot[Can.DELETE]), (
            "a deletion is refused with the sentence of `cannot`"
        )
    else:
        assert isinstance(result, Sent) and not result.acks, f"a deletion has no acks: {result}"
        assert messenger.received(instance, chat_id=ann(messenger)) in ([], ["hello"]), (
            "a deletion sends no message"
        )


def carries_out_several_messages_in_one_call(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    """Only a channel that prepares Local, or whose result asks for it."""
    other = create_instance(instance.owner, channel=instance.channel)
    messenger.link(other)
    message = waiting(instance, chat_id=ann(messenger))
    if not is_carried_out(try_once(channel, instance, message)):
        return
    deletion = send_message(other, chat_id=ann(messenger), body="", deletes="true_a_b")
    taken = [
        (instance, message),
        (other, deletion),
        (other, waiting(other, chat_id=ann(messenger))),
        (instance, waiting(instance, chat_id=ann(messenger))),
    ]
    if Can.DELETE in channel.cannot:
        del taken[1]
    results = channel.carry_out(taken)
    assert len(results) == len(taken), "one result for each message, in their order"
    for (_, outgoing), result in zip(taken, results, strict=True):
        assert isinstance(result, Sent), f"{outgoing} is sent: {result}"
        assert bool(result.acks) != bool(outgoing.deletes), "a message has acks, a deletion none"
    assert channel.carry_out([]) == [], "nothing to do"


def reads_revoked_credentials_as_unlinked(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    if makes_no_requests(channel, messenger, instance):
        return
    network = as_network_messenger(messenger)
    network.revoke(instance)
    result = send(channel, instance, waiting(instance, chat_id=ann(messenger)))
    assert isinstance(result, Unlinked), f"the credentials are no longer valid: {result}"


def waits_as_long_as_a_limit_asks(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    if makes_no_requests(channel, messenger, instance):
        return
    network = as_network_messenger(messenger)
    network.limit(instance, seconds=7)
    result = send(channel, instance, waiting(instance, chat_id=ann(messenger)))
    assert isinstance(result, Wait) and result.seconds == 7, f"the messenger asked to wait for 7 s: {result}"


def makes_no_requests(channel: Channel, messenger: Messenger, instance: Instance) -> bool:
    return (
        channel.prepare(
            message_to_send(waiting(instance, chat_id=ann(messenger)), channel), channel.link(instance)
        )
        == Local()
    )


def as_network_messenger(messenger: Messenger) -> NetworkMessenger:
    assert isinstance(messenger, NetworkMessenger), "a channel that makes requests has a NetworkMessenger"
    return messenger


def keeps_accounts_separate(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    other = create_instance(instance.owner, channel=instance.channel)
    messenger.link(other)
    waiting(instance, body="from one", chat_id=ann(messenger))
    waiting(other, body="from the other", chat_id=ann(messenger))
    send_waiting(channel, instance)
    send_waiting(channel, other)
    work(channel)
    for one, bodies in ((instance, ["from one"]), (other, ["from the other"])):
        assert messenger.received(one, chat_id=ann(messenger)) == bodies, (
            "a message is sent by its own instance's account"
        )


def does_not_write_to_the_database(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    message = waiting(instance, chat_id=ann(messenger))
    before = Message.objects.count(), Hook.objects.count(), OutgoingMessage.objects.count()
    send(channel, instance, message)
    after = Message.objects.count(), Hook.objects.count(), OutgoingMessage.objects.count()
    assert after == before, "only instances.actions write messages, hooks and queues"


def sends_once_when_sent_twice(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    """The process died after the messenger received the message and before this was recorded."""
    message = waiting(instance, chat_id=ann(messenger))
    send(channel, instance, message)
    send_waiting(channel, instance)
    work(channel)
    assert Message.objects.filter(instance=instance, message_id=message.message_id).count() == 1
    times = len(messenger.received(instance, chat_id=ann(messenger)))
    assert times == 1 or not channel.is_idempotent(channel.link(instance)), (
        "the idempotency key is message_id"
    )


def reports_each_received_message_once(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    for type in MessageType:
        if type in channel.cannot:
            continue
        body = BODIES.get(type, f"https://example.com/{type}.jpg")
        for _ in range(2):  # messengers repeat events
            messenger.write(
                instance, chat_id=ann(messenger), name="Ann", type=type, body=body, key=f"key of {type}"
            )
            work(channel)
        [message] = Message.objects.filter(instance=instance, type=type)
        shown = (message.from_me, message.by_api, message.author, message.sender_name, message.chat.chat_id)
        author = people_of(messenger).author or ann(messenger)
        assert shown == (False, False, author, "Ann", ann(messenger)), f"{type}: author and chat"
        expected = {MessageType.CALL_LOG: "[Call]", MessageType.VIDEO: "upload disabled"}.get(type, body)
        assert message.body == expected or message.media is not None, f"{type}: body"


def reports_messages_typed_on_the_phone(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    if Can.TYPED in channel.cannot:
        return
    messenger.type_on_phone(instance, chat_id=ann(messenger), body="by hand", key="typed")
    work(channel)
    [message] = Message.objects.filter(instance=instance)
    assert (message.from_me, message.by_api, message.body) == (True, False, "by hand"), "`self` is 0"
    skips = Hook.objects.filter(endpoint=instance.pk, kind="ack").values_list("skip_reason", flat=True)
    assert set(skips) <= {"typed_on_phone"}, "no ack is made for it"


def reports_acks_and_never_lowers_one(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    message = waiting(instance, chat_id=ann(messenger))
    send_waiting(channel, instance)
    best = Ack.SENT
    for ack, word in (
        (Ack.DELIVERED, Can.DELIVERED),
        (Ack.VIEWED, Can.VIEWED),
        (Ack.DELIVERED, Can.DELIVERED),
    ):
        if word in channel.cannot:
            continue
        messenger.acknowledge(instance, message_id=message.message_id, status=ack.label)
        work(channel)
        best = max(best, ack)
        now = Message.objects.get(message_id=message.message_id).ack
        assert now == best, f"{ack.label} was reported, so the message is {best.label}"


def returns_the_messengers_id_of_each_message(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    results = [
        send(channel, instance, waiting(instance, body=body, chat_id=ann(messenger)))
        for body in ("one", "two")
    ]
    ids = [result.messenger_id for result in results if isinstance(result, Sent)]
    assert len(ids) == len(results), f"they are sent: {results}"
    assert ids == ["", ""] or (all(ids) and ids[0] != ids[1]), "each message has its id, or none has"
    assert all(map(is_an_id, ids)), "the ids can be stored"


def reports_the_status_of_its_account(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    messenger.log_out(instance)
    work(channel)
    instance.refresh_from_db()
    assert not instance.is_authenticated, "a log-out is reported through change_status"
    messenger.link(instance)
    work(channel)
    instance.refresh_from_db()
    assert instance.is_authenticated, "linking is reported through change_status"


def knows_who_uses_the_messenger(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    people = people_of(messenger)
    if Can.HAS_ACCOUNT in channel.cannot:
        assert_refused(lambda: channel.has_account(instance, people.ann), channel.cannot[Can.HAS_ACCOUNT])
        return
    messenger.remove_account(instance, people.ben)
    assert channel.has_account(instance, people.ann) is True, "a chat id is accepted"
    if phone := chat_ids.phone_of(people.ann):
        assert channel.has_account(instance, phone) is True, "a phone number in digits is accepted"
    assert channel.has_account(instance, people.ben) is False


def performs_commands_or_raises_cannot_do(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    people = people_of(messenger)
    group, ben = people.group, people.ben
    create_group(
        instance, chat_id=group, name="Holidays", members=[people.ann], admins=[instance.own_chat_id]
    )
    code = Chat.objects.get(chat_id=group).invite_code
    commands: list[Command] = [
        CreateGroup("Trip", (people.ann,)),
        AddParticipant(group, ben),
        SetAdmin(group, ben, is_admin=True),
        SetAdmin(group, ben, is_admin=False),
        RemoveParticipant(group, ben),
        ReadChat(group),
        ShowActivity(group, Chat.Activity.TYPING, 5),
        ShowActivity(group, Chat.Activity.RECORDING, 5),
        LeaveGroup(group),
        JoinGroup(code),
    ]
    assert {command.type for command in commands} == set(ActionType)
    for command in commands:
        if command.type in channel.cannot:
            assert_refused(
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


def obeys_buttons_or_raises_cannot_do(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    for button in (*(one for one in Button if one != Button.LOGOUT), Button.LOGOUT):
        if button in channel.cannot:
            assert_refused(lambda button=button: channel.press(instance, button), channel.cannot[button])  # type: ignore[misc]
            continue
        channel.press(instance, button)
        work(channel)
    instance.refresh_from_db()
    assert instance.is_authenticated == (Button.LOGOUT in channel.cannot), "only a log-out is reported"


def returns_a_qr_text_without_secrets(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    if Can.SCAN in channel.cannot:
        assert_refused(lambda: channel.qr_text(instance), channel.cannot[Can.SCAN])
        return
    messenger.log_out(instance)
    work(channel)
    text = channel.qr_text(instance)
    assert 0 < len(text) <= 500, "it fits into a QR code"
    assert instance.token not in text, "the QR code does not contain the token"


def finishes_its_work_and_returns_when_it_is_due_next(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    waiting(instance, chat_id=ann(messenger))
    send_waiting(channel, instance)
    work(channel)
    due = channel.next_work(timezone.now())
    assert due is None or isinstance(due, datetime), "a time, or None"


def leaves_no_transaction_open(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    depth = len(connection.savepoint_ids)
    send(channel, instance, waiting(instance, chat_id=ann(messenger)))
    channel.work(timezone.now())
    assert len(connection.savepoint_ids) == depth, "a channel ends the transactions that it begins"


def work(channel: Channel) -> None:
    """Run the channel's work that is due now."""
    now = timezone.now() + timedelta(milliseconds=1)
    for _ in range(100):
        if not channel.work(now):
            return
    raise AssertionError("`work` returns 0 when nothing is due")


CHECKS: Iterable[Callable[[Channel, Messenger, Instance], None]] = (
    *PURE_CHECKS,
    describes_what_it_cannot_do_in_sentences,
    returns_acks_in_order_starting_with_sent,
    sends_every_message_type,
    sends_a_stored_file,
    deletes_a_message,
    carries_out_several_messages_in_one_call,
    reads_revoked_credentials_as_unlinked,
    waits_as_long_as_a_limit_asks,
    keeps_accounts_separate,
    does_not_write_to_the_database,
    sends_once_when_sent_twice,
    reports_each_received_message_once,
    reports_messages_typed_on_the_phone,
    reports_acks_and_never_lowers_one,
    returns_the_messengers_id_of_each_message,
    reports_the_status_of_its_account,
    knows_who_uses_the_messenger,
    performs_commands_or_raises_cannot_do,
    obeys_buttons_or_raises_cannot_do,
    returns_a_qr_text_without_secrets,
    finishes_its_work_and_returns_when_it_is_due_next,
    leaves_no_transaction_open,
)
