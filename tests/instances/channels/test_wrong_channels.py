"""The conformance test passes a correct channel and fails one that breaks any requirement."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from instances.actions.messages import receive_message
from instances.channels import CHANNELS
from instances.channels.base import Button, Can, CannotDo, Channel
from instances.channels.requests import Link, Local, MessageToSend, Prepared, Refused, Sent
from instances.commands import Command, MessengerGroup
from instances.models import Ack, Instance, Message, MessageType, OutgoingMessage
from instances.sending.channel_work import run_channel_work
from instances.sending.outgoing import send_due
from tests.factories import InstanceFactory
from tests.instances.channels import conformance
from tests.instances.channels.conformance import CHECKS
from tests.instances.channels.notepad import NotepadChannel, NotepadMessenger, Pad

Taken = Sequence[tuple[Instance, OutgoingMessage]]


@pytest.fixture
def put(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Channel], Instance]:
    """`put(channel)`: returns an instance of this channel."""

    def put(channel: Channel) -> Instance:
        monkeypatch.setitem(CHANNELS, "sandbox", channel)
        return InstanceFactory(url="https://example.com/hook")

    return put


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_tiny_channel_passes(put: Callable[[Channel], Instance], check: Callable[..., None]) -> None:
    pad = Pad()
    channel = NotepadChannel(pad)
    check(channel, NotepadMessenger(pad), put(channel))


class HasNoSentence(NotepadChannel):
    cannot = {**NotepadChannel.cannot, Can.QUOTE: "no"}


class HasUnknownWord(NotepadChannel):
    cannot = {**NotepadChannel.cannot, "teleport": "A notepad stays where it is."}


class ReturnsNoAcks(NotepadChannel):
    def carry_out(self, taken: Taken) -> list[Sent | Refused]:
        return [Sent(()) for _ in super().carry_out(taken)]


class ReturnsAcksBackwards(NotepadChannel):
    def carry_out(self, taken: Taken) -> list[Sent | Refused]:
        return [Sent((Ack.SENT, Ack.DELIVERED, Ack.SENT)) for _ in super().carry_out(taken)]


class ReturnsImpossibleAck(NotepadChannel):
    def carry_out(self, taken: Taken) -> list[Sent | Refused]:
        return [Sent((Ack.SENT, Ack.VIEWED)) for _ in super().carry_out(taken)]


class DropsLocations(NotepadChannel):
    def carry_out(self, taken: Taken) -> list[Sent | Refused]:
        super().carry_out([send for send in taken if send[1].type != MessageType.LOCATION])
        return [Sent() for _ in taken]


class AcceptsStickers(NotepadChannel):
    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        return Local()


class MixesAccounts(NotepadChannel):
    first: Any = None

    def carry_out(self, taken: Taken) -> list[Sent | Refused]:
        self.first = self.first or taken[0][0]
        return super().carry_out([(self.first, outgoing) for _, outgoing in taken])


class WritesToDatabase(NotepadChannel):
    def carry_out(self, taken: Taken) -> list[Sent | Refused]:
        for instance, outgoing in taken:
            receive_message(instance, sender=outgoing.chat_id, body="echo")
        return super().carry_out(taken)


class SendsTwice(NotepadChannel):
    def carry_out(self, taken: Taken) -> list[Sent | Refused]:
        for instance, outgoing in taken:
            there = self.pad.sent.setdefault((instance.pk, outgoing.chat_id), {})
            there[f"{len(there)}"] = outgoing.body
        return [Sent() for _ in taken]


class LosesEvents(NotepadChannel):
    def work(self, now: datetime) -> int:
        self.pad.events.clear()
        return 0


class NeverFinishesWork(NotepadChannel):
    def work(self, now: datetime) -> int:
        return super().work(now) or 1


class FindsEveryAccount(NotepadChannel):
    def has_account(self, instance: Instance, phone: str) -> bool:
        return True


class AcceptsOnlyChatIds(NotepadChannel):
    def has_account(self, instance: Instance, phone: str) -> bool:
        return phone.endswith("@c.us") and super().has_account(instance, phone)


class IgnoresCommands(NotepadChannel):
    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        return None


class StaysLinked(NotepadChannel):
    def press(self, instance: Instance, button: Button, *, acting_user: Any = None) -> None:
        if button in self.cannot:
            raise CannotDo(self.cannot[button])


class ShowsToken(NotepadChannel):
    cannot = {word: sentence for word, sentence in NotepadChannel.cannot.items() if word != Can.SCAN}

    def qr_text(self, instance: Instance) -> str:
        return f"https://example.com/?token={instance.token}"


class ReturnsNoTime(NotepadChannel):
    def next_work(self, now: datetime) -> Any:
        return "soon"


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (HasNoSentence, "describes_what_it_cannot_do_in_sentences"),
        (HasUnknownWord, "describes_what_it_cannot_do_in_sentences"),
        (ReturnsNoAcks, "returns_acks_in_order_starting_with_sent"),
        (ReturnsAcksBackwards, "returns_acks_in_order_starting_with_sent"),
        (ReturnsImpossibleAck, "returns_acks_in_order_starting_with_sent"),
        (DropsLocations, "sends_every_message_type"),
        (AcceptsStickers, "sends_every_message_type"),
        (MixesAccounts, "keeps_accounts_separate"),
        (WritesToDatabase, "does_not_write_to_the_database"),
        (SendsTwice, "sends_once_when_sent_twice"),
        (LosesEvents, "reports_messages_typed_on_the_phone"),
        (LosesEvents, "reports_each_received_message_once"),
        (LosesEvents, "reports_acks_and_never_lowers_one"),
        (LosesEvents, "reports_the_status_of_its_account"),
        (NeverFinishesWork, "finishes_its_work_and_returns_when_it_is_due_next"),
        (ReturnsNoTime, "finishes_its_work_and_returns_when_it_is_due_next"),
        (FindsEveryAccount, "knows_who_uses_the_messenger"),
        (AcceptsOnlyChatIds, "knows_who_uses_the_messenger"),
        (IgnoresCommands, "performs_commands_or_raises_cannot_do"),
        (StaysLinked, "obeys_buttons_or_raises_cannot_do"),
        (ShowsToken, "returns_a_qr_text_without_secrets"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_wrong_channel_fails_its_check(
    put: Callable[[Channel], Instance], wrong: type[NotepadChannel], check: str
) -> None:
    pad = Pad()
    channel = wrong(pad)
    instance = put(channel)
    with pytest.raises((AssertionError, ValueError)):
        getattr(conformance, check)(channel, NotepadMessenger(pad), instance)


def test_a_rejected_message_leaves_the_queue_and_the_next_is_sent(
    put: Callable[[Channel], Instance],
) -> None:
    channel = NotepadChannel(Pad())
    instance = put(channel)
    conformance.waiting(instance, type=MessageType.STICKER, body="https://example.com/a.webp")
    conformance.waiting(instance, body="after it")
    assert send_due() == 2
    assert list(Message.objects.values_list("body", flat=True)) == ["after it"]
    assert (instance.outgoing.waiting().count(), instance.queue.length) == (0, 0)
    assert instance.outgoing.failed().get().reason == channel.cannot[MessageType.STICKER]


def test_a_channel_whose_work_fails_does_not_stop_others(
    put: Callable[[Channel], Instance], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(NotepadChannel):
        def work(self, now: datetime) -> int:
            raise ConnectionError("the messenger is away")

    put(NotepadChannel(Pad()))
    monkeypatch.setitem(CHANNELS, "away", Fails(Pad()))
    assert run_channel_work() == 0
    assert "the messenger is away" in caplog.text
