"""The bars above the log: their hours, their parts, what they leave out, and that they stay cheap."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from hooks.log import chart as log_chart
from hooks.models import CountingStart, Hook, Kind, MinuteCount, SkipReason, State, new_public_id
from instances.models import Instance
from instances.pages.log.filters import Filters
from tests.factories import AccountFactory, InstanceFactory, create_hook

pytestmark = pytest.mark.django_db
NOW = datetime(2030, 1, 10, 14, 30, tzinfo=UTC)
UNFINISHED = (State.QUEUED, State.SENDING, State.RETRYING)


@pytest.fixture(autouse=True)
def half_past_two() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), number=12345)


def make(instance: Instance, at: datetime, state: str = State.DELIVERED, **fields: Any) -> Hook:
    """A hook of that time; to be called from the oldest on, as keys grow with time."""
    return create_hook(
        public_id=new_public_id(at),
        endpoint=instance.endpoint,
        kind=fields.pop("kind", Kind.MESSAGE),
        body=b"{}",
        state=state,
        created_at=at,
        finished_at=None if state in UNFINISHED else at,
        lease_until=at if state == State.SENDING else None,
        next_attempt_at=at if state == State.RETRYING else None,
        skip_reason=SkipReason.FLAG_OFF if state == State.SKIPPED else "",
        **fields,
    )


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def bars(instance: Instance, **query: str) -> dict[str, dict[str, int]]:
    """The counts of the bars that are not empty, by their start."""
    hooks = Hook.objects.filter(endpoint_id=instance.pk)
    filters = Filters.from_query(query)
    filtered = filters.apply_beyond(hooks, {"state", "period", "from", "to"})
    chart = log_chart.chart_of([instance.pk], *filters.time_range(), filtered)
    return {
        f"{bar.start:%d %H:%M:%S}": {name: count for name, count in bar.counts.items() if count}
        for bar in chart.bars
        if bar.total
    }


def test_each_hour_of_the_last_day_has_a_bar_with_what_became_of_its_hooks(instance):
    make(instance, ago(hours=25))
    make(instance, ago(hours=3))
    make(instance, ago(hours=3), State.FAILED)
    make(instance, ago(hours=3), State.FAILED)
    for state in (*UNFINISHED, State.SKIPPED, State.CANCELLED):
        make(instance, ago(minutes=10), state)
    make(InstanceFactory(), ago(minutes=5))
    assert bars(instance) == {
        "10 11:00:00": {"delivered": 1, "failed": 2},
        "10 14:00:00": {"waiting": 3, "skipped": 2},
    }


@pytest.mark.parametrize(
    ("query", "step", "count", "first"),
    [
        ({}, 3600, 25, "09 14:00:00"),
        ({"period": "hour"}, 60, 60, "10 13:30:00"),
        ({"period": "day"}, 3600, 25, "09 14:00:00"),
        ({"period": "week"}, 3600, 169, "03 14:00:00"),
        ({"from": "2030-01-10T11:00", "to": "2030-01-10T12:00"}, 60, 60, "10 11:00:00"),
        ({"from": "2030-01-10T11:00", "to": "2030-01-10T11:01"}, 10, 6, "10 11:00:00"),
        ({"from": "2029-12-11T00:00"}, 86_400, 31, "11 00:00:00"),
        ({"from": "1999-01-01T00:00"}, 86_400, 201, "24 00:00:00"),
        ({"from": "2030-01-10T12:00", "to": "2030-01-10T11:00"}, 10, 1, "10 10:59:50"),
    ],
)
def test_a_bar_is_as_wide_as_the_chosen_time_asks_for(query, step, count, first):
    chart = log_chart.empty(*Filters.from_query(query).time_range(), by_index=True)
    assert (chart.step, len(chart.bars), f"{chart.bars[0].start:%d %H:%M:%S}") == (step, count, first)
    assert chart.bars[-1].end - chart.bars[-1].start == timedelta(seconds=step)


def test_the_bars_obey_the_filters_but_show_every_state(instance):
    make(instance, ago(hours=2), kind=Kind.ACK)
    make(instance, ago(hours=2), State.FAILED, kind=Kind.ACK)
    make(instance, ago(hours=2), State.FAILED)
    assert bars(instance, kind="ack", state="failed") == {"10 12:00:00": {"delivered": 1, "failed": 1}}
    assert bars(instance, state="failed") == {"10 12:00:00": {"delivered": 1, "failed": 2}}


@pytest.mark.parametrize("query", [{}, {"kind": "message"}])
def test_too_many_hooks_leave_out_the_earlier_bars_whole(instance, monkeypatch, query):
    monkeypatch.setattr(log_chart, "MAX_INDEX_ENTRIES", 3)
    monkeypatch.setattr(log_chart, "MAX_ROWS_READ", 3)
    for hours in (4, 3, 3, 2, 1):
        make(instance, ago(hours=hours), State.QUEUED)
    assert bars(instance, **query) == {"10 12:00:00": {"waiting": 1}, "10 13:00:00": {"waiting": 1}}


def test_delivered_and_failed_hooks_have_no_limit(instance, monkeypatch):
    monkeypatch.setattr(log_chart, "MAX_INDEX_ENTRIES", 3)
    for _ in range(5):
        make(instance, ago(hours=3))
    make(instance, ago(hours=2), State.FAILED)
    make(instance, ago(hours=2), State.QUEUED)
    assert bars(instance) == {
        "10 11:00:00": {"delivered": 5},
        "10 12:00:00": {"failed": 1, "waiting": 1},
    }


def test_hooks_of_before_counting_are_counted_in_their_index(instance, monkeypatch):
    for hours in (5, 4, 3, 3, 3, 2, 1):
        make(instance, ago(hours=hours), State.DELIVERED if hours % 2 else State.FAILED)
    whole = bars(instance)
    MinuteCount.objects.filter(minute__lt=ago(hours=2, minutes=30)).delete()
    assert bars(instance) != whole
    CountingStart.objects.update(at=ago(hours=2, minutes=31))
    assert bars(instance) == whole
    CountingStart.objects.all().delete()
    assert bars(instance) == whole
    # too many for the time before counting; later bars keep theirs
    monkeypatch.setattr(log_chart, "MAX_INDEX_ENTRIES", 2)
    CountingStart.objects.create(at=ago(hours=2, minutes=31))
    assert bars(instance) == {"10 12:00:00": {"failed": 1}, "10 13:00:00": {"delivered": 1}}


def test_too_many_hooks_for_bars_of_seconds_have_bars_of_minutes(instance, monkeypatch):
    monkeypatch.setattr(log_chart, "MAX_INDEX_ENTRIES", 3)
    period = {"from": "2030-01-10T14:00:00", "to": "2030-01-10T14:10:00"}
    for seconds in (1, 2, 3):
        make(instance, datetime(2030, 1, 10, 14, 3, seconds, tzinfo=UTC))
    assert bars(instance, **period) == {"10 14:03:00": {"delivered": 3}}
    make(instance, datetime(2030, 1, 10, 14, 3, 11, tzinfo=UTC))
    assert bars(instance, **period) == {"10 14:03:00": {"delivered": 4}}


def test_a_bar_too_large_for_itself_is_said_in_words(alice, instance, monkeypatch):
    monkeypatch.setattr(log_chart, "MAX_INDEX_ENTRIES", 1)
    for _ in range(3):
        make(instance, NOW, State.QUEUED)
    page = alice.get("/log/overview/", {"instance": 12345}).content.decode()
    assert "hooks in the last bar alone. Choose a shorter period." in page
    assert "data-chart" not in page


def test_the_table_holds_every_number_and_leads_to_the_hooks_of_its_hour(alice, instance):
    hook = make(instance, ago(hours=3), State.FAILED)
    make(instance, ago(hours=1))
    answer = alice.get("/log/overview/", {"instance": 12345, "period": "week", "state": "failed"})
    page = answer.content.decode()
    assert 'data-at="1894273200"' in page
    assert "10 Jan, 11:00:00" in page
    row = next(row.query for row in answer.context["rows"] if row.counts["failed"])
    assert row == (
        "state=failed&instance=12345&from=2030-01-10T11%3A00%3A00%2B00%3A00&to=2030-01-10T12%3A00%3A00%2B00%3A00"
    )
    assert alice.get(f"/log/?{row}").context["rows"] == [hook]
    assert "<script" not in page
    assert "style=" not in page


def test_an_instance_without_hooks_says_so(alice):
    page = alice.get("/log/overview/?instance=12345").content.decode()
    assert "No hooks in this period." in page
    assert "none sent" in page


def test_nothing_is_sent_again_while_nothing_is_new(alice, instance):
    make(instance, ago(hours=1))
    cursor = alice.get("/log/overview/?instance=12345").context["cursor"]
    assert alice.get("/log/overview/", {"instance": 12345, "seen": cursor}).status_code == 204
    make(instance, NOW)
    assert alice.get("/log/overview/", {"instance": 12345, "seen": cursor}).status_code == 200


@pytest.mark.parametrize("query", ["", "&period=week", "&kind=message", "&text=hello"])
def test_the_overview_asks_the_same_number_of_queries_for_any_number_of_hooks(
    alice, instance, django_assert_max_num_queries, query
):
    for _ in range(40):
        make(instance, ago(hours=1), State.FAILED, last_outcome="not_200", last_status=500, last_ms=3)
    alice.get("/log/?instance=12345")  # the session notes the chosen instance once
    with django_assert_max_num_queries(13):
        assert alice.get(f"/log/overview/?instance=12345{query}").status_code == 200
