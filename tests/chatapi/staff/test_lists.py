"""The lists of the staff desk cost the same with ten rows as with ten million: no count, a page by its last key."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actions import members
from accounts.actions.keys import issue_key
from chatapi.staff.base import lists
from hooks.actions import redelivery
from hooks.models import Attempt, Hook, Kind, Outcome, State
from instances.actions.lifecycle import record_payment
from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from tests.factories import InstanceFactory

# session and person, the rows, and what a list looks up beside them
QUERIES = {
    "accounts/user": 3,
    "accounts/account": 3,
    "accounts/member": 3,
    "accounts/invitation": 3,
    "accounts/accountkey": 3,
    "accounts/payment": 3,
    "accounts/auditentry": 3,
    "instances/instance": 3,
    "hooks/endpoint": 3,
    "hooks/hook": 3,
    "hooks/attempt": 3,
    "hooks/redelivery": 3,
    "testing_tools/bin": 3,
}


@pytest.fixture
def rows(instance: Instance) -> None:
    """A few rows in every list."""
    owner = instance.owner
    now = timezone.now()
    for number in range(3):
        other = InstanceFactory(number=20_000 + number, url="https://x.example")
        issue_key(other.owner, acting_user=None)
        record_payment(other, days=1, acting_user=None)
        bin_actions.open_bin(other)
        members.invite(owner, email=f"friend{number}@example.org", role="viewer", acting_user=owner.owner)
        _, token = members.invite(
            other.owner, email="alice@example.org", role="viewer", acting_user=other.owner.owner
        )
        members.accept(token, acting_user=owner.owner)
        hook = Hook.objects.create(
            endpoint=other.endpoint, kind=Kind.MESSAGE, body=b"{}", state=State.FAILED, finished_at=now
        )
        Attempt.objects.create(
            hook=hook, number=1, started_at=now, url="https://x.example", outcome=Outcome.OK
        )
        redelivery.plan(Instance.objects.filter(pk=other.pk), wanted={}, acting_user=None)


@pytest.mark.parametrize("name", QUERIES)
def test_a_list_counts_nothing_and_asks_no_more_for_more_rows(staff: Client, rows: None, name: str) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        page = staff.get(f"/admin/{name}/")
    assert page.status_code == 200
    assert len(page.context["cl"].result_list) >= 3
    statements = [query["sql"] for query in asked.captured_queries]
    assert not [sql for sql in statements if "COUNT(" in sql.upper()]
    assert len(statements) == QUERIES[name], statements


@pytest.fixture
def many(instance: Instance) -> Iterator[list[Hook]]:
    now = timezone.now()
    yield Hook.objects.bulk_create(
        Hook(endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b"{}", state=State.FAILED, finished_at=now)
        for _ in range(75)
    )


def shown(page: Any) -> list[int]:
    return [row.pk for row in page.context["cl"].result_list]


def test_pages_follow_each_other_by_key(staff: Client, many: list[Hook]) -> None:
    keys = sorted((hook.pk for hook in many), reverse=True)
    first = staff.get("/admin/hooks/hook/")
    assert shown(first) == keys[:30]
    assert "Newest" not in first.content.decode()
    second = staff.get("/admin/hooks/hook/" + first.context["cl"].older_link())
    assert shown(second) == keys[30:60]
    third = staff.get("/admin/hooks/hook/" + second.context["cl"].older_link())
    assert (shown(third), third.context["cl"].older) == (keys[60:], None)
    assert shown(staff.get("/admin/hooks/hook/" + third.context["cl"].newest_link())) == keys[:30]


def test_rows_that_come_meanwhile_move_nothing(staff: Client, many: list[Hook], instance: Instance) -> None:
    older = staff.get("/admin/hooks/hook/").context["cl"].older_link()
    before = shown(staff.get("/admin/hooks/hook/" + older))
    Hook.objects.create(endpoint=instance.endpoint, kind=Kind.ACK, body=b"{}")
    assert shown(staff.get("/admin/hooks/hook/" + older)) == before


def test_a_filter_looks_through_a_stretch_at_a_time_and_misses_nothing(
    staff: Client, many: list[Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "WINDOW", 25)
    rare = {many[3].pk, many[40].pk, many[74].pk}
    Hook.objects.filter(pk__in=rare).update(kind=Kind.CHAT)
    address, found, pages = "/admin/hooks/hook/?kind=chat", [], 0
    while address and pages < 200:
        page = staff.get(address)
        found += shown(page)
        pages += 1
        link = page.context["cl"].older_link()
        address = f"/admin/hooks/hook/{link}" if link else ""
        if found and min(found) <= min(rare):
            break
    assert found == sorted(rare, reverse=True)
    assert pages >= 3


@pytest.mark.parametrize("before", ["x", "-1", "", "9" * 40, "\u0664"])
def test_a_key_that_is_none_means_the_first_page(staff: Client, many: list[Hook], before: str) -> None:
    assert len(shown(staff.get("/admin/hooks/hook/", {"before": before}))) == 30


def test_the_filters_of_a_million_hooks_read_no_more_than_a_stretch(
    staff: Client, many: list[Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far apart the keys are: those of hooks have gaps between days."""
    monkeypatch.setattr(lists, "WINDOW", 25)
    with CaptureQueriesContext(connection) as asked:
        staff.get("/admin/hooks/hook/", {"state": "failed"})
    [rows] = [query["sql"] for query in asked.captured_queries if '"hooks_hook"."state" = ' in query["sql"]]
    least = sorted((hook.pk for hook in many), reverse=True)[24]
    assert f'"hooks_hook"."id" >= {least}' in rows


def test_an_empty_list_says_so(staff: Client) -> None:
    assert "No rows yet." in staff.get("/admin/hooks/hook/").content.decode()


def test_bins_by_size_read_their_index_alone(staff: Client, instance: Instance) -> None:
    small, large = bin_actions.open_bin(InstanceFactory(name="Small")), bin_actions.open_bin(instance)
    capture_actions.capture(small.key, method="POST", body=b"x" * 10)
    capture_actions.capture(large.key, method="POST", body=b"x" * 2048)
    capture_actions.capture(large.key, method="POST", body=b"x" * 1024)
    capture_actions.capture(
        small.key, method="POST", body=b"x", size=2_000_000
    )  # a stub: nothing of it is kept
    with CaptureQueriesContext(connection) as asked:
        page = staff.get("/admin/testing_tools/bin/by-size/")
    assert [(row["bin"], row["bytes"], row["captures"]) for row in page.context["bins"]] == [
        (large, 3072, 2), (small, 10, 1),
    ]  # fmt: skip
    assert "3.0\xa0KB" in page.content.decode()
    [adding_up] = [query["sql"] for query in asked.captured_queries if "SUM(" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + adding_up)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "testing_capture_size" in plan


@pytest.mark.parametrize(
    ("page", "secret"),
    [
        ("instances/instance", "token__startswith"),
        ("instances/instance", "token"),
        ("hooks/endpoint", "secret__startswith"),
        ("hooks/endpoint", "previous_secret__regex"),
        ("accounts/user", "password__contains"),
        ("accounts/accountkey", "digest__startswith"),
        ("accounts/invitation", "digest__startswith"),
        ("accounts/member", "user__password__startswith"),
    ],
)
def test_a_secret_can_not_be_asked_for_letter_by_letter(
    staff: Client, rows: None, page: str, secret: str
) -> None:
    """Django lets the address of a list ask for any column of its table."""
    answer = staff.get(f"/admin/{page}/?{secret}=a")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "filter",
    ["accounts/user/?is_staff__exact=1", "accounts/account/?blocked_at__isempty=0", "hooks/hook/?state__exact=failed",
     "hooks/endpoint/?pause_reason__exact=", "accounts/accountkey/?revoked_at__isempty=1"],
)  # fmt: skip
def test_the_lists_own_filters_are_answered(staff: Client, rows: None, filter: str) -> None:
    assert staff.get(f"/admin/{filter}").status_code == 200
