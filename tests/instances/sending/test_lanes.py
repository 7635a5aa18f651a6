"""Lanes: order per chat, the messenger's limits, sendDelay, and the breaker, with a simulated clock."""

from __future__ import annotations

import heapq
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from instances.channels.requests import Limits, Rate
from instances.sending.back_off import FAILURES, Breaker, seconds_to_next_try
from instances.sending.lanes import FIRST_IN_FLIGHT, Lane, Lanes, Waiting
from instances.sending.rate_window import RateWindow


def messages(*chats: str, first: int = 1) -> list[Waiting]:
    return [Waiting(number, number, chat) for number, chat in enumerate(chats, start=first)]


def lane_of(
    *chats: str, limits: Limits | None = None, send_delay: float = 0.0, is_local: bool = False
) -> Lane:
    lane = Lane(1, limits or Limits(), send_delay=send_delay, is_local=is_local)
    lane.allowed = lane.limits.in_flight
    lane.add(messages(*chats))
    return lane


def numbers(picked: list[Waiting]) -> list[int]:
    return [waiting.number for waiting in picked]


def test_one_message_of_a_chat_is_in_flight() -> None:
    lane = lane_of("ann", "ann", "ben", "ann")
    assert numbers(lane.pick(0.0, 10)) == [1, 3]
    assert lane.pick(0.0, 10) == []
    lane.end(1)
    assert numbers(lane.pick(0.0, 10)) == [2]


def test_a_message_that_is_tried_again_holds_its_chat_only() -> None:
    lane = lane_of("ann", "ben", "ann", "ben")
    lane.pick(0.0, 10)
    lane.put_back(1, due=5.0)
    lane.end(2)
    assert numbers(lane.pick(1.0, 10)) == [4]
    assert lane.next_start(1.0) == 5.0
    assert numbers(lane.pick(5.0, 10)) == [1]


def test_a_new_message_waits_for_the_one_in_flight() -> None:
    lane = lane_of("ann")
    lane.pick(0.0, 10)
    lane.add(messages("ann", "ben", first=2))
    assert numbers(lane.pick(0.0, 10)) == [3]


def test_a_second_reading_of_the_queue_replaces_what_waits() -> None:
    lane = lane_of("ann", "ann", "ben", "cem")
    assert numbers(lane.pick(0.0, 1)) == [1]
    lane.replace([Waiting(1, 1, "ann"), Waiting(4, 4, "cem"), Waiting(5, 5, "ann")])  # 2 and 3 were cleared
    assert numbers(lane.pick(0.0, 10)) == [4]
    lane.end(1)
    assert numbers(lane.pick(0.0, 10)) == [5]


def test_a_message_whose_result_is_not_recorded_is_not_started_again() -> None:
    """PostgreSQL was killed, and has lost that it was being sent."""
    lane = lane_of("ann", "ann", "ben")
    assert numbers(lane.pick(0.0, 10)) == [1, 3]
    lane.unrecorded.add(1)
    lane.end(1)
    lane.replace(messages("ann", "ann", "ben"))
    assert numbers(lane.pick(0.0, 10)) == [2]
    assert (sorted(lane.started()), lane.count()) == ([1, 2, 3], 3)
    lane.unrecorded.discard(1)
    assert lane.count() == 2


def test_send_delay_is_between_any_two_messages() -> None:
    lane = lane_of("ann", "ben", send_delay=5.0)
    assert numbers(lane.pick(10.0, 10)) == [1]
    lane.end(1)
    assert lane.pick(14.9, 10) == []
    assert lane.next_start(14.9) == 15.0
    assert numbers(lane.pick(15.0, 10)) == [2]


def test_a_rate_of_the_number_is_kept() -> None:
    lane = lane_of(*"abcde", limits=Limits(per_number=Rate(2, 1.0)))
    assert numbers(lane.pick(0.0, 10)) == [1, 2]
    assert lane.next_start(0.5) == 1.0
    assert numbers(lane.pick(1.0, 10)) == [3, 4]


def test_a_rate_of_a_recipient_holds_no_other_chat() -> None:
    lane = lane_of("ann", "ann", "ben", limits=Limits(per_recipient=Rate(1, 6.0)))
    assert numbers(lane.pick(0.0, 10)) == [1, 3]
    lane.end(1)
    lane.end(3)
    assert lane.pick(5.9, 10) == []
    assert numbers(lane.pick(6.0, 10)) == [2]


def test_a_rate_of_a_group_replaces_that_of_a_recipient() -> None:
    limits = Limits(per_recipient=Rate(1, 1.0), per_group=Rate(2, 60.0))
    lane = lane_of("1@g.us", "1@g.us", "1@g.us", "ann", "ann", limits=limits)
    for at, group, person in ((0.0, 1, 4), (0.5, 2, None), (1.0, None, 5), (60.0, 3, None)):
        expected = [number for number in (group, person) if number]
        assert numbers(lane.pick(at, 10)) == expected
        for number in expected:
            lane.end(number)


def test_a_messenger_that_has_not_responded_gets_few_requests() -> None:
    lane = Lane(1, Limits(in_flight=20))
    lane.add(messages(*[f"chat {number}" for number in range(30)]))
    assert len(lane.pick(0.0, 30)) == FIRST_IN_FLIGHT
    lane.end(1)
    lane.note_response()
    assert len(lane.pick(0.0, 30)) == 2
    lane.note_timeout()
    assert lane.allowed == 1


def test_local_messages_of_one_chat_are_started_together() -> None:
    lane = lane_of("ann", "ann", "ben", "ann", is_local=True)
    assert numbers(lane.pick(0.0, 10)) == [1, 2, 3, 4]
    lane.add(messages("cem", first=5))
    assert lane.pick(0.0, 10) == []  # the turn has not ended
    assert lane.next_start(0.0) == float("inf")
    lane.put_back(1, due=3.0)
    lane.put_back(2)
    lane.end(3)
    lane.put_back(4)
    assert numbers(lane.pick(0.0, 10)) == [5]
    lane.end(5)
    assert numbers(lane.pick(3.0, 10)) == [1, 2, 4]


def test_the_breaker_opens_after_five_failures_and_lets_one_message_try() -> None:
    lane = lane_of(*"abcdefgh")
    breaker = lane.breaker
    assert [breaker.note_failure(0.0) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert breaker.note_failure(1.0) is False  # of a request from before
    assert lane.pick(4.9, 10) == []
    assert numbers(lane.pick(5.0, 10)) == [1]
    assert lane.pick(5.0, 10) == []
    lane.put_back(1, due=6.0)
    assert breaker.note_failure(5.5) is True
    assert lane.next_start(6.0) == 15.5
    assert numbers(lane.pick(15.5, 10)) == [1]
    lane.end(1)
    breaker.note_success()
    assert len(lane.pick(15.5, 10)) == 7


def test_a_breaker_waits_for_at_most_five_minutes() -> None:
    breaker, now = Breaker(), 0.0
    pauses = []
    for _ in range(FAILURES + 9):
        if breaker.note_failure(now):
            pauses.append(breaker.open_until - now)
            now = breaker.open_until
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]


def test_the_pause_between_tries_doubles_up_to_five_minutes() -> None:
    for tries, pause in ((1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (5000, 300)):
        assert 0.8 * pause <= seconds_to_next_try(tries) <= 1.2 * pause


def test_lanes_take_turns() -> None:
    lanes = Lanes(max_in_flight=3)
    first, second = Lane(1, Limits()), Lane(2, Limits())
    first.add(messages(*"abcd"))
    second.add(messages(*"abcd", first=11))
    lanes.insert(first)
    lanes.insert(second)
    assert [(lane.key, each.number) for lane, each in lanes.pick(0.0)] == [(1, 1), (2, 11), (1, 2)]
    lanes.end(first, 1)
    assert [(lane.key, each.number) for lane, each in lanes.pick(0.0)] == [(2, 12)]
    lanes.forget(1)
    assert lanes.in_flight == 2
    lanes.end(first, 2)  # ends after its lane was forgotten
    assert lanes.in_flight == 2


@given(
    starts=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60),
    rate=st.builds(Rate, st.integers(1, 5), st.sampled_from([0.5, 1.0, 6.0])),
)
def test_no_window_has_more_starts_than_the_rate(starts: list[float], rate: Rate) -> None:
    window, now, at = RateWindow(rate), 0.0, []
    for pause in starts:
        now = window.ready_at(now + pause)
        window.add(now)
        at.append(now)
    for place in range(len(at) - rate.messages):
        assert at[place + rate.messages] - at[place] >= rate.seconds * 0.999999


@settings(max_examples=50)
@given(
    chats=st.lists(st.sampled_from("abcd"), min_size=1, max_size=40),
    fates=st.lists(st.sampled_from(["sent", "sent", "sent", "again", "failed", "down"]), min_size=200),
    seconds=st.lists(st.sampled_from([0.01, 0.1, 1.0]), min_size=1, max_size=7),
    limits=st.builds(
        Limits,
        per_number=st.sampled_from([None, Rate(3, 1.0)]),
        per_recipient=st.sampled_from([None, Rate(1, 2.0)]),
        in_flight=st.sampled_from([1, 3, 20]),
    ),
    send_delay=st.sampled_from([0.0, 0.0, 3.0]),
)
def test_whatever_a_messenger_does_each_message_ends_in_the_order_of_its_chat(
    chats: list[str], fates: list[str], seconds: list[float], limits: Limits, send_delay: float
) -> None:
    lanes, lane = Lanes(5), Lane(1, limits, send_delay=send_delay)
    rest = messages(*chats)
    lane.add([rest.pop(0) for _ in range(len(chats) // 2 + 1)])
    lanes.insert(lane)
    now, starts, done = 0.0, 0, defaultdict(list)
    at_work: list[tuple[float, int, Waiting]] = []
    started_at: list[float] = []
    for _ in range(5_000):
        for _, waiting in lanes.pick(now):
            heapq.heappush(at_work, (now + seconds[starts % len(seconds)], waiting.key, waiting))
            starts += 1
            started_at.append(now)
        busy = [waiting.chat_id for _, _, waiting in at_work]
        assert len(busy) == len(set(busy)) == lanes.in_flight <= min(5, limits.in_flight)
        times = [at_work[0][0]] if at_work else []
        times += [] if lanes.next_timer is None else [lanes.next_timer]
        if not times:
            break
        now = max(min(times), now)
        while at_work and at_work[0][0] <= now:
            _, key, waiting = heapq.heappop(at_work)
            fate = fates.pop() if fates else "sent"
            if fate in ("again", "down"):
                lanes.put_back(lane, key, now + 0.5)
                if fate == "down":
                    lane.breaker.note_failure(now)
                continue
            lane.breaker.note_success()
            lane.note_response()
            done[waiting.chat_id].append(waiting.number)
            lanes.end(lane, key)
            if rest:
                lane.add([rest.pop(0)])
                lanes.changed(lane)
        if not lane.count() and rest:
            lane.add([rest.pop(0)])
            lanes.changed(lane)
    assert not rest and lane.is_empty, "each message has ended"
    for chat, found in done.items():
        assert found == [number for number, each in enumerate(chats, start=1) if each == chat]
    if limits.per_number:
        for place in range(len(started_at) - 3):
            assert started_at[place + 3] - started_at[place] >= 0.999
