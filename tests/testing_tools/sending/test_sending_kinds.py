"""Sending Messages, by type: each is sent as its method of the wire contract sends it, or rejected with a message."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from instances.actions.status import change_status
from instances.channels.sandbox.actions.contacts import change_contact
from instances.channels.sandbox.channel import SandboxChannel
from instances.models import AccountStatus, Media, OutgoingMessage
from instances.sending.outgoing import send_due
from testing_tools import sample_files
from testing_tools.sending import acks, missing_acks
from tests.factories import member_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/sending/"
ANNA = "17680561234@c.us"


def send(client: Client, kind: str, **fields) -> str:
    given = {"recipient": "+17680561234", "kind": kind} | fields
    return client.post(f"{PAGE}send/?instance=12345", given, headers=HTMX).content.decode()


def test_a_file_is_sent_with_its_caption(alice):
    photo = SimpleUploadedFile("sea.png", sample_files.draw_picture(), "image/png")
    page = send(alice, "file", file=photo, caption="the sea")
    sent, media = OutgoingMessage.objects.get(), Media.objects.get()
    assert (sent.type, sent.body, sent.caption) == ("image", media.link, "the sea")
    assert media.filename == "sea.png"
    assert "POST sendFile" in page
    assert "(the file sea.png)" in page


def test_a_link_a_location_a_contact_and_a_voice_message_are_sent(alice):
    send(alice, "link", link="https://example.com/", title="Example", description="An example page")
    send(alice, "location", lat="52.5163", lng="13.3777", address="Brandenburg Gate")
    send(alice, "contact", contacts="+49 151 12345678, 17680561234")
    send(alice, "voice")
    link, location, cards, voice = OutgoingMessage.objects.order_by("queue_number")
    assert link.metadata is not None
    assert (link.type, link.body, link.metadata["title"]) == ("chat", "https://example.com/", "Example")
    assert (location.type, location.body, location.caption) == (
        "location",
        "52.5163;13.3777",
        "Brandenburg Gate",
    )
    assert cards.type == "vcard"
    assert cards.body.count("BEGIN:VCARD") == 2
    assert voice.type == "ptt"
    assert voice.media is not None
    assert voice.media.content_type.startswith("audio/")


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("file", {}, "Choose a file, or enter its URL below."),
        ("file", {"file_url": "ftp://example.com/x"}, "The URL must start with http:// or https://."),
        ("link", {"link": "example.com", "title": "x"}, "The URL must start with http:// or https://."),
        ("link", {"link": "https://example.com/"}, "Enter a title for the link."),
        ("location", {"lat": "91", "lng": "0", "address": "x"}, "`lat` must be degrees from -90 to 90."),
        ("location", {"lat": "9", "lng": "0"}, "Enter the name or address of the location."),
        ("contact", {}, "Enter the contact&#x27;s phone number with country code."),
        ("contact", {"contacts": "12"}, "chatId should look like"),
        ("tune", {}, "Select a valid choice"),
    ],
)
def test_missing_and_invalid_fields_are_explained(alice, kind, fields, text):
    page = send(alice, kind, **fields)
    assert text in page
    assert "Accepted" not in page
    assert OutgoingMessage.objects.count() == 0


def test_an_html_file_is_rejected(alice):
    page = send(
        alice, "file", file=SimpleUploadedFile("x.png", b"<html><script>alert(1)</script>", "image/png")
    )
    assert "File was not sent: the content is a web page or a program" in page
    assert (OutgoingMessage.objects.count(), Media.objects.count()) == (0, 0)


def test_acks_that_the_channel_never_reports_are_named(alice, monkeypatch):
    monkeypatch.setattr(
        SandboxChannel, "cannot", {"viewed": "This messenger reports no reads.", "ptt": "No voice."}
    )
    page = alice.get(PAGE).content.decode()
    assert "Never reported here. This messenger reports no reads." in page
    assert "Voice: No voice." in page


def reason(instance):
    [message] = acks.sent_messages(instance)
    missing_acks.explain(instance, [message])
    return message.reason


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        ({"online": False}, "Anna is offline. The next ack follows when they are online."),
        ({"blocks": True}, "Anna has blocked the account, so the message is never delivered."),
        ({"has_account": False}, "Anna does not use the messenger, so the message is never delivered."),
        ({"deliver_after": None}, "Anna is set on the sandbox phone to receive no messages."),
        ({}, "Anna does not read messages automatically. Read it on the sandbox phone."),
    ],
)
def test_the_reason_for_a_missing_ack_is_shown(alice, instance, behaviour, text):
    change_contact(instance, phone=ANNA, name="Anna", **behaviour)
    send(alice, "text", text="hello")
    send_due()
    assert reason(instance) == text
    assert text in alice.get(PAGE).content.decode()


def test_the_queue_is_shown_and_cleared(alice, instance):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    for number in range(12):
        send(alice, "text", text=f"number {number}")
    page = alice.get(PAGE).content.decode()
    assert "Waiting for a messenger to be linked: the instance is not authenticated." in page
    assert "number 9" in page
    assert "The first 10 of 12." in page
    response = alice.post(f"{PAGE}clear/?instance=12345", follow=True)
    assert "12 messages were removed from the queue." in response.content.decode()
    assert OutgoingMessage.objects.count() == 0
    instance.queue.refresh_from_db()
    assert (instance.queue.length, instance.queue.last_number) == (0, 12)


def test_a_viewer_can_read_the_queue_and_not_clear_it(instance, alice):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    send(alice, "text", text="hello")
    vera = Client()
    vera.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    page = vera.get(PAGE, {"instance": 12345}).content.decode()
    assert "hello" in page
    assert "Clear queue" not in page
    assert vera.post(f"{PAGE}clear/?instance=12345").status_code == 403
    assert OutgoingMessage.objects.count() == 1


def test_the_number_of_queries_of_the_page_and_its_poll(alice, instance, django_assert_num_queries):
    for number in range(3):
        send(alice, "text", text=f"number {number}")
    send_due()
    page = alice.get(PAGE)
    with django_assert_num_queries(14):
        alice.get(PAGE)
    with django_assert_num_queries(9):
        assert (
            alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": page.context["cursor"]}).status_code == 204
        )


def test_the_url_can_contain_the_recipient(alice):
    assert 'value="4915112345678@c.us"' in alice.get(PAGE, {"to": "4915112345678@c.us"}).content.decode()


def test_long_arguments_of_the_call_are_cut(alice):
    page = send(alice, "link", link="https://example.com/", title="Example")
    assert "data:image/png;base64," in page
    assert len(page) < 20_000
    assert json.dumps("https://example.com/")[1:-1] in page
