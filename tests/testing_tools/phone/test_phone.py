"""The sandbox phone: an action on either phone creates the real event, and the result lists its hooks."""

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
from tests.matching import find_value

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/phone/"
ANNA = "17680561234@c.us"
BERT = "4915112345678@c.us"
QUERY = f"?instance=12345&chat={ANNA}"


def act(client: Client, where: str, *, query: str = QUERY, **fields) -> str:
    """The result of an action, without its markup."""
    answer = client.post(f"{PAGE}{where}/{query}", fields, headers=HTMX)
    assert answer.status_code in (200, 422), answer.status_code
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return " ".join(text.replace("&#x27;", "'").split())


def hooks() -> list[tuple[str, str]]:
    return list(Hook.objects.order_by("pk").values_list("kind", "skip_reason"))


def poll(client: Client, page: str, **more):
    given = {
        name: find_value(rf'id="{id}" name="{name}" value="([^"]*)"', page)
        for id, name in (("phone-after", "after"), ("phone-seen", "seen"), ("action-since", "since"))
        if f'id="{id}"' in page
    }
    return client.get(f"{PAGE}news/{QUERY}", given | more, headers=HTMX)


def rows(html: str, side: str) -> dict[int, bool]:
    """Message number → whether the message is visible on this phone."""
    pattern = rf'<li\s+class="bubble-row[^"]*"\s+id="{side}-(\d+)"\s+data-number="\d+"(\s+hidden)?'
    found = re.findall(pattern, html)
    return {int(number): not hidden for number, hidden in found}


def states(html: str) -> list[list]:
    found = re.search(r'data-states="([^"]*)"', html)
    return json.loads(found[1].replace("&quot;", '"')) if found else []


def test_without_an_instance_the_page_links_to_creating_one():
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert "No instance yet" in bob.get(PAGE).content.decode()


def test_the_code_of_the_instance_leads_to_its_phone(alice, instance, settings):
    text = channel_of(instance).qr_text(instance)
    assert text == f"{settings.SITE_URL}{PAGE}?instance=12345"
    assert alice.get(text.removeprefix(settings.SITE_URL)).status_code == 200
    anonymous = Client().get(text.removeprefix(settings.SITE_URL))
    assert anonymous.headers["Location"].startswith("/accounts/login/?next=/testing/phone/")


def test_a_contact_writes_and_the_hook_is_named(alice, instance):
    result = act(alice, "contact/write", kind="text", text="hello")
    [message] = Message.objects.all()
    assert (message.body, message.author, message.type, message.from_me) == ("hello", ANNA, "chat", False)
    assert result.startswith("+17680561234 sent “Text”.")
    hook = Hook.objects.get(kind="message")
    assert "Message Not sent: the instance had no webhook URL." in result
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


def test_a_contact_card_has_a_name_and_a_number(alice):
    act(alice, "contact/write", kind="card", card_name="Bert", card_phone="+49 151 12345678")
    assert "FN:Bert\nTEL;type=CELL;type=VOICE;waid=4915112345678:+4915112345678" in Message.objects.get().body


@pytest.mark.parametrize(
    ("kind", "type", "family"),
    [("photo", "image", "image/png"), ("voice", "ptt", "audio/"), ("file", "document", "text/plain")],
)
def test_without_a_file_a_sample_is_sent(alice, kind, type, family):
    act(alice, "contact/write", kind=kind, text="look")
    message = Message.objects.get()
    assert message.media is not None
    assert (message.type, message.caption, message.body) == (type, "look", message.media.link)
    assert message.media.content_type.startswith(family)


def test_active_content_is_rejected_and_files_are_never_served_as_pages(alice):
    result = act(
        alice, "contact/write", kind="file", file=SimpleUploadedFile("a.txt", b"<script>alert(1)</script>")
    )
    assert "The file was rejected: the content is a web page or a program" in result
    assert Message.objects.count() == 0
    act(alice, "contact/write", kind="file", file=SimpleUploadedFile("note.txt", b"1 < 2", "text/plain"))
    message = Message.objects.get()
    assert message.media is not None
    answer = alice.get(message.media.link.partition("//")[2].partition("/")[2].join(("/", "")))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "html" not in answer["Content-Type"]


def test_a_voice_message_needs_audio_and_a_photo_an_image(alice):
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


def test_a_message_typed_on_the_phone_gets_no_ack(alice, instance):
    change_settings(instance, changes={"ackNotificationsOn": True, "webhookUrl": "https://example.com/hook"})
    result = act(alice, "own/write", text="by hand")
    message = Message.objects.get()
    assert (message.from_me, message.by_api) == (True, False)
    assert "Typed on the instance's phone: “Text” to +17680561234." in result
    assert "Ack Not sent: no acks are sent for messages typed on the phone." in result
    assert ("ack", "typed_on_phone") in hooks()


def test_a_contact_reads_a_message_of_the_api(alice, instance):
    sent = send_message(instance, chat_id=ANNA, body="hello")
    assert "has no unread messages" in act(alice, "contact/read")
    send_due()
    assert Message.objects.get().get_ack_display() == "delivered"
    result = act(alice, "contact/read")
    assert "read 1 message." in result
    assert Message.objects.get(message_id=sent.message_id).get_ack_display() == "viewed"
    assert "Ack" in result


def test_an_offline_contact_receives_messages_when_online_again(alice, instance):
    assert "is offline" in act(alice, "contact", switch="offline")
    send_message(instance, chat_id=ANNA, body="hello")
    send_due()
    assert Message.objects.get().get_ack_display() == "sent"
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert (rows(page, "own"), rows(page, "contact")) == ({1: True}, {1: False})
    act(alice, "contact", switch="online")
    record_due_receipts(instance, now=timezone.now())
    news = poll(alice, page).content.decode()
    assert states(news) == [[1, "delivered", True, False]]


def test_a_contact_blocks_leaves_and_changes_their_behaviour(alice, instance):
    act(alice, "contact", switch="block")
    act(alice, "contact", switch="leave")
    result = act(alice, "contact", name="Anna", deliver_after="3", read_after="")
    contact = SandboxContact.objects.get()
    assert (contact.blocks, contact.has_account, contact.name) == (True, False, "Anna")
    assert (contact.deliver_after, contact.read_after) == (3, None)
    assert "Anna receives messages after 3 s and never reads them." in result
    assert "Anna has no account" in act(alice, "contact/write", text="hello")
    assert "The form is incomplete" in act(alice, "contact", switch="fly")
    assert "Ensure this value is greater" in act(alice, "contact", deliver_after="-1")


def test_the_phone_is_logged_out_and_linked_again(alice, instance):
    assert "Logged out. Now: not linked." in act(alice, "own", event="log_out")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "Scan QR code" in page
    result = act(alice, "contact/write", text="hello")
    assert "Not possible: The instance is not authenticated (got qr code)" in result
    assert Message.objects.count() == 0
    assert "QR code scanned. Now: connected." in act(alice, "own", event="scan")
    instance.refresh_from_db()
    assert instance.account_status == "authenticated"


def test_the_chooser_follows_the_phone(alice, instance):
    page = alice.get(f"{PAGE}{QUERY}").text
    act(alice, "own", event="log_out")
    update = poll(alice, page).text
    badge = re.search(r'id="chooser-state"\s+hx-swap-oob="true"\s*>.*?</svg>(.+?)</span>', update)
    assert badge
    assert badge[1] == "Waiting for the scan"


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
    change_settings(
        instance, changes={"statusNotificationsOn": True, "webhookUrl": "https://example.com/hook"}
    )
    result = act(alice, "own", battery="15")
    assert "The battery is at 15 %. Queued Status" in result
    instance.refresh_from_db()
    assert (instance.battery, instance.substatus) == (15, "battery_low")
    assert "less than or equal to 100" in act(alice, "own", battery="101")
    assert "This field is required" in act(alice, "own", battery="")
    assert "The form is incomplete" in act(alice, "own", event="explode")


def test_a_group_is_created_and_each_member_has_a_phone(alice, instance):
    answer = alice.post(
        f"{PAGE}groups/?instance=12345", {"name": "Holidays", "members": "17680561234, +49 151 12345678"}
    )
    group = Chat.objects.get(is_group=True)
    assert answer.url == f"{PAGE}?instance=12345&chat={group.chat_id}"
    query = f"?instance=12345&chat={group.chat_id}&as={BERT}"
    assert "+4915112345678 sent “Text” in Holidays." in act(alice, "contact/write", query=query, text="hi")
    message = Message.objects.get()
    assert (message.author, message.chat) == (BERT, group)
    assert "A group cannot get a missed call" in act(alice, "contact/write", query=query, kind="call")
    assert "on the phone of" in alice.get(f"{PAGE}{query}").content.decode()


def test_a_contact_is_added_by_phone_number(alice):
    answer = alice.post(f"{PAGE}contacts/?instance=12345", {"phone": "+49 (151) 12345678", "name": "Bert"})
    assert answer.url == f"{PAGE}?instance=12345&chat={BERT}"
    assert "Bert's phone" in alice.get(answer.url).content.decode()
    wrong = alice.post(f"{PAGE}contacts/?instance=12345", {"phone": "12"}, follow=True)
    assert "Enter 9 to 14 digits" in wrong.content.decode()


def test_a_poll_returns_each_new_message_once(alice, instance):
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert poll(alice, page).status_code == 204
    for number in range(70):
        receive_message(instance, sender=ANNA, body=f"text {number}")
    news = poll(alice, page).content.decode()
    assert list(rows(news, "own")) == list(range(1, 71))
    assert list(rows(news, "contact")) == list(range(1, 71))
    assert "action-hooks" in news
    assert "59 more in the log" in news
    again = poll(alice, news, since=find_value(r'id="action-since" name="since" value="(\d+)"', page))
    assert again.status_code == 204


def test_a_poll_updates_the_phone_only_if_it_changed(alice, instance):
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    change_phone(instance, battery=5)
    news = poll(alice, page).content.decode()
    assert 'id="own-state"' in news
    assert "5 %" in news
    assert 'id="contact-state"' not in news


def test_messages_read_by_the_account_are_read_on_the_contacts_phone(alice, instance):
    act(alice, "contact/write", text="hello")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "Chat read on the instance's phone" in act(alice, "own/read")
    assert states(poll(alice, page).content.decode()) == [[1, "read", True, False]]
    assert Chat.objects.get().unread == 0


def test_texts_are_escaped(alice):
    act(alice, "contact/write", text="<img src=x onerror=alert(1)>")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img src=x" not in page


def test_an_invalid_chat_id_is_404(alice):
    for chat in ("x", "17680561234@c.us%00", "12@c.us"):
        assert alice.get(f"{PAGE}?instance=12345&chat={chat}").status_code == 404
    assert alice.get(f"{PAGE}?instance=12345&chat={ANNA}&since=99999999999999999999&as=x").status_code == 200


def test_without_htmx_the_result_is_on_the_next_page(alice):
    answer = alice.post(f"{PAGE}contact/write/{QUERY}", {"text": "hello"}, follow=True)
    assert "+17680561234 sent “Text”." in answer.content.decode()
    assert "Not sent: the instance had no webhook URL." in answer.content.decode()


def test_the_sandbox_is_reset(alice, instance):
    act(alice, "contact/write", text="hello")
    answer = alice.post(f"{PAGE}reset/{QUERY}", follow=True)
    assert "Sandbox reset" in answer.content.decode()
    assert (Message.objects.count(), Chat.objects.count()) == (0, 0)


def test_a_viewer_cannot_use_the_phones(alice, instance):
    act(alice, "contact/write", text="hello")
    vera = Client()
    vera.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    page = vera.get(f"{PAGE}{QUERY}").content.decode()
    assert rows(page, "own") == {1: True}
    assert 'class="phone-write"' not in page
    assert "You can view the phones; only the owner and managers can use them." in page
    assert vera.post(f"{PAGE}contact/write/{QUERY}", {"text": "x"}, headers=HTMX).status_code == 403
    assert Message.objects.count() == 1


def test_number_of_queries_of_the_page_and_its_poll(alice, instance, django_assert_num_queries):
    for number in range(5):
        act(alice, "contact/write", text=f"text {number}")
    act(alice, "contact/write", kind="photo")
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    with django_assert_num_queries(17):
        alice.get(f"{PAGE}{QUERY}")
    with django_assert_num_queries(8):
        assert poll(alice, page).status_code == 204
