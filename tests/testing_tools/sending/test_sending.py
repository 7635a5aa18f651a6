"""Sending Messages: the page does what sendMessage does, and shows the acks and their times as they arrive."""

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
from testing_tools.sending import acks as sent_acks
from tests.factories import UserFactory, fail_message

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/sending/"


def send(client: Client, recipient: str = "+1 (768) 056-1234", text: str = "hello") -> str:
    response = client.post(
        f"{PAGE}send/?instance=12345", {"recipient": recipient, "text": text}, headers=HTMX
    )
    return response.content.decode()


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
        ("12", "hello", "A phone number has 9 to 14 digits"),
        ("alice@example.org", "hello", "A phone number has 9 to 14 digits"),
        ("", "hello", "Enter a recipient: a phone number with country code."),
        ("17680561234", "  ", "Enter a text: the message is empty."),
    ],
)
def test_an_invalid_form_is_explained(alice, recipient, text, words):
    assert words in send(alice, recipient, text)
    assert OutgoingMessage.objects.count() == 0


def test_a_text_over_10000_characters_is_rejected(alice):
    assert "Ensure this value has at most 10000 characters" in send(alice, text="x" * 10_001)
    assert OutgoingMessage.objects.count() == 0


def test_acks_are_shown_with_their_times(alice, instance):
    send(alice)
    [before] = sent_acks.sent_messages(instance)
    assert [step.reached for step in before.steps] == [True, False, False, False]
    send_due()
    message = Message.objects.get()
    ack_hooks = Hook.objects.filter(kind=Kind.ACK).order_by("pk")
    [after] = sent_acks.sent_messages(instance)
    assert (after.message_id, after.queue_number, after.is_queued) == (message.message_id, 1, False)
    assert [(step.name, step.reached, step.at) for step in after.steps] == [
        ("queued", True, message.queued_at),
        ("sent", True, ack_hooks[0].created_at),
        ("delivered", True, ack_hooks[1].created_at),
        ("viewed", False, None),
    ]
    assert message.queued_at == before.steps[0].at
    record_ack(instance, message_id=message.message_id, status="viewed")
    [viewed] = sent_acks.sent_messages(instance)
    assert viewed.steps[3].at == Hook.objects.filter(kind=Kind.ACK).latest("pk").created_at


def test_an_ack_whose_hook_was_deleted_is_shown_without_a_time(alice, instance):
    send(alice)
    send_due()
    Hook.objects.all().delete()
    message = Message.objects.get()
    [sent] = sent_acks.sent_messages(instance)
    assert [(step.reached, step.at) for step in sent.steps] == [
        (True, message.queued_at), (True, message.time), (True, None), (False, None),
    ]  # fmt: skip
    assert "time unknown" in alice.get(PAGE).content.decode()


def test_a_failed_message_is_shown_with_the_messengers_reason(alice, instance):
    send(alice)
    seen = alice.get(PAGE).context["cursor"]
    fail_message(OutgoingMessage.objects.get(), reason="The number is not in use", tries=1)
    page = alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": seen}).content.decode()
    assert "Failed after 1 try: The number is not in use." in page
    assert "Show tries" in page
    [failed] = sent_acks.sent_messages(instance)
    assert ([step.reached for step in failed.steps], failed.is_queued, failed.reason) == (
        [True, False, False, False],
        False,
        "",
    )


def test_a_poll_without_changes_is_204(alice, instance):
    seen = alice.get(PAGE).context["cursor"]
    assert alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": seen}).status_code == 204
    send(alice)
    response = alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": seen})
    assert response.status_code == 200
    assert 'id="queue-title"' in response.content.decode()
    seen = alice.get(PAGE).context["cursor"]
    send_due()
    assert alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": seen}).status_code == 200


def test_the_newest_20_are_shown_newest_first(alice, instance, django_assert_max_num_queries):
    for number in range(22):
        send_message(instance, chat_id="17680561234", body=f"number {number}")
    send_due()
    with django_assert_max_num_queries(5):  # one for the endpoint, which this instance was loaded without
        shown = sent_acks.sent_messages(instance)
    assert [message.queue_number for message in shown] == list(range(22, 2, -1))


def test_messages_are_queued_while_no_messenger_is_linked(alice, instance):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    page = alice.get(PAGE).content.decode()
    assert "No messenger is linked yet." in page
    send(alice)
    send_due()
    assert sent_acks.queued_messages(instance).count() == 1


def test_an_unpaid_instance_sends_nothing(alice):
    Instance.objects.update(paid_until=timezone.now())
    assert "You cannot send messages: this instance is not paid." in alice.get(PAGE).content.decode()
    assert "This instance is not paid: it sends no messages." in send(alice)
    assert OutgoingMessage.objects.count() == 0


def test_a_full_queue_is_reported(alice, instance, monkeypatch):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    monkeypatch.setattr("instances.actions.sending.accept.QUEUE_LIMIT", 1)
    send(alice)
    assert "the queue holds 1 messages, which is the limit" in send(alice)
    assert OutgoingMessage.objects.count() == 1


def test_without_htmx_a_sent_message_redirects_to_the_page(alice):
    response = alice.post(f"{PAGE}send/?instance=12345", {"recipient": "17680561234", "text": "hello"})
    assert response.url == "/testing/sending/?instance=12345"


def test_another_account_gets_404(alice):
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert bob.get(PAGE, {"instance": 12345}).status_code == 404
    assert bob.get(f"{PAGE}sent/", {"instance": 12345}).status_code == 404
    response = bob.post(f"{PAGE}send/?instance=12345", {"recipient": "17680561234", "text": "hello"})
    assert response.status_code == 404
    assert OutgoingMessage.objects.count() == 0
    assert "No instance yet" in bob.get(PAGE).content.decode()


@pytest.mark.parametrize("status", [AccountStatus.AUTHENTICATED, AccountStatus.GOT_QR_CODE])
def test_the_response_shown_is_the_one_that_clients_get(alice, instance, status):
    change_status(instance, account_status=status)
    shown = alice.post(
        f"{PAGE}send/?instance=12345", {"recipient": "17680561234", "text": "x"}, headers=HTMX
    ).context["response"]
    response = (
        Client()
        .post(f"/instance12345/sendMessage?token={instance.token}", {"phone": "17680561234", "body": "x"})
        .json()
    )
    assert json.loads(shown) == response | {
        "id": json.loads(shown)["id"],
        "queueNumber": response["queueNumber"] - 1,
    }
