"""Calls and bytes per minute are counted for all machines: here two web servers that share the database alone."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from accounts.actions.keys import issue_key
from accounts.models import SharedValue
from instances.limits import rate_counters, shared_counts
from tests.factories import InstanceFactory
from tests.instances.receiving.processes import Web

LIMIT = 100


@pytest.fixture
def servers(tmp_path: Path, transactional_db: None) -> Iterator[list[Web]]:
    limits = {"CONTRACT_CALLS_PER_MINUTE": str(LIMIT), "API_RATE": "1/day"}
    with Web(tmp_path / "first", **limits) as first, Web(tmp_path / "second", **limits) as second:
        yield [first, second]


def test_two_machines_count_together(servers: list[Web]) -> None:
    instance = InstanceFactory(number=12345, token="secret")
    key = issue_key(instance.owner, acting_user=None)[1]
    headers = {"Authorization": f"Bearer {key}"}
    found = [requests.get(f"{web.url}/api/v1/instances/", headers=headers, timeout=60) for web in servers * 2]
    assert [response.status_code for response in found] == [200, 429, 429, 429]
    with requests.Session() as session:
        while True:
            minute, allowed = rate_counters.current_period(), 0
            for web in itertools.islice(itertools.cycle(servers), LIMIT * 2):
                response = session.get(f"{web.url}/instance12345/status?token=secret", timeout=60)
                allowed += response.status_code == 200
                assert response.status_code in (200, 429)
                if rate_counters.current_period() != minute:
                    break
            else:
                break  # all in one minute
    assert LIMIT <= allowed <= LIMIT + 2 * LIMIT // shared_counts.STEPS


class Machines:
    """`on(name)` makes this process count as that machine: with its id, and with counts of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.tables: dict[str, dict[int, memoryview[int]]] = {}

    def add(self, machine: str, limit: int, by: int = 1) -> int:
        table = memoryview(bytearray(rate_counters.ROWS * rate_counters.CELLS * 8)).cast("Q")
        tables = self.tables.setdefault(machine, {rate_counters.MINUTE: table})
        self.monkeypatch.setattr(rate_counters, "_tables", tables)
        self.monkeypatch.setattr(shared_counts, "machine_id", lambda *_: machine)
        return shared_counts.add("test", 1, limit, by)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, db: None, same_minute: None) -> Machines:
    return Machines(monkeypatch)


def test_a_low_limit_is_exact_on_any_number_of_machines(machines: Machines) -> None:
    assert [machines.add(name, 1) for name in "abca"] == [1, 2, 3, 2]


def test_a_count_that_is_written_again_counts_once(machines: Machines) -> None:
    machines.add("a", 10)
    shared_counts.write_and_read("test", 1, 1, rate_counters.current_period(), rate_counters.MINUTE)
    assert machines.add("b", 10) == 2


@pytest.mark.parametrize("turns", [2, 3, 4, 5])
def test_a_count_does_not_get_into_the_next_minute(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """The minute ends during a call, between two of its looks at the clock."""
    for name in "ab" * 9:
        machines.add(name, 20)
    minute, looks = rate_counters.current_period(), itertools.count(1)
    monkeypatch.setattr(rate_counters, "current_period", lambda period=60: minute + (next(looks) >= turns))
    machines.add("a", 20)
    monkeypatch.setattr(rate_counters, "current_period", lambda period=60: minute + 1)
    assert machines.add("b", 20) == 1
    already = 1 if turns == 2 else 0  # the call itself, if it was counted in the new minute
    assert machines.add("a", 20) == already + 2


@pytest.fixture
def fresh_data_dir(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process has counted in this DATA_DIR yet."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(rate_counters, "_tables", {})


def test_processes_with_the_same_file_of_counts_are_one_machine(
    fresh_data_dir: None, db: None, same_minute: None
) -> None:
    """Also if none of them has counted in minutes yet."""
    hour = 3600
    ids: list[str] = []
    for _ in range(2):
        shared_counts.machine_id.cache_clear()  # as in another process
        assert shared_counts.add("test", 1, 10, period=hour) == len(ids) + 1
        ids.append(shared_counts.machine_id(hour))
    shared_counts.machine_id.cache_clear()
    assert ids[0] == ids[1]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_each_machine_adds_a_fiftieth_to_the_limit_at_most(machines: Machines, number: int) -> None:
    limit, names = 1_000, [str(n) for n in range(number)]
    with CaptureQueriesContext(connection) as queries:
        allowed = sum(
            machines.add(name, limit) <= limit
            for name in itertools.islice(itertools.cycle(names), 2 * limit * number)
        )
    assert limit <= allowed <= limit + (number - 1) * limit // shared_counts.STEPS
    assert len(queries) <= shared_counts.STEPS + number


def test_bytes_are_counted_too_and_one_request_may_pass_many_steps(machines: Machines) -> None:
    limit = 64_000
    with CaptureQueriesContext(connection) as queries:
        assert [machines.add("a", limit, by=400) for _ in range(3)] == [400, 800, 1_200]
        assert not queries.captured_queries
        assert machines.add("a", limit, by=50_000) == 51_200
        assert len(queries) == 1
    assert machines.add("b", limit, by=20_000) == 71_200
    assert shared_counts.count("test", 1) == 71_200
    assert machines.add("a", limit, by=2_000) == 73_200
    with CaptureQueriesContext(connection) as queries:
        assert machines.add("a", limit, by=2_000) == 75_200
    assert not queries.captured_queries, "the limit is reached"


def test_without_the_database_a_machine_counts_by_itself(machines: Machines) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("the connection is lost")

    assert [machines.add(name, 10) for name in "ab"] == [1, 2]
    with connection.execute_wrapper(fail):
        assert [machines.add(name, 10) for name in "aab"] == [2, 3, 3]
    assert [machines.add(name, 10) for name in "ab"] == [4 + 1, 3 + 4]  # of "b", "a" knows the first only


def test_few_calls_need_no_query(machines: Machines) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert [machines.add("a", 6_000) for _ in range(119)] == list(range(1, 120))
    assert not queries.captured_queries
    assert machines.add("a", 6_000) == 120
    assert SharedValue.objects.get().value == {"a": 120}
