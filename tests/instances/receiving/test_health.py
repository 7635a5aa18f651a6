"""What users, staff and Prometheus see of an instance's receiving."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hooks.models import Role, Runner
from instances.actions.callbacks import mark_handled, store_callback
from instances.actions.channel_links import lose_link
from instances.actions.receiver_states import record_batch, record_failure, record_successes
from instances.actions.status import change_status
from instances.models import Instance, ReceiverState, StoredCallback
from instances.received_events import MessageReceived
from instances.receiving import callbacks
from instances.receiving.health import LINK_STATES
from tests.factories import InstanceFactory, UserFactory
from tests.instances.receiving import polling, pushing
from tests.instances.receiving.conftest import Link

pytestmark = pytest.mark.django_db
OWNER = 4711


@pytest.fixture
def polled(link: Link) -> Instance:
    instance = link(polling.NAME, {"token": "the-token"})
    ReceiverState.objects.update(owner=OWNER)
    return instance


def card(client: Client, instance: Instance) -> str:
    client.force_login(instance.owner.owner)
    return " ".join(client.get(reverse("instances:status", args=[instance.number])).content.decode().split())


def numbers(client: Client) -> dict[str, float]:
    lines = client.get("/metrics").content.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def fail(instance: Instance, error: str = "The messenger responded with 503.") -> None:
    record_failure(
        instance,
        owner=OWNER,
        linked_at=instance.channel_link.changed_at,
        error=error,
        failures=1,
        next_try_at=timezone.now(),
        is_link_lost=False,
    )


def test_a_card_tells_since_when_an_instance_is_connected_or_failing_and_why(
    client: Client, polled: Instance
) -> None:
    assert "Receiving: Not connected yet" in card(client, polled)
    record_successes([polled.pk], owner=OWNER)
    ReceiverState.objects.update(connected_at=timezone.now() - timedelta(minutes=5))
    record_successes([polled.pk], owner=OWNER)
    assert "Receiving: Connected since <" in card(client, polled)
    assert "5 min ago" in card(client, polled)
    fail(polled)
    ReceiverState.objects.update(failing_since=timezone.now() - timedelta(minutes=7))
    fail(polled)
    found = card(client, polled)
    assert "Receiving: Failing since <" in found and "7 min ago" in found
    assert "The messenger responded with 503." in found
    event = MessageReceived(key="k", sender="no number")
    record_batch(polled, owner=OWNER, old_cursor="", cursor="1", reported=[event], is_patient=True)
    assert "1 event could not be recorded. The last one: MessageReceived" in card(client, polled)


def test_the_card_is_sent_again_when_receiving_changes_only(client: Client, polled: Instance) -> None:
    url = reverse("instances:status", args=[polled.number])
    found = card(client, polled)
    seen = found.split("?seen=")[1].split('"')[0]
    assert client.get(f"{url}?seen={seen}").status_code == 204
    fail(polled)
    assert client.get(f"{url}?seen={seen}").status_code == 200


def test_a_card_shows_callbacks_that_wait_and_those_that_failed(client: Client, link: Link) -> None:
    pushed = link(pushing.NAME, pushing.CREDENTIALS)
    assert "Receiving: Callbacks handled" in card(client, pushed)
    store_callback(pushed, key="k", method="POST", query="", headers=[], body=b"{}")
    assert "Receiving: Callbacks waiting since" in card(client, pushed)
    callbacks.handle_due()
    assert "KeyError: &#x27;events&#x27;" in card(client, pushed)
    mark_handled(StoredCallback.objects.get(), refused=["MessageReceived: no number"])
    assert "A callback failed: MessageReceived: no number" in card(client, pushed)


def test_failed_callbacks_are_handled_again_at_the_press_of_a_button(
    client: Client, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = link(pushing.NAME, pushing.CREDENTIALS)
    url = reverse("instances:retry-callbacks", args=[pushed.number])
    body, headers = pushing.pushed({"kind": "message", "key": "k", "sender": "no number"})
    store_callback(pushed, key="k", method="POST", query="", headers=[*headers.items()], body=body)
    assert url not in card(client, pushed)
    callbacks.handle_due()
    assert url in card(client, pushed)
    monkeypatch.setattr(pushing, "read_events", lambda found: [])  # the next version can read it
    assert client.post(url).status_code == 302
    assert "Receiving: Callbacks waiting since" in card(client, pushed)
    callbacks.handle_due()
    assert url not in card(client, pushed)
    assert StoredCallback.objects.get().handled_at is not None


def test_a_sandbox_instance_has_no_such_row(client: Client) -> None:
    assert "Receiving:" not in card(client, InstanceFactory())


def test_staff_see_it_too(client: Client, polled: Instance) -> None:
    fail(polled)
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    page = client.get(reverse("admin:instances_instance_change", args=[polled.pk])).content.decode()
    assert "The messenger responded with 503." in page


def test_metrics_count_receivers_instances_and_callbacks(
    client: Client, link: Link, polled: Instance
) -> None:
    Runner.objects.create(id=OWNER, role=Role.RECEIVING, slot=0, pid=1, host="here")
    others = [link(polling.NAME, {}) for _ in range(3)]
    ReceiverState.objects.update(owner=OWNER)
    record_successes([polled.pk, others[0].pk], owner=OWNER)
    fail(others[1])
    pushed = link(pushing.NAME, pushing.CREDENTIALS)
    for key in ("failed", "waiting", "waiting too"):
        store_callback(pushed, key=key, method="POST", query="", headers=[], body=b"")
    StoredCallback.objects.filter(key="failed").update(failed_at=timezone.now())
    StoredCallback.objects.filter(key="waiting").update(received_at=timezone.now() - timedelta(minutes=1))
    found = numbers(client)
    assert found["chatapi_receivers"] == 1
    states = {
        state: found[f'chatapi_receiving_instances{{state="{state}"}}']
        for state in ("connected", "failing", "unconnected")
    }
    assert states == {"connected": 2, "failing": 1, "unconnected": 1}
    assert 0 <= found["chatapi_receiver_heartbeat_age_seconds"] < 60
    assert (found["chatapi_callbacks_waiting"], found["chatapi_callbacks_failed"]) == (2, 1)
    assert 60 <= found["chatapi_callbacks_oldest_waiting_seconds"] < 600


def test_without_such_a_channel_they_are_nought(client: Client) -> None:
    assert numbers(client)["chatapi_receivers"] == 0


def test_metrics_count_the_links_of_each_channel_by_state(client: Client, link: Link) -> None:
    empty = numbers(client)
    assert empty['chatapi_channel_links{channel="telegram",state="linked"}'] == 0
    assert str(empty["chatapi_receiver_heartbeat_age_seconds"]) == "nan"
    linked, lost, unconnected, pushed = (link(name, {}) for name in [polling.NAME] * 3 + [pushing.NAME])
    for instance in (linked, lost, pushed):
        change_status(instance, account_status="authenticated")
    lose_link(lost, reason="The token was revoked.")
    change_status(unconnected, account_status="init")
    found = numbers(client)
    states = {
        (channel, state): found[f'chatapi_channel_links{{channel="{channel}",state="{state}"}}']
        for channel in (polling.NAME, pushing.NAME)
        for state in LINK_STATES
    }
    assert states == {
        (polling.NAME, "linked"): 1,
        (polling.NAME, "lost"): 1,
        (polling.NAME, "unconnected"): 1,
        (pushing.NAME, "linked"): 1,
        (pushing.NAME, "lost"): 0,
        (pushing.NAME, "unconnected"): 0,
    }


def test_a_reason_with_characters_that_cannot_be_stored_is_recorded(polled: Instance) -> None:
    """Otherwise the failure would not be shown, and the connection would be tried again without a pause."""
    fail(polled, "Bad response: \0\ud800")
    assert ReceiverState.objects.get(instance=polled).error == "Bad response: \ufffd\ufffd"
