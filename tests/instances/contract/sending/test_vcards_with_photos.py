"""vCards with a photo: over 64 KB, up to 1 MB. Accepted by every way in, stored and hooked whole."""

import base64
import json
from urllib.parse import urlencode

import pytest
from django.test import Client

from hooks.models import Hook, HookQuerySet, Kind
from instances.actions.settings import change_settings
from instances.contract.chats import messages as chats_messages
from instances.contract.sending import messages_queue
from instances.models import Instance, Message, OutgoingMessage
from instances.sending import outgoing
from tests.instances.contract.conftest import Call

ANN = "17680561234@c.us"
LIMIT = 1024 * 1024
SEND = "/instance12345/sendVCard?token=secret"


def card(size: int, *, letter: str = "") -> str:
    """A vCard of this many bytes, with its photo in lines of 75 characters, as address books write it."""
    head = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann{letter}\r\nTEL:+17680561234\r\nPHOTO;ENCODING=b;TYPE=JPEG:"
    tail = "\r\nEND:VCARD"
    code = base64.b64encode(bytes(range(256)) * (size // 256)).decode()
    lines = "\r\n ".join(code[start : start + 75] for start in range(0, size, 75))
    return (
        head
        + lines[: size - len(head.encode()) - len(tail)]
        .rstrip()
        .ljust(size - len(head.encode()) - len(tail), "A")
        + tail
    )


def message_hooks() -> HookQuerySet:
    return Hook.objects.filter(kind=Kind.MESSAGE)


@pytest.fixture
def hooked(instance: Instance) -> Instance:
    change_settings(instance, changes={"webhookUrl": "https://example.com/hook"})
    return instance


@pytest.mark.parametrize("size", [65_537, 300_000, LIMIT])
@pytest.mark.parametrize("how", ["json", "form", "chunks"])
def test_a_vcard_with_a_photo_is_sent_and_hooked_whole(
    client: Client, get: Call, hooked: Instance, size: int, how: str
) -> None:
    vcard = card(size)
    assert len(vcard.encode()) == size
    given = {"phone": "17680561234", "vcard": vcard}
    if how == "json":
        response = client.post(SEND, given, content_type="application/json")
    elif how == "form":
        form = urlencode(given).encode()
        response = client.generic("POST", SEND, form, "application/x-www-form-urlencoded")
    else:
        response = client.post(SEND, given)  # multipart
    assert response.json()["message"] == f"Sent to {ANN}"
    assert get("showMessagesQueue")["first100"][0]["body"] == vcard
    outgoing.send_due()
    (message,) = get("messages")["messages"]
    assert (message["type"], message["body"]) == ("vcard", vcard)
    assert get("messagesHistory")["messages"][0]["body"] == vcard
    body = bytes(message_hooks().get().body)
    assert json.loads(body)["messages"][0]["body"] == vcard


def test_a_vcard_is_measured_in_bytes(post: Call) -> None:
    fits = card(LIMIT - 5, letter="é")
    assert len(fits.encode()) == LIMIT - 5
    assert post("sendVCard", phone=ANN, vcard=fits)["sent"] is True
    longer = card(LIMIT, letter="é").replace("FN:Ann", "FN:Anné")
    assert len(longer) <= LIMIT < len(longer.encode())
    assert post("sendVCard", phone=ANN, vcard=longer) == {
        "sent": False,
        "message": "Message was not sent: the vCard is longer than 1048576 bytes.",
    }


def test_a_vcard_over_the_limit_is_refused_with_the_limit(post: Call) -> None:
    assert post("sendVCard", phone=ANN, vcard=card(LIMIT + 1)) == {
        "sent": False,
        "message": "`vcard` must be at most 1048576 characters.",
    }
    assert not OutgoingMessage.objects.exists()


def test_a_text_may_still_have_64_kb(post: Call) -> None:
    assert post("sendMessage", phone=ANN, body="x" * 65_536)["sent"] is True
    assert post("sendMessage", phone=ANN, body="é" * 40_000) == {
        "sent": False,
        "message": "Message was not sent: the text is longer than 65536 bytes.",
    }


def test_a_vcard_with_a_photo_is_forwarded_and_quoted(post: Call, get: Call, hooked: Instance) -> None:
    vcard = card(LIMIT)
    first = post("sendVCard", phone=ANN, vcard=vcard)["id"]
    outgoing.send_due()
    assert post("forwardMessage", phone=ANN, messageId=first)["sent"] is True
    assert post("sendMessage", phone=ANN, body="whose?", quotedMsgId=first)["sent"] is True
    outgoing.send_due()
    _, copy, quote = get("messages")["messages"]
    assert (copy["body"], quote["quotedMsgBody"]) == (vcard, vcard)


def test_vcards_with_photos_do_not_fill_the_memory(
    post: Call, get: Call, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    vcard = card(70_000)
    for _ in range(5):
        post("sendVCard", phone=ANN, vcard=vcard)
    monkeypatch.setattr(messages_queue, "MAX_TEXT", 150_000)
    shown = get("showMessagesQueue")
    assert (shown["totalMessages"], len(shown["first100"])) == (5, 2)
    outgoing.send_due()
    monkeypatch.setattr(chats_messages, "MAX_TEXT", 150_000)
    monkeypatch.setattr(chats_messages, "CHUNK_WITH_CARDS", 3)
    numbers: list[int] = []
    while page := get("messages", lastMessageNumber=numbers[-1] if numbers else 0)["messages"]:
        assert len(page) <= 2
        numbers += [message["messageNumber"] for message in page]
    assert numbers == [1, 2, 3, 4, 5]
    history = [message["messageNumber"] for message in get("messagesHistory")["messages"]]
    assert history == [5, 4, 3, 2, 1]
    assert [
        each["messageNumber"] for each in get("messagesHistory", chatId=ANN, count=2, page=1)["messages"]
    ] == [3, 2]
    monkeypatch.setattr(chats_messages, "MAX_HISTORY_TEXT", 150_000)
    assert len(get("messagesHistory")["messages"]) == 2
    assert Message.objects.count() == 5
