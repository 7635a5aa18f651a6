"""The newest hooks that match a filter, found in the order of indexes, are those that a plain query finds."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from hooks.log.index_order import (
    in_index_order,
    newest_key_of_each,
    newest_keys,
    newest_sql,
)
from hooks.log.selection import RESPONSES, matching
from hooks.models import Endpoint, Hook, Kind, Lane, SkipReason, State, new_public_id
from tests.factories import InstanceFactory
from tests.hooks.dispatch.test_plans_by_statistics import check, fill

pytestmark = pytest.mark.django_db
RESULTS = [
    ("ok", 200),
    ("not_200", 204),
    ("redirect", 301),
    ("not_200", 404),
    ("not_200", 500),
    ("timeout", None),
]
FILTERS: list[dict[str, Any]] = [
    {},
    {"states": ["failed"]},
    {"states": ["queued", "retrying", "delivered", "queued"]},
    {"states": ["queued", "skipped"], "kinds": ["ack"]},
    {"states": ["delivered", "failed"], "answers": ["5xx", "3xx"]},
    {"states": ["delivered", "failed"], "outcomes": ["timeout"]},
    {"states": ["delivered", "failed"], "status": 404},
    {"states": ["delivered", "queued"], "host": "b.example"},
    {"states": ["delivered", "failed", "skipped", "cancelled"], "host": "b.example"},
    {"states": ["delivered", "failed", "skipped", "cancelled"], "simulated": True},
    {"states": ["queued", "sending", "retrying"], "simulated": True},
    {"states": ["queued"], "simulated": True},
    {"states": ["failed"], "answers": ["3xx"]},
    {"states": ["failed", "retrying"], "outcomes": ["timeout", "redirect"]},
    {"states": ["failed"], "status": 404},
    {"states": ["failed"], "kinds": ["status", "chat"]},
    {"outcomes": ["redirect"]},
    {"states": ["queued"]},
    {"states": ["sending"]},
    {"states": ["sending", "delivered"], "kinds": ["ack"]},
    {"states": ["sending", "queued"]},
    *({"answers": [name]} for name in RESPONSES),
    {"answers": ["2xx", "200", "5xx"]},
    {"answers": ["2xx"], "states": ["failed", "delivered"]},
    {"outcomes": ["timeout"]},
    {"outcomes": ["not_200", "redirect"]},
    {"outcomes": ["ok", "timeout"]},
    {"kinds": ["status", "chat"]},
    {"kinds": ["status", "ack"]},
    {"status": 404},
    {"host": "b.example"},
    {"chat": "1@c.us"},
    {"chat": "1@c.us", "states": ["failed", "queued"]},
    {"chat": "1@c.us", "kinds": ["chat"]},
    {"chat": "1@c.us", "simulated": True},
    {"chat": "2@c.us", "answers": ["5xx"]},
    {"message": "true_1@c.us_A"},
    {"simulated": True},
]


def message_of(number: int, kind: Kind) -> str:
    """Returns the id of the message of a hook: with its chat's id, but for changes of chats and for simulated hooks."""
    if number % 8 == 0:
        return "typed by a user"
    return "" if kind == Kind.CHAT else f"{'true' if number % 2 else 'false'}_{number % 3}@c.us_A"


@pytest.fixture
def endpoints() -> list[Endpoint]:
    """Three endpoints; two with each combination of a state and a result that a hook can have, mixed."""
    found = [InstanceFactory().endpoint for _ in range(3)]
    for number, (state, (outcome, status), kind, endpoint) in enumerate(
        product(State, RESULTS, Kind, found[:2])
    ):
        was_tried = state not in (State.QUEUED, State.SKIPPED)
        if (state == State.DELIVERED) != (outcome == "ok") and was_tried:
            continue
        now = timezone.now() - timedelta(minutes=1) + timedelta(milliseconds=number)
        Hook.objects.create(
            endpoint=endpoint, public_id=new_public_id(now), created_at=now, kind=kind, body=b"{}", state=state,
            skip_reason=SkipReason.FLAG_OFF if state == State.SKIPPED else "",
            finished_at=now if state not in (State.QUEUED, State.SENDING, State.RETRYING) else None,
            lease_until=now, next_attempt_at=now, chat=f"{number % 3}@c.us", message=message_of(number, kind),
            simulated=number % 4 == 0, last_outcome=outcome if was_tried else "",
            last_status=status if was_tried else None, last_host=f"{'abc'[number % 3]}.example" if was_tried else "",
        )  # fmt: skip
    # A dispatcher has claimed some first attempts: their rows still say `queued`.
    queued = Hook.objects.filter(endpoint=found[0], state=State.QUEUED).order_by("pk")
    Lane.objects.filter(pk=found[0].pk).update(cursor=queued[5].pk, owner=1)
    Lane.objects.filter(pk=found[1].pk).update(
        cursor=Hook.objects.filter(endpoint=found[1])[5].pk, owner=None
    )
    return found


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
@pytest.mark.parametrize("newest_first", [True, False])
def test_the_same_hooks_as_a_plain_query_finds(
    endpoints: list[Endpoint], wanted: dict[str, Any], newest_first: bool
) -> None:
    keys = [endpoint.pk for endpoint in endpoints]
    plain = matching(Hook.objects.filter(endpoint_id__in=keys), wanted)
    ordered = list(plain.order_by("-pk" if newest_first else "pk").values_list("pk", flat=True))
    assert ordered
    for limit in (5, len(ordered) + 1):
        assert newest_keys(keys, wanted, limit=limit, newest_first=newest_first) == ordered[:limit]
    of_one = list(plain.filter(endpoint_id=keys[1]).order_by("-pk").values_list("pk", flat=True))
    assert newest_keys(keys[1:], wanted, limit=1000) == of_one
    newest = {
        key: plain.filter(endpoint_id=key).order_by("-pk").values_list("pk", flat=True).first()
        for key in keys
    }
    assert newest_key_of_each(keys, wanted) == {key: found for key, found in newest.items() if found}


def test_a_filter_that_no_hook_can_match_finds_none(endpoints: list[Endpoint]) -> None:
    keys = [endpoint.pk for endpoint in endpoints]
    assert newest_keys(keys, {"states": ["delivered"], "answers": ["5xx"]}, limit=5) == []
    assert newest_keys(keys, {"states": ["queued"], "outcomes": ["tls"]}, limit=5) == []
    assert newest_keys(keys, {"hooks": []}, limit=5) == []
    assert newest_key_of_each(keys, {"hooks": [], "states": ["failed"]}) == {}


def test_a_chat_is_found_by_the_ids_of_its_messages() -> None:
    endpoint = InstanceFactory().endpoint
    fill([endpoint.pk], delivered=20_000)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE hooks_hook SET chat = id % 2000 || '@c.us', message = 'false_' || id % 2000 || '@c.us_A' || id"
        )
        cursor.execute("ANALYZE hooks_hook")
    for chat, number in (("77@c.us", 10), ("7@g.us", 0)):
        sql, values = newest_sql([endpoint.pk], {"chat": chat}, limit=51)
        check(sql, values, most=20, is_prepared=False)
        assert len(newest_keys([endpoint.pk], {"chat": chat}, limit=51)) == number


def test_outcomes_are_found_by_their_index() -> None:
    """Of a million failed hooks, three may have an outcome."""
    keys = [InstanceFactory().endpoint.pk for _ in range(3)]
    fill(keys, delivered=20_000)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE hooks_hook SET last_outcome = CASE WHEN id % 5000 = 0 THEN 'tls' ELSE 'timeout' END"
        )
    for outcomes in (["tls"], ["tls", "dns"], ["refused"]):
        sql, values = newest_sql(keys, {"outcomes": outcomes}, limit=51)
        with in_index_order({}):
            check(sql, values, most=20, is_prepared=False)


def test_a_rare_host_or_response_is_found_among_many_hooks_in_the_same_state() -> None:
    keys = [InstanceFactory().endpoint.pk for _ in range(3)]
    fill(keys, delivered=20_000)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE hooks_hook SET last_status = CASE WHEN id % 5000 = 1 THEN 301 ELSE 500 END,"
            " simulated = id % 5000 = 2, last_host = CASE WHEN id % 5000 = 3 THEN 'rare.example' ELSE 'a.example' END,"
            " state = CASE WHEN id % 2 = 1 THEN 'failed' ELSE state END"
        )
        cursor.execute("ANALYZE hooks_hook")
    finished = ["delivered", "failed", "skipped", "cancelled"]
    for wanted in (
        {"states": finished, "host": "rare.example"},
        {"states": finished, "simulated": True},
        {"states": ["failed"], "answers": ["3xx"]},
        {"states": ["failed"], "status": 301},
    ):
        sql, values = newest_sql(keys, wanted, limit=51)
        with in_index_order({}):
            check(sql, values, most=20, is_prepared=False)


def sorting() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_sort")
        return str(cursor.fetchone()[0])


def test_sorting_is_switched_off_for_the_block_alone() -> None:
    with transaction.atomic():
        with in_index_order({}):
            assert sorting() == "off"
        assert sorting() == "on"
        with in_index_order({"message": "true_1"}):
            assert sorting() == "on"


def test_running_verifications_are_found_by_an_index(db: None) -> None:
    """Their notice is on every page."""
    sql, values = Endpoint.objects.filter(override_until__gt=timezone.now()).query.sql_with_params()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}", values)
        assert "hooks_endpoint_overridden" in "\n".join(row[0] for row in cursor.fetchall())
