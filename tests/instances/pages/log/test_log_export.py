"""The filtered log as NDJSON and CSV: whole, bounded with what is left out said, harmless in a spreadsheet."""

import csv
import io
import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Attempt, Hook, Kind, Outcome, SkipReason, State
from instances.models import Instance
from instances.pages.log import export as log_export
from tests.factories import AccountFactory, InstanceFactory, UserFactory, create_hook

pytestmark = pytest.mark.django_db
NOW: datetime


@pytest.fixture(autouse=True)
def time_of_the_test() -> None:
    """Sets NOW when the test begins: modules are imported when the run begins, which may be an hour earlier."""
    global NOW
    NOW = timezone.now()


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), number=12345)


def make(instance: Instance, state: str = State.DELIVERED, **fields: Any) -> Hook:
    known = {
        "kind": Kind.MESSAGE,
        "body": '{"body":"Zoë"}'.encode(),
        "finished_at": NOW,
        "skip_reason": SkipReason.FLAG_OFF if state == State.SKIPPED else "",
    }
    return create_hook(endpoint=instance.endpoint, state=state, **(known | fields))


def file(client: Client, **query: str) -> str:
    answer = client.get("/log/export/", {"instance": "12345", **query})
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def objects(client: Client, **query: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file(client, **query, **{"as": "ndjson"}).splitlines()]


def rows(client: Client, **query: str) -> list[dict[str, str]]:
    text = file(client, **query, **{"as": "csv"})
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_a_line_of_ndjson_is_the_hook_as_rest_has_it_with_its_attempts(alice, instance):
    hook = make(instance, State.FAILED, last_status=500, last_outcome=Outcome.NOT_200)
    for number in (1, 2):
        Attempt.objects.create(
            hook=hook,
            number=number,
            started_at=NOW,
            url="http://x.example/",
            status=500,
            outcome=Outcome.NOT_200,
        )
    (line,) = objects(alice)
    assert (line["id"], line["instanceId"], line["state"]) == (hook.webhook_id, "12345", "failed")
    assert line["body"] == '{"body":"Zoë"}'
    assert [attempt["answer"]["status"] for attempt in line["attempts"]] == [500, 500]


def test_csv_has_a_line_a_hook(alice, instance):
    hook = make(instance, last_status=200, last_outcome=Outcome.OK, last_host="x.example", message="m1")
    skipped = make(instance, State.SKIPPED)
    first, second = rows(alice)
    assert (first["id"], first["skipReason"], first["lastAnswer"]) == (skipped.webhook_id, "flag_off", "")
    assert (second["id"], second["host"], second["lastAnswer"]) == (hook.webhook_id, "x.example", "200")
    assert second["body"] == '{"body":"Zoë"}'


def test_a_cell_runs_in_no_spreadsheet(alice, instance):
    make(instance, message="=HYPERLINK()", chat="+1", body=b"@SUM(A1)")
    (row,) = rows(alice)
    assert (row["messageId"], row["chatId"], row["body"]) == ("'=HYPERLINK()", "'+1", "'@SUM(A1)")


def test_the_file_obeys_the_filters(alice, instance):
    make(instance)
    failed = make(instance, State.FAILED)
    make(InstanceFactory(), State.FAILED)
    assert [row["id"] for row in rows(alice, state="failed")] == [failed.webhook_id]


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_what_a_file_leaves_out_it_says_and_where_the_next_one_begins(alice, instance, monkeypatch, form):
    monkeypatch.setattr(log_export, "EXPORT_MAX", 3)
    monkeypatch.setattr(log_export, "BATCH_SIZE", 2)
    hooks = [make(instance, State.FAILED) for _ in range(5)]
    *_, last = file(alice, state="failed", **{"as": form}).splitlines()
    assert "older hooks match too, but a file holds 3; the next file is http" in last
    address = last[last.index("/log/export/") :].rstrip('"}')
    assert address == f"/log/export/?state=failed&instance=12345&as={form}&before={hooks[2].pk}"
    answer = alice.get(address)
    text = b"".join(answer.streaming_content).decode()
    assert [hook.webhook_id in text for hook in hooks] == [True, True, False, False, False]
    assert "older hooks" not in text


def test_it_is_a_download(alice, instance):
    answer = alice.get("/log/export/?instance=12345&as=csv")
    assert answer["Content-Disposition"].startswith('attachment; filename="log-12345-')
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"


def test_a_filter_that_makes_no_sense_gives_no_file(alice, instance):
    answer = alice.get("/log/export/?instance=12345&as=csv&state=lost")
    assert (answer.status_code, answer.content.decode()) == (
        400, "Invalid filters: state. Correct them and export again.",
    )  # fmt: skip
    assert alice.get("/log/export/?instance=12345&as=xlsx").status_code == 404


def test_a_portion_costs_the_same_number_of_queries_whatever_is_in_it(
    alice, instance, django_assert_max_num_queries
):
    for _ in range(30):
        hook = make(instance)
        Attempt.objects.create(hook=hook, number=1, started_at=NOW, url="http://x/", outcome=Outcome.OK)
    alice.get("/log/?instance=12345")
    with django_assert_max_num_queries(22):
        assert len(objects(alice)) == 30


def test_a_stranger_gets_no_file(instance):
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert bob.get("/log/export/?instance=12345&as=csv").status_code == 404
    assert bob.get("/log/overview/?instance=12345").status_code == 404
