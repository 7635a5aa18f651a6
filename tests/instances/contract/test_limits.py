"""Limits: calls per minute, wrong tokens from one address, the size of every argument."""

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from instances.actions.lifecycle import create_instance
from instances.contract.arguments import MAX_TEXT_LENGTH, Argument
from instances.contract.errors import BadArgument
from instances.contract.registry import METHODS
from instances.contract.urls import urlpatterns
from instances.limits import login_throttle, rate_counters
from instances.models import Instance
from tests.instances.contract.conftest import Call

STATUS = "/instance12345/status?token=secret"
HALF_PAST = datetime(2030, 1, 1, 9, 0, 30, tzinfo=UTC)


def codes(client: Client, address: str, times: int, remote: str = "127.0.0.1") -> list[int]:
    return [client.get(address, REMOTE_ADDR=remote).status_code for _ in range(times)]


def test_an_instance_has_so_many_calls_a_minute_and_is_told_when_to_go_on(
    client: Client, instance: Instance, settings: Settings
) -> None:
    settings.CONTRACT_CALLS_PER_MINUTE = 2
    with time_machine.travel(HALF_PAST, tick=False) as clock:
        assert codes(client, STATUS, 3) == [200, 200, 429]
        response = client.get(STATUS)
        assert response.headers["Retry-After"] == "30"
        assert response.json() == {"error": "Too many calls. Try again in 30 seconds."}
        other = create_instance(instance.owner)
        assert codes(client, f"/instance{other.number}/status?token={other.token}", 1) == [200]
        clock.shift(30)
        assert codes(client, STATUS, 1) == [200]


def test_another_process_counts_on_where_this_one_is() -> None:
    """All web processes count in the same table, so the limit is per instance."""
    assert [rate_counters.add("test", 1), rate_counters.add("test", 1)] == [1, 2]
    asked = (
        "import django; django.setup()\n"
        "from instances.limits import rate_counters as counters\n"
        "print(counters.add('test', 1), counters.add('test', 2))"
    )
    minute = rate_counters.current_period()
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    if rate_counters.current_period() == minute:
        assert said.split() == ["3", "1"]
        assert rate_counters.count("test", 1) == 3


def test_a_count_ends_with_its_minute() -> None:
    with time_machine.travel(HALF_PAST, tick=False) as clock:
        rate_counters.add("test", 1, by=5)
        assert (rate_counters.count("test", 1), rate_counters.seconds_left()) == (5, 30)
        clock.shift(30)
        assert (rate_counters.count("test", 1), rate_counters.add("test", 1)) == (0, 1)


def test_keys_do_not_count_for_each_other() -> None:
    for key in range(2_000):
        rate_counters.add("test", key)
    assert [rate_counters.count("test", key) for key in range(2_000)].count(1) >= 1_990


@pytest.mark.parametrize(
    "wrong",
    ["/instance12345/status?token=wrong", "/instance99999/status?token=secret", "/listInstances?uid=wrong"],
)
def test_too_many_wrong_tokens_lock_their_address_out(
    client: Client, instance: Instance, settings: Settings, wrong: str
) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 3
    here, there = "203.0.113.1", "203.0.113.2"
    with time_machine.travel(HALF_PAST, tick=False) as clock:
        assert codes(client, wrong, 3, here)[-1] in (401, 404)
        response = client.get(wrong, REMOTE_ADDR=here)
        assert (response.status_code, response.headers["Retry-After"]) == (429, "30")
        assert codes(client, STATUS, 1, here) == [429]  # not even the right one: it may be a guess
        assert codes(client, STATUS, 1, there) == [200]
        clock.shift(30)
        assert codes(client, STATUS, 1, here) == [200]


@pytest.mark.usefixtures("same_minute")
def test_a_token_that_was_right_lately_is_not_locked_out_with_its_neighbour(
    client: Client, instance: Instance, settings: Settings
) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 3
    assert codes(client, STATUS, 1) == [200]
    assert codes(client, "/instance12345/status?token=wrong", 4) == [401, 401, 401, 429]
    assert codes(client, STATUS, 1) == [200]


def test_each_lockout_of_an_address_is_longer_than_the_last(
    client: Client, instance: Instance, settings: Settings
) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 2
    wrong, here = "/instance12345/status?token=wrong", "203.0.113.1"
    waits = []
    with time_machine.travel(HALF_PAST, tick=False) as clock:
        for _ in range(9):
            assert codes(client, wrong, 3, here) == [401, 401, 429]
            waits.append(int(client.get(wrong, REMOTE_ADDR=here).headers["Retry-After"]))
            clock.shift(waits[-1])
        assert waits == [30, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
        clock.shift(3601)  # an hour without a wrong one
        assert codes(client, wrong, 3, here) == [401, 401, 429]
        assert int(client.get(wrong, REMOTE_ADDR=here).headers["Retry-After"]) <= 60


def test_another_machine_locks_the_address_out_with_its_next_wrong_token(
    client: Client, instance: Instance, settings: Settings
) -> None:
    """It shares the database alone: neither this process's memory nor this machine's counters."""
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 3
    wrong, here = "/instance12345/status?token=wrong", "203.0.113.1"
    with time_machine.travel(HALF_PAST, tick=False):
        assert codes(client, wrong, 4, here) == [401, 401, 401, 429]
        rate_counters.reset()
        login_throttle.reset()
        assert codes(client, wrong, 3, here) == [401, 429, 429]


def test_a_right_token_needs_no_query_for_the_limits(client: Client, instance: Instance) -> None:
    client.get("/instance12345/status?token=wrong")
    client.get(STATUS)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(STATUS).status_code == 200
    assert not [query for query in queries.captured_queries if "accounts_lockout" in query["sql"]]


def test_many_addresses_do_not_wash_a_lockout_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_throttle, "MAX_LOCKED", 100)
    ends = time.time() + 60
    login_throttle._locked.update({f"192.0.2.{number}": ends - 120 for number in range(99)})
    login_throttle._locked["203.0.113.1"] = ends
    login_throttle.forget_ended()
    assert login_throttle._locked == {"203.0.113.1": ends}


def test_periods_of_another_length_do_not_reset_a_count() -> None:
    for key in range(20_000):
        rate_counters.add("api", key, period=3600)
    for key in range(20_000):
        rate_counters.add("instance", key)
    assert min(rate_counters.count("api", key, period=3600) for key in range(20_000)) == 1


def test_a_missing_token_locks_nobody_out(client: Client, instance: Instance, settings: Settings) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 1
    assert codes(client, "/instance12345/status", 3) == [401, 401, 401]


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("x" * 300, "x" * 100),
    ],
)
def test_who_calls(client: Client, remote: str, address: str) -> None:
    request = client.get(
        "/status", REMOTE_ADDR=remote, headers={"X-Forwarded-For": "198.51.100.1"}
    ).wsgi_request
    assert login_throttle.client_address(request) == address


assert urlpatterns  # whose import is what fills METHODS
TEXTS = [
    (name, argument)
    for name, method in sorted(METHODS.items())
    for argument in method.arguments
    if "maxLength" in argument.schema
]


@pytest.mark.parametrize(("name", "argument"), TEXTS, ids=lambda one: getattr(one, "wire", one))
def test_no_text_is_longer_than_its_argument_takes(name: str, argument: Argument) -> None:
    most = argument.schema["maxLength"]
    assert most <= MAX_TEXT_LENGTH
    with pytest.raises(BadArgument, match=f"^`{argument.wire}` must be at most {most} characters.$"):
        argument.read({argument.wire.lower(): "x" * (most + 1)})
    argument.read({argument.wire.lower(): "x" * most})


def test_a_text_that_is_too_long_is_refused_by_name(client: Client, instance: Instance) -> None:
    response = client.post("/instance12345/repeatHook?token=secret", {"messageId": "x" * 601})
    assert (response.status_code, response.json()) == (
        200,
        {"success": False, "message": "`messageId` must be at most 600 characters."},
    )


def test_no_list_of_phones_is_endless(post: Call) -> None:
    answer = post("sendMessage", phone="17680561234", body="x", mentionedPhones=["17680561234"] * 1001)
    assert answer == {"sent": False, "message": "`mentionedPhones` must be at most 1000 phone numbers."}


@pytest.mark.parametrize(
    "proxy", ["[fe80::1%" + "x" * 200 + "]:1080", "1.2.3.4:" + "0" * 300 + "80", "1.2.3.4: 80 "]
)
def test_a_proxy_that_is_longer_than_its_column(client: Client, instance: Instance, proxy: str) -> None:
    response = client.post(
        "/instance12345/settings?token=secret", {"proxy": proxy}, content_type="application/json"
    )
    assert response.status_code in (200, 400)
    instance.refresh_from_db()
    assert len(instance.proxy) <= 100


def test_a_number_of_thousands_of_digits_is_refused_in_words(client: Client, instance: Instance) -> None:
    response = client.generic(
        "POST",
        "/instance12345/settings?token=secret",
        b'{"sendDelay":' + b"9" * 5000 + b"}",
        "application/json",
    )
    assert (response.status_code, response.json()) == (
        400,
        {"error": "The body is not valid JSON: a number has too many digits."},
    )
