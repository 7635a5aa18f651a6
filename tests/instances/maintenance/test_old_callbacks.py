"""Retention of stored callbacks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from instances.actions.callbacks import store_callback
from instances.maintenance import old_callbacks
from instances.models import StoredCallback
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


def test_handled_callbacks_are_dropped_with_bodies_failed_ones_with_the_log_waiting_ones_never() -> None:
    instance = InstanceFactory()
    now = timezone.now()
    for state in ("handled_at", "failed_at", "waiting"):
        for days in (1, 8, 31):
            key = f"{state} {days}"
            store_callback(instance, key=key, method="POST", query="", headers=[], body=b"{}")
            at = now - timedelta(days=days)
            ended = {} if state == "waiting" else {state: at}
            StoredCallback.objects.filter(key=key).update(received_at=at, **ended)
    assert old_callbacks.drop_old() == "2 handled and 1 failed callbacks dropped"
    assert set(StoredCallback.objects.values_list("key", flat=True)) == {
        "handled_at 1", "failed_at 1", "failed_at 8", "waiting 1", "waiting 8", "waiting 31",
    }  # fmt: skip
