"""The sandbox phone: every touch of either phone is the real event, and the line below it tells of its hooks."""

import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from hooks.models import Hook
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings
from instances.channels import channel_of
from instances.channels.sandbox.actions.phone import change_phone
from instances.channels.sandbox.actions.receipts import record_due_receipts
from instances.models import Chat, Message, SandboxContact
from instances.sending.outgoing import send_due
from tests.factories import UserFactory, member_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/phone/"
ANNA = "17680561234@c.us"
BERT = "4915112345678@c.us"
QUERY = f"?instance=12345&chat={ANNA}"


def act(client: Client, where: str, *, query: str = QUERY, **fields) -> str:
    """The line on a touch, without its markup."""
    answer = client.post(f"{PAGE}{where}/{query}", fields, headers=HTMX)
    assert answer.status_code in (200, 422), answer.status_code
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return " ".join(text.replace("&#x27;", "'").split())


def hooks() -> list[tuple[str, str]]:
    return list(Hook.objects.order_by("pk").values_list("kind", "skip_reason"))


def poll(client: Client, page: str, **more):
    given = {
        name: re.search(rf'id="{id}" name="{name}" value="([^"]*)"', page)[1]
        for id, name in (("phone-after", "after"), ("phone-seen", "seen"), ("made-since", "since"))
        if f'id="{id}"' in page
    }
    return client.get(f"{PAGE}news/{QUERY}", given | more, headers=HTMX)


def rows(html: str, side: str) -> dict[int, bool]:
    """The messages of a phone: is it seen there?"""
    found = re.findall(rf'<li class="bubble-row[^"]*" id="{side}-(\d+)" data-number="\d+"( hidden)?', html)
    return {int(number): not hidden for number, hidden in found}


def states(html: str) -> list[list]:
    found = re.search(r'data-states="([^"]*)"', html)
    return json.loads(found[1].replace("&quot;", '"')) if found else []


def test_without_an_instance_the_page_shows_the_way_to_one():
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert "No instance yet" in bob.get(PAGE).content.decode()


def test_the_code_of_the_instance_leads_to_its_phone(alice, instance, settings):
    text = channel_of(instance).qr_text(instance)
    assert text == f"{settings.SITE_URL}{PAGE}?instance=12345"
    assert alice.get(text.removeprefix(settings.SITE_URL)).status_code == 200
    anonymous = Client().get(text.removeprefix(settings.SITE_URL))
    assert anonymous.url.startswith("/accounts/login/?next=/testing/phone/")


def test_a_contact_writes_and_the_hook_is_named(alice, instance):
    said = act(alice, "contact/write", kind="text", text="hello")
    [message] = Message.objects.all()
    assert (message.body, message.author, message.type, message.from_me) == ("hello", ANNA, "chat", False)
    assert said.startswith("+17680561234 sent “Text”.")
    hook = Hook.objects.get(kind="message")
    assert "Message Not sent: the instance had no webhook URL." in said
    page = alice.post(f"{PAGE}contact/write/{QUERY}", {"text": "again"}, headers=HTMX).content.decode()
    assert f"/log/{Hook.objects.latest('pk').public_id}/" in page
    assert f"/log/{hook.public_id}/" not in page


@pytest.mark.parametrize(
    ("fields", "type", "body", "caption"),
    [
        (
            {"kind": "location", "lat": "52.5", "lng": "13.25", "text": "here"},
            "location",
            "52.5;13.25",
            "here",
        ),
        ({"kind": "call"}, "call_log", "[Call]", None),
        ({"kind": "video"}, "video", "upload disabled", None),
    ],
)
def test_a_contact_sends_every_kind(alice, fields, type, body, caption):
    act(alice, "contact/write", **fields)
    message = Message.objects.get()
    assert (message.type, message.body, message.caption) == (type, body, caption)


def test_a_card_names_who_it_is_of(alice):
    act(alice, "contact/write", kind="card", card_name="Bert", card_phone="+49 151 12345678")
    assert "FN:Bert\nTEL;type=CELL;type=VOICE;waid=4915112345678:+4915112345678" in Message.objects.get().body


@pytest.mark.parametrize(
    ("kind", "type", "family"),
    [("photo", "image", "image/png"), ("voice", "ptt", "audio/"), ("file", "document", "text/plain")],
)
def test_without_a_file_a_sample_is_sent(alice, kind, type, family):
    act(alice, "contact/write", kind=kind, text="look")
    message = Message.objects.get()
    assert (message.type, message.caption, message.body) == (type, "look", message.media.link)
    assert message.media.content_type.startswith(family)


def test_a_file_is_served_as_it_is_and_never_as_a_page(alice):
    said = act(
        alice, "contact/write", kind="file", file=SimpleUploadedFile("a.txt", b"<script>alert(1)</script>")
    )
    assert "The file was not taken: the content is a web page or a program" in said
    assert Message.objects.count() == 0
    act(alice, "contact/write", kind="file", file=SimpleUploadedFile("note.txt", b"1 < 2", "text/plain"))
    message = Message.objects.get()
    answer = alice.get(message.media.link.partition("//")[2].partition("/")[2].join(("/", "")))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "html" not in answer["Content-Type"]


def test_a_voice_must_be_a_sound_and_a_photo_a_picture(alice):
    text = SimpleUploadedFile("note.txt", b"hello", "text/plain")
    assert "it takes audio, and this is text/plain" in act(alice, "contact/write", kind="voice", file=text)
    text.seek(0)
    assert "it takes image, and this is text/plain" in act(alice, "contact/write", kind="photo", file=text)
    assert Message.objects.count() == 0


def test_a_message_is_quoted_and_forwarded(alice):
    act(alice, "contact/write", text="hello")
    first = Message.objects.get()
    act(alice, "own/write", text="hi", quoted=first.message_id)
    act(alice, "contact/write", forward=first.message_id)
    quoting, passed_on = Message.objects.order_by("number")[1:]
    assert quoting.quoted == {"id": first.message_id, "body": "hello", "type": "chat"}
    assert (passed_on.body, passed_on.forwarded, passed_on.author) == ("hello", 1, ANNA)
    assert "not found" in act(alice, "contact/write", forward="true_x")
    assert Message.objects.count() == 3


def test_what_is_typed_by_hand_gets_no_ack(alice, instance):
    change_settings(instance, {"ackNotificationsOn": True, "webhookUrl": "https://example.com/hook"})
    said = act(alice, "own/write", text="by hand")
    message = Message.objects.get()
    assert (message.from_me, message.by_api) == (True, False)
    assert "Typed by hand: “Text” to +17680561234." in said
    assert "Ack Not sent: messages typed on the phone get no ack." in said
    assert ("ack", "typed_on_phone") in hooks()


def test_a_contact_reads_what_the_api_has_sent_or_leaves_it(alice, instance):
    sent = send_message(instance, chat_id=ANNA, body="hello")
    assert "has nothing to read" in act(alice, "contact/read")
    send_due()
    assert Message.objects.get().get_ack_display() == "delivered"
    said = act(alice, "contact/read")
    assert "read 1 message." in said
    assert Message.objects.get(message_id=sent.message_id).get_ack_display() == "viewed"
    assert "Ack" in said


def test_who_is_offline_gets_nothing_until_they_are_back(alice, instance):
    assert "is offline" in act(alice, "contact", switch="offline")
    send_message(instance, chat_id=ANNA, body="hello")
    send_due()
    assert Message.objects.get().get_ack_display() == "sent"
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert (rows(page, "own"), rows(page, "contact")) == ({1: True}, {1: False})
    act(alice, "contact", switch="online")
    record_due_receipts(instance, timezone.now())
    news = poll(alice, page).content.decode()
    assert states(news) == [[1, "delivered", True, False]]


def test_a_contact_blocks_leaves_and_changes_their_mind(alice, instance):
    act(alice, "contact", switch="block")
    act(alice, "contact", switch="leave")
    said = act(alice, "contact", name="Anna", deliver_after="3", read_after="")
    contact = SandboxContact.objects.get()
    assert (contact.blocks, contact.has_account, contact.name) == (True, False, "Anna")
    assert (contact.deliver_after, contact.read_after) == (3, None)
    assert "Anna gets messages after 3 s and never reads them." in said
    assert "Anna has no account" in act(alice, "contact/write", text="hello")
    assert "did not arrive whole" in act(alice, "contact", switch="fly")
    assert "Ensure this value is greater" in act(alice, "contact", deliver_after="-1")


def test_the_phone_is_logged_out_and_linked_again(alice, instance):
    assert "Logged out. Now: not linked." in act(alice, "own", event="log_out")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "Scan the QR code" in page
    said = act(alice, "contact/write", text="hello")
    assert "It can't be done: The instance is not authenticated (got qr code)" in said
    assert Message.objects.count() == 0
    assert "The QR code was scanned. Now: connected." in act(alice, "own", event="scan")
    instance.refresh_from_db()
    assert instance.account_status == "authenticated"


@pytest.mark.parametrize(
    ("event", "back", "status", "substatus"),
    [
        ("disconnect", "connect", "authenticated", "phone"),
        ("take_over", "take_back", "loading", "normal"),
        ("sync", "synced", "loading", "syncing"),
    ],
)
def test_network_computer_and_synchronising(alice, instance, event, back, status, substatus):
    act(alice, "own", event=event)
    instance.refresh_from_db()
    assert (instance.account_status, instance.substatus) == (status, substatus)
    assert f'value="{back}"' in alice.get(f"{PAGE}{QUERY}").content.decode()
    act(alice, "own", event=back)
    instance.refresh_from_db()
    assert (instance.account_status, instance.substatus) == ("authenticated", "normal")


def test_a_low_battery_is_a_status_with_its_hook(alice, instance):
    change_settings(instance, {"statusNotificationsOn": True, "webhookUrl": "https://example.com/hook"})
    said = act(alice, "own", battery="15")
    assert "The battery is at 15 %. Queued Status" in said
    instance.refresh_from_db()
    assert (instance.battery, instance.substatus) == (15, "battery_low")
    assert "less than or equal to 100" in act(alice, "own", battery="101")
    assert "This field is required" in act(alice, "own", battery="")
    assert "did not arrive whole" in act(alice, "own", event="explode")


def test_a_group_is_made_and_each_member_has_a_phone(alice, instance):
    answer = alice.post(
        f"{PAGE}groups/?instance=12345", {"name": "Holidays", "members": "17680561234, +49 151 12345678"}
    )
    group = Chat.objects.get(is_group=True)
    assert answer.url == f"{PAGE}?instance=12345&chat={group.chat_id}"
    query = f"?instance=12345&chat={group.chat_id}&as={BERT}"
    assert "+4915112345678 sent “Text” in Holidays." in act(alice, "contact/write", query=query, text="hi")
    message = Message.objects.get()
    assert (message.author, message.chat) == (BERT, group)
    assert "A call goes to one person" in act(alice, "contact/write", query=query, kind="call")
    assert "on the phone of" in alice.get(f"{PAGE}{query}").content.decode()


def test_somebody_else_is_taken_by_their_number(alice):
    answer = alice.post(f"{PAGE}people/?instance=12345", {"phone": "+49 (151) 12345678", "name": "Bert"})
    assert answer.url == f"{PAGE}?instance=12345&chat={BERT}"
    assert "Bert's phone" in alice.get(answer.url).content.decode()
    wrong = alice.post(f"{PAGE}people/?instance=12345", {"phone": "12"}, follow=True)
    assert "A phone number is 9 to 14 digits" in wrong.content.decode()


def test_a_poll_brings_what_is_new_once_and_loses_nothing(alice, instance):
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert poll(alice, page).status_code == 204
    for number in range(70):
        receive_message(instance, sender=ANNA, body=f"text {number}")
    news = poll(alice, page).content.decode()
    assert list(rows(news, "own")) == list(range(1, 71))
    assert list(rows(news, "contact")) == list(range(1, 71))
    assert "made-hooks" in news
    assert "59 more in the log" in news
    again = poll(alice, news, since=re.search(r'id="made-since" name="since" value="(\d+)"', page)[1])
    assert again.status_code == 204


def test_a_poll_tells_of_the_phone_only_when_it_is_another(alice, instance):
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    change_phone(instance, battery=5)
    news = poll(alice, page).content.decode()
    assert 'id="own-state"' in news
    assert "5 %" in news
    assert 'id="contact-state"' not in news


def test_what_the_account_has_read_is_ticked_on_the_contacts_phone(alice, instance):
    act(alice, "contact/write", text="hello")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "Read on the instance's phone" in act(alice, "own/read")
    assert states(poll(alice, page).content.decode()) == [[1, "read", True, False]]
    assert Chat.objects.get().unread == 0


def test_texts_are_never_markup(alice):
    act(alice, "contact/write", text="<img src=x onerror=alert(1)>")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img src=x" not in page


def test_what_can_be_no_chat_is_not_found(alice):
    for chat in ("x", "17680561234@c.us%00", "12@c.us"):
        assert alice.get(f"{PAGE}?instance=12345&chat={chat}").status_code == 404
    assert alice.get(f"{PAGE}?instance=12345&chat={ANNA}&since=99999999999999999999&as=x").status_code == 200


def test_without_htmx_the_line_comes_on_the_next_page(alice):
    answer = alice.post(f"{PAGE}contact/write/{QUERY}", {"text": "hello"}, follow=True)
    assert "+17680561234 sent “Text”." in answer.content.decode()
    assert "Not sent: the instance had no webhook URL." in answer.content.decode()


def test_the_sandbox_starts_anew(alice, instance):
    act(alice, "contact/write", text="hello")
    answer = alice.post(f"{PAGE}reset/{QUERY}", follow=True)
    assert "The sandbox starts anew" in answer.content.decode()
    assert (Message.objects.count(), Chat.objects.count()) == (0, 0)


def test_a_viewer_looks_only(alice, instance):
    act(alice, "contact/write", text="hello")
    vera = Client()
    vera.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    page = vera.get(f"{PAGE}{QUERY}").content.decode()
    assert rows(page, "own") == {1: True}
    assert 'class="phone-write"' not in page
    assert "You may look; the owner and managers touch." in page
    assert vera.post(f"{PAGE}contact/write/{QUERY}", {"text": "x"}, headers=HTMX).status_code == 403
    assert Message.objects.count() == 1


def test_the_page_and_its_poll_cost_a_known_number_of_queries(alice, instance, django_assert_num_queries):
    for number in range(5):
        act(alice, "contact/write", text=f"text {number}")
    act(alice, "contact/write", kind="photo")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    with django_assert_num_queries(17):
        alice.get(f"{PAGE}{QUERY}")
    with django_assert_num_queries(8):
        assert poll(alice, page).status_code == 204
