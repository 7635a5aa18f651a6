"""The page Statistics adds up the hooks of all instances of a user, or shows those of one, by hour or day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from hooks.models import CountingStart, Hook, State
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, member_of
from tests.instances.api.test_statistics import hook_at

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def at_three() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def two(client: Client) -> tuple[Instance, Instance]:
    """alice's two instances with hooks of today and yesterday; alice is signed in."""
    alice = AccountFactory(email="alice@example.org")
    shop, desk = InstanceFactory(owner=alice, name="Shop"), InstanceFactory(owner=alice, name="Desk")
    Hook.objects.all().delete()
    CountingStart.objects.update_or_create(id=1, defaults={"at": NOW - 30 * DAY})
    for ms in (10, 20, 30):
        hook_at(shop.endpoint, NOW - DAY, State.DELIVERED, ms)
    hook_at(desk.endpoint, NOW - timedelta(hours=1), State.FAILED, 100)
    hook_at(desk.endpoint, NOW - timedelta(hours=1), State.DELIVERED, 300)
    hook_at(shop.endpoint, NOW - timedelta(minutes=1), State.QUEUED)
    client.force_login(alice.owner)
    return shop, desk


def rows(page: str, of: str = "statistics-table") -> dict[str, list[str]]:
    """The cells of a table by the words of the row's heading."""
    (table,) = [found for found in re.findall(r"<table.*?</table>", page, re.DOTALL) if of in found]
    return {
        re.sub(r"<[^>]+>|\s+", " ", head).strip(): [
            re.sub(r"<[^>]+>", "", cell).strip()
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells, re.DOTALL)
        ]
        for head, cells in re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table, re.DOTALL)
    }


def test_the_days_have_the_hooks_of_all_instances(client: Client, two: tuple[Instance, Instance]) -> None:
    found = rows(client.get("/statistics/").text)

    assert list(found)[:2] == ["Fri, 20 Nov", "Thu, 19 Nov"]
    assert len(found) == 7
    assert found["Fri, 20 Nov"] == ["1", "1", "1", "0", "200 ms", "290 ms"]
    assert found["Thu, 19 Nov"] == ["3", "0", "0", "0", "20 ms", "29 ms"]
    assert found["Wed, 18 Nov"] == ["0", "0", "0", "0", "–", "–"]


def test_the_instances_are_listed_with_the_most_failed_ones_first(
    client: Client, two: tuple[Instance, Instance]
) -> None:
    _, desk = two
    page = client.get("/statistics/").text
    assert "All instances" in page
    found = rows(page, of="Success")
    assert list(found.items()) == [("Desk", ["1", "1", "50 %"]), ("Shop", ["3", "0", "100 %"])]
    assert f'href="/statistics/?instance={desk.number}"' in page


def test_one_instance_has_its_own(client: Client, two: tuple[Instance, Instance]) -> None:
    page = client.get(f"/statistics/?instance={two[0].number}").text
    assert "Statistics of Shop" in page
    assert rows(page)["Fri, 20 Nov"] == ["0", "0", "1", "0", "–", "–"]
    assert "Success" not in page


def test_the_other_periods(client: Client, two: tuple[Instance, Instance]) -> None:
    hours = rows(client.get("/statistics/?period=1d").text)
    assert len(hours) == 24
    assert hours["20 Nov, 14:00"][:4] == ["1", "1", "0", "0"]
    assert hours["20 Nov, 15:00"][:4] == ["0", "0", "1", "0"]
    assert len(rows(client.get("/statistics/?period=30d").text)) == 30
    assert len(rows(client.get("/statistics/?period=nonsense").text)) == 7


def test_a_row_leads_to_its_hooks_in_the_log(client: Client, two: tuple[Instance, Instance]) -> None:
    page = client.get("/statistics/").text
    url = re.findall(r'<th scope="row"><a href="(/log/[^"]+)">Thu, 19 Nov', page)[0].replace("&amp;", "&")
    log = client.get(url)
    assert log.status_code == 200
    assert log.text.count('class="hook-row') == 3


def test_a_stranger_sees_nothing_and_a_member_the_same(
    client: Client, two: tuple[Instance, Instance]
) -> None:
    client.force_login(AccountFactory(email="bob@example.org").owner)
    assert "No instances yet" in client.get("/statistics/").text
    assert client.get(f"/statistics/?instance={two[0].number}").status_code == 404

    client.force_login(member_of(two[0].owner, "viewer", "vera@example.org"))
    assert rows(client.get("/statistics/").text)["Thu, 19 Nov"][0] == "3"


def test_the_instances_have_the_hooks_of_the_days_that_are_shown(
    client: Client, two: tuple[Instance, Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many hooks wait to be counted, so the days until then are left out."""
    monkeypatch.setattr("hooks.log.chart.MAX_INDEX_ENTRIES", 1)
    monkeypatch.setattr("hooks.log.chart.MIN_OF_EACH", 1)
    shop, _ = two
    Hook.objects.all().delete()  # what they have added to the counts stays
    hook_at(shop.endpoint, NOW - DAY, State.QUEUED)
    hook_at(shop.endpoint, NOW - timedelta(minutes=1), State.QUEUED)
    page = client.get("/statistics/").text
    assert list(rows(page)) == ["Fri, 20 Nov"]
    assert rows(page, of="Success") == {"Desk": ["1", "1", "50 %"]}
