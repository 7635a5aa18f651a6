"""Reads the form's values from the JSON and writes them into it, in place: other edits of the JSON are kept."""

from __future__ import annotations

import re
from typing import Any

from instances import value_parsing
from instances.models import MessageType
from testing_tools.simulation.examples import GROUP_ID, GROUP_NAME
from testing_tools.simulation.form_fields import fields_of
from testing_tools.simulation.kinds import body_key


def read_values(kind: str, value: Any) -> dict[str, str]:
    """Returns the form's values in this JSON, without parts that are missing or have another type."""
    item = first_item(kind, value)
    if item is None:
        return {}
    found: dict[str, Any] = READERS[body_key(kind)](item)
    names = {field.name for field in fields_of(kind)}
    return {
        name: value_parsing.parse_text(part)
        for name, part in found.items()
        if name in names and isinstance(part, str | int)
    }


def read_message(item: dict[str, Any]) -> dict[str, Any]:
    in_group = str(item.get("chatId")).endswith("@g.us")
    return {
        "sender": digits(item.get("author")),
        "recipient": digits(item.get("chatId")),
        "sender_name": item.get("senderName"),
        "text": item.get("body"),
        "caption": item.get("caption"),
        "group": "yes" if in_group else "",
        "group_name": item.get("chatName") if in_group else "",
        "quoted": item.get("quotedMsgBody"),
        "forwarded": item.get("isForwarded"),
    }


def read_ack(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "recipient": digits(item.get("chatId")),
        "message_id": item.get("id"),
        "queue_number": item.get("queueNumber"),
    }


def read_status(item: dict[str, Any]) -> dict[str, Any]:
    old, new = object_at(item, "old"), object_at(item, "new")
    return {
        "old_status": old.get("accountStatus"),
        "old_substatus": old.get("substatus"),
        "new_status": new.get("accountStatus"),
        "new_substatus": new.get("substatus"),
    }


def read_chat(item: dict[str, Any]) -> dict[str, Any]:
    return {"old_name": object_at(item, "old").get("name"), "new_name": object_at(item, "new").get("name")}


READERS = {
    "messages": read_message,
    "ack": read_ack,
    "instanceStatus": read_status,
    "chatUpdate": read_chat,
}


def write_values(kind: str, value: Any, values: dict[str, str]) -> None:
    """Write the form's values into the JSON, in place; a missing value changes nothing."""
    item = first_item(kind, value)
    if item is None:
        return
    match body_key(kind):
        case "messages":
            write_message(item, values)
        case "ack":
            write_ack(item, values)
        case "instanceStatus":
            write_sides(item, values, {"status": "accountStatus", "substatus": "substatus"})
        case "chatUpdate":
            write_sides(item, values, {"name": "name"})


def write_message(item: dict[str, Any], values: dict[str, str]) -> None:
    write_author_and_chat(item, values)
    if "text" in values:
        item["body"] = values["text"]
    if "caption" in values:
        item["caption"] = values["caption"] or None
    if "quoted" in values and values["quoted"] != (item.get("quotedMsgBody") or ""):
        write_quote(item, values["quoted"])
    if "forwarded" in values:
        item["isForwarded"] = int(digits(values["forwarded"])[:4] or 0)


def write_author_and_chat(item: dict[str, Any], values: dict[str, str]) -> None:
    """Write the author, the chat and their names, and the message id, which contains both ids."""
    before = item.get("chatId"), item.get("author")
    was_group = str(before[0]).endswith("@g.us")
    is_group = values.get("group", "yes" if was_group else "") == "yes"
    partner = digits(values.get("recipient") or values.get("sender") or "")
    if partner and "recipient" not in values:
        item["author"] = f"{partner}@c.us"
    if "sender_name" in values:
        if item.get("chatName") == item.get("senderName"):
            item["chatName"] = values["sender_name"]
        item["senderName"] = values["sender_name"]
    if is_group and not was_group:
        item["chatId"], item["chatName"] = GROUP_ID, values.get("group_name") or GROUP_NAME
    elif is_group:
        if values.get("group_name"):
            item["chatName"] = values["group_name"]
    elif partner and (was_group or f"{partner}@c.us" != item.get("chatId")):
        if was_group or "recipient" in values:
            item["chatName"] = item.get("senderName") if "recipient" not in values else partner
        item["chatId"] = f"{partner}@c.us"
    if (item.get("chatId"), item.get("author")) != before:
        item["id"] = with_chat(item.get("id"), str(item.get("chatId")), str(item.get("author")))


def write_quote(item: dict[str, Any], text: str) -> None:
    """Write the quoted text, with an id and a type; an empty text removes all three."""
    item["quotedMsgBody"] = text or None
    item["quotedMsgType"] = (item.get("quotedMsgType") or MessageType.CHAT.value) if text else None
    new_id = f"true_{item.get('chatId')}_3EB0957AD66BAFF57D1D"
    item["quotedMsgId"] = (item.get("quotedMsgId") or new_id) if text else None


def write_ack(item: dict[str, Any], values: dict[str, str]) -> None:
    before = item.get("chatId")
    if values.get("message_id"):
        item["id"] = values["message_id"]
    if digits(values.get("recipient")):
        item["chatId"] = f"{digits(values['recipient'])}@c.us"
        if item["chatId"] != before:
            item["id"] = with_chat(item.get("id"), item["chatId"])
    if digits(values.get("queue_number")):
        item["queueNumber"] = int(digits(values["queue_number"])[:9])


def write_sides(item: dict[str, Any], values: dict[str, str], keys: dict[str, str]) -> None:
    """Write `old` and `new` of a status or a chat: the form's value `new_name` becomes `name` in `new`."""
    for side in ("old", "new"):
        for name, key in keys.items():
            if f"{side}_{name}" in values and isinstance(item.get(side), dict):
                item[side][key] = values[f"{side}_{name}"]


def first_item(kind: str, value: Any) -> dict[str, Any] | None:
    """Returns the first message, ack, status change or chat change of the JSON; None if it has another shape."""
    items = value.get(body_key(kind)) if isinstance(value, dict) else None
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) else None


def object_at(item: dict[str, Any], key: str) -> dict[str, Any]:
    """Returns the object under this key; an empty one if there is none."""
    part = item.get(key)
    return part if isinstance(part, dict) else {}


def digits(text: Any) -> str:
    """Returns the digits of a phone number or of a chat id up to "@", without "+", spaces and dashes."""
    return re.sub(r"\D", "", text.split("@")[0])[:20] if isinstance(text, str) else ""


def with_chat(message_id: Any, chat: str, author: str = "") -> Any:
    """Returns a message id with another chat: `false_{chat}_{HEX}`; in a group, `_{author}` follows."""
    parts = message_id.split("_") if isinstance(message_id, str) else []
    if len(parts) < 3:
        return message_id
    suffix = ([author] if author else parts[3:]) if chat.endswith("@g.us") else []
    return "_".join([parts[0], chat, parts[2], *suffix])
