"""Decides which events an endpoint gets. An empty filter matches every event."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from hooks.models.choices import ChatKind, Direction, Kind
from hooks.models.endpoints import MAX_CHATS, Endpoint

MAX_MESSAGE_TYPES = 20


class EndpointFilters(Protocol):
    """The filters of an endpoint; hooks.models.Endpoint has them."""

    @property
    def families(self) -> Collection[str]: ...
    @property
    def direction(self) -> str: ...
    @property
    def message_types(self) -> Collection[str]: ...
    @property
    def chat_ids(self) -> Collection[str]: ...
    @property
    def chat_kinds(self) -> str: ...


class Filtered(Protocol):
    """What the filters read of an event; hooks.outbox.Event has it.

    `direction` and `message_type` are of the message that a message or ack is about, and empty for other events. So are
    `chat` and `chat_kind` for a status, which is about no chat.
    """

    @property
    def kind(self) -> Kind: ...
    @property
    def direction(self) -> str: ...
    @property
    def message_type(self) -> str: ...
    @property
    def chat(self) -> str: ...
    @property
    def chat_kind(self) -> str: ...


def matches(filters: EndpointFilters, event: Filtered) -> bool:
    """Returns whether the endpoint gets a hook for this event: it must meet every filter that is set.

    A filter applies only to events that have its subject. Direction and message types choose among messages and acks,
    chats among everything but statuses; `families` alone decides about the rest.
    """
    if filters.families and event.kind not in filters.families:
        return False
    if event.kind in (Kind.MESSAGE, Kind.ACK):
        if filters.direction and event.direction != filters.direction:
            return False
        if filters.message_types and event.message_type not in filters.message_types:
            return False
    if event.kind == Kind.STATUS:
        return True
    if filters.chat_kinds and event.chat_kind != filters.chat_kinds:
        return False
    return not filters.chat_ids or event.chat in filters.chat_ids


class Filters(NamedTuple):
    """The filters of one endpoint as one value."""

    families: tuple[str, ...] = ()
    direction: str = ""
    message_types: tuple[str, ...] = ()
    chat_ids: tuple[str, ...] = ()
    chat_kinds: str = ""


def filters_of(endpoint: Endpoint) -> Filters:
    return Filters(
        tuple(endpoint.families),
        endpoint.direction,
        tuple(endpoint.message_types),
        tuple(endpoint.chat_ids),
        endpoint.chat_kinds,
    )


class InvalidFilters(ValueError):
    """str() is a sentence for the user; `field` is the filter that is wrong."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def check(filters: Filters) -> Filters:
    """Returns the filters without repeated values.

    Raises InvalidFilters for unknown values, too many of them, and filters that no event can match. The values of
    `message_types` and `chat_ids` are checked by the caller, who knows what a message is.
    """
    families, direction, message_types, chat_ids, chat_kinds = filters
    families, message_types, chat_ids = (
        tuple(dict.fromkeys(values)) for values in (families, message_types, chat_ids)
    )
    if unknown := [value for value in families if value not in Kind.values]:
        raise InvalidFilters("families", f"{unknown[0]} is not one of: {', '.join(Kind.values)}.")
    if direction and direction not in Direction.values:
        raise InvalidFilters("direction", f"Must be empty or one of: {', '.join(Direction.values)}.")
    if chat_kinds and chat_kinds not in ChatKind.values:
        raise InvalidFilters("chat_kinds", f"Must be empty or one of: {', '.join(ChatKind.values)}.")
    if len(message_types) > MAX_MESSAGE_TYPES:
        raise InvalidFilters("message_types", f"At most {MAX_MESSAGE_TYPES} message types are allowed.")
    if len(chat_ids) > MAX_CHATS:
        raise InvalidFilters("chat_ids", f"At most {MAX_CHATS} chats are allowed.")
    if families == (Kind.ACK,) and direction == Direction.IN:
        raise InvalidFilters(
            "direction", "Acks are about sent messages, so acks of received messages match no event."
        )
    return Filters(families, direction, message_types, chat_ids, chat_kinds)
