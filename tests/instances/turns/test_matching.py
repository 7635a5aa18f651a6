"""Which received message caused which call, by times, chats, quotes and texts; without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.turns.matching import Call, Certainty, Evidence, Match, Period, Received, match_calls
from instances.turns.sentences import explain_match

START = datetime(2030, 1, 1, tzinfo=UTC)
ANNA, BERT, OPERATOR = "17680561234@c.us", "4915112345678@c.us", "15550009999@c.us"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def message(name: str, chat: str, start: float, end: float | None, text: str = "") -> Received:
    """A message whose request lasts from `start` to `end`."""
    period = Period(at(start), None if end is None else at(end))
    return Received(name, chat, at(start), [period], text, sender_number=chat.partition("@")[0])


def call(chat: str, seconds: float, text: str = "", quoted: str = "") -> Call:
    return Call(f"call at {seconds}", chat, at(seconds), text, quoted)


def matched(received: list[Received], *calls: Call) -> list[tuple[str, Evidence, Certainty]]:
    return [
        (match.received.message_id, match.evidence, match.certainty) for match in match_calls(received, calls)
    ]


def only(received: list[Received], one: Call) -> Match:
    [match] = match_calls(received, [one])
    return match


def test_a_call_to_the_same_chat_during_the_request_is_certain() -> None:
    found = matched([message("a", ANNA, 0, 1), message("b", BERT, 0.2, 1)], call(ANNA, 0.5), call(BERT, 0.5))
    assert found == [("a", Evidence.REQUEST, Certainty.CERTAIN), ("b", Evidence.REQUEST, Certainty.CERTAIN)]


def test_a_request_without_a_response_is_in_flight() -> None:
    assert matched([message("a", ANNA, 0, None)], call(ANNA, 8)) == [
        ("a", Evidence.REQUEST, Certainty.CERTAIN)
    ]


def test_a_quote_decides_against_times() -> None:
    found = matched([message("a", ANNA, 0, 0.1), message("b", ANNA, 5, 6)], call(ANNA, 5.5, quoted="a"))
    assert found == [("a", Evidence.QUOTE, Certainty.CERTAIN)]


def test_after_the_request_the_same_chat_is_likely_and_says_how_long_after() -> None:
    match = only([message("a", ANNA, 0, 0.1), message("b", BERT, 2, 2.1)], call(ANNA, 3.1))
    assert (match.received.message_id, match.evidence, match.certainty) == (
        "a",
        Evidence.CHAT,
        Certainty.LIKELY,
    )
    assert match.delay == timedelta(seconds=3)
    assert explain_match(match) == "In the same chat, 3.0 s after the webhook request."


def test_two_messages_without_a_response_get_the_calls_in_their_order() -> None:
    received = [message("a", ANNA, 0, 0.1), message("b", ANNA, 1, 1.1)]
    first, second = match_calls(received, [call(ANNA, 3), call(ANNA, 4)])
    assert (first.received.message_id, first.certainty, first.others) == ("a", Certainty.POSSIBLE, 1)
    assert explain_match(first).endswith("1 other message of the chat was without a response.")
    assert (second.received.message_id, second.certainty) == ("b", Certainty.LIKELY)


@pytest.mark.parametrize("seconds", [101, 300])
def test_a_message_that_was_ignored_for_over_a_minute_does_not_get_the_call_of_a_newer_one(
    seconds: float,
) -> None:
    times = {"ignored": 0, "too": 5, "new": 100}
    received = [message(name, ANNA, time, time + 0.1) for name, time in times.items()]
    match = only(received, call(ANNA, seconds))
    assert (match.received.message_id, match.certainty, match.others) == ("new", Certainty.POSSIBLE, 2)


def test_the_usual_delay_of_the_bot_decides_between_several_messages() -> None:
    """It responds 2 s after each message; the first of two messages got no response."""
    received = [message(f"{n}", ANNA, n * 100, n * 100 + 0.1) for n in range(5)]
    calls = [call(ANNA, n * 100 + 2.1) for n in range(5)]
    received += [message("silent", ANNA, 1000, 1000.1), message("x", ANNA, 1010, 1010.1)]
    assert matched(received, *calls, call(ANNA, 1012))[-1][0] == "x"


def test_a_delayed_call_is_not_that_of_the_next_message_in_flight() -> None:
    received = [message(f"{n}", ANNA, n * 100, n * 100 + 0.1) for n in range(5)]
    calls = [call(ANNA, n * 100 + 2.1) for n in range(5)]
    received += [message("a", ANNA, 1000, 1000.1), message("b", ANNA, 1002, 1002.2)]
    assert matched(received, *calls, call(ANNA, 1002.1))[-1][:2] == ("a", Evidence.CHAT)


@pytest.mark.parametrize(
    ("text", "certainty", "evidence"),
    [
        ("17680561234 wrote something", Certainty.LIKELY, Evidence.CONTENT),
        ("New: where is my order", Certainty.LIKELY, Evidence.CONTENT),
        ("You have a new message", Certainty.POSSIBLE, Evidence.OTHER_CHAT),
    ],
)
def test_a_call_to_another_chat_is_matched_by_its_text_else_by_time(
    text: str, certainty: Certainty, evidence: Evidence
) -> None:
    received = [message("a", ANNA, 0, 0.1, "where is my order"), message("b", BERT, -5, -4.9, "hello")]
    assert matched(received, call(OPERATOR, 1, text)) == [("a", evidence, certainty)]


def test_an_operators_message_that_names_a_contact_causes_the_call_to_this_contact() -> None:
    received = [message("a", ANNA, 0, 0.1), message("o", OPERATOR, 1, 2, "17680561234 it is on its way")]
    assert matched(received, call(ANNA, 1.5, "it is on its way")) == [
        ("o", Evidence.CONTENT, Certainty.LIKELY)
    ]


def test_two_people_who_write_the_same_keep_their_responses() -> None:
    received = [message("a", ANNA, 0, 0.1, "opening hours?"), message("b", BERT, 0.2, 0.3, "opening hours?")]
    calls = [call(ANNA, 2, "opening hours? 9 to 5"), call(BERT, 3, "opening hours? 9 to 5")]
    assert [name for name, _, _ in matched(received, *calls)] == ["a", "b"]


def test_another_chat_during_the_request_is_likely_unless_others_are_in_flight() -> None:
    assert matched([message("a", ANNA, 0, 1)], call(OPERATOR, 0.5)) == [
        ("a", Evidence.OTHER_CHAT_IN_REQUEST, Certainty.LIKELY)
    ]
    received = [message("a", ANNA, 0, 1), message("b", BERT, 0.1, 1)]
    first, second = match_calls(received, [call(OPERATOR, 0.5), call(OPERATOR, 0.6)])
    assert (first.received.message_id, first.certainty, first.others) == ("a", Certainty.POSSIBLE, 1)
    assert second.received.message_id == "b"


def test_a_bulk_after_the_request_belongs_to_one_turn() -> None:
    chats = [f"49151{number:08}@c.us" for number in range(30)]
    calls = [call(chat, 0.5 + number) for number, chat in enumerate(chats)]
    assert [name for name, _, _ in matched([message("a", OPERATOR, 0, 0.1)], *calls)] == ["a"] * 30


def test_calls_without_a_message_are_left_out() -> None:
    received = [message("a", ANNA, 0, 0.1)]
    assert matched(received, call(BERT, 60), call(ANNA, -5), call(ANNA, 90_000)) == []
