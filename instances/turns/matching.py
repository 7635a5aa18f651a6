"""Finds out which received message caused each message that a bot has sent. Pure: no query.

Nothing in the wire contract says so, and nothing is stored for it. The match compares times: a webhook request that
waited for its response while the API accepted the message, the chat, the quote, and what the text contains.
docs/turns.md describes it; tests/acceptance/test_turns.py measures it with bots of many kinds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import models

from instances import chat_ids

# Attempts are timed by the database's clock, calls by that of the web server.
CLOCK_TOLERANCE = timedelta(milliseconds=20)
# A call to another chat belongs to a request, or to the call before it, that ended at most this long ago.
BURST = timedelta(seconds=10)
# A text that contains the sender's number or the received text belongs to a request that ended at most this long ago.
REPEATED_WITHIN = timedelta(minutes=1)
SOON = timedelta(minutes=1)
# A call to the same chat, without another received message in between.
FOLLOW_UP_WITHIN = timedelta(minutes=10)
LATEST = timedelta(hours=24)
# Shorter texts are found in others by chance: "ok", "yes".
MIN_REPEATED = 8
# Of so many last calls that only one message explained, the shortest and the longest delay are usual for the bot.
USUAL_DELAYS, DELAYS_KEPT = 5, 30


class Certainty(models.TextChoices):
    """How sure a match is."""

    CERTAIN = "certain", "Certain"
    LIKELY = "likely", "Likely"
    POSSIBLE = "possible", "Possible"


class Evidence(models.TextChoices):
    """What a match is based on. The first that applies decides."""

    QUOTE = "quote", "It quotes the message"
    REQUEST = "request", "Sent to the same chat during the webhook request"
    CONTENT = "content", "Contains the sender's number or the message's text"
    CHAT = "chat", "Sent to the same chat after the webhook request"
    OTHER_CHAT_IN_REQUEST = "request_other_chat", "Sent to another chat during the webhook request"
    OTHER_CHAT = "other_chat", "Sent to another chat after the webhook request"


class Period(NamedTuple):
    """A webhook request, from its start to the end of its response; `ended_at` is None while it lasts."""

    started_at: datetime
    ended_at: datetime | None


class Call(NamedTuple):
    """A message that the API has accepted at `at`. `text` is the start of its body."""

    message_id: str
    chat_id: str
    at: datetime
    text: str = ""
    quoted_id: str = ""


@dataclass
class Received:
    """A received message with the requests of its hooks, of all endpoints. The other fields are of the match."""

    message_id: str
    chat_id: str
    at: datetime
    periods: Sequence[Period]
    text: str = ""
    sender_number: str = ""
    calls: list[Call] = field(default_factory=list)

    @property
    def handed_over_at(self) -> datetime | None:
        """When the bot first got it; None: it has not been sent yet."""
        return min((period.started_at for period in self.periods), default=None)

    def is_in_flight(self, at: datetime) -> bool:
        return any(
            period.started_at - CLOCK_TOLERANCE <= at
            and (period.ended_at is None or at <= period.ended_at + CLOCK_TOLERANCE)
            for period in self.periods
        )

    def last_active_before(self, at: datetime) -> datetime | None:
        """Returns the end of the last request, or the last matched call, before `at`; None: it was not sent before."""
        times = [
            min(period.ended_at or at, at)
            for period in self.periods
            if period.started_at - CLOCK_TOLERANCE <= at
        ]
        return max([*times, *(call.at for call in self.calls)], default=None)

    def has_called(self, chat_id: str) -> bool:
        return any(call.chat_id == chat_id for call in self.calls)

    def delay_at(self, at: datetime) -> timedelta:
        """Returns the time since the last request before `at` ended; zero during a request."""
        if self.is_in_flight(at):
            return timedelta()
        ends = [
            period.ended_at
            for period in self.periods
            if period.ended_at is not None and period.ended_at <= at
        ]
        return at - max(ends) if ends else timedelta()


class Match(NamedTuple):
    """The received message that caused a call. `others` is how many other messages fit as well."""

    call: Call
    received: Received
    evidence: Evidence
    certainty: Certainty
    delay: timedelta  # since the webhook request; zero: during it
    others: int = 0


def match_calls(received: Iterable[Received], calls: Iterable[Call]) -> list[Match]:
    """Returns the matches of the calls, by time; calls that no message explains are left out.

    Pass all received messages and calls of the instance around the wanted ones: a call that another message explains
    better is not matched. Sets `calls` of each Received.
    """
    matcher = Matcher(received)
    found = (matcher.match(call) for call in sorted(calls, key=lambda call: call.at))
    return [match for match in found if match is not None]


class Matcher:
    """Matches calls one after the other, in the order of their times."""

    def __init__(self, received: Iterable[Received]) -> None:
        sent = [one for one in received if one.handed_over_at is not None]
        self.received = sorted(sent, key=started)
        self.starts = [started(one) for one in self.received]
        self.by_id = {one.message_id: one for one in self.received}
        self.by_chat: dict[str, list[Received]] = defaultdict(list)
        for one in self.received:
            self.by_chat[one.chat_id].append(one)
        self.delays: list[timedelta] = []  # of calls that only one message explained

    def match(self, call: Call) -> Match | None:
        found = (
            self.by_quote(call)
            or self.in_request_of_chat(call)
            or self.by_content(call)
            or self.unanswered_in_chat(call)
            or self.follow_up(call, BURST)
            or self.in_request_of_other_chat(call)
            or self.follow_up(call, FOLLOW_UP_WITHIN)
            or self.burst(call)
            or self.long_after(call)
        )
        if found:
            found.received.calls.append(call)
        return found

    def handed_over_before(self, at: datetime, *, within: timedelta) -> list[Received]:
        """Returns the messages whose first request started before `at`, and not more than `within` before."""
        end = bisect_right(self.starts, at + CLOCK_TOLERANCE)
        start = bisect_right(self.starts, at - within)
        return self.received[start:end]

    def of_chat_before(self, call: Call) -> list[Received]:
        return [one for one in self.by_chat[call.chat_id] if started(one) - CLOCK_TOLERANCE <= call.at]

    def by_quote(self, call: Call) -> Match | None:
        quoted = self.by_id.get(call.quoted_id) if call.quoted_id else None
        if quoted is None:
            return None
        return Match(call, quoted, Evidence.QUOTE, Certainty.CERTAIN, quoted.delay_at(call.at))

    def in_request_of_chat(self, call: Call) -> Match | None:
        """Several messages of one chat are in flight with parallelHooks, or several endpoints: the first without a
        call is taken."""
        in_flight = [one for one in self.of_chat_before(call) if one.is_in_flight(call.at)]
        if not in_flight:
            return None
        chosen = next((one for one in in_flight if not one.calls), in_flight[-1])
        certainty = Certainty.CERTAIN if len(in_flight) == 1 else Certainty.LIKELY
        if len(in_flight) == 1 and not self.unanswered(call, before=chosen):
            self.delays.append(timedelta())
        elif len(in_flight) == 1 and (usual := self.usual_delays()) and usual[0] > CLOCK_TOLERANCE:
            return None  # a bot that calls after its response: this call is that of an earlier message
        return Match(call, chosen, Evidence.REQUEST, certainty, timedelta(), len(in_flight) - 1)

    def by_content(self, call: Call) -> Match | None:
        lately = self.handed_over_before(call.at, within=REPEATED_WITHIN) if call.text else []
        if any(one.chat_id == call.chat_id and repeats_text(call.text, one) for one in lately):
            return None  # two people have written the same
        found = [one for one in lately if one.chat_id != call.chat_id and is_about(call, one)]
        if not found:
            return None
        # the message that is repeated; of a sender who is named, the first one of which this chat does not know yet
        repeated = [one for one in reversed(found) if repeats_text(call.text, one)]
        chosen = next((one for one in repeated or found if not one.has_called(call.chat_id)), found[-1])
        others = len({one.chat_id for one in found}) - 1
        certainty = Certainty.LIKELY if not others else Certainty.POSSIBLE
        return Match(call, chosen, Evidence.CONTENT, certainty, chosen.delay_at(call.at), others)

    def unanswered(self, call: Call, before: Received | None = None) -> list[Received]:
        """Returns the messages of the chat since the last one with a call, which the bot got in the last minutes."""
        known = self.of_chat_before(call)
        if before is not None:
            known = known[: known.index(before)]
        last = max((place for place, one in enumerate(known) if one.calls), default=-1)
        return [one for one in known[last + 1 :] if call.at - started(one) <= FOLLOW_UP_WITHIN]

    def unanswered_in_chat(self, call: Call) -> Match | None:
        """Of several messages without a call, the first is taken whose delay is usual for the bot.

        The first, because the longer a message has waited, the sooner its call comes. If the usual delay is not
        known, or none fits, it is the first of the last minute: a bot that has ignored a message for longer responds
        to a newer one.
        """
        found = self.unanswered(call)
        if not found:
            return None
        usual = []
        if delays := self.usual_delays():
            shortest, longest = delays[0] * 0.8, delays[1] * 1.25
            usual = [one for one in found if shortest <= one.delay_at(call.at) <= longest]
        soon = [one for one in found if one.delay_at(call.at) <= SOON]
        chosen = next(iter(usual or soon), found[-1])
        delay = chosen.delay_at(call.at)
        if len(found) == 1:
            self.delays.append(delay)
        certainty = Certainty.LIKELY if len(found) == 1 and delay <= SOON else Certainty.POSSIBLE
        return Match(call, chosen, Evidence.CHAT, certainty, delay, len(found) - 1)

    def usual_delays(self) -> tuple[timedelta, timedelta] | None:
        """Returns the shortest and the longest delay of the bot's last calls; None if too few are known."""
        lately = self.delays[-DELAYS_KEPT:]
        return (min(lately), max(lately)) if len(lately) >= USUAL_DELAYS else None

    def follow_up(self, call: Call, within: timedelta) -> Match | None:
        """Another call to the chat of the last message that has one."""
        active = [
            (last, one)
            for one in self.of_chat_before(call)
            if one.calls and (last := one.last_active_before(call.at)) and call.at - last <= within
        ]
        if not active:
            return None
        _, chosen = max(active, key=lambda pair: pair[0])
        delay = chosen.delay_at(call.at)
        certainty = Certainty.LIKELY if delay <= SOON else Certainty.POSSIBLE
        return Match(call, chosen, Evidence.CHAT, certainty, delay)

    def in_request_of_other_chat(self, call: Call) -> Match | None:
        """Of several messages in flight without a call to this chat, the one with the oldest last call is taken.

        So a bot that replies, and then tells an operator, is followed through requests that overlap.
        """
        in_flight = [
            one for one in self.handed_over_before(call.at, within=LATEST) if one.is_in_flight(call.at)
        ]
        if not in_flight:
            return None
        fresh = [one for one in in_flight if not one.has_called(call.chat_id)] or in_flight[-1:]
        chosen = min(fresh, key=lambda one: (not one.calls, one.calls[-1].at if one.calls else started(one)))
        certainty = Certainty.LIKELY if len(in_flight) == 1 else Certainty.POSSIBLE
        return Match(call, chosen, Evidence.OTHER_CHAT_IN_REQUEST, certainty, timedelta(), len(in_flight) - 1)

    def burst(self, call: Call) -> Match | None:
        """A call to another chat shortly after a request, or after another call of the same turn."""
        active = [
            (last, one)
            for one in self.handed_over_before(call.at, within=FOLLOW_UP_WITHIN)
            if one.chat_id != call.chat_id
            and (last := one.last_active_before(call.at))
            and call.at - last <= BURST
        ]
        if not active:
            return None
        fresh = [pair for pair in active if not pair[1].has_called(call.chat_id)]
        _, chosen = max(fresh or active, key=lambda pair: pair[0])
        delay = chosen.delay_at(call.at)
        return Match(call, chosen, Evidence.OTHER_CHAT, Certainty.POSSIBLE, delay, len(active) - 1)

    def long_after(self, call: Call) -> Match | None:
        """The first call to the chat of a message that was received hours before: a person may have written it."""
        known = self.of_chat_before(call)
        if not known or known[-1].calls or call.at - started(known[-1]) > LATEST:
            return None
        delay = known[-1].delay_at(call.at)
        return Match(call, known[-1], Evidence.CHAT, Certainty.POSSIBLE, delay)


def started(one: Received) -> datetime:
    at = one.handed_over_at
    assert at is not None  # Matcher drops messages that were not sent
    return at


def is_about(call: Call, one: Received) -> bool:
    """Whether the text names the sender or repeats the message, or the message names the call's chat."""
    number = chat_ids.bare_id(call.chat_id)
    return (
        bool(one.sender_number and one.sender_number in call.text)
        or repeats_text(call.text, one)
        or (number.isdigit() and number in one.text)
    )


def repeats_text(text: str, one: Received) -> bool:
    """Whether one of the two texts contains the other."""
    shorter, longer = sorted((text, one.text), key=len)
    return len(shorter) >= MIN_REPEATED and shorter in longer
