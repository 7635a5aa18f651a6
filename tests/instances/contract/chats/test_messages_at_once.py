"""A page of `messages` that is one statement with its instance has the same bytes as one that loads it first."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from instances.actions.lifecycle import delete_instance, rotate_token
from instances.actions.stopping import block_account, stop_instance
from instances.contract.chats import messages as chats_messages
from instances.limits import login_throttle, rate_counters
from instances.models import Instance, Message
from tests.executed_plans import nodes
from tests.instances.contract.chats.test_messages import receive

URL = "/instance12345/messages"
Shown = tuple[int, bytes, dict[str, str]]


def ask(client: Client, query: str = "", token: str = "secret") -> Shown:
    response = client.get(f"{URL}?token={token}{query}")
    return response.status_code, response.content, dict(response.headers)


def both_ways(client: Client, query: str = "") -> Shown:
    """The response, which is the same as that of a first call, which loads the instance."""
    later = ask(client, query)
    login_throttle.reset()
    assert ask(client, query) == later
    return later


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_pages_are_the_same(client: Client, instance: Instance, count: int) -> None:
    if count:
        receive(instance, count)
    ask(client)
    for query in ("", "&lastMessageNumber=40", "&lastMessageNumber=999999999999999", "&last=true", "&last=7", "&last=0",
                  "&limit=100", "&limit=5", "&limit=0", "&chatId=17680561234@c.us", "&min_time=1714564810",
                  "&max_time=1714564810", "&lastMessageNumber=x", "&lastMessageNumber=-1"):  # fmt: skip
        status, _, _ = both_ways(client, query)
        assert status == 200


def test_texts_that_are_too_long_for_a_page(
    client: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(instance, 9)
    for limit in (100, 5, 1, 0):
        monkeypatch.setattr(chats_messages, "MAX_TEXT", limit)
        Message.objects.update(body="x" * 40)
        both_ways(client)
        both_ways(client, "&last=true")


def end_payment(instance: Instance) -> None:
    Instance.objects.filter(pk=instance.pk).update(paid_until=datetime(2020, 1, 1, tzinfo=UTC))


SITUATIONS: dict[str, Callable[[Instance], Any]] = {
    "not paid": end_payment,
    "stopped": lambda instance: stop_instance(instance, reason="test", acting_user=None),
    "blocked": lambda instance: block_account(
        instance.owner, reason="test", acting_user=instance.owner.owner
    ),
    "deleted": lambda instance: delete_instance(instance, acting_user=None),
    "token rotated": lambda instance: rotate_token(instance, acting_user=None),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_errors_are_the_same(client: Client, instance: Instance, situation: str) -> None:
    receive(instance, 3)
    assert ask(client)[0] == 200
    SITUATIONS[situation](instance)
    assert both_ways(client)[0] in (401, 402, 403, 404)


def test_each_call_counts_once(
    client: Client, instance: Instance, settings: Settings, same_minute: None
) -> None:
    settings.CONTRACT_CALLS_PER_MINUTE = 4
    rate_counters.reset()
    found = [ask(client, query)[0] for query in ("", "", "&limit=5", "", "", "&limit=5")]
    assert found == [200, 200, 200, 200, 429, 429]


def test_a_page_is_one_statement(
    client: Client, instance: Instance, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    receive(instance, 120)
    ask(client)
    for query in ("", "&last=true", "&lastMessageNumber=60"):
        with django_assert_num_queries(1):
            assert ask(client, query)[0] == 200


def test_only_rows_of_the_page_are_read(client: Client, instance: Instance) -> None:
    receive(instance, 1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE instances_message")
        sql, parameters = chats_messages.page_at_once_query(
            12345, instance.token_digest, newest=False, last_message_number=500
        )
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT json) {sql}", parameters)
        (plan,) = cursor.fetchone()[0]
    scans = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "instances_message"]
    assert [(scan["Index Name"], scan["Actual Rows"]) for scan in scans] == [
        ("instances_message_number", 100)
    ]


def plans() -> tuple[int, int]:
    """How often this session has executed the statement of a page with the plan for all values, and with another."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(generic_plans), 0), coalesce(sum(custom_plans), 0) FROM pg_prepared_statements"
            " WHERE statement LIKE %s",
            ["%LEFT JOIN LATERAL%message.number > %"],
        )
        return cursor.fetchone()


def test_a_page_is_not_planned_at_each_call(client: Client, instance: Instance) -> None:
    receive(instance, 1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE instances_message")
    for _ in range(8):  # PostgreSQL compares the plans after five executions
        ask(client)
    generic, custom = plans()
    for number in range(0, 900, 100):
        assert ask(client, f"&lastMessageNumber={number}")[0] == 200
    assert plans() == (generic + 9, custom)
