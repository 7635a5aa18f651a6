"""What users and staff see of an instance's sending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.actions.sending.accept import send_message
from instances.models import Instance, OutgoingMessage, OutgoingQueue
from instances.sending import health
from instances.sending.health import describe_sending, time_words
from tests.factories import UserFactory, fail_message

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
REASON = "The last 5 tries failed: the messenger responded with 503"


def send(instance: Instance, number: int) -> list[OutgoingMessage]:
    return [send_message(instance, chat_id="17680561234@c.us", body="hello") for _ in range(number)]


def pause(until: datetime) -> None:
    OutgoingQueue.objects.update(
        waits_until=until, wait_reason="the last 5 tries failed: the messenger responded with 503."
    )


def card(client: Client) -> str:
    return " ".join(client.get(reverse("instances:status", args=[12345])).content.decode().split())


def test_a_card_says_how_many_messages_wait_and_leads_to_the_queue(alice: Client, instance: Instance) -> None:
    found = card(alice)
    assert 'Sending: Nothing waits · <a href="/instances/12345/queue/">queue</a>' in found
    assert "failed</a>" not in found
    send(instance, 1)
    assert "Sending: 1 waits ·" in card(alice)
    send(instance, 1)
    assert "Sending: 2 wait ·" in card(alice)


def test_with_send_delay_it_shows_the_pace(alice: Client, instance: Instance) -> None:
    Instance.objects.update(send_delay=30)
    send(instance, 2)
    assert "Sending: 2 wait, one every 30 s ·" in card(alice)
    OutgoingQueue.objects.update(next_send_at=timezone.now() + timedelta(seconds=30))
    assert "Sending: 2 wait, one every 30 s ·" in card(alice)


def test_it_says_until_when_nothing_is_sent_and_why(alice: Client, instance: Instance) -> None:
    until = timezone.now() + timedelta(minutes=4)
    pause(until)
    assert f"Sending: Nothing is sent until {time_words(until)}: {REASON} ·" in card(alice)
    send(instance, 2)
    assert f"Sending: 2 wait. Nothing is sent until {time_words(until)}: {REASON} ·" in card(alice)
    pause(timezone.now() - timedelta(seconds=1))
    assert "Sending: 2 wait ·" in card(alice)


def test_messages_of_an_instance_that_is_not_linked_wait_for_that(alice: Client, instance: Instance) -> None:
    send(instance, 2)
    Instance.objects.update(account_status="got qr code")
    assert "Sending: 2 wait: The instance is not linked ·" in card(alice)


def test_a_time_of_another_day_has_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 12, 3, 12, 4, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: at)
    assert time_words(at) == "12:04 UTC"
    assert time_words(at + timedelta(days=1)) == "4 December, 12:04 UTC"


def test_it_counts_the_failed_messages_of_a_day_up_to_a_limit(
    alice: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = send(instance, 4)
    for message in messages[:3]:
        fail_message(message)
    fail_message(messages[3], failed_at=timezone.now() - timedelta(hours=25))
    assert 'queue/#failed-title" title="In the last 24 hours">3 failed</a>' in card(alice)
    monkeypatch.setattr(health, "MAX_FAILED", 2)
    assert describe_sending(instance).failed_words == "2+ failed"


def test_the_card_is_sent_again_when_sending_changes_only(alice: Client, instance: Instance) -> None:
    def poll(seen: str) -> int:
        return alice.get("/instances/12345/status/", {"seen": seen}, headers=HTMX).status_code

    seen = alice.get("/instances/12345/").context["seen"]
    assert poll(seen) == 204
    [message] = send(instance, 1)
    assert poll(seen) == 200
    fail_message(message)
    assert poll(seen) == 200


def test_staff_see_it_too(client: Client, instance: Instance) -> None:
    fail_message(send(instance, 2)[0])
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    page = client.get(reverse("admin:instances_instance_change", args=[instance.pk])).content.decode()
    assert "1 waits. 1 failed in the last 24 h." in page
