"""A draft of a simulated hook: its form and its JSON, kept in sync, and whether it can be sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple, TypedDict

from chatapi.ui.json_text import BadJson, Place, compact, parse, place_of, pretty, pretty_bytes
from hooks import signing
from instances import value_parsing
from instances.chat_ids import CHAT_ID_LENGTH, MESSAGE_ID_LENGTH
from instances.models import Instance
from testing_tools.simulation.examples import example
from testing_tools.simulation.form_fields import Field, fields_of
from testing_tools.simulation.form_values import first_item, object_at, read_values, write_values
from testing_tools.simulation.kinds import SimulationKind

MAX_BODY = 1_280 * 1024  # bytes: the hook of a vCard with a photo, which may have 1 MB


class Draft(NamedTuple):
    """The content of the page: the JSON as text and the form's values. `error`: why the JSON cannot be sent."""

    kind: str
    text: str
    values: dict[str, str]
    error: str = ""
    size: int = 0  # bytes as sent
    place: Place | None = None  # of the error, if it has one

    @property
    def lines(self) -> int:
        """Returns the height of the textarea in lines."""
        return min(max(self.text.count("\n") + 2, 12), 30)

    @property
    def fields(self) -> list[tuple[Field, str]]:
        return [(field, self.values.get(field.name, "")) for field in fields_of(self.kind)]

    @property
    def has_more(self) -> bool:
        return any(field.more for field in fields_of(self.kind))

    @property
    def uses_more(self) -> bool:
        """Returns whether a field under "Group, quote, forwarded" has a value."""
        return any(field.more and value not in ("", "0") for field, value in self.fields)


def example_draft(instance: Instance, kind: str) -> Draft:
    return validated(kind, pretty_bytes(example(instance, kind)))


def validated(kind: str, text: str) -> Draft:
    """Returns the draft of this JSON, with its values or with its error."""
    try:
        body = compact(text)
    except BadJson as error:
        return Draft(kind, text, {}, str(error), place=place_of(text, error))
    size_error = (
        f"The body is {len(body):,} bytes long; the limit is {MAX_BODY:,}." if len(body) > MAX_BODY else ""
    )
    return Draft(kind, text, read_values(kind, parse(text)), size_error, len(body))


def with_values(instance: Instance, kind: str, text: str, values: dict[str, str]) -> Draft:
    """Returns the draft after a change of the form; the example replaces invalid JSON."""
    try:
        value = parse(text)
    except BadJson:
        value = None
    if first_item(kind, value) is None:
        value = parse(example(instance, kind).decode())
    write_values(kind, value, values)
    return validated(kind, pretty(value))._replace(values=values)


class Subject(TypedDict):
    """The ids of the message and the chat of a hook's event; empty if unknown."""

    message: str
    chat: str


def subject_of(body: bytes) -> Subject:
    """Returns the message and the chat of this body, for the delivery log."""
    value = parse(body.decode())
    item = first_item(SimulationKind.MESSAGE, value) or first_item(SimulationKind.DELIVERED, value) or {}
    chat = object_at(first_item(SimulationKind.CHAT, value) or {}, "new").get("id", "")
    return {
        "message": value_parsing.parse_text(str(item.get("id", ""))[:MESSAGE_ID_LENGTH]),
        "chat": value_parsing.parse_text(str(item.get("chatId", chat))[:CHAT_ID_LENGTH]),
    }


def preview_headers(instance: Instance, body: bytes) -> list[tuple[str, str, str]]:
    """Returns name, value and note of each header, from the function that creates a hook's real headers.

    The note says whether the value is created when the hook is sent.
    """
    headers = signing.headers(
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
        "webhook-timestamp": ("…", "Unix seconds when it is sent"),
        "webhook-signature": ("v1,…", "created with the signing secret, see below"),
        "webhook-attempt": (headers["webhook-attempt"], "the only attempt; duplicates increase it"),
        "webhook-simulated": (headers["webhook-simulated"], "only in simulations"),
    }
    return [(name, *notes.get(name, (value, ""))) for name, value in headers.items()]
