"""Describes a capture in one sentence."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from chatapi.ui import sizes
from instances.limits import disk_space
from testing_tools.verification.models import BODY_LIMIT, Capture, Family
from testing_tools.verification.reading.hook_signatures import SignatureCheck
from testing_tools.verification.reading.recognition import Recognition, status_text


class Sentence(NamedTuple):
    """A sentence with one emphasised word: before *emphasis* after."""

    before: str
    emphasis: str
    after: str

    def __str__(self) -> str:
        return f"{self.before} {self.emphasis}{self.after}".strip()


def refused_status(capture: Capture) -> int:
    """Returns the status of the response to a request whose body was not stored: 507 without space, else 413."""
    return capture.status if capture.status == disk_space.STATUS else 413


def why_not_stored(capture: Capture) -> str:
    if refused_status(capture) == disk_space.STATUS:
        return capture.answer_note
    return f"larger than the limit of {sizes.in_words(BODY_LIMIT)}"


def sentence_for(capture: Capture, recognition: Recognition, signature: SignatureCheck) -> Sentence:
    """Returns a sentence such as "Ack *delivered* for true_1768…, attempt 1 of 20, signature valid"."""
    if capture.too_large:
        return Sentence(
            "",
            capture.method,
            f" of {sizes.in_words(capture.size)}: {why_not_stored(capture)}, "
            f"so the body was not stored and the response was {refused_status(capture)}",
        )
    suffix = "".join(f", {part}" for part in (attempt_text(capture.attempt), signature.words) if part)
    if recognition.family == Family.OTHER:
        kind = {"JSON": "JSON", "Text": "text"}.get(recognition.label, "bytes")
        content = f"with {sizes.in_words(capture.size)} of {kind}" if capture.size else "without a body"
        return Sentence("", capture.method, f" {content}, not a hook of this product{suffix}")
    item = recognition.items[0]
    more = f" (and {len(recognition.items) - 1} more)" if len(recognition.items) > 1 else ""
    if recognition.family == Family.MESSAGE:
        partner = f"to {item.get('chatId')}" if item.get("fromMe") is True else f"from {sender_text(item)}"
        kind = "Missed call" if item.get("type") == "call_log" else "Message"
        emphasis = "sent" if item.get("fromMe") is True else "received"
        return Sentence(kind, emphasis, f" {partner}{more}{suffix}")
    if recognition.family == Family.ACK:
        return Sentence("Ack", str(item.get("status")), f" for {item.get('id')}{more}{suffix}")
    if recognition.family == Family.STATUS:
        old, new = status_text(item.get("old")), status_text(item.get("new"))
        return Sentence("Instance status", new, f" (previously {old}){more}{suffix}")
    return Sentence("Chat", "changed" if item.get("old") else "new", f": {recognition.summary}{more}{suffix}")


def sender_text(item: Mapping[str, Any]) -> str:
    name, author = item.get("senderName"), item.get("author")
    return f"{name} ({author})" if name and str(name) not in str(author) else str(author)


def attempt_text(header: str) -> str:
    """Returns `3/20` as "attempt 3 of 20"; "" for any other value."""
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", header)
    return f"attempt {match[1]} of {match[2]}" if match else ""
