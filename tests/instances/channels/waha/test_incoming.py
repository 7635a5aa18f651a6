"""Events as WAHA sends them: the signature, and what each reports. No server is needed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest

from instances.channels.receiving import CallbackRequest, Reply, Store
from instances.channels.requests import Link
from instances.channels.waha.api import HMAC_KEY
from instances.channels.waha.callbacks import signature
from instances.channels.waha.channel import WahaChannel
from instances.models import AccountStatus, Ack, LoadingReason, MessageType, Substatus
from instances.received_events import (
    AccountFound,
    CodeShown,
    MessageAcked,
    MessageFailed,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
    SessionEnded,
    StatusReported,
)
from tests.doubles.waha import ENGINES, Session, Waha
from tests.instances.channels.waha.messenger import callback_of

CHANNEL = WahaChannel()
KEY = "an-hmac-key"
LINK = Link(1, "15550001111@c.us", {HMAC_KEY: KEY}, options={"url": "https://waha.example", "session": "s1"})
ANN, BEN, GROUP = "17680561234@c.us", "4915112345678@c.us", "120363000000000001@g.us"


@pytest.fixture(params=ENGINES)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session of each engine; its server is not asked."""
    server = Waha(engine=request.param)
    server.server.server_close()
    yield server.add_session("s1")


def read(session: Session) -> list[ReceivedEvent]:
    """Returns what the last event reports. Each event is also checked."""
    request = callback_of(session.events[-1], KEY)
    assert isinstance(CHANNEL.check_callback(LINK, request), Store)
    return list(CHANNEL.read_callback(LINK, request))


def test_the_documented_signature() -> None:
    body = b'{"event":"message","session":"default","engine":"WEBJS"}'
    expected = (
        "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
        "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
    )
    assert signature(body, "my-secret-key") == expected


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 401),
        ("POST", {"X-Webhook-Hmac": "0" * 128}, 403),
        ("POST", {"X-Webhook-Hmac": ""}, 401),
        ("POST", {"X-Webhook-Hmac": "ä"}, 403),
        ("GET", {}, 405),
    ],
)
def test_what_is_not_signed_is_not_stored(method: str, headers: dict[str, str], status: int) -> None:
    request = CallbackRequest(method, "", tuple(headers.items()), b'{"event":"message"}')
    checked = CHANNEL.check_callback(LINK, request)
    assert isinstance(checked, Reply) and checked.status == status


def test_the_raw_bytes_are_signed() -> None:
    body = b'{ "event" : "message", "x": "\xc3\xa4\\u00e4" }'
    digest = hmac.new(KEY.encode(), body, hashlib.sha512).hexdigest()
    for given in (digest, digest.upper()):
        request = CallbackRequest("POST", "", (("x-webhook-hmac", given),), body)
        assert isinstance(CHANNEL.check_callback(LINK, request), Store)


def test_a_link_without_a_key_accepts_nothing() -> None:
    body = b'{"event":"message"}'
    request = CallbackRequest("POST", "", (("X-Webhook-Hmac", signature(body, "")),), body)
    checked = CHANNEL.check_callback(Link(1, ""), request)
    assert isinstance(checked, Reply) and checked.status == 403


def test_an_event_of_another_session_is_not_stored(session: Session) -> None:
    """Also if a person's own server signs the events of all sessions with one key."""
    other = Link(2, "15550002222@c.us", LINK.credentials, options=dict(LINK.options, session="s2"))
    session.write(ANN, "hello")
    checked = CHANNEL.check_callback(other, callback_of(session.events[-1], KEY))
    assert isinstance(checked, Reply) and checked.status == 403


def test_an_event_is_stored_once(session: Session) -> None:
    session.write(ANN, "hello")
    checked = CHANNEL.check_callback(LINK, callback_of(session.events[-1], KEY))
    assert isinstance(checked, Store) and checked.key == session.events[-1]["id"]


def test_a_message_of_a_person(session: Session) -> None:
    written = session.write(ANN, "Grüße 👋", name="Ann", replyTo={"id": "3AB0", "hasMedia": False})
    [event] = read(session)
    assert isinstance(event, MessageReceived)
    assert (event.sender, event.chat_id, event.sender_name, event.body) == (ANN, None, "Ann", "Grüße 👋")
    assert (event.key, event.quoted) == (written["id"].split("_")[2], "3AB0")
    assert event.time is not None and event.time.timestamp() == written["timestamp"]


@pytest.mark.parametrize(
    ("chat", "participant", "sender", "where"),
    [
        (GROUP, ANN, ANN, GROUP),
        (GROUP, "98765432101234@lid", "98765432101234@lid", GROUP),
        ("98765432101234@lid", None, "98765432101234@lid", None),
        ("120363000000000009@newsletter", None, "120363000000000009@newsletter", None),
        ("status@broadcast", ANN, ANN, "status@broadcast"),
        ("17680561234@s.whatsapp.net", None, ANN, None),
    ],
)
def test_who_wrote_and_where(
    session: Session, chat: str, participant: str | None, sender: str, where: str | None
) -> None:
    session.write(chat, "hi", **({"participant": participant} if participant else {}))
    [event] = read(session)
    assert isinstance(event, MessageReceived)
    assert (event.sender, event.chat_id) == (sender, where)


def test_what_is_typed_on_the_phone_and_what_the_api_has_sent(session: Session) -> None:
    session.type_in_app(ANN, "by hand")
    [event] = read(session)
    assert isinstance(event, MessageTyped)
    assert (event.chat_id, event.body) == (ANN, "by hand")
    session.report(session.message(ANN, "by the API", from_me=True, source="api"))
    assert read(session) == []


@pytest.mark.parametrize(
    ("content_type", "raw", "type"),
    [
        ("image/jpeg", {}, MessageType.IMAGE),
        ("image/webp", {}, MessageType.STICKER),
        ("video/mp4", {}, MessageType.VIDEO),
        ("audio/ogg; codecs=opus", {}, MessageType.PTT),
        ("audio/mpeg", {}, MessageType.AUDIO),
        ("audio/mp4", {"type": "ptt"}, MessageType.PTT),
        ("image/png", {"type": "document"}, MessageType.DOCUMENT),
        ("application/pdf", {}, MessageType.DOCUMENT),
        ("", {}, MessageType.DOCUMENT),
    ],
)
def test_files(session: Session, content_type: str, raw: dict[str, Any], type: str) -> None:
    session.write(ANN, "my cup", _data=raw, **session.file(b"content", content_type, "cup.bin"))
    [event] = read(session)
    assert isinstance(event, MessageReceived) and event.media is not None
    assert (event.type, event.caption, event.media.filename) == (type, "my cup", "cup.bin")
    assert event.media.reference.endswith(".bin")


@pytest.mark.parametrize("media", [None, {"url": None, "error": {"message": "too old"}}])
def test_a_file_that_was_not_downloaded(session: Session, media: Any) -> None:
    session.write(ANN, "my cup", hasMedia=True, media=media)
    [event] = read(session)
    assert isinstance(event, MessageReceived) and event.media is not None
    assert event.media.reference.startswith("no-file:")
    assert ("too old" in event.media.reference) == bool(media)


def test_locations_and_contacts(session: Session) -> None:
    place = {"latitude": "52.52", "longitude": "13.405", "live": False, "name": "Berlin"}
    session.write(ANN, location=place)
    [event] = read(session)
    assert isinstance(event, MessageReceived)
    assert (event.type, event.body, event.caption) == (MessageType.LOCATION, "52.52;13.405", "Berlin")
    session.write(ANN, vCards=["BEGIN:VCARD\nFN:Ben\nEND:VCARD", "BEGIN:VCARD\nFN:Bo\nEND:VCARD"])
    [event] = read(session)
    assert isinstance(event, MessageReceived)
    assert event.type == MessageType.VCARD and "FN:Ben" in event.body and "FN:Bo" in event.body


def test_reactions_changes_and_removals(session: Session) -> None:
    first = session.write(ANN, "hello")
    key = first["id"].split("_")[2]
    session.react(ANN, "👍", first["id"])
    [event] = read(session)
    assert isinstance(event, MessageReceived)
    assert (event.body, event.quoted) == ("👍", key) and event.key != key
    session.react(ANN, "", first["id"])
    assert read(session) == []
    session.react(ANN, "👍", first["id"], from_me=True)
    assert isinstance(read(session)[0], MessageTyped)
    session.edit(first, "hello!")
    [event] = read(session)
    assert isinstance(event, MessageReceived)
    assert (event.body, event.quoted) == ("hello!", key) and event.key not in ("", key)
    session.revoke(first)
    assert read(session) == []


def test_a_change_without_an_id_of_its_own(session: Session) -> None:
    first = session.write(ANN, "hello")
    session.emit("message.edited", {**first, "body": "hello!", "editedMessageId": first["id"].split("_")[2]})
    [event] = read(session)
    assert isinstance(event, MessageReceived) and event.key != event.quoted


@pytest.mark.parametrize(
    ("ack", "expected"),
    [
        (-1, MessageFailed("3EB0A1", "WhatsApp reports that the message was not sent.")),
        (0, None),
        (1, MessageAcked(messenger_id="3EB0A1", ack=Ack.SENT)),
        (2, MessageAcked(messenger_id="3EB0A1", ack=Ack.DELIVERED)),
        (3, MessageAcked(messenger_id="3EB0A1", ack=Ack.VIEWED)),
        (4, MessageAcked(messenger_id="3EB0A1", ack=Ack.VIEWED)),
    ],
)
@pytest.mark.parametrize("event", ["message.ack", "message.ack.group"])
def test_acks(session: Session, ack: int, expected: ReceivedEvent | None, event: str) -> None:
    session.acknowledge("3EB0A1", ack, event=event)
    assert read(session) == ([expected] if expected else [])


def test_the_ack_of_a_message_that_a_phone_has_sent_waits_for_nothing(session: Session) -> None:
    session.acknowledge("AC1234567890", 3)
    assert read(session) == [MessageAcked(messenger_id="AC1234567890", ack=Ack.VIEWED, may_be_sending=False)]


def test_a_missed_call(session: Session) -> None:
    session.call(ANN, key="call-1")
    [event] = read(session)
    assert isinstance(event, MessageReceived)
    assert (event.type, event.sender, event.key) == (MessageType.CALL_LOG, ANN, "call-1")


LOADING = StatusReported(AccountStatus.LOADING, Substatus.NORMAL, LoadingReason.CONNECTING)
PAIRING = StatusReported(AccountStatus.LOADING, Substatus.PAIRING)


@pytest.mark.parametrize(
    ("status", "is_known", "expected"),
    [
        ("STOPPED", True, [StatusReported(AccountStatus.INIT)]),
        ("STARTING", True, [LOADING]),
        ("SCAN_QR_CODE", False, [CodeShown()]),
        ("PASSKEY_REQUIRED", False, [PAIRING]),
        ("PASSKEY_CONFIRMATION_REQUIRED", False, [PAIRING]),
        ("FAILED", True, [StatusReported(AccountStatus.LOADING, Substatus.TIMEOUT)]),
        ("FAILED", False, [StatusReported(AccountStatus.GOT_QR_CODE, Substatus.EXPIRED)]),
        (
            "WORKING",
            True,
            [
                AccountFound("15550001111@c.us", "Tea Shop (+15550001111)"),
                StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL),
            ],
        ),
        ("SOMETHING_NEW", True, []),
    ],
)
def test_the_states_of_a_session(
    session: Session, status: str, is_known: bool, expected: list[ReceivedEvent]
) -> None:
    if not is_known:
        session.me = None
    session.change(status)
    assert read(session) == expected


@pytest.mark.parametrize("status", ["SCAN_QR_CODE", "FAILED"])
def test_a_session_that_was_working_and_needs_a_code_was_logged_out(session: Session, status: str) -> None:
    session.change("WORKING")
    session.log_out()
    session.change("STARTING")
    session.change(status)
    ended, _ = read(session)
    assert isinstance(ended, SessionEnded)
    session.change(status)
    session.change(status)
    assert len(read(session)) == 1, "it is long ago"


@pytest.mark.parametrize(
    "event",
    [
        {"event": "presence.update", "payload": {"id": ANN}},
        {"event": "group.v2.join", "payload": {"group": {}}},
        {"event": "something.new", "payload": []},
        {"event": "message.any"},
        {"event": "message.any", "payload": {"id": 7}},
        {"event": "message.ack", "payload": {"id": None, "ack": "x", "fromMe": True}},
        {"event": "message.reaction", "payload": {"reaction": 1}},
        {"event": "call.received", "payload": {}},
        {"event": "session.status", "payload": {"status": 3}},
    ],
)
def test_what_is_of_no_interest_gives_no_event(event: dict[str, Any]) -> None:
    assert list(CHANNEL.read_callback(LINK, callback_of({"id": "evt_1", "timestamp": 1} | event, KEY))) == []
