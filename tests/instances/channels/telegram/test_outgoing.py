"""What is sent to Telegram, and what its responses mean: every error of its documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hooks.http import Response
from hooks.models import Outcome
from instances.channels.requests import (
    Failed,
    File,
    Link,
    MessageToSend,
    Moved,
    Refused,
    Request,
    Scope,
    Sent,
    Unlinked,
    Wait,
)
from instances.channels.telegram import outgoing, responses
from instances.channels.telegram.vcards import contact_of, vcard_of

LINK = Link(1234567890, "telegram:700@c.us", {"token": "700:AAF"}, "700")
ANN, GROUP = "telegram:100@c.us", "telegram:-400@g.us"


def message(type: str = "chat", body: str = "hello", **more: Any) -> MessageToSend:
    return MessageToSend("true_x_3EB0", more.pop("chat_id", ANN), type, body, **more)


def prepared(given: MessageToSend) -> Request:
    request = outgoing.prepare(given, LINK)
    assert isinstance(request, Request), request
    return request


def called(given: MessageToSend) -> tuple[str, Any]:
    """Returns the method and its arguments."""
    request = prepared(given)
    return request.url.rpartition("/")[2], json.loads(request.body)


def stored(content_type: str, size: int = 12) -> File:
    return File("a file.bin", content_type, size, "1/key.bin", "https://example.com/key.bin")


def test_a_text_is_sent_to_the_native_chat_or_to_where_it_has_moved() -> None:
    assert called(message()) == ("sendMessage", {"chat_id": "100", "text": "hello"})
    assert called(message(chat_id=GROUP))[1]["chat_id"] == "-400"
    assert called(message(chat_id=GROUP, messenger_chat_id="-1001"))[1]["chat_id"] == "-1001"


def test_a_phone_number_is_refused_with_what_to_do() -> None:
    refused = outgoing.prepare(message(chat_id="17680561234@c.us"), LINK)
    assert refused == Refused(outgoing.NO_NUMBERS)
    assert outgoing.prepare(message(chat_id="matrix:@ann:example.org@c.us"), LINK) == refused


@pytest.mark.parametrize(
    ("messenger_id", "reply"),
    [
        ("700:100:5", {"message_id": 5}),
        ("700:100:5-edited-1700000000", {"message_id": 5}),
        ("700:-400:6", {"message_id": 6, "chat_id": "-400"}),
        ("5", {"message_id": 5}),
        ("701:100:5", None),  # of the bot to which the instance was linked before
        ("", None),
        ("wamid.X", None),
    ],
)
def test_a_quote_replies_to_the_message_if_telegram_has_it(messenger_id: str, reply: Any) -> None:
    quoted = {"id": "false_x", "body": "b", "type": "chat", "messenger_id": messenger_id}
    arguments = called(message(quoted=quoted))[1]
    expected = None if reply is None else {**reply, "allow_sending_without_reply": True}
    assert arguments.get("reply_parameters") == expected


@pytest.mark.parametrize(
    ("messenger_id", "source"),
    [
        ("700:100:5", {"from_chat_id": "100", "message_id": 5}),
        ("700:-400:6", {"from_chat_id": "-400", "message_id": 6}),
        ("700:100:5-edited-1700000000", None),
        ("700:100:5-reaction-1-1700000000", None),
        ("5", None),  # of an older version, which did not keep the chat
        ("701:100:7", None),  # of another bot
        ("", None),
    ],
)
def test_a_message_that_the_bot_has_is_forwarded_and_another_copied(messenger_id: str, source: Any) -> None:
    given = message(forwarded=1, forwards_messenger_id=messenger_id)
    if source is None:
        assert called(given)[0] == "sendMessage"
    else:
        assert called(given) == ("forwardMessage", {"chat_id": "100", **source})
    file = message(
        "image", "https://example.com/x", file=stored("image/jpeg"), forwards_messenger_id=messenger_id
    )
    assert prepared(file).body_path == ("" if source else stored("image/jpeg").path)


def test_a_group_that_moved_is_followed_unless_the_forwarded_message_may_be_in_it() -> None:
    moved = {
        "ok": False,
        "error_code": 400,
        "description": "x",
        "parameters": {"migrate_to_chat_id": -100777},
    }
    body = json.dumps(moved).encode()
    for messenger_id, result in (("700:100:5", Moved), ("700:-400:6", Refused)):
        request = prepared(message(chat_id="telegram:-300@g.us", forwards_messenger_id=messenger_id))
        assert isinstance(responses.read(request, Response(Outcome.NOT_200, 400, [], body)), result)


def test_a_deletion_names_the_message_or_is_refused() -> None:
    given = message(deletes="true_x", deletes_messenger_id="700:100:7")
    assert called(given) == ("deleteMessage", {"chat_id": "100", "message_id": 7})
    for unknown in ("", "701:100:7"):
        given = message(deletes="true_x", deletes_messenger_id=unknown)
        assert outgoing.prepare(given, LINK) == Refused(outgoing.UNKNOWN)


def test_a_location_with_an_address_is_a_venue() -> None:
    place = {"chat_id": "100", "latitude": "52.52", "longitude": "-13.4"}
    assert called(message("location", "52.52;-13.4")) == ("sendLocation", place)
    venue = {**place, "title": "Shop", "address": "Main street 1"}
    assert called(message("location", "52.52;-13.4", caption="Shop\nMain street 1")) == ("sendVenue", venue)
    assert outgoing.prepare(message("location", "here"), LINK) == Refused(outgoing.NO_LOCATION)


@pytest.mark.parametrize(
    ("type", "file", "method", "field"),
    [
        ("image", stored("image/jpeg"), "sendPhoto", "photo"),
        ("image", stored("image/svg+xml"), "sendDocument", "document"),
        ("image", stored("image/jpeg", 11 * 1024**2), "sendDocument", "document"),
        ("ptt", stored("audio/ogg; codecs=opus"), "sendVoice", "voice"),
        ("ptt", stored("audio/wav"), "sendDocument", "document"),
        ("audio", stored("audio/mpeg"), "sendAudio", "audio"),
        ("video", stored("video/mp4"), "sendVideo", "video"),
        ("video", stored("video/x-matroska"), "sendDocument", "document"),
        ("sticker", stored("image/webp"), "sendSticker", "sticker"),
        ("document", stored("text/plain"), "sendDocument", "document"),
    ],
)
def test_a_stored_file_is_uploaded_as_what_telegram_shows(
    type: str, file: File, method: str, field: str
) -> None:
    quoted = {"id": "x", "body": "", "type": "chat", "messenger_id": "700:100:5"}
    request = prepared(message(type, "https://example.com/x", file=file, caption="fü", quoted=quoted))
    assert request.url.endswith(f"/{method}") and request.body_path == file.path and not request.is_upload
    head = request.body.decode()
    assert f'name="{field}"; filename="a file.bin"' in head
    assert 'name="chat_id"\r\n\r\n100\r\n' in head and '"message_id": 5' in head
    assert ("fü" in head) == (field != "sticker")


def test_a_file_that_is_not_stored_is_fetched_by_telegram() -> None:
    assert called(message("image", "https://example.com/a.jpg", caption="c")) == (
        "sendPhoto",
        {"chat_id": "100", "caption": "c", "photo": "https://example.com/a.jpg"},
    )


def test_a_file_over_50_mb_is_refused_before_it_is_uploaded() -> None:
    file = stored("application/zip", 50 * 1024**2 + 1)
    assert outgoing.prepare(message("document", "x", file=file), LINK) == Refused(outgoing.TOO_LARGE)


def test_a_vcard_becomes_a_contact_and_a_contact_a_vcard() -> None:
    vcard = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;Ben\r\nTEL;TYPE=CELL:+4915112345678\r\nEND:VCARD"
    assert contact_of(vcard) == {"phone_number": "+4915112345678", "first_name": "Ben Doe", "vcard": vcard}
    assert contact_of("BEGIN:VCARD\nFN:Ben\nEND:VCARD") is None
    long = vcard.replace("END", f"NOTE:{'x' * 3000}\r\nEND")
    assert "vcard" not in (contact_of(long) or {})
    assert contact_of(vcard_of({"phone_number": "+49151", "first_name": "Ben;", "last_name": "Doe"})) == {
        "phone_number": "+49151",
        "first_name": "Ben; Doe",
        "vcard": "BEGIN:VCARD\nVERSION:3.0\nN:Doe;Ben\\;;;;\nFN:Ben\\; Doe\nTEL:+49151\nEND:VCARD",
    }
    assert outgoing.prepare(message("vcard", "no card"), LINK) == Refused(outgoing.NO_CONTACT)


# -- responses


def respond(status: int, content: Any, *, to: MessageToSend | None = None, cut: int = 0) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = Response(Outcome.OK, status, [], body[: cut or None], len(body))
    return responses.read(prepared(to or message()), response)


def error(status: int, description: str, **parameters: int) -> Any:
    content = {"ok": False, "error_code": status, "description": description}
    return respond(status, content | ({"parameters": parameters} if parameters else {}))


def sent(text: str) -> dict[str, Any]:
    about = {"from": {"id": 700, "is_bot": True, "first_name": "Shop"}, "chat": {"id": -400, "type": "group"}}
    return {"ok": True, "result": {"message_id": 12, **about, "date": 1, "text": text}}


def test_a_sent_message_is_known_by_its_chat_and_number() -> None:
    assert respond(200, sent("hello")) == Sent(messenger_id="700:-400:12")
    reordered = {"result": {"chat": {"id": 5}, "message_id": 6}, "ok": True}
    assert respond(200, reordered) == Sent(messenger_id="700:5:6")


def test_a_response_that_is_cut_off_confirms_the_message() -> None:
    """Telegram repeats the text, with six bytes for each letter that is not ASCII; 8 KB of it are read."""
    content = sent("Ж" * 4096)
    assert len(json.dumps(content)) > 20_000
    assert respond(200, content, cut=8192) == Sent(messenger_id="700:-400:12")


@pytest.mark.parametrize(
    "content", [{"ok": True}, {"ok": False, "result": {}}, b"<html>", {"ok": True, "result": True}]
)
def test_what_does_not_confirm_the_message_is_tried_again(content: Any) -> None:
    assert isinstance(respond(200, content), Failed)


def test_a_deletion_is_done_or_not() -> None:
    deletion = message(deletes="true_x", deletes_messenger_id="700:100:7")
    assert respond(200, {"ok": True, "result": True}, to=deletion) == Sent(())
    assert isinstance(respond(200, {"ok": True, "result": {}}, to=deletion), Failed)


@pytest.mark.parametrize(
    ("status", "description", "sentence"),
    [
        (400, "Bad Request: chat not found", "Telegram does not know this chat"),
        (400, "Bad Request: message text is empty", "Telegram takes no empty text."),
        (400, "Bad Request: message is too long", "4,096 characters"),
        (400, "Bad Request: message caption is too long", "1,024 characters"),
        (400, "Bad Request: wrong remote file identifier specified", "could not fetch the file"),
        (400, "Bad Request: failed to get HTTP URL content", "could not fetch the file"),
        (400, "Bad Request: message to delete not found", "does not have this message any more"),
        (400, "Bad Request: message can't be deleted for everyone", "for 48 hours"),
        (400, "Bad Request: not enough rights to send text messages to the chat", "administrator"),
        (400, "Bad Request: something new", "Bad Request: something new"),
        (403, "Forbidden: bot was blocked by the user", "This person has blocked the bot."),
        (403, "Forbidden: user is deactivated", "deleted their Telegram account"),
        (403, "Forbidden: bot was kicked from the group chat", "was removed from this group"),
        (403, "Forbidden: bot is not a member of the supergroup chat", "not a member of this group"),
        (403, "Forbidden: bot can't initiate conversation with a user", "a bot cannot write first"),
        (413, "Request Entity Too Large", "50 MB"),
    ],
)  # fmt: skip
def test_a_refusal_is_a_sentence_and_telegrams_words(status: int, description: str, sentence: str) -> None:
    result = error(status, description)
    assert isinstance(result, Refused)
    assert sentence in result.reason and description in result.reason


def test_the_other_errors() -> None:
    assert error(429, "Too Many Requests: retry after 7", retry_after=7) == Wait(
        "Too Many Requests: retry after 7", Scope.NUMBER, 7.0
    )
    moved = error(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1001234567890)
    assert isinstance(moved, Moved) and moved.messenger_chat_id == "-1001234567890"
    for status, description in ((401, "Unauthorized"), (404, "Not Found")):
        assert isinstance(error(status, description), Unlinked)
    for status, description in ((500, "Internal Server Error"), (502, "Bad Gateway"), (409, "Conflict")):
        assert isinstance(error(status, description), Failed)
    for status in (400, 401, 403, 404):  # of a proxy, not of Telegram
        assert isinstance(respond(status, b"<html>"), Failed)


@pytest.mark.parametrize("file", [None, stored("text/plain")])
def test_a_limit_of_a_group_holds_up_that_group_only(file: File | None) -> None:
    flood = {"ok": False, "error_code": 429, "description": "x", "parameters": {"retry_after": 30}}
    type = "document" if file else "chat"
    for chat_id, scope in ((GROUP, Scope.CHAT), (ANN, Scope.NUMBER)):
        result = respond(429, flood, to=message(type, "x", chat_id=chat_id, file=file))
        assert isinstance(result, Wait) and result.scope is scope
