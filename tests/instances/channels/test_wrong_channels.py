"""The conformance test lets a right channel pass and catches a wrong one, whatever it does wrong."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from instances.actions.messages import receive_message
from instances.channels import CHANNELS
from instances.channels.base import Button, Can, CannotDo, Channel
from instances.commands import Command, MessengerGroup
from instances.models import Ack, Instance, Message, MessageType, OutgoingMessage
from tests.factories import InstanceFactory
from tests.instances.channels import conformance
from tests.instances.channels.conformance import CHECKS
from tests.instances.channels.notepad import NotepadChannel, NotepadMessenger, Pad


@pytest.fixture
def put(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Channel], Instance]:
    """`put(channel)`: an instance that goes by this channel."""

    def put(channel: Channel) -> Instance:
        monkeypatch.setitem(CHANNELS, "sandbox", channel)
        return InstanceFactory(url="https://example.com/hook")

    return put


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_tiny_channel_passes(put: Callable[[Channel], Instance], check: Callable[..., None]) -> None:
    pad = Pad()
    channel = NotepadChannel(pad)
    check(channel, NotepadMessenger(pad), put(channel))


class Mumbles(NotepadChannel):
    cannot = {**NotepadChannel.cannot, Can.QUOTE: "no"}


class KnowsNoWord(NotepadChannel):
    cannot = {**NotepadChannel.cannot, "teleport": "A notepad stays where it is."}


class SaysNothing(NotepadChannel):
    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        super().deliver(instance, outgoing)
        return ()


class TicksBackwards(NotepadChannel):
    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        return (*super().deliver(instance, outgoing), Ack.DELIVERED, Ack.SENT)


class PromisesMore(NotepadChannel):
    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        return (*super().deliver(instance, outgoing), Ack.VIEWED)


class DropsPlaces(NotepadChannel):
    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        if outgoing.type == MessageType.LOCATION:
            return (Ack.SENT,)
        return super().deliver(instance, outgoing)


class TakesStickersAllTheSame(NotepadChannel):
    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        return (Ack.SENT,) if outgoing.type == MessageType.STICKER else super().deliver(instance, outgoing)


class MixesAccounts(NotepadChannel):
    first: Any = None

    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        self.first = self.first or instance
        return super().deliver(self.first, outgoing)


class WritesByItself(NotepadChannel):
    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        receive_message(instance, sender=outgoing.chat_id, body="echo")
        return super().deliver(instance, outgoing)


class SendsTwice(NotepadChannel):
    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        there = self.pad.sent.setdefault((instance.pk, outgoing.chat_id), {})
        there[f"{len(there)}"] = outgoing.body
        return (Ack.SENT,)


class Forgets(NotepadChannel):
    def work(self, now: datetime) -> int:
        self.pad.news.clear()
        return 0


class NeverEnds(NotepadChannel):
    def work(self, now: datetime) -> int:
        return super().work(now) or 1


class KnowsEverybody(NotepadChannel):
    def has_account(self, instance: Instance, phone: str) -> bool:
        return True


class KnowsChatIdsAlone(NotepadChannel):
    def has_account(self, instance: Instance, phone: str) -> bool:
        return phone.endswith("@c.us") and super().has_account(instance, phone)


class ActsAsIf(NotepadChannel):
    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        return None


class StaysLinked(NotepadChannel):
    def press(self, instance: Instance, button: Button, *, acting_user: Any = None) -> None:
        if button in self.cannot:
            raise CannotDo(self.cannot[button])


class ShowsItsToken(NotepadChannel):
    cannot = {word: sentence for word, sentence in NotepadChannel.cannot.items() if word != Can.SCAN}

    def qr_text(self, instance: Instance) -> str:
        return f"https://example.com/?token={instance.token}"


class ComesBackSometime(NotepadChannel):
    def next_work(self, now: datetime) -> Any:
        return "soon"


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (Mumbles, "says_in_sentences_what_it_cannot_do"),
        (KnowsNoWord, "says_in_sentences_what_it_cannot_do"),
        (SaysNothing, "gives_ticks_in_order_from_sent_on"),
        (TicksBackwards, "gives_ticks_in_order_from_sent_on"),
        (PromisesMore, "gives_ticks_in_order_from_sent_on"),
        (DropsPlaces, "brings_every_type_to_its_receiver"),
        (TakesStickersAllTheSame, "brings_every_type_to_its_receiver"),
        (MixesAccounts, "keeps_accounts_apart"),
        (WritesByItself, "writes_nothing_by_itself"),
        (SendsTwice, "survives_a_second_delivery"),
        (Forgets, "reports_what_is_typed_on_the_phone"),
        (Forgets, "reports_what_is_written_to_it_once"),
        (Forgets, "reports_ticks_and_never_takes_one_back"),
        (Forgets, "reports_the_status_of_its_account"),
        (NeverEnds, "ends_its_work_and_says_when_to_come_back"),
        (ComesBackSometime, "ends_its_work_and_says_when_to_come_back"),
        (KnowsEverybody, "knows_who_uses_the_messenger"),
        (KnowsChatIdsAlone, "knows_who_uses_the_messenger"),
        (ActsAsIf, "carries_out_actions_or_says_that_it_cannot"),
        (StaysLinked, "obeys_the_buttons_or_says_that_it_cannot"),
        (ShowsItsToken, "gives_a_code_to_scan_without_secrets"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_wrong_channel_is_caught(
    put: Callable[[Channel], Instance], wrong: type[NotepadChannel], check: str
) -> None:
    pad = Pad()
    channel = wrong(pad)
    instance = put(channel)
    with pytest.raises((AssertionError, ValueError)):
        getattr(conformance, check)(channel, NotepadMessenger(pad), instance)


def test_a_message_that_the_messenger_never_takes_leaves_the_queue_to_the_next(
    put: Callable[[Channel], Instance],
) -> None:
    channel = NotepadChannel(Pad())
    instance = put(channel)
    conformance.waiting(instance, type=MessageType.STICKER, body="https://example.com/a.webp")
    conformance.waiting(instance, body="after it")
    assert conformance.outgoing.send_due() == 2
    assert list(Message.objects.values_list("body", flat=True)) == ["after it"]
    assert (instance.outgoing.count(), instance.queue.length) == (0, 0)


def test_a_channel_that_fails_in_its_own_work_stops_no_other(
    put: Callable[[Channel], Instance], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(NotepadChannel):
        def work(self, now: datetime) -> int:
            raise ConnectionError("the messenger is away")

    put(NotepadChannel(Pad()))
    monkeypatch.setitem(CHANNELS, "away", Fails(Pad()))
    assert conformance.outgoing.run_channel_work() == 0
    assert "the messenger is away" in caplog.text
