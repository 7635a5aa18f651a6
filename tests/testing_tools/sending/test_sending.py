"""Sending Messages: the page does what sendMessage does, and shows the ticks with their times as they come."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Hook, Kind
from instances.actions.messages import record_ack
from instances.actions.sending.accept import send_message
from instances.actions.status import change_status
from instances.models import AccountStatus, Instance, Message, OutgoingMessage
from instances.sending.outgoing import send_due
from testing_tools.sending import acks as ticks
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/sending/"


def send(client: Client, recipient: str = "+1 (768) 056-1234", text: str = "hello") -> str:
    answer = client.post(f"{PAGE}send/?instance=12345", {"recipient": recipient, "text": text}, headers=HTMX)
    return answer.content.decode()


def test_a_message_is_accepted_and_its_id_and_queue_number_are_shown(alice):
    page = send(alice)
    outgoing = OutgoingMessage.objects.get()
    assert (outgoing.chat_id, outgoing.body, outgoing.queue_number) == ("17680561234@c.us", "hello", 1)
    assert "Accepted" in page
    assert outgoing.message_id in page
    assert "&quot;sent&quot;: true" in page
    assert "&quot;queueNumber&quot;: 1" in page


@pytest.mark.parametrize(
    ("recipient", "text", "words"),
    [
        ("12", "hello", "A phone number is 9 to 14 digits"),
        ("alice@example.org", "hello", "A phone number is 9 to 14 digits"),
        ("", "hello", "Say who shall get it"),
        ("17680561234", "  ", "The message is empty. Write something."),
    ],
)
def test_what_can_not_be_sent_is_explained(alice, recipient, text, words):
    assert words in send(alice, recipient, text)
    assert OutgoingMessage.objects.count() == 0


def test_a_text_that_is_too_long_is_explained(alice):
    assert "Ensure this value has at most 10000 characters" in send(alice, text="x" * 10_001)
    assert OutgoingMessage.objects.count() == 0


def test_the_ticks_come_with_their_times(alice, instance):
    send(alice)
    [before] = ticks.sent_messages(instance)
    assert [tick.reached for tick in before.ticks] == [True, False, False, False]
    send_due()
    message = Message.objects.get()
    acks = Hook.objects.filter(kind=Kind.ACK).order_by("pk")
    [after] = ticks.sent_messages(instance)
    assert (after.message_id, after.queue_number, after.waiting) == (message.message_id, 1, False)
    assert [(tick.name, tick.reached, tick.at) for tick in after.ticks] == [
        ("queued", True, message.queued_at),
        ("sent", True, acks[0].created_at),
        ("delivered", True, acks[1].created_at),
        ("viewed", False, None),
    ]
    assert message.queued_at == before.ticks[0].at
    record_ack(instance, message_id=message.message_id, status="viewed")
    [viewed] = ticks.sent_messages(instance)
    assert viewed.ticks[3].at == Hook.objects.filter(kind=Kind.ACK).latest("pk").created_at


def test_a_tick_whose_hook_is_gone_is_shown_without_a_time(alice, instance):
    send(alice)
    send_due()
    Hook.objects.all().delete()
    message = Message.objects.get()
    [sent] = ticks.sent_messages(instance)
    assert [(tick.reached, tick.at) for tick in sent.ticks] == [
        (True, message.queued_at), (True, message.time), (True, None), (False, None),
    ]  # fmt: skip
    assert "time not kept" in alice.get(PAGE).content.decode()


def test_the_list_is_sent_again_only_when_there_is_news(alice, instance):
    seen = alice.get(PAGE).context["cursor"]
    assert alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": seen}).status_code == 204
    send(alice)
    answer = alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": seen})
    assert answer.status_code == 200
    assert "Waiting in the queue" in answer.content.decode()
    seen = alice.get(PAGE).context["cursor"]
    send_due()
    assert alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": seen}).status_code == 200


def test_the_newest_stand_on_top_and_twenty_are_shown(alice, instance, django_assert_max_num_queries):
    for number in range(22):
        send_message(instance, chat_id="17680561234", body=f"number {number}")
    send_due()
    with django_assert_max_num_queries(3):
        shown = ticks.sent_messages(instance)
    assert [sent.queue_number for sent in shown] == list(range(22, 2, -1))


def test_while_no_messenger_is_linked_messages_wait(alice, instance):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    page = alice.get(PAGE).content.decode()
    assert "No messenger is linked yet." in page
    send(alice)
    send_due()
    assert ticks.waiting(instance).count() == 1


def test_an_unpaid_instance_sends_nothing(alice):
    Instance.objects.update(paid_until=timezone.now())
    assert "Send is off: this instance is not paid." in alice.get(PAGE).content.decode()
    assert "This instance is not paid, so it sends nothing." in send(alice)
    assert OutgoingMessage.objects.count() == 0


def test_a_full_queue_says_so(alice, instance, monkeypatch):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    monkeypatch.setattr("instances.actions.sending.accept.QUEUE_LIMIT", 1)
    send(alice)
    assert "the queue holds 1 messages, which is the limit" in send(alice)
    assert OutgoingMessage.objects.count() == 1


def test_without_htmx_the_page_is_shown_anew(alice):
    answer = alice.post(f"{PAGE}send/?instance=12345", {"recipient": "17680561234", "text": "hello"})
    assert answer.url == "/testing/sending/?instance=12345"


def test_a_stranger_sends_nothing(alice):
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert bob.get(PAGE, {"instance": 12345}).status_code == 404
    assert bob.get(f"{PAGE}sent/", {"instance": 12345}).status_code == 404
    answer = bob.post(f"{PAGE}send/?instance=12345", {"recipient": "17680561234", "text": "hello"})
    assert answer.status_code == 404
    assert OutgoingMessage.objects.count() == 0
    assert "No instance yet" in bob.get(PAGE).content.decode()


@pytest.mark.parametrize("status", [AccountStatus.AUTHENTICATED, AccountStatus.GOT_QR_CODE])
def test_the_reply_that_is_shown_is_the_one_that_clients_get(alice, instance, status):
    change_status(instance, account_status=status)
    shown = alice.post(
        f"{PAGE}send/?instance=12345", {"recipient": "17680561234", "text": "x"}, headers=HTMX
    ).context["reply"]
    answered = (
        Client()
        .post(f"/instance12345/sendMessage?token={instance.token}", {"phone": "17680561234", "body": "x"})
        .json()
    )
    assert json.loads(shown) == answered | {
        "id": json.loads(shown)["id"],
        "queueNumber": answered["queueNumber"] - 1,
    }
