"""Sending Messages, the kinds: each is sent as its method of the wire contract sends it, or refused in words."""

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
    photo = SimpleUploadedFile("sea.png", sample_files.picture(), "image/png")
    page = send(alice, "file", file=photo, caption="the sea")
    sent, media = OutgoingMessage.objects.get(), Media.objects.get()
    assert (sent.type, sent.body, sent.caption) == ("image", media.link, "the sea")
    assert media.filename == "sea.png"
    assert "POST sendFile" in page
    assert "(the file sea.png)" in page


def test_a_link_a_place_a_contact_and_a_voice_are_sent(alice):
    send(alice, "link", link="https://example.com/", title="Example", description="always there")
    send(alice, "location", lat="52.5163", lng="13.3777", address="Brandenburg Gate")
    send(alice, "contact", contacts="+49 151 12345678, 17680561234")
    send(alice, "voice")
    link, place, cards, voice = OutgoingMessage.objects.order_by("queue_number")
    assert (link.type, link.body, link.metadata["title"]) == ("chat", "https://example.com/", "Example")
    assert (place.type, place.body, place.caption) == ("location", "52.5163;13.3777", "Brandenburg Gate")
    assert cards.type == "vcard"
    assert cards.body.count("BEGIN:VCARD") == 2
    assert voice.type == "ptt"
    assert voice.media.content_type.startswith("audio/")


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("file", {}, "Choose a file, or give its address below."),
        ("file", {"file_url": "ftp://example.com/x"}, "An address begins with http:// or https://."),
        ("link", {"link": "example.com", "title": "x"}, "An address begins with http:// or https://."),
        ("link", {"link": "https://example.com/"}, "A link needs a title."),
        ("location", {"lat": "91", "lng": "0", "address": "x"}, "lat takes degrees from -90 to 90"),
        ("location", {"lat": "9", "lng": "0"}, "Say the place in words."),
        ("contact", {}, "Say whose contact it is"),
        ("contact", {"contacts": "12"}, "chatId should look like"),
        ("tune", {}, "Select a valid choice"),
    ],
)
def test_what_is_missing_or_wrong_is_said(alice, kind, fields, words):
    page = send(alice, kind, **fields)
    assert words in page
    assert "Accepted" not in page
    assert OutgoingMessage.objects.count() == 0


def test_a_page_is_no_file_that_is_sent(alice):
    page = send(
        alice, "file", file=SimpleUploadedFile("x.png", b"<html><script>alert(1)</script>", "image/png")
    )
    assert "File was not sent: its content is a page or a program" in page
    assert (OutgoingMessage.objects.count(), Media.objects.count()) == (0, 0)


def test_a_tick_that_the_channel_never_has_is_said(alice, monkeypatch):
    monkeypatch.setattr(
        SandboxChannel, "cannot", {"viewed": "This messenger tells of no reading.", "ptt": "No voice."}
    )
    page = alice.get(PAGE).content.decode()
    assert "Never comes here. This messenger tells of no reading." in page
    assert "Voice: No voice." in page


def why(instance):
    [message] = acks.sent_messages(instance)
    missing_acks.explain(instance, [message])
    return message.why


@pytest.mark.parametrize(
    ("mind", "words"),
    [
        ({"online": False}, "Anna is offline; it goes on when they are back."),
        ({"blocks": True}, "Anna has blocked the account, so it never arrives."),
        ({"has_account": False}, "Anna does not use the messenger, so it never arrives."),
        ({"deliver_after": None}, "Anna never gets messages, as said on the sandbox phone."),
        ({}, "Anna does not read by themselves; read it on the sandbox phone."),
    ],
)
def test_what_a_tick_waits_for_is_said(alice, instance, mind, words):
    change_contact(instance, phone=ANNA, name="Anna", **mind)
    send(alice, "text", text="hello")
    send_due()
    assert why(instance) == words
    assert words in alice.get(PAGE).content.decode()


def test_what_waits_in_the_queue_is_shown_and_cleared(alice, instance):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    for number in range(12):
        send(alice, "text", text=f"number {number}")
    page = alice.get(PAGE).content.decode()
    assert "Waits until a messenger is linked (the instance is not authenticated)." in page
    assert "number 9<" in page
    assert "2 more behind them" in page
    answer = alice.post(f"{PAGE}clear/?instance=12345", follow=True)
    assert "12 messages were removed from the queue." in answer.content.decode()
    assert OutgoingMessage.objects.count() == 0
    instance.queue.refresh_from_db()
    assert (instance.queue.length, instance.queue.last_number) == (0, 12)


def test_a_viewer_sees_all_and_clears_nothing(instance, alice):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    send(alice, "text", text="hello")
    vera = Client()
    vera.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    page = vera.get(PAGE, {"instance": 12345}).content.decode()
    assert "hello" in page
    assert "Clear the queue" not in page
    assert vera.post(f"{PAGE}clear/?instance=12345").status_code == 403
    assert OutgoingMessage.objects.count() == 1


def test_the_page_and_its_poll_cost_a_known_number_of_queries(alice, instance, django_assert_num_queries):
    for number in range(3):
        send(alice, "text", text=f"number {number}")
    send_due()
    page = alice.get(PAGE)
    with django_assert_num_queries(13):
        alice.get(PAGE)
    with django_assert_num_queries(8):
        assert (
            alice.get(f"{PAGE}sent/", {"instance": 12345, "seen": page.context["cursor"]}).status_code == 204
        )


def test_the_recipient_can_stand_in_the_address(alice):
    assert 'value="4915112345678@c.us"' in alice.get(PAGE, {"to": "4915112345678@c.us"}).content.decode()


def test_the_arguments_of_the_call_are_shown_short(alice):
    page = send(alice, "link", link="https://example.com/", title="Example")
    assert "data:image/png;base64," in page
    assert len(page) < 20_000
    assert json.dumps("https://example.com/")[1:-1] in page
