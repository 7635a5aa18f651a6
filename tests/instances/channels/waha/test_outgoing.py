"""The request of each message, and what WAHA's responses mean. Both are pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from instances.channels.requests import (
    Failed,
    File,
    Link,
    MessageToSend,
    Refused,
    Request,
    Result,
    Scope,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.channels.waha.channel import WahaChannel
from instances.models import Ack
from tests.instances.channels.responses import response

CHANNEL = WahaChannel()
ANN, GROUP, OWN = "17680561234@c.us", "17680561234-1479621234@g.us", "15550001111@c.us"
LINK = Link(
    1,
    OWN,
    {"api_key": "an-api-key", "hmac_key": "a-key"},
    options={"url": "https://waha.example", "session": "s1"},
)


def prepared(message: MessageToSend, uploaded: str | None = None) -> Request:
    found = CHANNEL.prepare(message, LINK, uploaded)
    assert isinstance(found, Request), found
    return found


def body_of(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.body + request.body_end)
    return found


def message(type: str = "chat", body: str = "hello", *, chat_id: str = ANN, **more: Any) -> MessageToSend:
    return MessageToSend(f"true_{chat_id}_3EB0957AD66BAFF57D1D", chat_id, type, body, **more)


def read(status: int, body: object, *, sending: Request | None = None, **headers: str) -> Result:
    return CHANNEL.read(sending or prepared(message()), response(status, body, **headers))


def test_a_text_with_a_quote_and_mentions() -> None:
    request = prepared(
        message(
            quoted={"id": f"false_{ANN}_{'A' * 32}", "body": "?", "type": "chat", "messenger_id": "3AB0"},
            metadata={"mentionedPhones": ["4915112345678"]},
        )
    )
    assert (request.method, request.url) == ("POST", "https://waha.example/api/sendText")
    assert request.headers["X-Api-Key"] == "an-api-key"
    assert body_of(request) == {
        "session": "s1",
        "chatId": ANN,
        "reply_to": f"false_{ANN}_3AB0",
        "text": "hello",
        "linkPreview": True,
        "mentions": ["4915112345678@c.us"],
    }


def test_a_quote_in_a_group_names_its_author() -> None:
    quoted = {"id": f"false_{GROUP}_{'A' * 32}_{ANN}", "body": "?", "type": "chat", "messenger_id": "3AB0"}
    request = prepared(message(chat_id=GROUP, quoted=quoted))
    assert body_of(request)["reply_to"] == f"false_{GROUP}_3AB0_{ANN}"


@pytest.mark.parametrize("key", ["3EB0957AD66BAFF57D1D-1700000000", "AC1234567890-1700000000.5"])
def test_a_change_without_an_id_of_its_own_is_quoted_by_that_of_its_message(key: str) -> None:
    quoted = {"id": f"false_{ANN}_{'A' * 32}", "body": "?", "type": "chat", "messenger_id": key}
    reply = body_of(prepared(message(quoted=quoted)))["reply_to"]
    assert reply == f"false_{ANN}_{key.partition('-')[0]}"


@pytest.mark.parametrize(
    ("type", "content_type", "path", "described"),
    [
        ("image", "image/png", "sendImage", {"mimetype": "image/png"}),
        ("image", "image/tiff", "sendFile", {"mimetype": "image/tiff"}),
        ("sticker", "image/webp", "sendImage", {"mimetype": "image/webp"}),
        ("video", "video/mp4", "sendVideo", {"mimetype": "video/mp4"}),
        ("ptt", "audio/ogg", "sendVoice", {"mimetype": "audio/ogg; codecs=opus"}),
        ("ptt", "audio/mpeg", "sendVoice", {"mimetype": "audio/mpeg"}),
        ("audio", "audio/mpeg", "sendFile", {"mimetype": "audio/mpeg"}),
        ("document", "application/pdf", "sendFile", {"mimetype": "application/pdf"}),
    ],
)
def test_a_stored_file_is_in_the_request(
    type: str, content_type: str, path: str, described: dict[str, str]
) -> None:
    file = File("a.bin", content_type, 3, "1/a.bin", "https://example.com/a.bin")
    request = prepared(message(type, file.link, file=file, caption="look"))
    assert request.url.endswith(f"/api/{path}")
    assert (request.body_path, request.is_base64) == ("1/a.bin", True)
    body = body_of(request)
    assert body["file"] == {"mimetype": "", "filename": "a.bin", "data": ""} | described
    assert body.get("caption") == (None if path == "sendVoice" else "look")
    assert body.get("convert") == {"sendVoice": content_type != "audio/ogg", "sendVideo": False}.get(path)


def test_a_file_of_another_site_is_named_by_its_url() -> None:
    body = body_of(prepared(message("image", "https://example.com/a.jpg?x=1")))
    assert body["file"] == {
        "mimetype": "image/jpeg",
        "filename": "a.jpg",
        "url": "https://example.com/a.jpg?x=1",
    }


def test_a_location_and_contacts() -> None:
    place = body_of(prepared(message("location", "52.52;13.405", caption="Berlin")))
    assert (place["latitude"], place["longitude"], place["title"]) == (52.52, 13.405, "Berlin")
    card = "BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nTEL:+49151\nEND:VCARD"
    assert body_of(prepared(message("vcard", f"{card}\n{card}")))["contacts"] == [{"vcard": card}] * 2
    assert isinstance(CHANNEL.prepare(message("location", "here"), LINK), Refused)


def test_a_deletion_names_the_whole_id() -> None:
    found = prepared(message(deletes=f"true_{ANN}_3EB0", deletes_messenger_id="3EB0A1"))
    assert (found.method, found.url) == (
        "DELETE", f"https://waha.example/api/s1/chats/{ANN}/messages/true_{ANN}_3EB0A1",
    )  # fmt: skip
    in_group = prepared(message(chat_id=GROUP, deletes=f"true_{GROUP}_3EB0", deletes_messenger_id="3EB0A1"))
    assert in_group.url.endswith(f"true_{GROUP}_3EB0A1_{OWN}")
    assert read(200, {"success": True}, sending=found) == Sent(acks=())


@pytest.mark.parametrize("phone", ["5511987654321", "5215512345678", "5491112345678"])
def test_some_numbers_are_asked_for_once(phone: str) -> None:
    first = message(chat_id=f"{phone}@c.us")
    asking = prepared(first)
    assert asking.is_upload
    assert asking.url == f"https://waha.example/api/contacts/check-exists?phone={phone}&session=s1"
    other = "551187654321@c.us"
    assert read(200, {"numberExists": True, "chatId": other}, sending=asking) == Uploaded(other)
    assert isinstance(read(200, {"numberExists": False}, sending=asking), Refused)
    request = prepared(first, other)
    assert body_of(request)["chatId"] == other
    sent = read(201, {"id": {"_serialized": f"true_{other}_3EB0"}}, sending=request)
    assert isinstance(sent, Sent) and sent.messenger_chat_id == other
    known = prepared(message(chat_id=f"{phone}@c.us", messenger_chat_id=other))
    assert not known.is_upload and body_of(known)["chatId"] == other


def test_a_person_of_another_messenger_is_refused() -> None:
    assert isinstance(CHANNEL.prepare(message(chat_id="telegram:123@c.us"), LINK), Refused)


@pytest.mark.parametrize(
    "body",
    [
        {"id": {"fromMe": True, "remote": ANN, "id": "3EB0A1", "_serialized": f"true_{ANN}_3EB0A1"}},
        {"id": f"true_{ANN}_3EB0A1"},
        {"id": f"true_{GROUP}_3EB0A1_{OWN}"},
        {"key": {"remoteJid": "17680561234@s.whatsapp.net", "fromMe": True, "id": "3EB0A1"}},
    ],
)
def test_the_id_is_the_same_whatever_engine_writes_it(body: dict[str, Any]) -> None:
    assert read(201, body) == Sent((Ack.SENT,), messenger_id="3EB0A1")


NOT_READY = {"error": "Session status is not as expected.", "session": "s1", "expected": ["WORKING"]}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"message": "Unauthorized", "statusCode": 401}, Unlinked),
        (403, {"message": "Forbidden resource", "statusCode": 403}, Unlinked),
        (403, b"<html>a proxy", Failed),
        (404, {"message": "Session not found", "statusCode": 404}, Unlinked),
        (404, b"<html>a proxy", Failed),
        (422, NOT_READY | {"status": "SCAN_QR_CODE"}, Unlinked),
        (422, NOT_READY | {"status": "STARTING"}, Wait),
        (422, NOT_READY | {"status": "FAILED"}, Wait),
        (422, {"message": 'Session "s1" does not exist', "statusCode": 422}, Unlinked),
        (400, {"message": ["chatId should not be empty"], "statusCode": 400}, Refused),
        (413, {"message": "request entity too large"}, Refused),
        (429, {"message": "Too Many Requests"}, Wait),
        (500, {"statusCode": 500, "exception": {"message": "Protocol error"}}, Failed),
        (502, b"<html>", Failed),
        (201, {}, Failed),
        (201, b"<html>", Failed),
    ],
)
def test_each_error_has_its_meaning(status: int, body: object, expected: type) -> None:
    result = read(status, body)
    assert isinstance(result, expected), result


def test_a_restricted_account_keeps_only_this_chat_waiting() -> None:
    said = {"exception": {"message": "2 UNKNOWN: server returned error 463"}}
    result = read(500, said)
    assert isinstance(result, Wait) and result.scope is Scope.CHAT and "463" in result.reason
