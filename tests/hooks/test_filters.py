"""hooks/filters.py decides which events an endpoint gets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.filters import Filters, InvalidFilters, check, matches
from hooks.models import MAX_CHATS, ChatKind, Direction, Kind
from hooks.outbox import Event

CONTACT, GROUP = "17680561234@c.us", "17680561234-1479621234@g.us"


def event(kind: Kind = Kind.MESSAGE, **fields: Any) -> Event:
    """A received text message of a contact, or another event."""
    about_message = kind in (Kind.MESSAGE, Kind.ACK)
    defaults = {
        "direction": Direction.IN if about_message else "",
        "message_type": "chat" if about_message else "",
        "chat": "" if kind == Kind.STATUS else CONTACT,
        "chat_kind": "" if kind == Kind.STATUS else ChatKind.DIRECT,
    }
    return Event(kind, b"{}", **(defaults | fields))


EVENTS = {
    "received": event(),
    "sent": event(direction=Direction.OUT),
    "image": event(message_type="image"),
    "in a group": event(chat=GROUP, chat_kind=ChatKind.GROUP),
    "ack": event(Kind.ACK, direction=Direction.OUT),
    "status": event(Kind.STATUS),
    "chat": event(Kind.CHAT),
    "group": event(Kind.CHAT, chat=GROUP, chat_kind=ChatKind.GROUP),
}


@pytest.mark.parametrize(
    ("filters", "matching"),
    [
        (Filters(), list(EVENTS)),
        (Filters(families=("message",)), ["received", "sent", "image", "in a group"]),
        (Filters(families=("ack", "status")), ["ack", "status"]),
        (Filters(direction="in"), ["received", "image", "in a group", "status", "chat", "group"]),
        (Filters(direction="out"), ["sent", "ack", "status", "chat", "group"]),
        (Filters(message_types=("image", "ptt")), ["image", "status", "chat", "group"]),
        (Filters(chat_kinds="group"), ["in a group", "status", "group"]),
        (Filters(chat_kinds="direct"), ["received", "sent", "image", "ack", "status", "chat"]),
        (Filters(chat_ids=(GROUP,)), ["in a group", "status", "group"]),
        (Filters(chat_ids=(CONTACT, GROUP)), list(EVENTS)),
        (Filters(families=("message", "ack"), direction="out", chat_ids=(CONTACT,)), ["sent", "ack"]),
        (Filters(families=("message",), message_types=("image",), chat_kinds="group"), []),
    ],
)
def test_an_event_must_meet_every_filter(filters: Filters, matching: list[str]) -> None:
    assert [name for name, each in EVENTS.items() if matches(filters, each)] == matching


filter_values = st.builds(
    Filters,
    families=st.lists(st.sampled_from(Kind.values), unique=True).map(tuple),
    direction=st.sampled_from(["", *Direction.values]),
    message_types=st.lists(st.sampled_from(["chat", "image", "ptt"]), unique=True).map(tuple),
    chat_ids=st.lists(st.sampled_from([CONTACT, GROUP]), unique=True).map(tuple),
    chat_kinds=st.sampled_from(["", *ChatKind.values]),
)


@given(filters=filter_values, name=st.sampled_from(list(EVENTS)))
def test_more_filters_never_match_more(filters: Filters, name: str) -> None:
    """Removing any filter keeps every event that matched."""
    if matches(filters, EVENTS[name]):
        for field in Filters._fields:
            empty = getattr(Filters(), field)
            assert matches(filters._replace(**{field: empty}), EVENTS[name])


@given(filters=filter_values)
def test_accepted_filters_match_something_unless_chats_exclude_each_other(filters: Filters) -> None:
    try:
        accepted = check(filters)
    except InvalidFilters:
        assert filters.families == ("ack",)
        assert filters.direction == "in"
        return
    assert accepted == filters
    if not (filters.chat_ids and filters.chat_kinds):
        events = [
            event(kind, direction=direction, message_type=type, chat=chat, chat_kind=chat_kind)
            for kind in (Kind.MESSAGE, Kind.CHAT)
            for direction in Direction
            for type in ("chat", "image", "ptt")
            for chat, chat_kind in ((CONTACT, ChatKind.DIRECT), (GROUP, ChatKind.GROUP))
        ]
        acks = [each._replace(kind=Kind.ACK) for each in events if each.direction == Direction.OUT]
        assert any(matches(accepted, each) for each in [*events, *acks, event(Kind.STATUS)])


@pytest.mark.parametrize(
    ("filters", "field", "sentence"),
    [
        (Filters(families=("messages",)), "families", "messages is not one of: message, ack, status, chat."),
        (Filters(direction="both"), "direction", "Must be empty or one of: in, out."),
        (Filters(chat_kinds="person"), "chat_kinds", "Must be empty or one of: direct, group."),
        (Filters(message_types=tuple(map(str, range(21)))), "message_types", "At most 20 message types are allowed."),
        (Filters(chat_ids=tuple(map(str, range(MAX_CHATS + 1)))), "chat_ids", "At most 100 chats are allowed."),
        (
            Filters(families=("ack",), direction="in"),
            "direction",
            "Acks are about sent messages, so acks of received messages match no event.",
        ),
    ],
)  # fmt: skip
def test_invalid_filters_are_refused(filters: Filters, field: str, sentence: str) -> None:
    with pytest.raises(InvalidFilters) as refused:
        check(filters)
    assert refused.value.field == field
    assert str(refused.value) == sentence


def test_repeated_values_are_stored_once() -> None:
    assert check(Filters(families=("ack", "ack"), chat_ids=(GROUP, CONTACT, GROUP))) == Filters(
        families=("ack",), chat_ids=(GROUP, CONTACT)
    )
