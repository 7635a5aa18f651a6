"""The queries of each page: the table below pins it, and a page that is missing from it fails.

The rows are counted as the page is asked for the second time, by its owner, in an account that is lived in
(tests/chatapi/ui/sample_day.py). `make bench` measures how long the same pages take on a million hooks.
"""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.chatapi.permissions import ADDRESSES
from tests.chatapi.ui.pages import QUERIES, STAFF_QUERIES, visitor_of
from tests.chatapi.ui.sample_day import Day

pytestmark = pytest.mark.django_db


@pytest.fixture
def day(settings: object) -> Day:
    settings.ACCOUNT_RATE_LIMITS = False  # type: ignore[attr-defined]
    return Day()


def count_statements(day: Day, name: str) -> int:
    """The number of statements of the page's second request; -1 if it is not a page."""
    client = day.client(visitor_of(name))
    with transaction.atomic():
        client.get(day.address(name))
        with CaptureQueriesContext(connection) as caught:
            answer = client.get(day.address(name))
        transaction.set_rollback(True)
    is_page = (
        answer.status_code == 200
        and not answer.streaming
        and b"<!doctype html>" in answer.content[:200].lower()
    )
    return len([one for one in caught.captured_queries if "SAVEPOINT" not in one["sql"]]) if is_page else -1


def test_every_page_asks_as_often_as_the_table_says(day: Day) -> None:
    found = {name: count_statements(day, name) for name in QUERIES | STAFF_QUERIES}

    assert found == QUERIES | STAFF_QUERIES


def test_every_page_is_in_the_table(day: Day) -> None:
    missing = [
        name
        for name in ADDRESSES
        if not name.startswith(("admin:", "instances-api:", "contract"))
        and name not in QUERIES
        and count_statements(day, name) >= 0
    ]

    assert missing == [], "Give each its number of queries in tests/chatapi/ui/pages.py."


def test_more_rows_ask_no_more(day: Day) -> None:
    from instances.actions.messages import receive_message
    from instances.actions.sending.accept import send_message

    names = ("instances:list", "instances:messages", "instances:chat", "log:list", "testing:sending")
    before = {name: count_statements(day, name) for name in names}
    for place in range(20):
        receive_message(day.instance, sender=f"1768056{place:04}", body=f"hello {place}")
        send_message(day.instance, chat_id="15550100101", body=f"hello {place}")

    assert {name: count_statements(day, name) for name in names} == before
