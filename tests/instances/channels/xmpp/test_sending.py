"""The stanzas of messages, and what the responses of the gateway and of the file store mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hooks.http import Response
from hooks.models import Outcome
from instances.channels.open_streams import NOT_CONNECTED
from instances.channels.requests import (
    Failed,
    File,
    Link,
    MessageToSend,
    Refused,
    Request,
    Scope,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.channels.xmpp.account import NO_ARCHIVE
from instances.channels.xmpp.channel import XmppChannel
from instances.channels.xmpp.sending import NO_JID, prepare, read
from instances.channels.xmpp.xml import CLIENT, child_text, parse

LINK = Link(
    1234567890, "xmpp:bot@example.org@c.us", stream_url="http://127.0.0.1:4000", stream_token="t" * 64
)
MESSAGE = MessageToSend("true_xmpp:ann@example.org@c.us_3EB0", "xmpp:ann@example.org@c.us", "chat", "hi")
STORED = File("photo.png", "image/png", 12, "1/photo.png", "https://site.example/media/photo.png")


def request_of(message: MessageToSend, uploaded: str | None = None) -> Request:
    prepared = prepare(message, LINK, uploaded)
    assert isinstance(prepared, Request), prepared
    return prepared


def response(status: int, **values: Any) -> Response:
    return Response(Outcome.OK if status == 200 else Outcome.NOT_200, status, [], json.dumps(values).encode())


def test_a_text_asks_for_receipts() -> None:
    request = request_of(MESSAGE)
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:4000/1234567890/message")
    assert request.headers["Authorization"] == f"Bearer {'t' * 64}"
    stanza = parse(request.body)
    assert (stanza.get("to"), stanza.get("type")) == ("ann@example.org", "chat")
    assert child_text(stanza, f"{{{CLIENT}}}body") == "hi"
    assert {each.tag for each in stanza} >= {
        "{urn:xmpp:receipts}request", "{urn:xmpp:chat-markers:0}markable", "{urn:xmpp:sid:0}origin-id",
    }  # fmt: skip
    assert request_of(MESSAGE).body == request.body


def test_a_message_to_a_room_asks_for_no_receipts() -> None:
    stanza = parse(request_of(replace(MESSAGE, chat_id="xmpp:room@rooms.example.org@g.us")).body)
    assert (stanza.get("to"), stanza.get("type")) == ("room@rooms.example.org", "groupchat")
    assert stanza.find("{urn:xmpp:receipts}request") is None


@pytest.mark.parametrize(
    "chat_id", ["17680561234@c.us", "matrix:@ann:example.org@c.us", "xmpp:a b@example.org@c.us"]
)
def test_only_jids_are_written_to(chat_id: str) -> None:
    assert prepare(replace(MESSAGE, chat_id=chat_id), LINK) == Refused(NO_JID)


def test_a_jid_is_normalised_and_remembered() -> None:
    request = request_of(replace(MESSAGE, chat_id="xmpp:Ann@Example.ORG@c.us"))
    assert parse(request.body).get("to") == "ann@example.org"
    assert read(request, response(200, id="x")) == Sent(messenger_id="x", messenger_chat_id="ann@example.org")


def test_messages_wait_while_the_account_is_not_connected() -> None:
    assert prepare(MESSAGE, replace(LINK, stream_url="", stream_token="")) == NOT_CONNECTED


def test_a_file_gets_a_slot_is_put_there_and_is_linked() -> None:
    message = replace(MESSAGE, type="image", body=STORED.link, file=STORED, caption="look")
    asked = request_of(message)
    assert asked.is_upload and asked.url.endswith("/slot")
    slot = read(
        asked, response(200, put="https://up.example/1", get="https://get.example/1", headers={"Cookie": "a"})
    )
    assert isinstance(slot, Uploaded)
    put = request_of(message, slot.value)
    assert (put.method, put.url, put.body_path) == ("PUT", "https://up.example/1", "1/photo.png")
    assert put.headers == {"Cookie": "a", "Content-Type": "image/png"}, "the token stays here"
    assert read(put, Response(Outcome.NOT_200, 201)) == Uploaded("https://get.example/1")
    assert isinstance(read(put, Response(Outcome.NOT_200, 413)), Refused)
    assert isinstance(read(put, Response(Outcome.NOT_200, 403)), Failed)
    stanza = parse(request_of(message, "https://get.example/1").body)
    assert child_text(stanza, f"{{{CLIENT}}}body") == "https://get.example/1\nlook"
    assert stanza.findtext("{jabber:x:oob}x/{jabber:x:oob}url") == "https://get.example/1"


def test_a_quote_names_the_message_and_marks_the_quoted_lines() -> None:
    quoted = {"id": "false_x", "body": "one\ntwo 👋", "type": "chat", "messenger_id": "q1"}
    stanza = parse(request_of(replace(MESSAGE, quoted=quoted)).body)
    body, part = child_text(stanza, f"{{{CLIENT}}}body"), stanza.find(".//{urn:xmpp:fallback:0}body")
    assert (
        part is not None
        and body[int(part.get("start", "")) : int(part.get("end", ""))] == "> one\n> two 👋\n"
    )
    assert body.endswith("\nhi")
    assert [each.get("id") for each in stanza.iter("{urn:xmpp:reply:0}reply")] == ["q1"]


def test_a_deletion_names_the_message() -> None:
    request = request_of(replace(MESSAGE, body="", deletes="true_x", deletes_messenger_id="capi1"))
    assert [each.get("id") for each in parse(request.body).iter("{urn:xmpp:message-retract:1}retract")] == [
        "capi1"
    ]
    assert read(request, response(200, id="x")) == Sent(())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            response(422, error="No such user.", condition="item-not-found", type="cancel"),
            Refused("No such user."),
        ),
        (
            response(422, error="Later.", condition="resource-constraint", type="wait"),
            Wait("Later.", Scope.CHAT),
        ),
        (response(503, error="Not connected."), Wait("Not connected.", Scope.NUMBER, 1.0)),
        (response(403, error="Wrong password."), Unlinked("Wrong password.")),
        (response(504), Failed("The receiver responded with 504.")),
        (response(401), Failed("The receiver responded with 401.")),
        (response(200), Failed("The receiver's response does not confirm the message.")),
    ],
)
def test_what_a_response_means(given: Response, expected: object) -> None:
    assert read(request_of(MESSAGE), given) == expected


def test_the_body_of_a_file_is_its_url_alone_so_that_clients_show_the_file() -> None:
    linked = replace(MESSAGE, type="document", body="https://files.example/a/paper.pdf?x=1")
    for caption, body in (
        (None, linked.body),
        ("paper.pdf", linked.body),
        ("The paper", f"{linked.body}\nThe paper"),
    ):
        stanza = parse(request_of(replace(linked, caption=caption)).body)
        assert child_text(stanza, f"{{{CLIENT}}}body") == body
        assert child_text(stanza[[each.tag for each in stanza].index("{jabber:x:oob}x")], "{jabber:x:oob}url")


def test_without_an_archive_a_message_may_be_sent_twice() -> None:
    assert XmppChannel().is_idempotent(LINK)
    assert not XmppChannel().is_idempotent(replace(LINK, options={"missing": f"No rooms. {NO_ARCHIVE}"}))
