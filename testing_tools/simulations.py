"""The hooks that a person can make by hand: their example bodies, and form and JSON kept in step.

A body is made by instances/payloads.py from a message that is never saved, so it is, byte for byte, what a
real event would send. What a form field changes is changed in the JSON as it stands, so that what was
edited there by hand is not lost.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import models
from django.utils import timezone

from hooks import signing
from hooks.models import Kind
from instances import chat_ids, payloads, values
from instances.models import Ack, Chat, Instance, Message
from testing_tools.json_text import BadJson, compact, parse, pretty

SENDER = ("17680561234", "Anna Example")
BODY_MOST = 256 * 1024  # bytes; a real hook is far smaller


class What(models.TextChoices):
    """What is simulated, in the words of the page."""

    MESSAGE = "message", "A new message has been received"
    DELIVERED = "delivered", "Delivered"
    VIEWED = "viewed", "Read"


class Field(NamedTuple):
    """A field of the form: its name, its label, what it takes, and a hint."""

    name: str
    label: str
    digits: bool = False
    hint: str = ""
    long: bool = False


FIELDS: dict[str, tuple[Field, ...]] = {
    "message": (
        Field("sender", "From", True, "Digits, with the country code"),
        Field("sender_name", "Name", False, "As in the address book"),
        Field("text", "Text", long=True),
    ),
    "ack": (
        Field("recipient", "Recipient", True, "Digits, with the country code"),
        Field("message_id", "Message id", False, "The id that the reply of sendMessage gave"),
        Field("queue_number", "Queue number", True, "It stands in the same reply"),
    ),
}


def family(what: str) -> str:
    return "message" if what == What.MESSAGE else "ack"


def example(instance: Instance, what: str) -> bytes:
    """The body of a hook as this instance would send it next; acks are about its last sent message, if any."""
    if what == What.MESSAGE:
        return payloads.message_body(incoming(instance))
    message = (
        instance.messages.select_related("chat")
        .filter(by_api=True, queue_number__isnull=False)
        .order_by("-number")
        .first()
    )
    message = message or outgoing(instance)
    message.instance = instance
    return payloads.ack_body(message, Ack.DELIVERED if what == What.DELIVERED else Ack.VIEWED)


def incoming(instance: Instance) -> Message:
    number, name = SENDER
    chat = Chat(instance=instance, chat_id=f"{number}@c.us", name=name)
    return Message(
        instance=instance,
        number=instance.last_message_number + 1,
        message_id=chat_ids.message_id(chat.chat_id, author=chat.chat_id, from_me=False),
        chat=chat,
        author=chat.chat_id,
        sender_name=name,
        body="Hello! Is the blue one still available?",
        time=timezone.now(),
    )


def outgoing(instance: Instance) -> Message:
    chat = Chat(instance=instance, chat_id=f"{SENDER[0]}@c.us", name=SENDER[1])
    return Message(
        instance=instance,
        number=instance.last_message_number + 1,
        message_id=chat_ids.message_id(chat.chat_id, author=instance.own_chat_id, from_me=True, by_api=True),
        chat=chat,
        author=instance.own_chat_id,
        body="Yes, it is.",
        from_me=True,
        by_api=True,
        queue_number=instance.last_queue_number + 1,
        time=timezone.now(),
    )


def read_fields(what: str, value: Any) -> dict[str, str]:
    """What the form's fields say about this JSON; a part that is missing or of another kind is left out."""
    item = the_item(what, value)
    if item is None:
        return {}
    found: dict[str, Any]
    if family(what) == "message":
        found = {
            "sender": digits(item.get("author")),
            "sender_name": item.get("senderName"),
            "text": item.get("body"),
        }
    else:
        found = {
            "recipient": digits(item.get("chatId")),
            "message_id": item.get("id"),
            "queue_number": item.get("queueNumber"),
        }
    return {name: values.text(part) for name, part in found.items() if isinstance(part, str | int)}


def write_fields(what: str, value: Any, fields: dict[str, str]) -> None:
    """Puts the form's fields into the JSON, in place; a field that is not given leaves its part alone."""
    item = the_item(what, value)
    if item is None:
        return
    if family(what) == "message":
        write_message(item, fields)
    else:
        write_ack(item, fields)


def write_message(item: dict[str, Any], fields: dict[str, str]) -> None:
    if digits(fields.get("sender")):
        author = f"{digits(fields['sender'])}@c.us"
        if item.get("chatId") == item.get("author"):  # a chat of two; a group keeps its own id
            item["chatId"] = author
            item["id"] = with_chat(item.get("id"), author)
        item["author"] = author
    if "sender_name" in fields:
        if item.get("chatName") == item.get("senderName"):
            item["chatName"] = fields["sender_name"]
        item["senderName"] = fields["sender_name"]
    if "text" in fields:
        item["body"] = fields["text"]


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


def the_item(what: str, value: Any) -> dict[str, Any] | None:
    """The one message or ack in the JSON; None where it is not of that shape."""
    key = "messages" if family(what) == "message" else "ack"
    items = value.get(key) if isinstance(value, dict) else None
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) else None


def digits(text: Any) -> str:
    """The digits at the start of a number or a chat id, without "+", spaces and dashes."""
    return re.sub(r"\D", "", text.split("@")[0])[:20] if isinstance(text, str) else ""


def with_chat(message_id: Any, chat: str) -> str:
    """A message's id with another chat in it; `false_{chat}_{HEX}`."""
    parts = str(message_id).split("_")
    return "_".join([parts[0], chat, *parts[2:]]) if len(parts) > 2 else str(message_id)


class Draft(NamedTuple):
    """What stands on the page: the JSON as text and the form's fields; `fault` where the JSON can't be sent."""

    what: str
    text: str
    fields: dict[str, str]
    fault: str = ""
    size: int = 0  # bytes as it is sent

    @property
    def lines(self) -> int:
        """The height of the text's box."""
        return min(max(self.text.count("\n") + 2, 12), 30)

    @property
    def rows(self) -> list[tuple[Field, str]]:
        return [(field, self.fields.get(field.name, "")) for field in FIELDS[family(self.what)]]


def first_draft(instance: Instance, what: str) -> Draft:
    """The example, ready to be sent."""
    return judged(what, pretty(parse(example(instance, what).decode())))


def judged(what: str, text: str) -> Draft:
    """The draft of this JSON, with its fields read from it and its fault, if it has one."""
    try:
        body = compact(text)
    except BadJson as error:
        return Draft(what, text, {}, str(error))
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


def about(body: bytes) -> dict[str, str]:
    """For the log: which message and which chat the body is about, where it says so."""
    value = parse(body.decode())
    item = the_item(What.MESSAGE, value) or the_item(What.DELIVERED, value) or {}
    return {
        "message": values.text(str(item.get("id", ""))[:200]),
        "chat": values.text(str(item.get("chatId", ""))[:100]),
    }


def kind_of(what: str) -> Kind:
    return Kind.MESSAGE if what == What.MESSAGE else Kind.ACK


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
        "webhook-timestamp": ("…", "the second it is sent"),
        "webhook-signature": ("v1,…", "made with the signing secret"),
        "webhook-attempt": (made["webhook-attempt"], "always the only one"),
    }
    return [(name, *notes.get(name, (value, ""))) for name, value in made.items()]
