"""A receipt for one message of a chat is the ack "viewed" of all messages before it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from hooks.models import Hook
from instances.actions.channel_links import save_link
from instances.actions.messages import receive_message
from instances.actions.received import NotRecordedYet, record_events
from instances.actions.sending.accept import send_message
from instances.actions.sending.record import SentMessage, record_results
from instances.models import Ack, ChannelLink, Instance, Message, OutgoingMessage, SendState
from instances.received_events import ChatViewed, CredentialsRenewed
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db

ANN, BEN = "17680561234@c.us", "4915112345678@c.us"


@pytest.fixture
def instance() -> Instance:
    made: Instance = InstanceFactory(url="https://example.com/hook", ack_notifications_on=True)
    return made


def send(instance: Instance, *keys: str, chat_id: str = ANN) -> None:
    """Sends a message for each key, which the messenger calls so."""
    for key in keys:
        outgoing = send_message(instance, chat_id=chat_id, body=key)
        record_results([SentMessage(outgoing, (Ack.SENT,), messenger_id=key)])


def view(instance: Instance, key: str, *, is_patient: bool = False, ago: timedelta | None = None) -> None:
    until = None if ago is None else timezone.now() - ago
    recorded = record_events(instance, [ChatViewed(ANN, key, until)], is_patient=is_patient)
    assert not recorded.refused


def viewed(instance: Instance) -> list[str]:
    found = Message.objects.filter(instance=instance, ack=Ack.VIEWED).order_by("number")
    return list(found.values_list("body", flat=True))


def test_all_messages_up_to_the_receipt_are_viewed_once(instance: Instance) -> None:
    send(instance, "$1", "$2", "$3", "$4")
    send(instance, "$other", chat_id=BEN)
    view(instance, "$3")
    assert viewed(instance) == ["$1", "$2", "$3"]
    view(instance, "$3")
    view(instance, "$1")
    assert viewed(instance) == ["$1", "$2", "$3"]
    view(instance, "$4")
    assert viewed(instance) == ["$1", "$2", "$3", "$4"], "not those of other chats"
    assert Hook.objects.filter(endpoint=instance.pk, kind="ack").count() == 5 + 4, "each sent and viewed once"


def test_a_receipt_for_a_message_of_the_contact_is_one_for_those_before_it(instance: Instance) -> None:
    send(instance, "$1")
    receive_message(instance, sender=ANN, body="and?", key="$question")
    send(instance, "$2")
    view(instance, "$question")
    assert viewed(instance) == ["$1"]


def test_a_receipt_for_what_is_not_recorded_is_one_up_to_its_time(instance: Instance) -> None:
    send(instance, "$1")
    view(instance, "$reaction", ago=timedelta(hours=1))
    assert viewed(instance) == []
    view(instance, "$reaction")
    assert viewed(instance) == [], "without a time, it says nothing"
    view(instance, "$reaction", ago=timedelta())
    assert viewed(instance) == ["$1"]


def test_a_receipt_waits_for_a_message_that_is_being_sent(instance: Instance) -> None:
    outgoing = send_message(instance, chat_id=ANN, body="on its way")
    OutgoingMessage.objects.filter(pk=outgoing.pk).update(state=SendState.SENDING)
    with pytest.raises(NotRecordedYet):
        view(instance, "$1", is_patient=True)
    outgoing.refresh_from_db()
    record_results([SentMessage(outgoing, (Ack.SENT,), messenger_id="$1")])
    view(instance, "$1", is_patient=True)
    assert viewed(instance) == ["on its way"]


def test_a_chat_that_was_read_long_ago_is_not_read_again(
    instance: Instance, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    send(instance, *(f"${number}" for number in range(10)))
    view(instance, "$8")
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        view(instance, "$9")
    assert len(viewed(instance)) == 10


def test_renewed_credentials_replace_those_of_the_link_and_nothing_else(instance: Instance) -> None:
    old, new = {"token": "the-old-token"}, {"token": "the-renewed-token"}
    save_link(instance, credentials=old, external_id="@bot:example.org", acting_user=None)
    before = ChannelLink.objects.get(instance=instance)
    record_events(instance, [CredentialsRenewed(new)], is_patient=False)
    link = ChannelLink.objects.get(instance=instance)
    assert link.credentials == new and link.changed_at > before.changed_at
    assert (link.external_id, link.callback_secret) == (before.external_id, before.callback_secret)
    assert "renewed-token" not in repr(CredentialsRenewed(new)), "it may be logged"
