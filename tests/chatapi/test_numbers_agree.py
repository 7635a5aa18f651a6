"""The numbers of one instance are the same on its card, its overview, the log, over REST and on the support desk."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actions.keys import issue_key
from hooks.log import counts, endpoint_numbers
from hooks.models import Kind, Outcome, SkipReason, State, new_public_id
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, UserFactory, create_hook

pytestmark = pytest.mark.django_db
OK: dict[str, Any] = {"last_outcome": Outcome.OK, "last_status": 200, "last_ms": 1}
NOT_OK: dict[str, Any] = {"last_outcome": Outcome.NOT_200, "last_status": 500, "last_ms": 1}


def add(
    instance: Instance, state: State, count: int = 1, *, age: timedelta = timedelta(minutes=9), **fields: Any
) -> None:
    at = timezone.now() - age
    finished = state in (State.DELIVERED, State.FAILED, State.SKIPPED)
    for _ in range(count):
        create_hook(
            endpoint=instance.endpoint,
            kind=Kind.MESSAGE,
            body=b"{}",
            state=state,
            public_id=new_public_id(at),
            created_at=at,
            finished_at=at if finished else None,
            **fields,
        )


@pytest.fixture
def instance() -> Instance:
    """Of the last hour: 4 hooks of events were sent and 1 of them delivered; 2 wait; 3 simulations failed."""
    instance = InstanceFactory(
        owner=AccountFactory(email="alice@example.org"),
        number=12345,
        name="Shop",
        url="https://example.com/hook",
    )
    add(instance, State.DELIVERED, age=timedelta(hours=2), **OK)  # keys grow with time
    add(instance, State.DELIVERED, **OK)
    add(instance, State.FAILED, 2, **NOT_OK)
    add(instance, State.RETRYING, next_attempt_at=timezone.now(), **NOT_OK)
    add(instance, State.QUEUED)
    add(instance, State.FAILED, 3, simulated=True, **NOT_OK)
    add(instance, State.SKIPPED, skip_reason=SkipReason.FLAG_OFF)
    add(InstanceFactory(), State.DELIVERED, **OK)
    return instance


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def words(client: Client, url: str) -> str:
    """The text of a page, without tags and with single spaces."""
    text = re.sub(r"<(script|style).*?</\1>", " ", client.get(url).content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_waiting_and_delivered_are_the_same_everywhere(instance: Instance) -> None:
    alice = client_of(instance.owner.owner)
    card = words(alice, "/instances/")
    assert "2 hooks waiting now" in card
    assert "25 % delivered 1 of 4 sent, last hour" in card
    overview = words(alice, "/instances/12345/")
    assert "Waiting now 2" in overview
    assert "Sent, last hour 4" in overview
    assert "Delivered of these 1 (25 %)" in overview
    log = words(alice, "/log/overview/?instance=12345")
    assert "25 % delivered in the last hour (1 of 4 sent)" in log
    assert "2 waiting now" in log
    response = Client().get(
        "/api/v1/instances/12345/delivery/",
        headers={"Authorization": f"Bearer {issue_key(instance.owner, acting_user=None)[1]}"},
    )
    rest = response.json()
    assert response.status_code == 200, rest
    assert (rest["waiting"], rest["sentLastHour"], rest["deliveredLastHour"]) == (2, 4, 1)
    staff = client_of(UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True))
    desk = words(staff, f"/admin/hooks/endpoint/{instance.pk}/change/")
    assert "25 % (1 of 4 sent, without simulations)" in desk


def test_the_chips_count_all_stored_hooks_and_the_chart_those_of_its_period(instance: Instance) -> None:
    alice = client_of(instance.owner.owner)
    listed = words(alice, "/log/?instance=12345")
    assert "All stored 10 Queued 1 Retrying 1 Delivered 2 Failed 5 Skipped 1" in listed
    chart = words(alice, "/log/overview/?instance=12345")
    assert "Delivered 2 Failed 5 Waiting 2 Not sent 1" in chart
    hour = words(alice, "/log/?instance=12345&period=hour")
    assert "All matching 9 Queued 1 Retrying 1 Delivered 1 Failed 5" in hour
    assert "Delivered 1 Failed 5 Waiting 2 Not sent 1" in words(
        alice, "/log/overview/?instance=12345&period=hour"
    )


def test_a_count_that_was_cut_off_is_not_added_up(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_COUNT", 3)
    listed = words(client_of(instance.owner.owner), "/log/?instance=12345")
    assert "All stored 3+ Queued 1 Retrying 1 Delivered 2 Failed 3+ Skipped 1" in listed


def test_of_many_sent_hooks_the_newest_are_counted(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_numbers, "MAX_COUNT", 3)
    add(instance, State.DELIVERED, 3, age=timedelta(minutes=1), **OK)
    found = endpoint_numbers.numbers_of([instance.pk])[instance.pk]
    assert (found.sent.words, found.delivered.words) == ("3+", "3+")


def test_the_numbers_of_many_instances_are_two_queries(
    instance: Instance, django_assert_num_queries: Any
) -> None:
    others = [InstanceFactory().pk for _ in range(3)]
    with django_assert_num_queries(2):
        found = endpoint_numbers.numbers_of([instance.pk, *others])
    assert [found[key].percent for key in (instance.pk, *others)] == ["25", "", "", ""]
    assert endpoint_numbers.numbers_of([]) == {}
