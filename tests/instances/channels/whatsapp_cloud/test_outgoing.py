"""Messages as requests to the Cloud API, and every kind of response."""

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
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.channels.whatsapp_cloud.errors import CODES
from instances.models import MessageType
from tests.instances.channels.responses import response

CHANNEL = WhatsAppCloudChannel()
ANN = "17680561234@c.us"
LINK = Link(
    1001,
    "15550000001@c.us",
    {"access_token": "EAAG-token", "app_secret": "app-secret", "verify_token": "verify"},
    external_id="106540352242922",
    options={"api_version": "v22.0"},
)
MESSAGE_ID = f"true_{ANN}_3EB0957AD66BAFF57D1D"


def request(
    type: str = MessageType.CHAT, body: str = "hello", *, uploaded: str | None = None, **more: Any
) -> Request:
    prepared = CHANNEL.prepare(
        MessageToSend(MESSAGE_ID, more.pop("chat_id", ANN), type, body, **more), LINK, uploaded
    )
    assert isinstance(prepared, Request), prepared
    return prepared


def sent(*arguments: Any, **more: Any) -> dict[str, Any]:
    """Returns the message's own part of the body."""
    body: dict[str, Any] = json.loads(request(*arguments, **more).body)
    assert body.pop("messaging_product") == "whatsapp"
    assert body.pop("biz_opaque_callback_data") == MESSAGE_ID
    return body


def to_ann(**content: Any) -> dict[str, Any]:
    return {"recipient_type": "individual", "to": "17680561234"} | content


def file(content_type: str) -> File:
    return File("a.bin", content_type, 3, "1/a.bin", "https://example.com/media/key/a.bin")


def test_a_text() -> None:
    prepared = request()
    assert (prepared.method, prepared.url) == (
        "POST", "https://graph.facebook.com/v22.0/106540352242922/messages",
    )  # fmt: skip
    assert prepared.headers["Authorization"] == "Bearer EAAG-token"
    assert sent() == to_ann(type="text", text={"body": "hello", "preview_url": False})
    assert sent(body="see https://example.com")["text"]["preview_url"] is True
    too_long = CHANNEL.prepare(MessageToSend(MESSAGE_ID, ANN, "chat", "x" * 4097), LINK)
    assert too_long == Refused("WhatsApp takes texts of up to 4,096 characters; this one has 4,097.")


def test_a_link_is_a_text_whose_preview_whatsapp_makes_itself() -> None:
    link = sent(body="https://example.com", file=file("image/png"), metadata={"title": "Example"})
    assert link == to_ann(type="text", text={"body": "https://example.com", "preview_url": True})


def test_whom_it_is_to() -> None:
    user = sent(chat_id="user:US.13491208655302741918@c.us")
    assert (user["recipient_type"], user["recipient"], "to" in user) == (
        "individual", "US.13491208655302741918", False,
    )  # fmt: skip
    group = sent(chat_id="17680561234-1479621234@g.us")
    assert (group["recipient_type"], group["to"]) == ("group", "17680561234-1479621234")
    assert sent(chat_id="5511999999999@c.us", messenger_chat_id="551199999999")["to"] == "551199999999"


def test_a_quote_names_the_messenger_s_id() -> None:
    quoted = {"id": "false_x", "body": "", "type": "chat"}
    assert sent(quoted=quoted | {"messenger_id": "wamid.q"})["context"] == {"message_id": "wamid.q"}
    assert "context" not in sent(quoted=quoted)


def test_locations_and_contacts() -> None:
    assert sent("location", "52.52;13.405", caption="Berlin")["location"] == {
        "latitude": 52.52, "longitude": 13.405, "name": "Berlin", "address": "Berlin",
    }  # fmt: skip
    card = (
        "BEGIN:VCARD\nVERSION:3.0\nN:Doe;Ben;;;\nFN:Ben Doe\nORG:Shop\\, Inc.;x\n"
        "item1.TEL;type=WORK;waid=4915112345678:+49 151\nEMAIL:b@example.com\nEND:VCARD"
    )
    ben = {
        "name": {"first_name": "Ben", "last_name": "Doe", "formatted_name": "Ben Doe"},
        "org": {"company": "Shop, Inc."},
        "phones": [{"phone": "+49 151", "wa_id": "4915112345678", "type": "WORK"}],
        "emails": [{"email": "b@example.com"}],
    }
    assert sent("vcard", card)["contacts"] == [ben]
    assert sent("vcard", card + "\n" + card)["contacts"] == [ben, ben]
    assert sent("vcard", "TEL:1")["contacts"][0]["name"] == {"formatted_name": "1", "first_name": "1"}


@pytest.mark.parametrize(
    ("type", "content_type", "kind", "content"),
    [
        ("image", "image/png", "image", {"caption": "look"}),
        ("image", "image/gif", "document", {"caption": "look", "filename": "a.bin"}),
        ("video", "video/mp4", "video", {"caption": "look"}),
        ("ptt", "audio/ogg", "audio", {"voice": True}),
        ("audio", "audio/mpeg", "audio", {}),
        ("sticker", "image/webp", "sticker", {}),
        ("sticker", "image/png", "image", {"caption": "look"}),
        ("document", "application/pdf", "document", {"caption": "look", "filename": "a.bin"}),
    ],
)
def test_a_file_is_uploaded_and_then_named(
    type: str, content_type: str, kind: str, content: dict[str, Any]
) -> None:
    upload = request(type, file=file(content_type), caption="look")
    assert (upload.url, upload.body_path, upload.is_upload) == (
        "https://graph.facebook.com/v22.0/106540352242922/media", "1/a.bin", True,
    )  # fmt: skip
    assert f"\r\n\r\n{content_type}\r\n".encode() in upload.body
    assert sent(type, file=file(content_type), caption="look", uploaded="4711") == to_ann(
        type=kind, **{kind: {"id": "4711", **content}}
    )


def test_a_file_elsewhere_is_named_by_its_url() -> None:
    assert sent("image", "https://example.com/a.png", caption="look")["image"] == {
        "link": "https://example.com/a.png", "caption": "look",
    }  # fmt: skip


def test_a_template() -> None:
    template = {"name": "hello_world", "language": {"code": "en_US"}}
    assert sent(metadata={"template": template}) == to_ann(type="template", template=template)


def read(status: int, body: Any = b"", **headers: str) -> Result:
    return CHANNEL.read(request(), response(status, body, **headers))


def error(
    code: Any, status: int = 400, *, subcode: int | None = None, transient: bool = False, **headers: str
) -> Result:
    found: dict[str, Any] = {"code": code, "message": "In general.", "error_data": {"details": "Exactly."}}
    if subcode is not None:
        found["error_subcode"] = subcode
    if transient:
        found["is_transient"] = True
    return read(status, {"error": found}, **headers)


def test_a_success_has_an_id() -> None:
    contacts = [{"input": "5511999999999", "wa_id": "551199999999"}]
    accepted = {"contacts": contacts, "messages": [{"id": "wamid.1"}]}
    assert read(200, accepted) == Sent(messenger_id="wamid.1", messenger_chat_id="551199999999")
    same = [{"input": "+1 768-056-1234", "wa_id": "17680561234"}]
    assert read(200, accepted | {"contacts": same}) == Sent(messenger_id="wamid.1")
    without_ids: list[Any] = [{}, {"messages": []}, {"messages": [{}]}, {"messages": [{"id": 7}]}, b"<html>"]
    for nothing in without_ids:
        assert isinstance(read(200, nothing), Failed)
    upload = request("image", file=file("image/png"))
    assert CHANNEL.read(upload, response(200, {"id": "4711"})) == Uploaded("4711")
    assert isinstance(CHANNEL.read(upload, response(200, {})), Failed)


# The codes of messengers.md's table with what each is to do.
UNLINKED = (0, 190, 3, 10, 200, 299, 131005, 131031, 131045, 133010)
NUMBER_WAITS = (4, 80007, 130429, 131048, 131064, 133016, 368, 131042)
FAILED = (131000, 131016, 131057, 135000)
REFUSED = (
    100, 131008, 131009, 131021, 131026, 131030, 130497, 131047, 131049, 130472, 131050, 131051, 131052, 131053,
    132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016,
)  # fmt: skip


@pytest.mark.parametrize(
    ("codes", "kind", "scope"),
    [
        (UNLINKED, Unlinked, None),
        (NUMBER_WAITS, Wait, Scope.NUMBER),
        ((131056,), Wait, Scope.CHAT),
        (FAILED, Failed, None),
        (REFUSED, Refused, None),
    ],
)
def test_every_error_is_a_sentence_a_result_and_a_scope(
    codes: tuple[int, ...], kind: type[Result], scope: Scope | None
) -> None:
    for code in codes:
        result = error(code)
        assert isinstance(result, kind), code
        assert getattr(result, "scope", None) == scope
        assert getattr(result, "reason", "") == f"{CODES[code].sentence} WhatsApp: Exactly. ({code})"
        assert CODES[code].sentence.endswith(".")


def test_errors_without_a_known_code() -> None:
    assert error("131047") == error(131047)
    assert isinstance(error(100, subcode=33), Unlinked)
    assert isinstance(error(100, transient=True), Failed)
    assert error(999_999) == Refused("Exactly. (999999)")
    assert isinstance(error(999_999, transient=True), Failed)
    assert isinstance(error(999_999, 500), Failed)
    assert isinstance(error(None, 401), Unlinked)
    assert read(429, b"", Retry_After="7") == Wait("WhatsApp responded with 429.", Scope.NUMBER, 7.0)
    assert error(130429, 429, Retry_After="7").seconds == 7.0  # type: ignore[union-attr]  # it waits
    assert read(502, b"<html>") == Failed("WhatsApp responded with 502, without a reason.")


def test_what_it_cannot_do() -> None:
    deletion = MessageToSend(MESSAGE_ID, ANN, "chat", "", deletes="true_x")
    assert CHANNEL.prepare(deletion, LINK) == Refused(
        "WhatsApp's Cloud API cannot delete a message that was sent."
    )
