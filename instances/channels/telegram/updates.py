"""What is received: the events of an update. Pure; an update of no interest gives no event.

The contract has neither edits nor reactions: each arrives as a message that quotes the one it belongs to.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from instances.channels.telegram import api, groups
from instances.channels.telegram.vcards import vcard_of
from instances.models import MessageType
from instances.received_events import ChatMoved, Media, MessageReceived, ReceivedEvent

# What the bot asks for. chat_member and message_reaction come only if they are asked for.
ALLOWED = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "message_reaction",
    "my_chat_member",
    "chat_member",
]

FILES = {
    "document": MessageType.DOCUMENT,
    "voice": MessageType.PTT,
    "audio": MessageType.AUDIO,
    "video": MessageType.VIDEO,
    "video_note": MessageType.VIDEO,
    "sticker": MessageType.STICKER,
}
DEFAULT_TYPES = {"voice": "audio/ogg", "video_note": "video/mp4", "photo": "image/jpeg"}
# What is in a message about the chat itself. Some are changes of groups (groups.py); the others are of no interest.
SERVICE = frozenset({
    "new_chat_members", "left_chat_member", "new_chat_title", "new_chat_photo", "delete_chat_photo",
    "group_chat_created", "supergroup_chat_created", "channel_chat_created", "migrate_from_chat_id",
    "message_auto_delete_timer_changed",
    "pinned_message", "forum_topic_created", "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened",
    "general_forum_topic_hidden", "general_forum_topic_unhidden", "video_chat_scheduled", "video_chat_started",
    "video_chat_ended", "video_chat_participants_invited", "write_access_allowed", "boost_added",
    "chat_background_set", "proximity_alert_triggered",
})  # fmt: skip
# Not content: who wrote, where, when, and to what.
ABOUT = frozenset({
    "message_id", "message_thread_id", "from", "sender_chat", "sender_boost_count", "sender_business_bot", "chat",
    "date", "edit_date", "reply_to_message", "external_reply", "quote", "forward_origin", "is_topic_message", "via_bot",
    "is_automatic_forward", "has_protected_content", "media_group_id", "author_signature", "entities", "reply_markup",
    "link_preview_options", "effect_id", "is_from_offline",
})  # fmt: skip
UNREADABLE = "[A Telegram message of a kind that cannot be shown here: {}]"


def read_update(update: dict[str, Any], bot: str) -> list[ReceivedEvent]:
    """Returns the events of an update of the bot with this id, in order."""
    for kind in ("message", "channel_post"):
        if message := update.get(kind):
            return read_message(message, bot)
    for kind in ("edited_message", "edited_channel_post"):
        if message := update.get(kind):
            return read_edit(message, bot)
    if reaction := update.get("message_reaction"):
        return read_reaction(reaction, bot)
    for kind in ("my_chat_member", "chat_member"):
        if changed := update.get(kind):
            return groups.read_membership(changed, bot)
    return []


def read_message(message: dict[str, Any], bot: str) -> list[ReceivedEvent]:
    chat = message["chat"]
    if new := message.get("migrate_to_chat_id"):
        return [ChatMoved(api.chat_id(chat["id"], is_group=True), str(new))]
    if not SERVICE.isdisjoint(message):
        return groups.read_service(message, bot)
    replied = message.get("reply_to_message") or {}
    quoted = api.message_key(bot, replied["chat"]["id"], replied["message_id"]) if replied else ""
    return [received(bot, message, message["message_id"], quoted, content_of(message))]


def read_edit(message: dict[str, Any], bot: str) -> list[ReceivedEvent]:
    """Returns a message with the new text that quotes the edited one. A location that moves is no edit."""
    text = message.get("text") or message.get("caption")
    if not text:
        return []
    number = message["message_id"]
    key = f"{number}-edited-{message.get('edit_date', 0)}"
    edited = api.message_key(bot, message["chat"]["id"], number)
    return [received(bot, message, key, edited, {"body": text})]


def read_reaction(reaction: dict[str, Any], bot: str) -> list[ReceivedEvent]:
    """Returns a message with the emoji that quotes the message; none for a reaction that was taken back."""
    emoji = "".join(one.get("emoji", "") for one in reaction.get("new_reaction", []))
    if not emoji:
        return []
    person = reaction.get("user") or reaction.get("actor_chat") or {}
    key = f"{reaction['message_id']}-reaction-{person.get('id', 0)}-{reaction.get('date', 0)}"
    quoted = api.message_key(bot, reaction["chat"]["id"], reaction["message_id"])
    about = {"chat": reaction["chat"], "from": person, "date": reaction.get("date")}
    return [received(bot, about, key, quoted, {"body": emoji})]


def received(
    bot: str, message: dict[str, Any], number: object, quoted: str, content: dict[str, Any]
) -> MessageReceived:
    """Returns the event; `number` is Telegram's id of the message in its chat, or one made of it."""
    chat = message["chat"]
    is_group = chat.get("type") != "private"
    # An administrator may write as the group, and a channel writes as itself.
    author = message.get("sender_chat") or message.get("from") or chat
    sent_at = message.get("edit_date") or message.get("date")
    return MessageReceived(
        key=api.message_key(bot, chat["id"], number),
        sender=api.chat_id(author["id"], is_group=False),
        sender_name=groups.name_of(author),
        chat_id=api.chat_id(chat["id"], is_group=True) if is_group else None,
        chat_name=groups.title_of(chat),
        forwarded=1 if message.get("forward_origin") else 0,
        quoted=quoted,
        time=datetime.fromtimestamp(sent_at, UTC) if sent_at else None,
        **content,
    )


def content_of(message: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of MessageReceived that say what was written."""
    if "text" in message:
        return {"body": message["text"]}
    caption = message.get("caption")
    if photos := message.get("photo"):
        return file_content("photo", max(photos, key=area), MessageType.IMAGE, caption)
    if animation := message.get("animation"):  # Telegram also adds it as a document
        return file_content("animation", animation, MessageType.VIDEO, caption)
    for kind, type in FILES.items():
        if file := message.get(kind):
            return file_content(kind, file, type, caption)
    if venue := message.get("venue"):
        address = "\n".join(text for text in (venue.get("title"), venue.get("address")) if text)
        return {"type": MessageType.LOCATION, "body": place(venue["location"]), "caption": address or None}
    if location := message.get("location"):
        return {"type": MessageType.LOCATION, "body": place(location)}
    if contact := message.get("contact"):
        return {"type": MessageType.VCARD, "body": vcard_of(contact)}
    if poll := message.get("poll"):
        options = (f"- {option.get('text', '')}" for option in poll.get("options", []))
        return {"body": "\n".join([poll.get("question", ""), *options])}
    if dice := message.get("dice"):
        return {"body": f"{dice.get('emoji', '')} {dice.get('value', '')}"}
    kinds = sorted(set(message) - ABOUT) or ["empty"]
    return {"body": UNREADABLE.format(", ".join(kinds))}


def area(photo: dict[str, Any]) -> int:
    return int(photo.get("width", 0)) * int(photo.get("height", 0))


def file_content(kind: str, file: dict[str, Any], type: str, caption: str | None) -> dict[str, Any]:
    content_type = file.get("mime_type") or DEFAULT_TYPES.get(kind, "")
    if kind == "sticker" and not content_type:
        is_video, is_animated = file.get("is_video"), file.get("is_animated")
        content_type = "video/webm" if is_video else "application/gzip" if is_animated else "image/webp"
    media = Media(
        reference=file["file_id"],
        content_type=content_type,
        filename=file.get("file_name", ""),
        size=file.get("file_size", 0),
    )
    return {"type": type, "media": media, "caption": caption}


def place(location: dict[str, Any]) -> str:
    return f"{location['latitude']};{location['longitude']}"
