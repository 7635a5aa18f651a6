"""`sendLink`, `sendContact`, `sendVCard`, `sendLocation` (contract.md §2)."""

import base64
from typing import Any

import pytest
from django.test import Client

from instances.actions.messages import receive_message
from instances.models import Instance, Media, Message, OutgoingMessage
from instances.sending import outgoing
from tests.instances.contract.conftest import Call

TO = "17680561234"
PREVIEW = "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff\xe0preview").decode()
LINK = {"body": "https://example.com/shop", "title": "Shop", "previewBase64": PREVIEW}
PLACE = {"lat": 55.756693, "lng": "37.615498", "address": "Red Square, Moscow"}
CARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Anna\nTEL:+17680561234\nEND:VCARD"


def sent(post: Call, get: Call, name: str, **arguments: Any) -> dict[str, Any]:
    """Sends, checks the reply, and returns the message from `messages`."""
    answer = post(name, phone=TO, **arguments)
    assert list(answer) == ["sent", "message", "id", "queueNumber"]
    assert (answer["sent"], answer["message"]) == (True, "Sent to 17680561234@c.us")
    outgoing.send_due()
    message = next(m for m in get("messages")["messages"] if m["id"] == answer["id"])
    assert Message.objects.get(message_id=answer["id"]).queue_number == answer["queueNumber"]
    return message


def refused(answer: dict[str, Any], message: str) -> None:
    assert answer == {"sent": False, "message": message}
    assert not OutgoingMessage.objects.exists()


def test_send_link(post: Call, get: Call, client: Client) -> None:
    message = sent(post, get, "sendLink", **LINK, description="All you need")
    preview = message["metadata"].pop("preview")
    assert (message["type"], message["body"], message["caption"]) == (
        "chat",
        "https://example.com/shop",
        None,
    )
    assert message["metadata"] == {"title": "Shop", "description": "All you need"}
    assert preview.endswith("/preview.jpg")
    shown = client.get(preview.removeprefix("http://localhost:8000"))
    assert b"".join(shown) == b"\xff\xd8\xff\xe0preview"


def test_send_link_takes_a_preview_without_data_in_front(post: Call, get: Call) -> None:
    bare = LINK | {"previewBase64": PREVIEW.partition(",")[2]}
    assert sent(post, get, "sendLink", **bare)["metadata"]["preview"].endswith("/preview.jpg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body": ""}, "`body` must be the URL to link."),
        ({"body": "example.com"}, "Message was not sent: `body` must be a URL that starts with http:// or https://."),
        ({"title": None}, "`title` must be the title of the preview."),
        ({"title": "x" * 1001}, "`title` must be at most 1000 characters."),
        ({"previewBase64": ""}, "`previewBase64` must be an image as a data: URI."),
        ({"previewBase64": "?"}, "Message was not sent: `previewBase64`: the base64 is not valid."),
        ({"previewBase64": "data:text/plain;base64,aGk="},
         "Message was not sent: `previewBase64`: it takes image, and this is text/plain."),
        ({"description": "x" * 1001}, "Message was not sent: `description` must be at most 1000 characters."),
    ],
)  # fmt: skip
def test_send_link_refuses_with_the_reason(post: Call, change: dict[str, Any], message: str) -> None:
    refused(post("sendLink", phone=TO, **LINK | change), message)
    assert not Media.objects.exists()


@pytest.mark.parametrize("missing", ["body", "title", "previewBase64"])
def test_send_link_needs_body_title_and_preview(post: Call, missing: str) -> None:
    answer = post("sendLink", phone=TO, **{key: value for key, value in LINK.items() if key != missing})
    assert answer["sent"] is False
    assert answer["message"].startswith(f"`{missing}` is required: ")


def test_send_contact_by_its_chat_id(post: Call, get: Call, instance: Instance) -> None:
    receive_message(instance, sender="19990001122", sender_name="Bond; James", body="hi")
    message = sent(post, get, "sendContact", contactId="19990001122@c.us")
    assert message["type"] == "vcard"
    assert message["body"] == (
        "BEGIN:VCARD\nVERSION:3.0\nN:;Bond\\; James;;;\nFN:Bond\\; James\n"
        "TEL;type=CELL;type=VOICE;waid=19990001122:+19990001122\nEND:VCARD"
    )


@pytest.mark.parametrize(
    "several",
    [
        ["19990001122@c.us", "19990003344"],
        "19990001122@c.us,19990003344",
        '["19990001122", "19990003344@c.us"]',
    ],
)
def test_send_contact_of_several_is_one_message(post: Call, get: Call, several: Any) -> None:
    body = sent(post, get, "sendContact", contactId=several)["body"]
    assert [line for line in body.split("\n") if line.startswith("FN")] == [
        "FN:+19990001122",
        "FN:+19990003344",
    ]
    assert body.count("BEGIN:VCARD") == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "`contactId` must be the chat id of a contact, 17680561234@c.us, or an array of chat ids."),
        ([], "`contactId` must be the chat id of a contact, 17680561234@c.us, or an array of chat ids."),
        ("[1", "`contactId` must be the chat id of a contact, 17680561234@c.us, or an array of chat ids."),
        ("17680561234-1479621234@g.us",
         "`contactId` must be the chat id of a contact, 17680561234@c.us, or an array of chat ids."),
        ("anna", "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us"),
        (float("inf"), "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us"),
        (float("nan"), "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us"),
        (["19990001122"] * 101, "Message was not sent: `contactId` must be at most 100 contacts."),
    ],
)  # fmt: skip
def test_send_contact_refuses_with_the_reason(post: Call, given: Any, message: str) -> None:
    refused(post("sendContact", phone=TO, contactId=given), message)


def test_send_contact_needs_a_contact(post: Call) -> None:
    refused(
        post("sendContact", phone=TO),
        "`contactId` is required: the chat id of a contact, 17680561234@c.us, or an array of chat ids.",
    )


def test_send_vcard(post: Call, get: Call) -> None:
    message = sent(post, get, "sendVCard", vcard=CARD)
    assert (message["type"], message["body"]) == ("vcard", CARD)


@pytest.mark.parametrize("given", ["Anna, +17680561234", "BEGIN:VCARD\nFN:Anna", "x" * 20])
def test_send_vcard_refuses_what_is_none(post: Call, given: str) -> None:
    refused(
        post("sendVCard", phone=TO, vcard=given),
        "Message was not sent: `vcard` must start with BEGIN:VCARD and end with END:VCARD.",
    )


def test_send_vcard_needs_a_card(post: Call) -> None:
    refused(
        post("sendVCard", phone=TO), "`vcard` is required: a vCard: BEGIN:VCARD … END:VCARD."
    )  # fmt: skip


def test_send_location(post: Call, get: Call) -> None:
    message = sent(post, get, "sendLocation", **PLACE)
    assert (message["type"], message["body"], message["caption"]) == (
        "location", "55.756693;37.615498", "Red Square, Moscow",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lat", "lng", "body"),
    [(0, 0, "0;0"), ("-33.5", "151", "-33.5;151"), (-0.0, 1e-7, "0;0.0000001"), (90, -180.0, "90;-180")],
)
def test_degrees_may_be_numbers_or_texts(post: Call, get: Call, lat: Any, lng: Any, body: str) -> None:
    assert sent(post, get, "sendLocation", lat=lat, lng=lng, address="x")["body"] == body


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lat": 90.1}, "`lat` must be degrees from -90 to 90."),
        ({"lat": "north"}, "`lat` must be degrees from -90 to 90."),
        ({"lat": "nan"}, "`lat` must be degrees from -90 to 90."),
        ({"lat": None}, "`lat` must be degrees from -90 to 90."),
        ({"lat": True}, "`lat` must be degrees from -90 to 90."),
        ({"lng": -180.5}, "`lng` must be degrees from -180 to 180."),
        ({"lng": "1e999"}, "`lng` must be degrees from -180 to 180."),
        ({"address": "x" * 1001}, "`address` must be at most 1000 characters."),
    ],
)  # fmt: skip
def test_send_location_refuses_with_the_reason(post: Call, change: dict[str, Any], message: str) -> None:
    refused(post("sendLocation", phone=TO, **PLACE | change), message)


@pytest.mark.parametrize("missing", ["lat", "lng"])
def test_send_location_needs_both_coordinates(post: Call, missing: str) -> None:
    answer = post("sendLocation", phone=TO, **{key: value for key, value in PLACE.items() if key != missing})
    assert answer["sent"] is False
    assert answer["message"].startswith(f"`{missing}` is required: ")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sendMessage", {"body": "hi"}), ("sendFile", {"body": PREVIEW, "filename": "a.jpg"}),
        ("sendPTT", {"audio": "data:audio/ogg;base64,T2dnUw=="}), ("sendLink", LINK),
        ("sendContact", {"contactId": TO}), ("sendVCard", {"vcard": CARD}), ("sendLocation", PLACE),
    ],
)  # fmt: skip
def test_every_send_takes_a_group_and_refuses_a_malformed_phone(
    post: Call, name: str, arguments: dict[str, Any]
) -> None:
    answer = post(name, chatId="17680561234-1479621234@g.us", phone="x", **arguments)
    assert (answer["sent"], answer["message"]) == (True, "Sent to 17680561234-1479621234@g.us")
    assert post(name, phone="12345", **arguments) == {
        "sent": False,
        "message": (
            "phone parameter should contain only numbers, start from country code and be 9-14 characters long"
        ),
    }
    assert OutgoingMessage.objects.count() == 1
