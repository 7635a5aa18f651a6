"""Chats come into being with their first message."""

from datetime import datetime

from instances import chat_ids, payloads
from instances.actions import events
from instances.models import Chat, Instance


def touch(instance: Instance, chat_id: str, *, at: datetime, name: str = "") -> Chat:
    """The chat, made or renamed if need be, with its hook; the caller holds the instance's row lock.

    `name` is the address book's, "" where nothing new is known.
    """
    chat = Chat.objects.filter(instance=instance, chat_id=chat_id).first()
    if chat is None:
        chat = Chat.objects.create(
            instance=instance, chat_id=chat_id, name=name, is_group=chat_ids.is_group(chat_id), last_time=at
        )
        events.emit(instance, events.of_chat(instance, old=None, new=payloads.chat_dict(chat)))
        return chat
    before = payloads.chat_dict(chat)
    renamed = bool(name) and name != chat.name
    chat.name = name or chat.name
    chat.last_time = max(at, chat.last_time)
    chat.save(update_fields=["name", "last_time"])
    if renamed:
        events.emit(instance, events.of_chat(instance, old=before, new=payloads.chat_dict(chat)))
    return chat
