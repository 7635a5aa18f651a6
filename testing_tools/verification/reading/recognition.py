"""Recognises a captured body as one of the four hooks of contract.md §3, or as another body."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from chatapi.ui.json_limits import check_complexity
from testing_tools.verification.models import Family

FAMILIES = {
    "messages": Family.MESSAGE,
    "ack": Family.ACK,
    "instanceStatus": Family.STATUS,
    "chatUpdate": Family.CHAT,
}


class Recognition(NamedTuple):
    """The kind of a body; `items` are the objects of a hook's list, empty if it is not a hook."""

    family: Family
    label: str  # "Ack delivered"
    summary: str  # one line, at most 200 characters
    items: list[dict[str, Any]]


def parse(body: bytes) -> Any:
    """Returns the JSON value of a body; None if it is not JSON, not UTF-8, or exceeds the limits of JSON.

    Half a surrogate pair, which JSON can escape but neither the database nor a page can contain, becomes a "?".
    """
    try:
        check_complexity(body.decode(json.detect_encoding(body), "surrogatepass"))
        value = json.loads(body)
        if rb"\ud" in body.lower():
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        return value
    except (ValueError, RecursionError):
        return None


def recognise(body: bytes) -> Recognition:
    """Returns the kind of this body. It accepts any bytes; a body that only resembles a hook is OTHER."""
    value = parse(body)
    if isinstance(value, dict):
        for key, family in FAMILIES.items():
            items = value.get(key)
            if isinstance(items, list) and items and all(isinstance(item, dict) for item in items):
                label, summary = DESCRIBE[family](items[0])
                if len(items) > 1:
                    summary = f"{summary} (and {len(items) - 1} more)"
                return Recognition(family, one_line(label, 60), one_line(summary), items)
    if not body:
        return Recognition(Family.OTHER, "No body", "", [])
    if value is not None or body.strip() == b"null":
        return Recognition(Family.OTHER, "JSON", one_line(body[:400].decode(errors="replace")), [])
    text = body[:400].decode(errors="replace")
    is_text = text.count("\ufffd") <= 1 and "\x00" not in text  # one: the cut may have split a character
    return Recognition(Family.OTHER, "Text" if is_text else "Bytes", one_line(text) if is_text else "", [])


def one_line(text: str, limit: int = 200) -> str:
    """Returns `text` cut to `limit` characters, without line breaks and NULs, which PostgreSQL cannot store."""
    text = re.sub(r"[\s\x00]+", " ", text).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def describe_message(item: Mapping[str, Any]) -> tuple[str, str]:
    """Returns label and summary, like the other describe functions."""
    from_me = item.get("fromMe") is True
    label = (
        "Missed call" if item.get("type") == "call_log" else "Message sent" if from_me else "Message received"
    )
    who = (
        f"to {item.get('chatName') or item.get('chatId')}"
        if from_me
        else str(item.get("senderName") or item.get("author"))
    )
    return label, f"{who}: {item.get('caption') or item.get('body') or ''}"


def describe_ack(item: Mapping[str, Any]) -> tuple[str, str]:
    return f"Ack {item.get('status', '')}", f"{item.get('chatId', '')} · {item.get('id', '')}"


def describe_status(item: Mapping[str, Any]) -> tuple[str, str]:
    return "Instance status", f"{status_text(item.get('old'))} → {status_text(item.get('new'))}"


def describe_chat(item: Mapping[str, Any]) -> tuple[str, str]:
    new = item.get("new")
    chat = new if isinstance(new, dict) else {}
    label = "Chat changed" if item.get("old") else "New chat"
    return label, f"{chat.get('name', '')} · {chat.get('id', '')}"


def status_text(status: Any) -> str:
    """Returns `{"accountStatus","substatus"}` as "authenticated", or "authenticated (phone)" if not normal."""
    if not isinstance(status, dict):
        return str(status)
    substatus = status.get("substatus")
    suffix = f" ({substatus})" if substatus and substatus != "normal" else ""
    return f"{status.get('accountStatus')}{suffix}"


DESCRIBE = {
    Family.MESSAGE: describe_message,
    Family.ACK: describe_ack,
    Family.STATUS: describe_status,
    Family.CHAT: describe_chat,
}
