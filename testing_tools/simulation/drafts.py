"""A draft of a simulated hook: its form and its JSON, kept in step, and whether it can be sent.

What a form field changes is changed in the JSON as it stands, so that what was edited there by hand is not lost.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict

from chatapi.ui.json_text import BadJson, Place, compact, parse, place_of, pretty
from hooks import signing
from instances import value_parsing
from instances.models import Instance, MessageType
from testing_tools.simulation.kinds import GROUP, Field, What, example, family, fields_of

BODY_MOST = 256 * 1024  # bytes; a real hook is far smaller


def read_fields(what: str, value: Any) -> dict[str, str]:
    """What this kind's form says about this JSON; a part that is missing or of another kind is left out."""
    item = the_item(what, value)
    if item is None:
        return {}
    found: dict[str, Any] = READERS[family(what)](item)
    names = {field.name for field in fields_of(what)}
    return {
        name: value_parsing.text(part)
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
    old, new = part_of(item, "old"), part_of(item, "new")
    return {
        "old_status": old.get("accountStatus"),
        "old_substatus": old.get("substatus"),
        "new_status": new.get("accountStatus"),
        "new_substatus": new.get("substatus"),
    }


def read_chat(item: dict[str, Any]) -> dict[str, Any]:
    return {"old_name": part_of(item, "old").get("name"), "new_name": part_of(item, "new").get("name")}


READERS = {
    "messages": read_message, "ack": read_ack, "instanceStatus": read_status, "chatUpdate": read_chat,
}  # fmt: skip


def write_fields(what: str, value: Any, fields: dict[str, str]) -> None:
    """Puts the form's fields into the JSON, in place; a field that is not given leaves its part alone."""
    item = the_item(what, value)
    if item is None:
        return
    match family(what):
        case "messages":
            write_message(item, fields)
        case "ack":
            write_ack(item, fields)
        case "instanceStatus":
            write_parts(item, fields, {"status": "accountStatus", "substatus": "substatus"})
        case "chatUpdate":
            write_parts(item, fields, {"name": "name"})


def write_message(item: dict[str, Any], fields: dict[str, str]) -> None:
    write_people(item, fields)
    if "text" in fields:
        item["body"] = fields["text"]
    if "caption" in fields:
        item["caption"] = fields["caption"] or None
    if "quoted" in fields and fields["quoted"] != (item.get("quotedMsgBody") or ""):
        write_quote(item, fields["quoted"])
    if "forwarded" in fields:
        item["isForwarded"] = int(digits(fields["forwarded"])[:4] or 0)


def write_people(item: dict[str, Any], fields: dict[str, str]) -> None:
    """Who writes, to whom, and where: author, chat, their names, and the ids in which they stand."""
    before = item.get("chatId"), item.get("author")
    was_group = str(before[0]).endswith("@g.us")
    is_group = fields.get("group", "yes" if was_group else "") == "yes"
    partner = digits(fields.get("recipient") or fields.get("sender") or "")
    if partner and "recipient" not in fields:
        item["author"] = f"{partner}@c.us"
    if "sender_name" in fields:
        if item.get("chatName") == item.get("senderName"):
            item["chatName"] = fields["sender_name"]
        item["senderName"] = fields["sender_name"]
    if is_group and not was_group:
        item["chatId"], item["chatName"] = GROUP
    elif is_group:
        if fields.get("group_name"):
            item["chatName"] = fields["group_name"]
    elif partner and (was_group or f"{partner}@c.us" != item.get("chatId")):
        if was_group or "recipient" in fields:
            item["chatName"] = item.get("senderName") if "recipient" not in fields else partner
        item["chatId"] = f"{partner}@c.us"
    if (item.get("chatId"), item.get("author")) != before:
        item["id"] = with_chat(item.get("id"), str(item.get("chatId")), str(item.get("author")))


def write_quote(item: dict[str, Any], text: str) -> None:
    """The quoted text; with the first letter comes an id, with the last it goes."""
    item["quotedMsgBody"] = text or None
    item["quotedMsgType"] = (item.get("quotedMsgType") or MessageType.CHAT.value) if text else None
    made = f"true_{item.get('chatId')}_3EB0957AD66BAFF57D1D"
    item["quotedMsgId"] = (item.get("quotedMsgId") or made) if text else None


def write_ack(item: dict[str, Any], fields: dict[str, str]) -> None:
    before = item.get("chatId")
    if fields.get("message_id"):
        item["id"] = fields["message_id"]
    if digits(fields.get("recipient")):
        item["chatId"] = f"{digits(fields['recipient'])}@c.us"
        if item["chatId"] != before:
            item["id"] = with_chat(item.get("id"), item["chatId"])
    if digits(fields.get("queue_number")):
        item["queueNumber"] = int(digits(fields["queue_number"])[:9])


def write_parts(item: dict[str, Any], fields: dict[str, str], keys: dict[str, str]) -> None:
    """What a status or a chat was and is: the field `new_name` is `name` in `new`."""
    for side in ("old", "new"):
        for name, key in keys.items():
            if f"{side}_{name}" in fields and isinstance(item.get(side), dict):
                item[side][key] = fields[f"{side}_{name}"]


def the_item(what: str, value: Any) -> dict[str, Any] | None:
    """The one message, ack, change of a status or of a chat in the JSON; None where it is not of that shape."""
    items = value.get(family(what)) if isinstance(value, dict) else None
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) else None


def part_of(item: dict[str, Any], key: str) -> dict[str, Any]:
    part = item.get(key)
    return part if isinstance(part, dict) else {}


def digits(text: Any) -> str:
    """The digits at the start of a number or a chat id, without "+", spaces and dashes."""
    return re.sub(r"\D", "", text.split("@")[0])[:20] if isinstance(text, str) else ""


def with_chat(message_id: Any, chat: str, author: str = "") -> Any:
    """A message's id with another chat in it: `false_{chat}_{HEX}`, in a group with the author behind."""
    parts = message_id.split("_") if isinstance(message_id, str) else []
    if len(parts) < 3:
        return message_id
    behind = ([author] if author else parts[3:]) if chat.endswith("@g.us") else []
    return "_".join([parts[0], chat, parts[2], *behind])


class Draft(NamedTuple):
    """What stands on the page: the JSON as text and the form's fields; `fault` where the JSON can't be sent."""

    what: str
    text: str
    fields: dict[str, str]
    fault: str = ""
    size: int = 0  # bytes as it is sent
    place: Place | None = None  # of the fault, where it has one

    @property
    def lines(self) -> int:
        """The height of the text's box."""
        return min(max(self.text.count("\n") + 2, 12), 30)

    @property
    def rows(self) -> list[tuple[Field, str]]:
        return [(field, self.fields.get(field.name, "")) for field in fields_of(self.what)]

    @property
    def has_more(self) -> bool:
        return any(field.more for field in fields_of(self.what))

    @property
    def more_is_used(self) -> bool:
        """Does a field under "Group, quote, forwarded" say anything?"""
        return any(field.more and value not in ("", "0") for field, value in self.rows)


def first_draft(instance: Instance, what: str) -> Draft:
    """The example, ready to be sent."""
    return judged(what, pretty(parse(example(instance, what).decode())))


def judged(what: str, text: str) -> Draft:
    """The draft of this JSON, with its fields read from it and its fault, if it has one."""
    try:
        body = compact(text)
    except BadJson as error:
        return Draft(what, text, {}, str(error), place=place_of(text, error))
    fault = (
        f"It is {len(body):,} bytes long; at most {BODY_MOST:,} are sent." if len(body) > BODY_MOST else ""
    )
    return Draft(what, text, read_fields(what, parse(text)), fault, len(body))


def from_form(instance: Instance, what: str, text: str, fields: dict[str, str]) -> Draft:
    """The draft after a change in the form; JSON that can't be read is replaced by the example."""
    try:
        value = parse(text)
    except BadJson:
        value = None
    if the_item(what, value) is None:
        value = parse(example(instance, what).decode())
    write_fields(what, value, fields)
    return judged(what, pretty(value))._replace(fields=fields)


class About(TypedDict):
    message: str
    chat: str


def about(body: bytes) -> About:
    """For the log: which message and which chat the body is about, where it says so."""
    value = parse(body.decode())
    item = the_item(What.MESSAGE, value) or the_item(What.DELIVERED, value) or {}
    chat = part_of(the_item(What.CHAT, value) or {}, "new").get("id", "")
    return {
        "message": value_parsing.text(str(item.get("id", ""))[:200]),
        "chat": value_parsing.text(str(item.get("chatId", chat))[:100]),
    }


def headers_to_be_sent(instance: Instance, body: bytes) -> list[tuple[str, str, str]]:
    """Name, value and a word where the value is made anew when it is sent; from the very function that makes them."""
    made = signing.headers(
        webhook_id="hook_…",
        body=body,
        secret=" ".join(instance.endpoint.valid_secrets()),
        at=datetime.now(UTC),
        number=1,
        allowed=1,
        simulated=True,
    )
    notes = {
        "webhook-id": ("hook_…", "new for each hook"),
        "webhook-timestamp": ("…", "unix seconds of the sending"),
        "webhook-signature": ("v1,…", "made with the signing secret, see below"),
        "webhook-attempt": (made["webhook-attempt"], "always the only one; a duplicate counts on"),
        "webhook-simulated": (made["webhook-simulated"], "only simulations have it"),
    }
    return [(name, *notes.get(name, (value, ""))) for name, value in made.items()]
