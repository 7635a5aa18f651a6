"""The delivery log: every hook with its reason, filters that stand in the address, and one hook with its attempts."""

import html
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.actions.endpoints import configure
from hooks.models import RETRY_DELAYS, Attempt, Hook, Kind, Outcome, Side, SkipReason, State
from instances.actions.messages import receive_message
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, create_hook

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
NOW: datetime


@pytest.fixture(autouse=True)
def time_of_the_test() -> None:
    """Sets NOW when the test begins: modules are imported when the run begins, which may be an hour earlier."""
    global NOW
    NOW = timezone.now()


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(
        owner=AccountFactory(email="alice@example.org"),
        number=12345,
        name="Shop",
        url="https://example.com/hook",
    )


def make(instance: Instance, state: str = State.DELIVERED, **fields: Any) -> Hook:
    """A hook as the dispatcher leaves it behind."""
    unfinished = state in (State.QUEUED, State.SENDING, State.RETRYING)
    known = {
        "kind": Kind.MESSAGE,
        "body": b'{"messages":[]}',
        "finished_at": None if unfinished else NOW,
        "next_attempt_at": NOW + timedelta(seconds=30) if state == State.RETRYING else None,
        "lease_until": NOW + timedelta(seconds=30) if state == State.SENDING else None,
        "skip_reason": SkipReason.FLAG_OFF if state == State.SKIPPED else "",
    }
    return create_hook(endpoint=instance.endpoint, state=state, **(known | fields))


def attempt(hook: Hook, number: int = 1, **fields: Any) -> Attempt:
    known = {
        "started_at": NOW,
        "url": "https://example.com/hook",
        "request_headers": [["webhook-id", hook.webhook_id]],
        "status": 500,
        "response_headers": [["Server", "bot"]],
        "response_body": b"<b>no</b>",
        "outcome": Outcome.NOT_200,
        "side": Side.ENDPOINT,
        "connect_ms": 1.0,
        "first_byte_ms": 3.0,
        "total_ms": 4.0,
    }
    return Attempt.objects.create(hook=hook, number=number, **(known | fields))


def listed(client: Client, **query: str) -> list[Hook]:
    return list(client.get("/log/", {"instance": "12345", **query}).context["rows"])


def test_hooks_stand_newest_first_with_the_counts_of_all_states(alice, instance):
    hooks = [make(instance, state) for state in (State.QUEUED, State.FAILED, State.FAILED, State.SKIPPED)]
    context = alice.get("/log/", {"instance": 12345}).context
    assert context["rows"] == hooks[::-1]
    counts = {state: count for state, _label, count, _query in context["counts"]}
    assert counts == {"queued": 1, "failed": 2, "skipped": 1}
    assert context["total"] == 4


def test_a_skipped_hook_says_why(alice, instance):
    make(instance, State.SKIPPED)
    assert "turned off in the instance&#x27;s settings" in alice.get("/log/").content.decode()


def test_each_filter_finds_what_it_says(alice, instance):
    ok = make(instance, last_status=200, last_outcome=Outcome.OK, last_host="a.example", message="m1")
    created = make(
        instance, State.FAILED, last_status=201, last_outcome=Outcome.NOT_200, last_host="b.example"
    )
    moved = make(instance, State.FAILED, last_status=301, last_outcome=Outcome.REDIRECT, kind=Kind.ACK)
    missing = make(instance, State.FAILED, last_status=404, last_outcome=Outcome.NOT_200, simulated=True)
    broken = make(instance, State.RETRYING, last_status=503, last_outcome=Outcome.NOT_200)
    silent = make(instance, State.FAILED, last_outcome=Outcome.TIMEOUT, created_at=NOW - timedelta(hours=2))
    waiting = make(instance, State.QUEUED, created_at=NOW - timedelta(days=2))
    assert listed(alice, state="retrying") == [broken]
    assert listed(alice, kind="ack") == [moved]
    assert listed(alice, answer="200") == [ok]
    assert listed(alice, answer="2xx") == [created, ok]
    assert listed(alice, answer="not-200") == [created]
    assert listed(alice, answer="3xx") == [moved]
    assert listed(alice, answer="4xx") == [missing]
    assert listed(alice, answer="5xx") == [broken]
    assert listed(alice, answer="none") == [silent]
    assert listed(alice, host="A.example ") == [ok]
    assert listed(alice, message="m1") == [ok]
    assert listed(alice, message=created.webhook_id) == [created]
    assert listed(alice, message=str(created.public_id)) == [created]
    assert listed(alice, simulated="yes") == [missing]
    assert missing not in listed(alice, simulated="no")
    assert listed(alice, period="hour") == [broken, missing, moved, created, ok]
    assert listed(alice, period="day") == [silent, broken, missing, moved, created, ok]
    assert listed(alice, period="week") == [waiting, silent, broken, missing, moved, created, ok]
    assert listed(alice, kind="message", answer="4xx", simulated="yes") == [missing]


def test_the_counts_by_state_obey_the_other_filters(alice, instance):
    make(instance, State.FAILED, kind=Kind.ACK)
    make(instance, State.DELIVERED)
    context = alice.get("/log/", {"kind": "ack", "state": "delivered"}).context
    assert {state: count for state, _l, count, _q in context["counts"]}["failed"] == 1
    assert context["rows"] == []


def test_a_value_that_the_log_does_not_know_is_left_out_and_named(alice, instance):
    hook = make(instance)
    for query in ({"state": "lost"}, {"host": "a\x00b"}, {"message": "x" * 601}):
        context = alice.get("/log/", query).context
        assert context["filters"].ignored == list(query)
        assert context["rows"] == [hook]
    assert "Ignored invalid filters: state." in alice.get("/log/?state=x").content.decode()


def test_older_hooks_are_reached_by_key_so_new_ones_shift_nothing(alice, instance):
    hooks = [make(instance) for _ in range(120)]
    seen: list[Hook] = []
    query = "instance=12345"
    while query:
        context = alice.get(f"/log/?{query}").context
        seen += context["rows"]
        query = context["older"]
        make(instance)
    assert seen == hooks[::-1]


def test_the_list_asks_the_same_number_of_queries_for_one_hook_and_for_fifty(
    alice, instance, django_assert_max_num_queries
):
    for _ in range(50):
        make(instance)
    alice.get("/log/?instance=12345")  # the session notes the chosen instance once
    with django_assert_max_num_queries(17):
        alice.get("/log/?instance=12345")


def test_new_hooks_are_counted_and_not_pushed_in(alice, instance):
    context = alice.get("/log/?instance=12345").context
    query = {"instance": 12345, "after": context["newest"], "said": 0}
    assert alice.get("/log/live/", query).status_code == 204
    for _ in range(7):
        make(instance)
    page = alice.get("/log/live/", query).content.decode()
    assert "7 new, show" in page
    assert "said=7" in page
    assert alice.get("/log/live/", query | {"said": 7}).status_code == 204
    assert alice.get("/log/live/", query | {"state": "failed"}).status_code == 204


def test_a_row_that_moves_on_is_brought_up_to_date_in_its_place(alice, instance):
    hook = make(instance, State.RETRYING, attempts_made=1, attempts_allowed=20)
    query = {"instance": 12345, "after": hook.pk, "watch": f"{hook.public_id.hex}:retrying:1"}
    assert alice.get("/log/live/", query).status_code == 204
    Hook.objects.update(attempts_made=2)
    page = alice.get("/log/live/", query).content.decode()
    assert f'id="hook-{hook.public_id.hex}" hx-swap-oob="true"' in page
    assert "2/20" in page
    assert alice.get("/log/live/", query | {"watch": ["nonsense", ":::"]}).status_code == 204


def test_one_hook_shows_every_attempt_whole(alice, instance):
    hook = make(instance, State.FAILED, attempts_made=2, attempts_allowed=2, last_status=500, message="m1")
    attempt(hook, 1, outcome=Outcome.REFUSED, status=None, error="Connection refused", address="")
    attempt(hook, 2)
    page = alice.get(f"/log/{hook.public_id}/").content.decode()
    assert "Attempt 2 of 2" in page
    assert "Attempt 1: Not reached" in page
    assert "example.com refused the connection: nothing listens there." in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "<b>no</b>" not in page
    assert hook.webhook_id in page


def test_the_timeline_of_a_retried_hook_goes_on_to_the_twentieth_attempt(alice, instance):
    hook = make(instance, State.RETRYING, attempts_made=1, attempts_allowed=20, last_status=500)
    attempt(hook)
    context = alice.get(f"/log/{hook.public_id}/").context
    moments = [*context["timeline"], *context["later"]]
    assert [moment.words for moment in moments[:4]] == [
        "The event happened",
        "Attempt 1: Responded with 500, not 200",
        "Attempt 2, planned",
        "Attempt 3, if attempt 2 fails",
    ]
    planned = [moment.at for moment in moments if moment.is_planned]
    assert len(planned) == 19
    assert planned[0] == hook.next_attempt_at
    assert planned[1] - planned[0] == RETRY_DELAYS[2]
    assert planned[-1] - planned[-2] == RETRY_DELAYS[19]


def test_a_hook_without_a_url_is_shown_as_waiting_for_one(alice, instance):
    queued = make(instance, State.QUEUED, created_at=NOW - timedelta(minutes=5))
    retrying = make(instance, State.RETRYING, attempts_made=1, attempts_allowed=20, last_status=500)
    configure(instance.endpoint, url="")
    assert alice.get("/log/?instance=12345").content.decode().count("waits for a webhook URL") == 2
    for hook, sentence in (
        (queued, "Not sent yet: the instance has no webhook URL."),
        (retrying, "it will be retried when the instance has a webhook URL."),
    ):
        page = alice.get(f"/log/{hook.public_id}/").content.decode()
        assert sentence in page
        assert "when the instance has a webhook URL</span>" in page
        assert "no dispatcher is running" not in page
        assert "/try-now/" not in page


@pytest.mark.parametrize(
    ("waiting", "words"),
    [(0, ""), (1, "held back the next hook for 2 s."), (3, "held back the next 3 hooks for 2 s.")],
)
def test_a_late_response_says_how_many_hooks_it_held_back(alice, instance, waiting, words):
    hook = make(instance, State.FAILED, attempts_made=1)
    sent = attempt(hook, outcome=Outcome.TIMEOUT, status=None, total_ms=10_000.0)
    for _ in range(waiting):
        make(instance, created_at=NOW)
    make(instance, created_at=NOW + timedelta(seconds=3))
    page = alice.get(f"/log/{hook.public_id}/").content.decode()
    assert words in page
    assert ("held back" in page) is bool(words)
    Attempt.objects.filter(pk=sent.pk).update(total_ms=1_999.0)
    assert "held back" not in alice.get(f"/log/{hook.public_id}/").content.decode()


def test_a_retry_in_a_strict_lane_says_what_it_holds_back_and_what_waits_names_it(alice, instance):
    configure(instance.endpoint, strict=True, guaranteed=True)
    failed = make(instance, State.RETRYING, attempts_made=1, attempts_allowed=20)
    attempt(failed, started_at=NOW - timedelta(minutes=5))
    waiting = [make(instance, State.QUEUED, created_at=NOW - timedelta(minutes=3)) for _ in range(2)]
    page = html.unescape(alice.get(f"/log/{failed.public_id}/").content.decode())
    assert re.search(
        r"It has held back the next 2 hooks for \d+ min( \d+ s)?, because strictOrder is on.", page
    )
    page = alice.get(f"/log/{waiting[1].public_id}/").content.decode()
    assert "It waits for an older hook that is being retried, because strictOrder is on." in page
    assert f'href="/log/{failed.public_id}/"' in page


def test_the_overview_names_the_latest_late_response(alice, instance):
    hook = make(instance, attempts_made=1)
    attempt(hook, total_ms=3_000.0, started_at=NOW - timedelta(minutes=1))
    make(instance, created_at=NOW - timedelta(minutes=1))
    page = " ".join(alice.get("/instances/12345/").content.decode().split())
    assert "In the last hour, 1 hook held back later ones, for up to 2 s." in page
    assert "The latest: Attempt 1 had no response within 2 s and held back the next hook for 2 s." in page
    assert f'href="/log/{hook.public_id}/"' in page
    Attempt.objects.update(total_ms=20)
    assert "held back" not in alice.get("/instances/12345/").content.decode()


@pytest.mark.parametrize("state", State.values)
def test_every_state_has_its_sentence_and_only_the_buttons_that_apply(alice, instance, state):
    hook = make(instance, state)
    page = alice.get(f"/log/{hook.public_id}/").content.decode()
    buttons = {name for name in ("try-now", "resend", "cancel") if f"/{name}/" in page}
    assert buttons == {
        State.QUEUED: {"cancel"},
        State.SENDING: set(),
        State.RETRYING: {"try-now", "cancel"},
    }.get(State(state), {"resend"})


def test_the_live_part_is_sent_again_only_when_the_hook_has_moved_on(alice, instance):
    hook = make(instance, State.RETRYING, attempts_made=1, attempts_allowed=20)
    path = f"/log/{hook.public_id}/"
    assert alice.get(path, {"seen": "retrying:1"}).status_code == 204
    Hook.objects.update(state=State.DELIVERED, finished_at=NOW, attempts_made=2, next_attempt_at=None)
    page = alice.get(path, {"seen": "retrying:1"}).content.decode()
    assert "Delivered" in page
    assert "every 1s" not in page  # nothing more will happen by itself


def test_try_now_makes_the_next_attempt_due(alice, instance):
    hook = make(instance, State.RETRYING)
    alice.post(f"/log/{hook.public_id}/try-now/")
    hook.refresh_from_db()
    assert hook.next_attempt_at is not None and hook.next_attempt_at <= timezone.now()


def test_cancel_gives_the_hook_up(alice, instance):
    hook = make(instance, State.RETRYING)
    alice.post(f"/log/{hook.public_id}/cancel/")
    hook.refresh_from_db()
    assert hook.state == State.CANCELLED


def test_resend_sends_a_finished_hook_again(alice, instance):
    hook = make(instance, State.FAILED)
    alice.post(f"/log/{hook.public_id}/resend/")
    hook.refresh_from_db()
    assert hook.state == State.RETRYING


def test_a_button_that_comes_too_late_says_why_and_changes_nothing(alice, instance):
    hook = make(instance, State.DELIVERED)
    page = alice.post(f"/log/{hook.public_id}/try-now/", follow=True).content.decode()
    assert "This hook is not waiting for another attempt." in page
    hook.refresh_from_db()
    assert hook.state == State.DELIVERED


def test_a_stranger_finds_no_hook_and_changes_none(bob, instance):
    hook = make(instance, State.RETRYING)
    assert bob.get("/log/", {"instance": 12345}).status_code == 404
    assert bob.get("/log/live/", {"instance": 12345}).status_code == 404
    assert bob.get(f"/log/{hook.public_id}/").status_code == 404
    for action in ("try-now", "resend", "cancel"):
        assert bob.post(f"/log/{hook.public_id}/{action}/").status_code == 404
    hook.refresh_from_db()
    assert hook.state == State.RETRYING
    assert "No instances yet" in bob.get("/log/").content.decode()


def test_an_empty_log_shows_the_way_to_the_first_hook(alice):
    page = alice.get("/log/").content.decode()
    assert "No hooks yet" in page
    assert "/testing/simulation/" in page
    assert "No matching hooks" in alice.get("/log/?state=failed").content.decode()


def test_real_events_are_in_the_log(alice, instance):
    receive_message(instance, sender="17680561234", body="hello")
    assert [(hook.kind, hook.state) for hook in listed(alice)] == [
        (Kind.MESSAGE, State.QUEUED), (Kind.CHAT, State.SKIPPED),
    ]  # fmt: skip
