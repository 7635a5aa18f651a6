"""What a captured request is: which of the four hooks of contract.md section 3, who signed it, and one
plain sentence about it. What its fields mean stands in explained.py.
"""

import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from standardwebhooks.webhooks import Webhook

from chatapi.ui import sizes
from testing_tools.verification.models import BODY_LIMIT, Capture, Family

# How far webhook-timestamp may be from the time of arrival: what the standardwebhooks verifiers allow.
TOLERANCE = timedelta(minutes=5)
FAMILIES = {
    "messages": Family.MESSAGE,
    "ack": Family.ACK,
    "instanceStatus": Family.STATUS,
    "chatUpdate": Family.CHAT,
}


class Recognition(NamedTuple):
    """What a body is, in short; `items` are the objects of its one list, empty for what is not a hook."""

    family: Family
    label: str  # "Ack delivered"
    summary: str  # one line, at most 200 characters
    items: list[dict[str, Any]]


def parse(body: bytes) -> Any:
    """The JSON value of a body, or None: not JSON, not UTF-8, or too deep for Python's parser.

    Half a surrogate pair, which JSON may escape but neither the database nor a page can hold, is a "?".
    """
    try:
        value = json.loads(body)
        if rb"\ud" in body.lower():
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        return value
    except (ValueError, RecursionError):
        return None


def recognise(body: bytes) -> Recognition:
    """What this body is. Any bytes are taken; what looks like a hook but lacks its parts is OTHER."""
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
    """`text` without line breaks and NULs, which PostgreSQL does not take, cut to `limit` characters."""
    text = re.sub(r"[\s\x00]+", " ", text).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def describe_message(item: Mapping[str, Any]) -> tuple[str, str]:
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
    return "Instance status", f"{status_words(item.get('old'))} → {status_words(item.get('new'))}"


def describe_chat(item: Mapping[str, Any]) -> tuple[str, str]:
    given = item.get("new")
    new = given if isinstance(given, dict) else {}
    label = "Chat changed" if item.get("old") else "New chat"
    return label, f"{new.get('name', '')} · {new.get('id', '')}"


def status_words(status: Any) -> str:
    """`{"accountStatus","substatus"}` as "authenticated", or "authenticated (phone)" where not normal."""
    if not isinstance(status, dict):
        return str(status)
    substatus = status.get("substatus")
    extra = f" ({substatus})" if substatus and substatus != "normal" else ""
    return f"{status.get('accountStatus')}{extra}"


DESCRIBE = {
    Family.MESSAGE: describe_message,
    Family.ACK: describe_ack,
    Family.STATUS: describe_status,
    Family.CHAT: describe_chat,
}


class Signature(NamedTuple):
    """What is to be said about a signature: `state` is valid, invalid, stale, unchecked or none."""

    state: str
    words: str
    why: str


def check_signature(body: bytes, headers: Mapping[str, str], secret: str, at: datetime) -> Signature:
    """Standard Webhooks: is the body what `secret` has signed? `headers` by lower-case names.

    `secret`: one, or with a space between the two that were valid when the capture came; empty: none is known.

    The time is compared with `at`, the time of arrival, not with now: a capture stays as valid as it came.
    """
    message_id, stamp, given = (
        headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not given:
        return Signature("none", "not signed", "There is no webhook-signature header.")
    if not secret:
        return Signature(
            "unchecked",
            "signed, not checked",
            "This bin belongs to no instance, so no secret is known to check it with.",
        )
    if not message_id or not stamp:
        return Signature("invalid", "signature incomplete", "webhook-id or webhook-timestamp is missing.")
    try:
        signed_at = datetime.fromtimestamp(int(stamp), UTC)
        expected = [
            Webhook(one).sign(message_id, signed_at, body.decode()).encode() for one in secret.split()
        ]
    except (ValueError, OverflowError, OSError):  # not a number, not a time, not UTF-8
        return Signature(
            "invalid", "signature does not match", "The time or the body is not what can be signed."
        )
    parts = [part.encode() for part in given.split()]
    if not any(hmac.compare_digest(one, part) for one in expected for part in parts):
        return Signature(
            "invalid",
            "signature does not match",
            "The body was changed on its way, or it was signed with another secret than this instance's.",
        )
    if abs(signed_at - at) > TOLERANCE:
        minutes = round(abs(signed_at - at).total_seconds() / 60)
        return Signature(
            "stale",
            "signature valid but too old" if signed_at < at else "signature valid but from the future",
            f"webhook-timestamp is {minutes} minutes off the arrival; receivers allow 5. A replay looks like this.",
        )
    return Signature(
        "valid", "signature valid", "Signed with this instance's secret, not more than 5 minutes before."
    )


class Sentence(NamedTuple):
    """A sentence with one stressed word: before *stressed* after."""

    before: str
    stressed: str
    after: str

    def __str__(self) -> str:
        return f"{self.before} {self.stressed}{self.after}".strip()


def sentence(capture: Capture, recognition: Recognition, signature: Signature) -> Sentence:
    """For example "Ack *delivered* for true_1768…, attempt 1 of 20, signature valid"."""
    if capture.too_large:
        limit = sizes.in_words(BODY_LIMIT)
        return Sentence(
            "",
            capture.method,
            f" of {sizes.in_words(capture.size)}: more than the {limit} that a bin takes, so the body was not kept "
            f"and the answer was 413",
        )
    tail = "".join(f", {part}" for part in (attempt_words(capture.attempt), signature.words) if part)
    if recognition.family == Family.OTHER:
        kind = {"JSON": "JSON", "Text": "text"}.get(recognition.label, "bytes")
        what = f"with {sizes.in_words(capture.size)} of {kind}" if capture.size else "without a body"
        return Sentence("", capture.method, f" {what}, not a hook of this product{tail}")
    item = recognition.items[0]
    more = f" (and {len(recognition.items) - 1} more)" if len(recognition.items) > 1 else ""
    if recognition.family == Family.MESSAGE:
        where = f"to {item.get('chatId')}" if item.get("fromMe") is True else f"from {sender(item)}"
        kind = "Missed call" if item.get("type") == "call_log" else "Message"
        stressed = "sent" if item.get("fromMe") is True else "received"
        return Sentence(kind, stressed, f" {where}{more}{tail}")
    if recognition.family == Family.ACK:
        return Sentence("Ack", str(item.get("status")), f" for {item.get('id')}{more}{tail}")
    if recognition.family == Family.STATUS:
        old, new = status_words(item.get("old")), status_words(item.get("new"))
        return Sentence("Instance status", new, f" (it was {old}){more}{tail}")
    return Sentence("Chat", "changed" if item.get("old") else "new", f": {recognition.summary}{more}{tail}")


def sender(item: Mapping[str, Any]) -> str:
    name, author = item.get("senderName"), item.get("author")
    return f"{name} ({author})" if name and str(name) not in str(author) else str(author)


def attempt_words(header: str) -> str:
    """`3/20` as "attempt 3 of 20"; anything else as nothing."""
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", header)
    return f"attempt {match[1]} of {match[2]}" if match else ""
