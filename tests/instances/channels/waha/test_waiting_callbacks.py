"""A look at a session is not recorded before what the session has reported until then: that is older."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from hooks.models import Hook
from instances.actions import callbacks
from instances.actions.callbacks import store_callback
from instances.actions.channel_links import RECHECK_SECONDS, record_check, save_link
from instances.actions.receiver_states import Overtaken, record_batch
from instances.actions.status import change_status
from instances.channels.waha.api import SESSION, URL
from instances.models import AccountStatus, Instance, ReceiverState, StatusChange, StoredCallback
from instances.received_events import ReceivedEvent, StatusReported
from tests.doubles.waha import Session, Waha
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.waha.messenger import callback_of, credentials_of
from tests.instances.receiving.processes import Receive

pytestmark = [pytest.mark.usefixtures("checked"), pytest.mark.django_db(transaction=True)]
LOOKS = 3
OWNER = 4711  # the receiver


@pytest.fixture
def waha() -> Iterator[Waha]:
    with Waha() as double:
        yield double


@pytest.fixture
def session(waha: Waha) -> Session:
    session = waha.add_session("shop")
    session.me = None
    session.start()
    return session


@pytest.fixture
def instance(waha: Waha, session: Session) -> Instance:
    made: Instance = InstanceFactory(
        channel="waha",
        account_status=AccountStatus.INIT,
        url="https://example.com/hook",
        status_notifications_on=True,
        instance_statuses=True,
    )
    save_link(
        made,
        credentials=credentials_of(session, waha.api_key),
        options={URL: waha.url, SESSION: session.name},
        acting_user=None,
    )
    return made


def store_waiting(instance: Instance, event: dict[str, Any], hmac_key: str) -> None:
    """Store an event that is handled as soon as the test says so, and is waited for until then."""
    request = callback_of(event, hmac_key)
    store_callback(
        instance,
        key=event["id"],
        method=request.method,
        query=request.query,
        headers=request.headers,
        body=request.body,
    )
    later = timezone.now() + timedelta(hours=1)
    StoredCallback.objects.filter(instance=instance, key=event["id"]).update(
        next_try_at=later, received_at=later
    )


def statuses(instance: Instance) -> list[str]:
    changes = StatusChange.objects.filter(instance=instance).order_by("pk")
    return list(changes.values_list("account_status", flat=True))


def record(instance: Instance, event: ReceivedEvent, seen_at: datetime) -> None:
    ReceiverState.objects.update(owner=OWNER)
    record_batch(
        instance,
        owner=OWNER,
        old_cursor="",
        cursor="",
        reported=[event],
        is_patient=False,
        seen_at=seen_at,
    )


def test_a_code_is_shown_after_the_older_report_that_the_session_starts(
    instance: Instance, session: Session, waha: Waha, tmp_path: Path
) -> None:
    starting, _ = session.events
    assert starting["payload"]["status"] == "STARTING"
    store_waiting(instance, starting, credentials_of(session, waha.api_key)["hmac_key"])
    with Receive(tmp_path, HOOKS_ALLOW_NETWORKS="127.0.0.0/8"):
        wait_until(lambda: session.looks >= LOOKS, "the receiver looks again and again")
        assert statuses(instance) == []
        StoredCallback.objects.update(next_try_at=timezone.now())
        wait_until(lambda: len(statuses(instance)) >= 2, "the code is recorded")
        looks = session.looks
        wait_until(lambda: session.looks > looks, "another look")
    assert statuses(instance) == ["loading", "got qr code"]
    assert Hook.objects.filter(endpoint=instance.pk, kind="status").count() == 2


def test_a_look_that_is_older_than_the_status_is_repeated(instance: Instance) -> None:
    """The user has restarted the session while it was looked at."""
    seen_at = timezone.now()
    change_status(instance, account_status=AccountStatus.LOADING)
    code = StatusReported(AccountStatus.GOT_QR_CODE)
    with pytest.raises(Overtaken):
        record(instance, code, seen_at)
    linked_at = instance.channel_link.changed_at
    record_check(instance, linked_at=linked_at, status=code, error="", is_lost=False, seen_at=seen_at)
    assert statuses(instance) == ["loading"]
    state = ReceiverState.objects.get()
    assert state.next_check_at <= timezone.now() + timedelta(seconds=RECHECK_SECONDS)
    record(instance, code, timezone.now())
    assert statuses(instance) == ["loading", "got qr code"]


def test_a_backlog_of_more_than_a_minute_is_not_waited_for(
    instance: Instance, session: Session, waha: Waha
) -> None:
    store_waiting(instance, session.events[0], credentials_of(session, waha.api_key)["hmac_key"])
    code = StatusReported(AccountStatus.GOT_QR_CODE)
    with pytest.raises(Overtaken):
        record(instance, code, timezone.now())
    long_ago = timezone.now() - timedelta(seconds=callbacks.MAX_WAIT_SECONDS + 1)
    StoredCallback.objects.update(received_at=long_ago)
    record(instance, code, timezone.now())
    assert statuses(instance) == ["got qr code"]
