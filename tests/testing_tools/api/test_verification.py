"""Webhook Verification over REST: its state, start and stop."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.audit import AuditAction, AuditEntry
from hooks.models import Endpoint
from instances.actions.messages import receive_message
from testing_tools.verification.models import Bin
from tests.instances.api.conftest import ApiClient

pytestmark = pytest.mark.django_db

URL = "https://example.com/hook"


@pytest.fixture
def path(alice: ApiClient) -> str:
    alice.patch(alice.home, {"webhookUrl": URL})
    return f"{alice.home}verification/"


def test_hooks_go_to_the_bin_until_it_is_stopped(alice: ApiClient, path: str) -> None:
    before = timezone.now()
    status, running = alice.post(f"{path}start/", {})
    bin = Bin.objects.get(instance=alice.instance)
    assert (status, running["running"], running["url"], running["ownUrl"]) == (200, True, bin.url, URL)
    assert (running["forwards"], running["bin"]["key"], running["checks"]) == (False, bin.key, [])
    until = parse_datetime(running["until"])
    assert until is not None
    length = timedelta(minutes=settings.VERIFICATION_MINUTES)
    assert before + length <= until <= timezone.now() + length
    assert alice.get(path) == (200, running)
    receive_message(alice.instance, sender="17680561234", body="hello")
    endpoint = Endpoint.objects.get(first_of=alice.instance)
    assert endpoint.hooks.latest("pk").destination() == bin.url

    status, stopped = alice.post(f"{path}stop/", {})
    assert (status, stopped["running"], stopped["until"], stopped["url"]) == (200, False, None, URL)
    assert alice.get(path) == (200, stopped)


def test_both_urls_may_get_the_hooks(alice: ApiClient, path: str) -> None:
    assert alice.post(f"{path}start/", {"forwards": True})[1]["forwards"] is True
    assert alice.post(f"{path}stop/", None)[1]["forwards"] is False


def test_without_an_own_url_hooks_go_nowhere_afterwards(alice: ApiClient) -> None:
    path = f"{alice.home}verification/"
    assert alice.post(f"{path}start/", {"forwards": True})[1]["forwards"] is False
    stopped = alice.post(f"{path}stop/", None)[1]
    assert (stopped["url"], stopped["ownUrl"]) == (None, None)


def test_stopping_what_does_not_run_changes_and_records_nothing(alice: ApiClient, path: str) -> None:
    assert alice.post(f"{path}stop/", None)[1]["running"] is False
    assert not AuditEntry.objects.filter(action=AuditAction.VERIFICATION_ENDED).exists()


def test_a_verification_that_has_ended_by_itself_is_not_running(alice: ApiClient, path: str) -> None:
    alice.post(f"{path}start/", {})
    Endpoint.objects.filter(first_of=alice.instance).update(override_until=timezone.now())
    ended = alice.get(path)[1]
    assert (ended["running"], ended["until"], ended["url"]) == (False, None, URL)


def test_after_a_silent_minute_the_state_says_why(alice: ApiClient, path: str) -> None:
    alice.post(f"{path}start/", {})
    minutes = settings.VERIFICATION_MINUTES - 2
    Endpoint.objects.filter(first_of=alice.instance).update(
        override_until=timezone.now() + timedelta(minutes=minutes)
    )
    checks = alice.get(path)[1]["checks"]
    assert {"passed", "text", "advice"} == set(checks[0])
    assert any(not check["passed"] and check["advice"] for check in checks)


def test_an_unknown_field_starts_nothing(alice: ApiClient, path: str) -> None:
    status, answer = alice.post(f"{path}start/", {"minutes": 5})
    assert (status, answer["fields"]["minutes"]) == (400, "Unknown field. The fields are: forwards.")
    assert alice.get(path)[1]["running"] is False
