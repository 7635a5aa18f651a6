"""What the events of a room mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from instances.channels.matrix.timeline import ENCRYPTED, Room
from instances.models import Ack
from instances.received_events import (
    ChatMoved,
    ChatViewed,
    Media,
    MessageAcked,
    MessageReceived,
    MessageTyped,
)

BOT, ANN = "@bot:example.org", "@ann:example.org"
CHAT, DIRECT = "matrix:!room:example.org@g.us", "matrix:!room:example.org@c.us"
TIME = datetime(2026, 11, 29, 6, 30, tzinfo=UTC)


def room(*, is_direct: bool = False) -> Room:
    return Room("!room:example.org", BOT, is_direct, {ANN: "Ann"})


def event(
    said: dict[str, Any], *, sender: str = ANN, type: str = "m.room.message", **more: Any
) -> dict[str, Any]:
    return {
        "type": type,
        "event_id": "$event",
        "sender": sender,
        "origin_server_ts": int(TIME.timestamp() * 1000),
        "content": said,
        **more,
    }


def member(user: str, membership: str, *, before: str = "", name: str | None = None) -> dict[str, Any]:
    said = {"membership": membership, "displayname": name}
    more = {"unsigned": {"prev_content": {"membership": before}}} if before else {}
    return event(said, sender=user, type="m.room.member", state_key=user, **more)


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


def received(**more: Any) -> MessageReceived:
    return MessageReceived(
        **{
            "key": "$event",
            "sender": "matrix:@ann:example.org@c.us",
            "sender_name": "Ann",
            "chat_id": CHAT,
            "time": TIME,
            **more,
        }
    )


def media(**more: Any) -> Media:
    return Media("mxc://example.org/abc", **more)


REPLY = {"m.relates_to": {"m.in_reply_to": {"event_id": "$q"}}}
EDIT = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$old"}, "m.new_content": text("new")}
PICTURE = {
    "msgtype": "m.image",
    "url": "mxc://example.org/abc",
    "info": {"mimetype": "image/png", "size": 12},
}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (text("hello"), {"body": "hello"}),
        ({"msgtype": "m.notice", "body": "note"}, {"body": "note"}),
        ({"msgtype": "m.emote", "body": "waves"}, {"body": "* waves"}),
        ({"msgtype": "org.example.poll", "body": "a poll"}, {"body": "a poll"}),
        (
            text("> <@bot:example.org> question\n> more\n\nanswer", **REPLY),
            {"body": "answer", "quoted": "$q"},
        ),
        (text("> a quote of its own"), {"body": "> a quote of its own"}),
        (
            text("* new", **EDIT),
            {"body": "new", "quoted": "$old"},
        ),
        (
            {**PICTURE, "body": "a.png"},
            {"type": "image", "media": media(content_type="image/png", filename="a.png", size=12)},
        ),
        (
            {**PICTURE, "body": "look", "filename": "a.png"},
            {
                "type": "image",
                "caption": "look",
                "media": media(content_type="image/png", filename="a.png", size=12),
            },
        ),
        (
            {**PICTURE, "msgtype": "m.audio", "body": "voice.ogg", "org.matrix.msc3245.voice": {}},
            {"type": "ptt", "media": media(content_type="image/png", filename="voice.ogg", size=12)},
        ),
        (
            {"msgtype": "m.file", "url": "mxc://example.org/abc", "body": "a.zip", "info": None},
            {"type": "document", "media": media(filename="a.zip")},
        ),
        (
            {"msgtype": "m.location", "body": "Berlin", "geo_uri": "geo:52.52,13.405;u=35"},
            {"type": "location", "body": "52.52;13.405", "caption": "Berlin"},
        ),
        ({"msgtype": "m.location", "body": "Berlin", "geo_uri": "geo:here"}, {"body": "Berlin"}),
    ],
)  # fmt: skip
def test_what_a_person_writes(said: dict[str, Any], expected: dict[str, Any]) -> None:
    assert room().read([event(said)]) == [received(**expected)]


def test_a_sticker_is_an_event_of_its_own() -> None:
    said = {"body": "a cat", "url": "mxc://example.org/abc", "info": {"mimetype": "image/webp", "size": 5}}
    assert room().read([event(said, type="m.sticker")]) == [
        received(type="sticker", media=media(content_type="image/webp", size=5))
    ]


@pytest.mark.parametrize(
    "said",
    [{}, {"msgtype": "m.text"}, {"msgtype": 7, "body": "x"}, {"msgtype": "m.text", "body": ["x"]}],
)
def test_what_was_deleted_or_has_no_text_is_no_message(said: dict[str, Any]) -> None:
    assert room().read([event(said)]) == []


def test_a_direct_room_is_a_chat_of_two() -> None:
    assert room(is_direct=True).read([event(text("hello"))]) == [received(body="hello", chat_id=DIRECT)]


def test_the_accounts_own_messages_are_echoes_of_the_api_or_typed_elsewhere() -> None:
    echo = event(text("by API"), sender=BOT, unsigned={"transaction_id": "t1"})
    typed = event(text("by hand"), sender=BOT, unsigned={"age": 5})
    assert room().read([echo, typed]) == [MessageTyped(key="$event", chat_id=CHAT, body="by hand", time=TIME)]


def test_a_new_name_is_that_of_the_messages_after_it() -> None:
    said = [event(text("1")), member(ANN, "join", before="join", name="Anna"), event(text("2"))]
    assert [read.sender_name for read in room().read(said) if isinstance(read, MessageReceived)] == [
        "Ann",
        "Anna",
    ]


def test_what_was_written_before_the_account_was_invited_is_left_out() -> None:
    old, new = event(text("old")), event(text("new"))
    entry = [member(BOT, "invite"), event(text("since the invitation")), member(BOT, "join", before="invite")]
    renamed = member(BOT, "join", before="join")

    def bodies(*events: dict[str, Any]) -> list[str]:
        return [read.body for read in room().read(events) if isinstance(read, MessageReceived)]

    assert bodies(old, *entry, new) == ["since the invitation", "new"]
    assert bodies(old, member(BOT, "join"), new) == ["new"], "a public room"
    assert bodies(old, member(BOT, "join", before="leave"), new) == ["new"]
    assert bodies(old, renamed, new) == ["old", "new"], "it was there before"


def test_an_encrypted_room_is_named_once() -> None:
    first, second = (
        event({"ciphertext": "x"}, type="m.room.encrypted", event_id=key) for key in ("$1", "$2")
    )
    own = event({"ciphertext": "x"}, type="m.room.encrypted", sender=BOT)
    found = room().read([first, second, own])
    assert found == [received(key="encrypted !room:example.org", body=ENCRYPTED)] * 2, (
        "recorded once by its key"
    )


def test_receipts_of_others_are_read_up_to_an_event() -> None:
    now = int(TIME.timestamp() * 1000)
    receipts = {
        "type": "m.receipt",
        "content": {
            "$1": {"m.read": {ANN: {"ts": now}, BOT: {"ts": now}}},
            "$2": {"m.read": {ANN: {"ts": now, "thread_id": "main"}}},
            "$3": {"m.read": {ANN: {"ts": now, "thread_id": "$thread"}}},
            "$4": {"m.read.private": {ANN: {"ts": now}}},
            "$5": "nonsense",
        },
    }
    assert room().read_receipts([receipts, {"type": "m.typing"}]) == [
        ChatViewed(CHAT, "$1", TIME),
        ChatViewed(CHAT, "$2", TIME),
        MessageAcked(messenger_id="$3", ack=Ack.VIEWED),
    ]


def test_a_room_that_was_replaced_is_a_chat_that_moved() -> None:
    said = {"body": "This room has been replaced", "replacement_room": "!newer:example.org"}
    tombstone = event(said, type="m.room.tombstone", state_key="")
    assert room().read([tombstone]) == [ChatMoved(CHAT, "!newer:example.org")]
    assert room().read([event({"replacement_room": 7}, type="m.room.tombstone", state_key="")]) == []


def test_a_member_who_may_only_write_cannot_move_a_chat_to_another_room() -> None:
    said = {"body": "This room has been replaced", "replacement_room": "!other:evil.example"}
    assert room().read([event(said, type="m.room.tombstone")]) == []
    assert room().read([event(said, type="m.room.tombstone", state_key="other")]) == []


def test_an_event_whose_sender_has_no_chat_id_holds_up_no_other() -> None:
    long = event(text("lost"), sender=f"@{'a' * 300}:example.org")
    assert room().read([long, event(text("hello"))]) == [received(body="hello")]
