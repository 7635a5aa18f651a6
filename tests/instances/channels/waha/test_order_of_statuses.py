"""Statuses of a session that arrive late, in another order, or again: WAHA repeats each by itself, for nine hours."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from instances.actions.channel_links import save_link
from instances.models import AccountStatus, ChannelLink, Instance, ReceiverState
from tests.doubles.waha import Session
from tests.factories import InstanceFactory
from tests.instances.channels.waha.messenger import WahaMessenger

pytestmark = pytest.mark.django_db
MESSENGER = WahaMessenger()


@pytest.fixture
def instance(settings: Any) -> Instance:
    settings.WAHA_SERVERS = {}
    found: Instance = InstanceFactory(channel="waha")
    MESSENGER.link(found)
    return found


@pytest.fixture
def session(instance: Instance) -> Session:
    return MESSENGER.session(instance)


def status(instance: Instance) -> str:
    instance.refresh_from_db()
    return instance.account_status


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_the_last_status_counts_in_whichever_order_they_arrive(
    instance: Instance, session: Session, order: tuple[int, ...]
) -> None:
    for state in ("STARTING", "SCAN_QR_CODE", "WORKING"):
        session.change(state)
    events = session.events[-3:]
    for number in order:
        MESSENGER.deliver(instance, events[number])
    assert status(instance) == AccountStatus.AUTHENTICATED


def test_a_late_log_out_does_not_lose_the_phone_that_was_linked_again(
    instance: Instance, session: Session
) -> None:
    session.change("WORKING")
    MESSENGER.deliver_new(instance)
    session.change("SCAN_QR_CODE")
    session.change("WORKING")
    logged_out, linked = session.events[-2:]
    MESSENGER.deliver(instance, linked)
    MESSENGER.deliver(instance, logged_out)
    assert status(instance) == AccountStatus.AUTHENTICATED
    assert ReceiverState.objects.get(instance=instance).lost_at is None


def test_a_working_session_that_was_logged_out_meanwhile_is_not_reported_as_linked(
    instance: Instance, session: Session
) -> None:
    session.change("WORKING")
    session.change("SCAN_QR_CODE")
    for event in (*session.events[-2:], session.events[-2]):  # the first one again
        MESSENGER.deliver(instance, event)
    assert status(instance) == AccountStatus.GOT_QR_CODE


def test_of_another_account_any_status_counts(instance: Instance, session: Session) -> None:
    """Its server may have another clock."""
    session.change("SCAN_QR_CODE")
    session.change("WORKING")
    MESSENGER.deliver(instance, session.events[-1])
    link = ChannelLink.objects.get(instance=instance)
    save_link(
        instance,
        credentials=link.credentials,
        external_id="another@double",
        options=link.options,
        acting_user=None,
    )
    MESSENGER.deliver(instance, session.events[-2])
    assert status(instance) == AccountStatus.GOT_QR_CODE


def test_a_wrong_clock_does_not_hide_later_statuses(instance: Instance, session: Session) -> None:
    session.change("SCAN_QR_CODE")
    session.change("WORKING")
    code_shown, working = session.events[-2:]
    in_2999 = int(datetime(2999, 1, 1, tzinfo=UTC).timestamp() * 1000)
    MESSENGER.deliver(instance, {**code_shown, "timestamp": in_2999})
    assert status(instance) == AccountStatus.GOT_QR_CODE
    MESSENGER.deliver(instance, working)
    assert status(instance) == AccountStatus.AUTHENTICATED


def test_a_time_in_the_future_that_was_stored_hides_nothing(instance: Instance, session: Session) -> None:
    session.change("SCAN_QR_CODE")
    ReceiverState.objects.filter(instance=instance).update(status_at=datetime(2999, 1, 1, tzinfo=UTC))
    MESSENGER.deliver(instance, session.events[-1])
    assert status(instance) == AccountStatus.GOT_QR_CODE
