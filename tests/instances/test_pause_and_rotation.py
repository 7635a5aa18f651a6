"""The owner gets one mail about a pause; the page pauses, resumes, and rotates the signing secret."""

from datetime import timedelta
from smtplib import SMTPServerDisconnected

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from hooks.actions.endpoints import rotate_secret
from hooks.actions.simulation import simulate
from hooks.models import Endpoint, Kind
from instances import tasks
from instances.models import Instance
from testing_tools.verification.reading.hook_signatures import check_signature
from tests.factories import UserFactory
from tests.hooks.maintenance.test_pause import DAY, failing


@pytest.fixture
def failed(instance: Instance) -> Instance:
    """The instance, whose deliveries have all failed for a day."""
    failing(instance.endpoint, since=DAY + timedelta(minutes=2), last=timedelta(minutes=1))
    return instance


def stored(instance: Instance) -> Endpoint:
    return Endpoint.objects.get(pk=instance.pk)


def test_the_owner_gets_one_mail_with_links(failed: Instance) -> None:
    assert tasks.pause_failing() == "1 paused, 1 notified"
    assert tasks.pause_failing() == "0 paused, 0 notified"
    [sent] = mail.outbox
    assert (sent.to, sent.subject) == (["alice@example.org"], f"Delivery to {failed} is paused")
    assert "https://example.com/hook" in sent.body
    assert "Waiting   1 hook\n" in sent.body
    assert "/instances/12345/" in sent.body
    assert stored(failed).pause_told_at is not None


def test_a_mail_is_retried_if_the_mail_server_is_not_reachable(
    failed: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise SMTPServerDisconnected("gone")

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "send_mail", away)
        assert tasks.pause_failing() == "1 paused, 0 notified"
    assert stored(failed).paused_at is not None
    assert tasks.pause_failing() == "0 paused, 1 notified"
    assert len(mail.outbox) == 1


def test_the_page_shows_the_pause_and_its_button_resumes(alice: Client, failed: Instance) -> None:
    tasks.pause_failing()
    page = alice.get("/instances/12345/").text
    assert "All deliveries to https://example.com/hook failed for 24 hours" in page
    page = alice.post("/instances/12345/resume/", follow=True).text
    assert "is resumed: one hook per second at first, then faster." in page
    assert stored(failed).paused_at is None


def test_the_page_shows_failures_after_fifteen_minutes(alice: Client, instance: Instance) -> None:
    for minutes, said in ((14, False), (16, True)):
        Endpoint.objects.update(failing_since=timezone.now() - timedelta(minutes=minutes))
        assert ("All deliveries have failed for" in alice.get("/instances/12345/").text) is said


def test_delivery_is_paused_by_hand(alice: Client, instance: Instance) -> None:
    assert alice.post("/instances/12345/pause/")["Location"] == "/instances/12345/"
    assert stored(instance).pause_reason == "by_hand"
    assert tasks.pause_failing() == "0 paused, 0 notified"
    assert mail.outbox == []


def test_the_secret_is_rotated_and_the_old_one_ended(alice: Client, instance: Instance) -> None:
    old = stored(instance).secret
    page = alice.post("/instances/12345/secret/", headers={"HX-Request": "true"}).text
    assert "The new secret is valid now." in page
    assert "The old secret is valid until" in page
    assert stored(instance).valid_secrets()[1] == old
    page = alice.post("/instances/12345/secret/end/", headers={"HX-Request": "true"}).text
    assert "The old secret is no longer valid." in page
    assert "The old secret is valid until" not in page
    assert stored(instance).valid_secrets() == [stored(instance).secret]


def test_another_users_requests_change_nothing(alice: Client, instance: Instance) -> None:
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    before = Endpoint.objects.values().get(pk=instance.pk)
    for action in ("pause", "resume", "secret", "secret/end"):
        assert bob.post(f"/instances/12345/{action}/").status_code == 404
        assert alice.get(f"/instances/12345/{action}/").status_code == 405
    assert Endpoint.objects.values().get(pk=instance.pk) == before


def test_a_bin_verifies_with_both_secrets_during_the_rotation(instance: Instance) -> None:
    endpoint = stored(instance)
    before = simulate(
        endpoint, kind=Kind.ACK, body=b"{}", to_url="http://127.0.0.1:9/", acting_user=None
    ).attempts.get()
    rotate_secret(endpoint, acting_user=None)
    during = simulate(
        endpoint, kind=Kind.ACK, body=b"{}", to_url="http://127.0.0.1:9/", acting_user=None
    ).attempts.get()
    endpoint = stored(instance)
    for attempt in (before, during):
        headers = {name.lower(): value for name, value in attempt.request_headers}
        for secrets in (endpoint.valid_secrets(attempt.started_at), [endpoint.secret]):
            state = check_signature(b"{}", headers, " ".join(secrets), attempt.started_at).state
            assert state == ("invalid" if attempt == before and len(secrets) == 1 else "valid")
