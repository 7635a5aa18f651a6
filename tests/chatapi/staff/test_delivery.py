"""Staff look at endpoints, hooks and attempts: read only, without bodies and secrets."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hooks.actions import redelivery
from hooks.actions.endpoints import set_filters
from hooks.filters import Filters
from hooks.models import Attempt, Hook, Kind, Outcome, State
from instances.actions.lifecycle import delete_instance
from instances.models import Instance
from tests.factories import InstanceFactory, UserFactory
from tests.hooks.dispatch.test_plans_by_statistics import check


@pytest.fixture
def instance(db: None) -> Instance:
    return InstanceFactory(number=12345, url="https://example.com/hook")


@pytest.fixture
def charlie(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def attempt(instance: Instance) -> Attempt:
    now = timezone.now()
    hook = Hook.objects.create(
        endpoint=instance.endpoint,
        kind=Kind.MESSAGE,
        body=b"a private text",
        state=State.DELIVERED,
        finished_at=now,
    )
    return Attempt.objects.create(
        hook=hook, number=1, started_at=now, url="https://example.com/hook", outcome=Outcome.OK, status=200,
        response_body=b"a private answer",
    )  # fmt: skip


def test_an_endpoint_shows_its_filters_in_words(charlie, instance):
    set_filters(instance.endpoint, filters=Filters(families=("message",), direction="in"), acting_user=None)
    page = charlie.get(f"/admin/hooks/endpoint/{instance.pk}/change/").content.decode()
    assert "Messages, incoming only" in page


@pytest.mark.parametrize("model", ["endpoint", "hook", "attempt", "redelivery"])
def test_each_can_be_seen_and_none_changed(charlie, instance, attempt, model):
    job = redelivery.plan(Instance.objects.all(), wanted={}, acting_user=None)
    key = {
        "endpoint": instance.pk, "hook": attempt.hook_id, "attempt": attempt.pk, "redelivery": job.pk,
    }[model]  # fmt: skip
    for path in ("", f"{key}/change/"):
        page = charlie.get(f"/admin/hooks/{model}/{path}")
        assert page.status_code == 200
        assert "private" not in page.content.decode()
        assert instance.endpoint.secret not in page.content.decode()
    assert (
        charlie.post(f"/admin/hooks/{model}/{key}/change/", {"url": "https://else.example"}).status_code
        == 403
    )
    assert charlie.post(f"/admin/hooks/{model}/{key}/delete/", {"post": "yes"}).status_code == 403
    assert charlie.get(f"/admin/hooks/{model}/add/").status_code == 403


def test_a_hook_is_found_by_its_id_by_its_instance_and_by_its_message(charlie, attempt):
    Hook.objects.update(message="true_1@c.us_3EB0")
    for text in (str(attempt.hook.public_id), attempt.hook.webhook_id, "12345", "12345 true_1@c.us_3EB0"):
        page = charlie.get("/admin/hooks/hook/", {"q": text})
        assert [hook.pk for hook in page.context["cl"].result_list] == [attempt.hook_id]
    for text in ("12345 true_1@c.us_XXXX", "54321", "3EB0", "9" * 30):
        page = charlie.get("/admin/hooks/hook/", {"q": text})
        assert (page.status_code, list(page.context["cl"].result_list)) == (200, []), text
        assert "No results for" in page.content.decode()
    [found] = charlie.get("/admin/hooks/attempt/", {"q": attempt.hook.webhook_id}).context["cl"].result_list
    assert found == attempt


def test_the_admin_says_what_happened_in_the_words_of_the_pages(charlie, attempt):
    Attempt.objects.update(outcome=Outcome.NOT_200, status=404)
    Hook.objects.update(
        state=State.FAILED, attempts_made=1, attempts_allowed=1, last_outcome=Outcome.NOT_200, last_status=404
    )
    sentence = "example.com responded with 404: there is nothing at this path."
    for path in ("", f"{attempt.pk}/change/"):
        assert sentence in charlie.get(f"/admin/hooks/attempt/{path}").content.decode()
    page = charlie.get(f"/admin/hooks/attempt/{attempt.pk}/change/").content.decode()
    assert "Compare the path of the URL with the route in your code" in page
    for path in ("", f"{attempt.hook_id}/change/"):
        page = charlie.get(f"/admin/hooks/hook/{path}").content.decode()
        assert "Failed after attempt 1 of 1 (responded with 404)." in page


def test_hooks_of_a_deleted_instance_are_nobodys_until_they_are_gone(charlie, instance, attempt):
    delete_instance(instance, acting_user=None)
    hook = attempt.hook
    found = charlie.get("/admin/hooks/hook/", {"q": hook.webhook_id}).context["cl"].result_list
    assert list(found) == []
    assert (
        charlie.get(f"/admin/hooks/hook/{hook.pk}/change/").status_code == 302
    )  # to the start, with a sentence
    for page in (f"/admin/hooks/hook/{hook.pk}/body/", f"/admin/hooks/attempt/{attempt.pk}/body/"):
        assert charlie.get(page).status_code == 404
    assert charlie.get("/admin/hooks/hook/").status_code == 200
    assert charlie.get("/admin/hooks/attempt/").status_code == 200


def test_a_body_is_shown_token_for_token_and_decoded(charlie, attempt):
    Hook.objects.update(body=b'{"price":1.10,"price":1E5}')
    Attempt.objects.update(
        response_body="Бот упал".encode("cp1251"),
        response_headers=[["Content-Type", "text/plain; charset=windows-1251"]],
    )
    page = charlie.get(f"/admin/hooks/hook/{attempt.hook_id}/body/")
    assert page.context["text"] == '{\n  "price": 1.10,\n  "price": 1E5\n}'
    page = charlie.get(f"/admin/hooks/attempt/{attempt.pk}/body/")
    assert page.context["text"] == "Бот упал"
    assert "Decoded from windows-1251." in page.content.decode()


def test_a_hook_that_was_received_says_so(charlie, attempt):
    Attempt.objects.update(
        outcome=Outcome.RESET, status=200, error="transfer closed with 10 bytes remaining to read"
    )
    page = charlie.get(f"/admin/hooks/attempt/{attempt.pk}/change/").content.decode()
    assert (
        "before its response was complete. Your server received the request and may have processed it" in page
    )


ATTEMPTS = """
INSERT INTO hooks_attempt (hook_id, number, trigger, started_at, url, address, request_headers, response_headers,
    response_body, response_size, outcome, side, error, total_ms)
SELECT %s, n, 'event', clock_timestamp(), 'https://example.com/hook', '', '[]', '[]', '', 0, 'ok', '', '', 1
FROM generate_series(1, 5000) AS n
"""


def test_one_attempt_and_the_newest_ones_are_read_by_an_index(charlie, attempt):
    """A partition has no primary key: with 20 million attempts, the list took 7.9 s."""
    with connection.cursor() as cursor:
        cursor.execute(ATTEMPTS, [attempt.hook_id])
        cursor.execute("ANALYZE hooks_attempt")
    for path in ("", f"{attempt.pk}/change/"):
        with CaptureQueriesContext(connection) as asked:
            assert charlie.get(f"/admin/hooks/attempt/{path}").status_code == 200
        found = [query["sql"] for query in asked.captured_queries if 'FROM "hooks_attempt"' in query["sql"]]
        assert found
        for sql in found:
            check(sql.replace("%", "%%"), [], 200, is_prepared=False)
