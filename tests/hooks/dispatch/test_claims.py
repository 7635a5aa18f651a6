"""Claims with two database sessions: who owns a lane, and which of its hooks are claimed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from chatapi.encryption.fields import Ciphertext
from hooks.actions.endpoints import configure, end_override, override_url, rotate_secret
from hooks.actions.hooks import try_now
from hooks.dispatch import claim, due_lanes
from hooks.dispatch.attempts import BY_CURSOR
from hooks.models import Endpoint, Hook, Lane, State, Trigger
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import ME, OTHER, Dispatcher, emit, owner, retrying, shown, stored

pytestmark = pytest.mark.django_db(transaction=True)


# -- the owner of a lane


def test_a_claim_takes_the_lane_and_its_hooks_in_order(me: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 3)
    claimed = me.claim(lane)
    assert [hook.id for hook in claimed] == [hook.pk for hook in made]
    assert [hook.body for hook in claimed] == [b"0", b"1", b"2"]
    assert {(hook.claim, hook.attempts_made, hook.attempts_allowed, hook.trigger) for hook in claimed} == {
        (BY_CURSOR, 0, 1, Trigger.EVENT)
    }
    assert claimed[0].webhook_id == made[0].webhook_id
    assert claimed[0].url == "http://a.example/"
    assert claimed[0].secret == lane.secret
    assert owner(lane) == ME
    row = Lane.objects.get(pk=lane.pk)
    assert row.cursor == made[2].pk
    assert row.until is not None
    assert row.until > timezone.now()
    assert {(stored(hook).state, shown(hook)) for hook in made} == {(State.QUEUED, State.SENDING)}


def test_a_claim_writes_no_hook(me: Dispatcher, lane: Endpoint) -> None:
    """Only the lane's cursor: the rows keep their versions, which PostgreSQL would have to write and to vacuum."""
    emit(lane, 3)
    versions = "SELECT array_agg(ctid::text || xmin::text ORDER BY id) FROM hooks_hook"
    before = me.session.execute(versions).fetchone()
    assert len(me.claim(lane)) == 3
    assert me.session.execute(versions).fetchone() == before


def test_another_dispatcher_cannot_claim_from_an_owned_lane(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    emit(lane, 3)
    assert len(me.claim(lane, n=1)) == 1
    assert other.claim(lane) == []
    assert len(me.claim(lane)) == 2


def test_lanes_are_claimed_while_the_databases_clock_is_set(
    me: Dispatcher, other: Dispatcher, lane: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The period of a lane never decreases: the version that is valid now stays the last entry of its key."""
    now, period_of = timezone.now().timestamp(), claim.period_of
    day, hour = 24 * 3600, 3600
    found = []
    for dispatcher, seconds in ((me, 0), (other, day), (me, -hour), (other, 8), (me, day + 8)):
        monkeypatch.setattr(claim, "period_of", lambda _, at=now + seconds: period_of(at))
        made = emit(lane)
        assert [hook.id for hook in dispatcher.claim(lane)] == [hook.pk for hook in made]
        claim.release_lanes(dispatcher.session, dispatcher.me, [lane.pk])
        found.append(Lane.objects.values_list("period", flat=True).get() - period_of(now))
    assert found == [0, day / 4, day / 4, day / 4, day / 4 + 2]


def test_two_dispatchers_share_the_lanes(me: Dispatcher, other: Dispatcher, lane: Endpoint) -> None:
    second = InstanceFactory(url="http://b.example/").endpoint
    emit(lane)
    emit(second)
    assert [hook.endpoint_id for hook in me.claim(lane)] == [lane.pk]
    assert [hook.endpoint_id for hook in other.claim(lane, second)] == [second.pk]


def test_a_released_lane_is_free(me: Dispatcher, other: Dispatcher, lane: Endpoint) -> None:
    emit(lane, 2)
    me.claim(lane, n=1)
    claim.release_lanes(other.session, OTHER, [lane.pk])  # owned by another dispatcher: no effect
    assert owner(lane) == ME
    claim.release_lanes(me.session, ME, [lane.pk])
    assert owner(lane) is None
    assert len(other.claim(lane)) == 1


def test_only_lanes_that_may_have_more_hooks_are_listed(me: Dispatcher, lane: Endpoint) -> None:
    emit(lane, 3)
    assert claim.claim_hooks(me.session, ME, {lane.pk: 2}).lanes_with_more == [lane.pk]
    assert claim.claim_hooks(me.session, ME, {lane.pk: 2}).lanes_with_more == []


def test_a_paused_endpoint_is_not_claimed(me: Dispatcher, lane: Endpoint) -> None:
    emit(lane)
    Endpoint.objects.filter(pk=lane.pk).update(paused_at=timezone.now(), pause_reason="by_hand")
    assert me.claim(lane) == []
    Endpoint.objects.filter(pk=lane.pk).update(paused_at=None, pause_reason="")
    assert len(me.claim(lane)) == 1


# -- which hooks


def test_a_retry_is_not_claimed_before_it_is_due(me: Dispatcher, lane: Endpoint) -> None:
    [hook] = emit(lane)
    retrying(hook, seconds_ago=-60)
    assert me.claim(lane) == []
    assert due_lanes.due_lanes(me.session) == []
    wait = due_lanes.seconds_to_next_retry(me.session)
    assert wait is not None
    assert 0 < wait <= 60
    try_now(hook, acting_user=None)
    assert due_lanes.due_lanes(me.session) == [lane.pk]
    [claimed] = me.claim(lane)
    assert (claimed.attempts_made, claimed.trigger, claimed.attempts_allowed) == (1, Trigger.RETRY, 20)


def test_retries_and_first_attempts_of_an_ordered_lane_are_claimed_beside_each_other(
    me: Dispatcher, lane: Endpoint
) -> None:
    made = emit(lane, 8)
    for hook in made[:4]:
        retrying(hook)
    found = claim.claim_hooks(me.session, ME, {lane.pk: 2}, wanted_retries={lane.pk: 1})
    assert [(hook.id, hook.is_retry) for hook in found.hooks][1:] == [
        (made[4].pk, False),
        (made[5].pk, False),
    ]
    assert found.hooks[0].is_retry
    assert (found.lanes_with_more, found.lanes_with_more_retries) == ([lane.pk], [lane.pk])
    found = claim.claim_hooks(me.session, ME, {}, wanted_retries={lane.pk: 5})
    assert [hook.is_retry for hook in found.hooks] == [True] * 3
    assert (found.lanes_with_more, found.lanes_with_more_retries) == ([], [])
    found = claim.claim_hooks(me.session, ME, {lane.pk: 2}, wanted_retries={})
    assert [hook.id for hook in found.hooks] == [made[6].pk, made[7].pk]
    assert (found.lanes_with_more, found.lanes_with_more_retries) == ([lane.pk], [])


def test_retries_and_first_attempts_of_a_parallel_lane_are_claimed_in_turn(
    me: Dispatcher, lane: Endpoint
) -> None:
    configure(lane, parallel=True)
    made = emit(lane, 8)
    for seconds_ago, hook in enumerate(made[:4], start=1):
        retrying(hook, seconds_ago)
    claimed = {hook.id for hook in me.claim(lane, n=4)}
    # two of each: the retries due for the longest time, the first attempts in order
    assert claimed == {made[3].pk, made[2].pk, made[4].pk, made[5].pk}


def test_neither_retries_nor_first_attempts_are_starved(me: Dispatcher, lane: Endpoint) -> None:
    configure(lane, parallel=True)
    made = emit(lane, 6)
    retrying(made[0])
    assert {hook.id for hook in me.claim(lane, n=4)} == {made[0].pk, made[1].pk, made[2].pk, made[3].pk}


def test_due_lanes_have_first_attempts_or_due_retries(me: Dispatcher, lane: Endpoint) -> None:
    due, later, idle = (InstanceFactory(url="http://b.example/").endpoint for _ in range(3))
    emit(lane, 5)
    retrying(emit(due)[0])
    retrying(emit(later)[0], seconds_ago=-60)
    assert sorted(due_lanes.due_lanes(me.session)) == [lane.pk, due.pk]
    assert idle.pk not in due_lanes.due_lanes(me.session)


def test_the_url_is_the_one_at_the_time_of_the_claim(me: Dispatcher, lane: Endpoint) -> None:
    emit(lane, 4)
    configure(lane, url="http://new.example/")
    assert me.claim(lane, n=1)[0].url == "http://new.example/"
    override_url(
        lane, url="http://override.example/", until=timezone.now() + timedelta(minutes=1), acting_user=None
    )
    assert me.claim(lane, n=1)[0].url == "http://override.example/"
    override_url(lane, url="http://override.example/", until=timezone.now(), acting_user=None)
    assert me.claim(lane, n=1)[0].url == "http://new.example/"
    end_override(lane, acting_user=None)
    assert me.claim(lane, n=1)[0].url == "http://new.example/"


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING])
def test_a_hook_whose_url_was_removed_waits_until_there_is_one(
    me: Dispatcher, lane: Endpoint, state: State
) -> None:
    [hook] = emit(lane)
    if state == State.RETRYING:
        retrying(hook)
    before = Hook.objects.filter(pk=hook.pk).values().get()
    configure(lane, url="")
    assert me.claim(lane) == []
    assert due_lanes.due_lanes(me.session) == []
    assert Hook.objects.filter(pk=hook.pk).values().get() == before
    configure(lane, url="http://new.example/")
    assert due_lanes.due_lanes(me.session) == [lane.pk]
    assert [(found.id, found.url) for found in me.claim(lane)] == [(hook.pk, "http://new.example/")]


def test_a_hook_of_a_verification_waits_after_it_if_the_instance_has_no_url(
    me: Dispatcher, lane: Endpoint
) -> None:
    configure(lane, url="")
    override_url(
        lane, url="http://bin.example/", until=timezone.now() + timedelta(minutes=1), acting_user=None
    )
    retrying(emit(lane)[0])
    assert due_lanes.due_lanes(me.session) == [lane.pk]
    override_url(lane, url="http://bin.example/", until=timezone.now(), acting_user=None)
    assert due_lanes.due_lanes(me.session) == []
    assert me.claim(lane) == []
    override_url(
        lane, url="http://bin.example/", until=timezone.now() + timedelta(minutes=1), acting_user=None
    )
    assert [hook.url for hook in me.claim(lane)] == ["http://bin.example/"]


def test_a_hook_with_a_url_of_its_own_is_sent_while_the_others_wait(me: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 4)
    Hook.objects.filter(pk=made[2].pk).update(to_url="http://simulation.example/")
    Hook.objects.filter(pk=made[3].pk).update(to_url="http://simulation.example/")
    retrying(made[1])
    retrying(made[3])
    configure(lane, url="")
    assert due_lanes.due_lanes(me.session) == [lane.pk]
    assert [(hook.id, hook.url) for hook in me.claim(lane)] == [
        (made[2].pk, "http://simulation.example/"),
        (made[3].pk, "http://simulation.example/"),
    ]
    assert due_lanes.due_lanes(me.session) == []
    assert [stored(hook).state for hook in made[:2]] == [State.QUEUED, State.RETRYING]


def test_the_limit_of_retries_holds_over_all_lanes(me: Dispatcher) -> None:
    lanes = [InstanceFactory(url="http://a.example/").endpoint for _ in range(4)]
    firsts = []
    for lane in lanes:
        again, first = emit(lane, 2)
        retrying(again)
        firsts.append(first.pk)
    wanted = {lane.pk: 2 for lane in lanes}

    some = claim.claim_hooks(me.session, me.me, wanted, max_retries=3)
    assert sorted(hook.id for hook in some.hooks if not hook.attempts_made) == firsts
    assert sum(hook.attempts_made > 0 for hook in some.hooks) == 3
    # which lane has another is not known; all are claimed again when retries have room
    assert (some.lanes_with_more, some.lanes_with_more_retries) == ([], [])
    assert sorted(some.lanes_with_deferred_retries) == sorted(wanted)

    none = claim.claim_hooks(me.session, me.me, wanted, max_retries=0)
    assert (none.hooks, none.lanes_with_more, sorted(none.lanes_with_deferred_retries)) == (
        [],
        [],
        sorted(wanted),
    )
    [last] = claim.claim_hooks(me.session, me.me, wanted, max_retries=1).hooks
    assert last.attempts_made == 1


def test_without_room_for_retries_a_lane_gets_all_its_first_attempts(me: Dispatcher, lane: Endpoint) -> None:
    again, *firsts = emit(lane, 4)
    retrying(again)
    found = claim.claim_hooks(me.session, me.me, {lane.pk: 3}, max_retries=0)
    assert [hook.id for hook in found.hooks] == [hook.pk for hook in firsts]


def test_an_unreadable_secret_stops_no_other_lane(
    me: Dispatcher, lane: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Its hooks are sent without a signature, which receivers refuse."""
    other = InstanceFactory(url="http://b.example/").endpoint
    [copied] = Endpoint.objects.filter(pk=other.pk).values_list("secret", flat=True)
    Endpoint.objects.filter(pk=lane.pk).update(secret=Ciphertext(str(copied)))
    emit(lane)
    emit(other)
    secrets = {hook.endpoint_id: hook.secret for hook in me.claim(lane, other)}
    assert secrets == {lane.pk: "", other.pk: other.secret}
    assert "Hooks of this endpoint are not signed" in caplog.text
    assert copied not in caplog.text


def test_both_secrets_of_a_rotation_are_claimed(me: Dispatcher, lane: Endpoint) -> None:
    old = lane.secret
    new = rotate_secret(lane, acting_user=None)
    emit(lane)
    assert [hook.secret for hook in me.claim(lane)] == [f"{new} {old}"]
