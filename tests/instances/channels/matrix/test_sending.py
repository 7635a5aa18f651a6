"""The requests to a homeserver, and what each response means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hooks.http import Response
from instances.channels.matrix import sending
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
from tests.instances.channels.responses import response

ROOM = "!room:example.org"
CHAT = f"matrix:{ROOM}@g.us"
LINK = Link(
    1001,
    "matrix:@bot:example.org@c.us",
    {"access_token": "the-token"},
    "@bot:example.org",
    {"base_url": "https://matrix.example.org"},
)
MESSAGE = MessageToSend(f"true_{CHAT}_3EB0AAAA_{LINK.own_chat_id}", CHAT, "chat", "Grüße")
PICTURE = File("a picture.png", "image/png", 12, "1/a.png", "https://example.com/a.png")
ROOMS = "https://matrix.example.org/_matrix/client/v3/rooms/%21room%3Aexample.org"


def prepared(message: MessageToSend, uploaded: str | None = None) -> Request:
    request = sending.prepare(message, LINK, uploaded)
    assert isinstance(request, Request)
    return request


def sent_content(message: MessageToSend, uploaded: str | None = None) -> Any:
    return json.loads(prepared(message, uploaded).body)


def test_a_message_is_one_put_whose_transaction_is_that_of_its_id() -> None:
    request = prepared(MESSAGE)
    assert request.method == "PUT"
    where, _, transaction = request.url.rpartition("/")
    assert where == f"{ROOMS}/send/m.room.message"
    assert transaction == sending.transaction_id(MESSAGE) and len(transaction) == 32
    assert request.headers == {"Authorization": "Bearer the-token", "Content-Type": "application/json"}
    assert json.loads(request.body) == {"msgtype": "m.text", "body": "Grüße"}
    other = replace(MESSAGE, message_id="true_another")
    assert prepared(other).url != request.url, "another message has another transaction"


def test_a_chat_that_the_messenger_calls_something_else_is_sent_to_there() -> None:
    request = prepared(replace(MESSAGE, messenger_chat_id="!newer:example.org"))
    assert "/rooms/%21newer%3Aexample.org/send/" in request.url


@pytest.mark.parametrize(
    ("type", "msgtype"),
    [
        ("image", "m.image"),
        ("video", "m.video"),
        ("audio", "m.audio"),
        ("ptt", "m.audio"),
        ("document", "m.file"),
    ],
)
def test_a_file_is_uploaded_and_then_named(type: str, msgtype: str) -> None:
    message = replace(MESSAGE, type=type, body=PICTURE.link, file=PICTURE, caption="look")
    upload = prepared(message)
    assert (upload.method, upload.url, upload.body_path, upload.is_upload) == (
        "POST",
        "https://matrix.example.org/_matrix/media/v3/upload?filename=a+picture.png",
        "1/a.png",
        True,
    )
    assert upload.headers["Content-Type"] == "image/png"
    uri = "mxc://example.org/abc"
    assert sending.read(upload, response(200, {"content_uri": uri})) == Uploaded(uri)
    content = sent_content(message, uri)
    assert content.pop("org.matrix.msc3245.voice", None) == ({} if type == "ptt" else None)
    assert content == {
        "msgtype": msgtype,
        "body": "look",
        "filename": "a picture.png",
        "url": uri,
        "info": {"mimetype": "image/png", "size": 12},
    }
    assert sent_content(replace(message, caption=None), uri)["body"] == "a picture.png"


def test_a_sticker_is_an_event_of_its_own_type() -> None:
    message = replace(MESSAGE, type="sticker", body=PICTURE.link, file=PICTURE)
    request = prepared(message, "mxc://example.org/abc")
    assert "/send/m.sticker/" in request.url
    assert json.loads(request.body) == {
        "body": "a picture.png",
        "url": "mxc://example.org/abc",
        "info": {"mimetype": "image/png", "size": 12},
    }


def test_a_file_that_is_not_stored_here_is_sent_as_its_link() -> None:
    message = replace(MESSAGE, type="image", body="https://example.com/a.png", caption="look")
    assert sent_content(message) == {"msgtype": "m.text", "body": "https://example.com/a.png\nlook"}


def test_a_location_has_a_geo_uri() -> None:
    message = replace(MESSAGE, type="location", body="52.5200;13.4050", caption="Berlin")
    assert sent_content(message) == {
        "msgtype": "m.location",
        "body": "Berlin",
        "geo_uri": "geo:52.5200,13.4050",
    }


def test_a_quote_is_a_reply_if_the_messenger_knows_the_quoted_message() -> None:
    quoted = {"id": "false_1", "body": "question", "type": "chat"}
    assert "m.relates_to" not in sent_content(replace(MESSAGE, quoted=quoted))
    content = sent_content(replace(MESSAGE, quoted=quoted | {"messenger_id": "$question"}))
    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$question"}}


def test_a_deletion_is_a_redaction_with_a_transaction() -> None:
    message = replace(MESSAGE, body="", deletes="true_1", deletes_messenger_id="$old")
    request = prepared(message)
    assert request.method == "PUT"
    assert request.url == f"{ROOMS}/redact/%24old/{sending.transaction_id(message)}"
    assert sending.read(request, response(200, {"event_id": "$redaction"})) == Sent(())
    assert sending.prepare(replace(message, deletes_messenger_id=""), LINK) == Refused(sending.NOT_KNOWN)


SEND = prepared(MESSAGE)


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (response(200, {"event_id": "$event"}), Sent(messenger_id="$event", messenger_chat_id=ROOM)),
        (response(200, {}), Failed("The homeserver's response does not confirm the message.")),
        (
            response(401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed."}),
            Unlinked(
                "The homeserver does not accept the access token any more"
                " (M_UNKNOWN_TOKEN: Invalid access token passed)."
            ),
        ),
        (
            response(403, {"errcode": "M_USER_DEACTIVATED", "error": "gone"}),
            Unlinked("The account was deactivated at the homeserver (M_USER_DEACTIVATED: gone)."),
        ),
        (
            response(403, {"errcode": "M_FORBIDDEN", "error": "User not in room"}),
            Refused(
                "The account is not in this room, or is not allowed to do this there"
                " (M_FORBIDDEN: User not in room)."
            ),
        ),
        (
            response(413, {"errcode": "M_TOO_LARGE", "error": "event too large"}),
            Refused("This is larger than the homeserver accepts (M_TOO_LARGE: event too large)."),
        ),
        (
            response(400, {"errcode": "M_WEIRD"}),
            Refused("The homeserver refuses this (M_WEIRD)."),
        ),
        (
            response(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 9000}, Retry_After="7"),
            Wait("The homeserver's limit was reached (M_LIMIT_EXCEEDED).", Scope.NUMBER, 7),
        ),
        (
            response(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2500}),
            Wait("The homeserver's limit was reached (M_LIMIT_EXCEEDED).", Scope.NUMBER, 2.5),
        ),
        (
            response(403, {"errcode": "M_RESOURCE_LIMIT_EXCEEDED", "error": "full"}),
            Wait(
                "The homeserver has reached a limit of its operator (M_RESOURCE_LIMIT_EXCEEDED: full).",
                Scope.NUMBER,
            ),
        ),
        (response(502, b"<html>"), Failed("The response with 502 is not one of a Matrix homeserver.")),
        (response(404, b"<html>"), Failed("The response with 404 is not one of a Matrix homeserver.")),
        (response(302), Failed("The response with 302 is not one of a Matrix homeserver.")),
    ],
)
def test_what_a_response_means(given: Response, result: Result) -> None:
    assert sending.read(SEND, given) == result


def test_a_chat_id_that_is_no_room_is_explained() -> None:
    request = prepared(replace(MESSAGE, chat_id="17680561234@c.us"))
    refused = response(403, {"errcode": "M_FORBIDDEN", "error": "User not in room"})
    assert sending.read(request, refused) == Refused(sending.NO_ROOM)


def test_the_upload_is_confirmed_by_an_mxc_uri_only() -> None:
    upload = prepared(replace(MESSAGE, type="image", file=PICTURE))
    assert isinstance(sending.read(upload, response(200, {"content_uri": "https://example.com"})), Failed)
    too_large = response(413, {"errcode": "M_TOO_LARGE", "error": "Upload request body is too large"})
    assert isinstance(sending.read(upload, too_large), Refused)
