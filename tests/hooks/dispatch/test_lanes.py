"""The dispatcher's lanes in memory: which hook is sent next."""

import dataclasses
import time
from itertools import count

import pytest

from hooks.dispatch import lanes as module
from hooks.dispatch.attempts import ClaimedHook
from hooks.dispatch.lanes import Lanes
from hooks.models import Trigger

ids = count(1)


def hook(
    lane: int, *, made: int = 0, parallel: bool = False, strict: bool = False, id: int = 0
) -> ClaimedHook:
    return ClaimedHook(
        id=id or next(ids), webhook_id="hook_x", endpoint_id=lane, body=b"{}", claim=1, attempts_made=made,
        attempts_allowed=20, trigger=Trigger.RETRY if made else Trigger.EVENT, simulated=False,
        url="http://a.example/", secret="", parallel=parallel, strict=strict,
        lease_ends=time.monotonic() + 30,
    )  # fmt: skip


def hooks(lane: int, n: int, **fields: bool) -> list[ClaimedHook]:
    return [hook(lane, **fields) for _ in range(n)]


def test_an_ordered_lane_has_one_hook_in_flight_and_keeps_its_order() -> None:
    lanes, made = Lanes(10), hooks(1, 3)
    lanes.add(made)
    assert list(lanes.next_hooks()) == [made[0]]
    assert list(lanes.next_hooks()) == []
    lanes.finish(made[0])
    assert list(lanes.next_hooks()) == [made[1]]
    lanes.finish(made[1])
    assert list(lanes.next_hooks()) == [made[2]]
    assert (lanes.in_flight, lanes.buffered) == (1, 0)


def test_a_parallel_lane_has_sixteen_hooks_in_flight() -> None:
    lanes, made = Lanes(100), hooks(1, 20, parallel=True)
    lanes.add(made)
    assert list(lanes.next_hooks()) == made[:16]
    lanes.finish(made[3])
    assert list(lanes.next_hooks()) == [made[16]]


def test_lanes_take_turns() -> None:
    lanes = Lanes(4)
    first, second = hooks(1, 5, parallel=True), hooks(2, 5, parallel=True)
    lanes.add(first + second)
    assert list(lanes.next_hooks()) == [first[0], second[0], first[1], second[1]]


def test_a_lane_with_ten_thousand_hooks_does_not_delay_another() -> None:
    lanes = Lanes(8)
    lanes.add(hooks(1, 10_000, parallel=True))
    sent = list(lanes.next_hooks())
    assert len(sent) == 8
    late = hook(2)
    lanes.add([late])
    lanes.finish(sent[0])
    lanes.finish(sent[1])
    assert late in list(lanes.next_hooks())


def test_there_are_never_more_in_flight_than_allowed() -> None:
    lanes = Lanes(3)
    lanes.add([hook(lane) for lane in range(10)])
    assert len(list(lanes.next_hooks())) == 3
    assert lanes.in_flight == 3


def test_at_most_half_of_the_requests_in_flight_are_retries() -> None:
    lanes = Lanes(10)
    lanes.add([hook(lane, made=1) for lane in range(20)])
    assert len(list(lanes.next_hooks())) == 5
    firsts = [hook(lane) for lane in range(100, 120)]
    lanes.add(firsts)
    assert list(lanes.next_hooks()) == firsts[:5]


def test_a_lane_whose_retry_has_to_wait_sends_a_first_attempt() -> None:
    lanes = Lanes(2)
    retry = hook(1, made=1)
    lanes.add([retry])
    assert list(lanes.next_hooks()) == [retry]
    waits, first = hook(2, made=1), hook(2)
    lanes.add([waits, first])
    assert list(lanes.next_hooks()) == [first]
    lanes.finish(retry)
    lanes.finish(first)
    assert list(lanes.next_hooks()) == [waits]


def test_a_retry_is_sent_beside_its_lane_one_at_a_time() -> None:
    lanes = Lanes(100)
    retries, firsts = [hook(1, made=1) for _ in range(3)], hooks(1, 3)
    lanes.add(retries + firsts)
    assert list(lanes.next_hooks()) == [retries[0], firsts[0]]
    lanes.finish(firsts[0])
    assert list(lanes.next_hooks()) == [firsts[1]]  # the retry in flight does not hold it
    lanes.finish(retries[0])
    assert list(lanes.next_hooks()) == [retries[1]]
    assert not lanes.is_empty(1)
    lanes.finish(firsts[1])
    lanes.finish(retries[1])
    assert list(lanes.next_hooks()) == [retries[2], firsts[2]]
    assert (lanes.buffered, lanes.buffered_retries, lanes.in_flight, lanes.retries_in_flight) == (0, 0, 2, 1)


def test_a_resend_of_a_hook_that_was_never_sent_is_sent_beside_its_lane() -> None:
    lanes = Lanes(100)
    resend, first = dataclasses.replace(hook(1), trigger=Trigger.RESEND), hook(1)
    lanes.add([resend, first])
    assert list(lanes.next_hooks()) == [resend, first]


def test_an_attempt_holds_its_lane_until_it_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes, made = Lanes(100), hooks(1, 3)
    lanes.add(made)
    assert list(lanes.next_hooks()) == [made[0]]
    lanes.release_late()
    assert list(lanes.next_hooks()) == []
    assert lanes.next_late is not None
    assert 0 < lanes.next_late - time.monotonic() <= module.LATE_SECONDS
    pass_seconds(monkeypatch, module.LATE_SECONDS)
    lanes.release_late()
    assert list(lanes.next_hooks()) == [made[1]]
    lanes.finish(made[0])  # its response does not release the lane a second time
    assert list(lanes.next_hooks()) == []
    lanes.finish(made[1])
    assert list(lanes.next_hooks()) == [made[2]]


def test_a_hook_that_arrives_when_the_attempt_is_late_already_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lanes, made = Lanes(100), hooks(1, 2)
    lanes.add(made[:1])
    assert list(lanes.next_hooks()) == made[:1]
    assert lanes.next_late is None  # nothing waits for it
    pass_seconds(monkeypatch, 5)
    lanes.add(made[1:])
    lanes.release_late()
    assert list(lanes.next_hooks()) == made[1:]


def test_an_endpoint_that_never_responds_has_four_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes, made = Lanes(100), hooks(1, 9)
    lanes.add(made)
    begun = list(lanes.next_hooks())
    for _ in range(8):
        pass_seconds(monkeypatch, module.LATE_SECONDS)
        lanes.release_late()
        begun += lanes.next_hooks()
    assert begun == made[:4]
    lanes.finish(made[0]).adapt(10.0, in_time=False)
    assert list(lanes.next_hooks()) == [made[4]]


def test_a_bot_that_leaves_every_second_hook_without_a_response_waits_two_seconds_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lanes, made, ends = Lanes(100), hooks(1, 24), dict[float, ClaimedHook]()
    lanes.add(made)
    begun: list[tuple[float, ClaimedHook]] = []
    for second in range(24):
        if second in ends:
            lanes.finish(ends[second]).adapt(10.0, in_time=False)
        lanes.release_late()
        for sent in lanes.next_hooks():
            begun.append((second, sent))
            if len(begun) % 2:  # responded to, and the next one is not
                lanes.finish(sent).adapt(0.01, in_time=True)
                [silent] = lanes.next_hooks()
                begun.append((second, silent))
                ends[second + 10] = silent
        pass_seconds(monkeypatch, 1)
    assert [second for second, _ in begun] == [second for second in range(0, 24, 2) for _ in range(2)]
    assert [sent for _, sent in begun] == made


def test_late_attempts_take_at_most_half_of_the_requests_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = Lanes(10)
    for lane in range(4):
        lanes.add(hooks(lane, 5))
    begun = list(lanes.next_hooks())
    assert len(begun) == 4
    pass_seconds(monkeypatch, module.LATE_SECONDS)
    lanes.release_late()
    assert len(list(lanes.next_hooks())) == 1
    lanes.finish(begun[1])
    assert [sent.endpoint_id for sent in lanes.next_hooks()] == [1]  # its lane has no late attempt any more


def test_a_strict_lane_waits_for_every_response(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes, made = Lanes(100), hooks(1, 3, strict=True)
    lanes.add(made)
    assert list(lanes.next_hooks()) == made[:1]
    pass_seconds(monkeypatch, 9)
    lanes.release_late()
    assert list(lanes.next_hooks()) == []
    assert lanes.next_late is None
    lanes.finish(made[0])
    assert list(lanes.next_hooks()) == made[1:2]


def test_a_strict_lane_sends_retries_in_its_order() -> None:
    lanes = Lanes(100)
    retry, first = hook(1, made=1, strict=True), hook(1, strict=True)
    lanes.add([first, retry])
    assert list(lanes.next_hooks()) == [retry]
    lanes.finish(retry)
    assert list(lanes.next_hooks()) == [first]


def test_a_retry_that_holds_a_strict_lane_waits_for_its_turn_among_retries() -> None:
    lanes = Lanes(2)
    other, retry, first = hook(2, made=1), hook(1, made=1, strict=True), hook(1, strict=True)
    lanes.add([other, retry, first])
    assert list(lanes.next_hooks()) == [other]  # half of the requests in flight may be retries
    lanes.finish(other)
    assert list(lanes.next_hooks()) == [retry]


def test_a_strict_lane_is_claimed_again_only_when_it_is_empty() -> None:
    lanes, made = Lanes(100), hooks(1, 2, strict=True)
    assert lanes.hooks_to_claim(1) > 0
    lanes.add(made)
    for each in made:
        assert list(lanes.next_hooks()) == [each]
        assert lanes.hooks_to_claim(1) == lanes.retries_of_lane_to_claim(1) == 0
        lanes.finish(each)
    assert lanes.hooks_to_claim(1) > 0
    assert lanes.retries_of_lane_to_claim(1) > 0


def test_a_lane_that_becomes_strict_keeps_what_it_has_claimed() -> None:
    lanes = Lanes(100)
    retries, firsts = [hook(1, made=1) for _ in range(2)], hooks(1, 2)
    lanes.add(retries + firsts)
    assert list(lanes.next_hooks()) == [retries[0], firsts[0]]
    younger = hook(1, strict=True)
    lanes.add([younger])
    lanes.finish(firsts[0])
    lanes.finish(retries[0])
    assert list(lanes.next_hooks()) == [retries[1]]
    lanes.finish(retries[1])
    assert list(lanes.next_hooks()) == [firsts[1]]
    lanes.finish(firsts[1])
    assert list(lanes.next_hooks()) == [younger]


def pass_seconds(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Moves the clock of the lanes forward."""
    now = time.monotonic() + seconds
    monkeypatch.setattr(module.time, "monotonic", lambda: now)


def test_retries_and_first_attempts_of_a_lane_take_turns() -> None:
    lanes = Lanes(100)
    retries, firsts = [hook(1, made=2, parallel=True) for _ in range(3)], hooks(1, 3, parallel=True)
    lanes.add(retries + firsts)
    assert list(lanes.next_hooks()) == [
        retries[0], firsts[0], retries[1], firsts[1], retries[2], firsts[2],
    ]  # fmt: skip


def test_a_lane_can_change_between_parallel_and_ordered() -> None:
    lanes = Lanes(100)
    lanes.add(hooks(1, 2))
    [sent] = lanes.next_hooks()
    lanes.add(hooks(1, 5, parallel=True))
    assert len(list(lanes.next_hooks())) == 6
    lanes.add(hooks(1, 2))
    assert list(lanes.next_hooks()) == []
    assert lanes.finish(sent).width == 1


def test_timeouts_halve_the_width_of_a_parallel_lane_until_it_recovers() -> None:
    lane = Lanes(100).lanes.setdefault(1, module.Lane(1))
    lane.parallel, lane.width = True, 16
    widths = []
    for in_time in [False, False, False, False, False, True, True]:
        lane.adapt(10.0, in_time)
        widths.append(lane.width)
    assert widths == [8, 4, 2, 1, 1, 2, 3]
    for _ in range(20):
        lane.adapt(0.01, in_time=True)
    assert lane.width == 16


def test_an_ordered_lane_keeps_a_width_of_one() -> None:
    lane = module.Lane(1)
    for _ in range(5):
        lane.adapt(0.001, in_time=True)
    assert lane.width == 1


def test_a_fast_endpoint_has_a_larger_buffer_than_a_slow_one() -> None:
    lane = module.Lane(1)
    assert lane.buffer_target() == 2
    lane.adapt(0.01, in_time=True)
    assert lane.buffer_target() == 50
    lane.average_seconds = 0.0001
    assert lane.buffer_target() == 200
    lane.average_seconds = 10.0
    assert lane.buffer_target() == 1


def test_a_hanging_endpoint_has_a_buffer_of_one() -> None:
    lane = module.Lane(1)
    lane.width = lane.in_flight = 16
    assert lane.buffer_target() == 1
    lane.average_seconds = 10.0
    assert lane.buffer_target() == 1
    lane.in_flight = 4
    assert lane.buffer_target() == 12


def test_a_lane_buffers_few_hooks_with_large_bodies() -> None:
    lanes = Lanes(100)
    large = [dataclasses.replace(one, body=bytes(1024 * 1024)) for one in hooks(1, 2)]
    lanes.add([*large, *hooks(2, 2)])
    for number in (1, 2):
        lanes.lanes[number].adapt(0.001, in_time=True)
        lanes.lanes[number].adapt_retries(0.001)
    assert (lanes.lanes[1].buffer_target(), lanes.lanes[1].retry_target()) == (4, 4)
    assert (lanes.lanes[2].buffer_target(), lanes.lanes[2].retry_target()) == (200, 200)
    lanes.lanes[1].average_bytes = 1e9
    assert (lanes.lanes[1].buffer_target(), lanes.lanes[1].retry_target()) == (1, 1)


def test_a_lane_is_empty_without_hooks_buffered_or_in_flight() -> None:
    lanes = Lanes(100)
    assert lanes.is_empty(1)
    [hook] = hooks(1, 1)
    lanes.add([hook])
    assert not lanes.is_empty(1)
    assert list(lanes.next_hooks()) == [hook]
    assert not lanes.is_empty(1)
    lanes.finish(hook)
    assert lanes.is_empty(1)


def test_more_hooks_are_claimed_when_half_of_the_buffer_is_sent() -> None:
    lanes = Lanes(100)
    assert lanes.hooks_to_claim(1) == 2
    made = hooks(1, 30)
    lanes.add(made)
    lanes.lanes[1].average_seconds = 0.01  # 50 wanted
    assert lanes.hooks_to_claim(1) == 0
    for sent in made[:5]:
        assert next(lanes.next_hooks()) is sent
        lanes.finish(sent)
    assert lanes.hooks_to_claim(1) == 25


def test_hooks_not_yet_sent_can_be_taken_out_of_the_buffer() -> None:
    lanes = Lanes(100)
    first, second = hooks(1, 3), hooks(2, 2)
    lanes.add(first + second)
    assert list(lanes.next_hooks()) == [first[0], second[0]]
    assert lanes.empty_buffer(lanes.lanes[1]) == first[1:]
    assert lanes.buffered == 1
    assert lanes.empty_buffers() == second[1:]
    assert (lanes.buffered, lanes.in_flight) == (0, 2)
    for sent in (first[0], second[0]):
        lanes.finish(sent)
    assert list(lanes.next_hooks()) == []


def test_only_an_idle_lane_is_forgotten() -> None:
    lanes = Lanes(100)
    idle, under_way, waiting, fresh = hook(1), hook(2), hooks(3, 2), hook(4)
    lanes.add([idle, under_way, *waiting, fresh])
    list(lanes.next_hooks())
    for sent in (idle, waiting[0], fresh):
        lanes.finish(sent)
    for lane in (1, 2, 3):
        lanes.lanes[lane].last_used -= module.IDLE_SECONDS + 1
    assert lanes.forget_idle() == [1]
    assert sorted(lanes.lanes) == [2, 3, 4]


def test_retries_are_claimed_up_to_the_limit_in_flight() -> None:
    lanes = Lanes(10)
    assert lanes.retries_to_claim() == 5
    first, second, third = (hook(1, made=1) for _ in range(3))
    lanes.add([first, second, third, hook(1)])
    assert lanes.retries_to_claim() == 2
    assert next(lanes.next_hooks()) is first
    assert lanes.retries_to_claim() == 2
    lanes.finish(first)
    assert lanes.retries_to_claim() == 3
    lanes.add([hook(lane, made=1) for lane in range(10, 20)])
    assert lanes.retries_to_claim() == 0
    lanes.empty_buffers()
    assert lanes.retries_to_claim() == 5
