"""What Telegram's updates become: the double makes them, as python-telegram-bot reads them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from instances.channels.telegram.polling import read_all
from instances.channels.telegram.updates import ALLOWED, read_update
from instances.models import MessageType
from instances.received_events import ChatMoved, GroupChanged, MessageReceived, ReceivedEvent
from tests.doubles.telegram import Bot, Telegram, User

ANN = User(100, "Ann")
BOT = "700"


@pytest.fixture
def double() -> Iterator[Telegram]:
    with Telegram() as running:
        yield running


@pytest.fixture
def bot(double: Telegram) -> Bot:
    made = double.add_bot()
    made.allowed_updates = ALLOWED
    return made


def read(bot: Bot) -> list[ReceivedEvent]:
    """Returns the events of the bot's updates, which are then gone."""
    events = [event for update in bot.updates for event in read_update(update, BOT)]
    bot.updates.clear()
    return events


def read_one(bot: Bot) -> MessageReceived:
    [event] = read(bot)
    assert isinstance(event, MessageReceived)
    return event


def test_a_text_in_private(double: Telegram, bot: Bot) -> None:
    made = double.write(bot, ANN, "Grüße\n👋", date=1_700_000_000)
    assert read_one(bot) == MessageReceived(
        key=f"{BOT}:100:{made['message_id']}",
        sender="telegram:100@c.us",
        sender_name="Ann",
        body="Grüße\n👋",
        time=datetime.fromtimestamp(1_700_000_000, UTC),
    )


def test_a_reply_in_a_group(double: Telegram, bot: Bot) -> None:
    group = double.add_group(bot, id=-400)
    first = double.write(bot, ANN, "one", chat=group)
    double.write(bot, User(101, "Ben"), "two", chat=group, reply_to=first["message_id"])
    _, reply = read(bot)
    assert isinstance(reply, MessageReceived)
    assert (reply.sender, reply.chat_id) == ("telegram:101@c.us", "telegram:-400@g.us")
    assert reply.quoted == f"{BOT}:-400:{first['message_id']}"


@pytest.mark.parametrize(
    ("kind", "type", "content_type"),
    [
        ("photo", MessageType.IMAGE, "image/jpeg"),
        ("document", MessageType.DOCUMENT, "application/pdf"),
        ("voice", MessageType.PTT, "audio/ogg"),
        ("audio", MessageType.AUDIO, "audio/mpeg"),
        ("video", MessageType.VIDEO, "video/mp4"),
        ("animation", MessageType.VIDEO, "video/mp4"),
        ("sticker", MessageType.STICKER, "image/webp"),
    ],
)
def test_a_file(double: Telegram, bot: Bot, kind: str, type: str, content_type: str) -> None:
    given = "" if kind in ("photo", "voice", "sticker") else content_type
    double.send_file(bot, ANN, kind, b"12345", "notes.bin", content_type=given, caption="look")
    event = read_one(bot)
    assert (event.type, event.caption, event.body) == (type, "look", "")
    assert event.media is not None and (event.media.size, event.media.content_type) == (5, content_type)
    assert double.content_of(event.media.reference) == b"12345", "the largest of several sizes"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"location": {"latitude": 52.5, "longitude": -1.25}}, {"type": "location", "body": "52.5;-1.25"}),
        (
            {
                "location": {"latitude": 1.0, "longitude": 2.0},
                "venue": {"location": {"latitude": 1.0, "longitude": 2.0}, "title": "Shop", "address": "Street"},
            },
            {"type": "location", "body": "1.0;2.0", "caption": "Shop\nStreet"},
        ),
        (
            {"contact": {"phone_number": "+49151", "first_name": "Ben", "vcard": "BEGIN:VCARD"}},
            {"type": "vcard", "body": "BEGIN:VCARD"},
        ),
        ({"text": "x", "forward_origin": {"type": "hidden_user"}}, {"type": "chat", "forwarded": 1}),
        ({"poll": {"question": "When?", "options": [{"text": "now"}]}}, {"body": "When?\n- now"}),
        ({"dice": {"emoji": "🎲", "value": 6}}, {"body": "🎲 6"}),
        ({"story": {"id": 1}}, {"body": "[A Telegram message of a kind that cannot be shown here: story]"}),
    ],
)  # fmt: skip
def test_other_content(double: Telegram, bot: Bot, content: dict[str, Any], expected: dict[str, Any]) -> None:
    double.write(bot, ANN, **content)
    event = read_one(bot)
    assert {name: getattr(event, name) for name in expected} == expected


def test_an_edit_is_a_message_that_quotes_the_first_one(double: Telegram, bot: Bot) -> None:
    first = double.write(bot, ANN, "helo")
    double.edit(bot, ANN, first["message_id"], "hello")
    _, edited = read(bot)
    assert isinstance(edited, MessageReceived)
    assert (edited.body, edited.quoted) == ("hello", f"{BOT}:100:{first['message_id']}")
    assert edited.key.startswith(f"{BOT}:100:{first['message_id']}-edited-")


def test_a_reaction_is_a_message_that_quotes_and_its_end_is_none(double: Telegram, bot: Bot) -> None:
    first = double.write(bot, ANN, "hello")
    double.react(bot, ANN, first["message_id"], "👍")
    double.react(bot, ANN, first["message_id"], "")
    _, reaction = read(bot)
    assert isinstance(reaction, MessageReceived)
    assert (reaction.body, reaction.quoted, reaction.sender) == (
        "👍",
        f"{BOT}:100:{first['message_id']}",
        "telegram:100@c.us",
    )


def test_a_migrated_group_and_messages_about_a_group(double: Telegram, bot: Bot) -> None:
    group = double.add_group(bot, id=-400)
    new = double.migrate(bot, ANN, group)
    double.write(bot, ANN, chat=new, new_chat_title="Trip")
    double.write(bot, ANN, chat=new, new_chat_members=[ANN.to_json()])
    where, own = f"telegram:{new.id}@g.us", f"telegram:{bot.user.id}@c.us"
    assert read(bot) == [
        GroupChanged(where, "Holidays", joined=((own,),), demoted=((own,),), names={own: "Shop"}),
        ChatMoved("telegram:-400@g.us", str(new.id)),
        GroupChanged(where, "Trip"),
        GroupChanged(where, "Holidays", joined=(("telegram:100@c.us",),), names={"telegram:100@c.us": "Ann"}),
    ]


def test_a_block_gives_no_event(double: Telegram, bot: Bot) -> None:
    double.block(bot, ANN)
    assert len(bot.updates) == 1 and read(bot) == []


def test_a_channel_writes_as_itself(bot: Bot) -> None:
    chat = {"id": -1001, "type": "channel", "title": "News"}
    post = {"message_id": 3, "chat": chat, "sender_chat": chat, "date": 1, "text": "new"}
    [event] = read_update({"update_id": 1, "channel_post": post}, BOT)
    assert isinstance(event, MessageReceived)
    assert (event.sender, event.chat_id, event.sender_name) == (
        "telegram:-1001@c.us", "telegram:-1001@g.us", "News"
    )  # fmt: skip


def test_an_update_that_cannot_be_read_does_not_hold_up_others() -> None:
    ok = {"message_id": 1, "chat": {"id": 1, "type": "private"}, "from": {"id": 1}, "text": "hello"}
    updates = [
        {"update_id": 1, "message": {"text": "?"}},
        {"update_id": 2, "new": {}},
        {"update_id": 3, "message": ok},
    ]
    assert [event.body for event in read_all(updates, BOT) if isinstance(event, MessageReceived)] == ["hello"]
