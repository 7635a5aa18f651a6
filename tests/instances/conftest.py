"""An instance whose hooks go somewhere, so that they are queued; and what has been emitted so far."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from hooks.models import Hook
from instances.actions.settings import change_settings
from instances.models import Instance
from tests.factories import InstanceFactory, UserFactory

Emitted = Callable[[], list[tuple[str, str, Any]]]


@pytest.fixture
def instance(db: None) -> Instance:
    """Paid and authenticated, with an address and all flags on; its own phone is 15550001111."""
    instance = InstanceFactory(
        owner__email="alice@example.org", number=12345, phone="15550001111", url="https://example.com/hook"
    )
    flags = ("ackNotificationsOn", "statusNotificationsOn", "chatUpdateOn")
    change_settings(instance, dict.fromkeys(flags, True))
    return instance


@pytest.fixture
def alice(instance: Instance) -> Client:
    """A browser in which alice is signed in, who owns `instance`."""
    client = Client()
    client.force_login(instance.owner.owner)
    return client


@pytest.fixture
def bob(instance: Instance) -> Client:
    """A browser in which bob is signed in: a stranger to `instance`."""
    client = Client()
    client.force_login(UserFactory(email="bob@example.org"))
    return client


@pytest.fixture
def emitted(instance: Instance) -> Emitted:
    """`emitted()`: of every hook so far, in order, its kind, its skip reason ("" when queued) and its one item."""

    def read() -> list[tuple[str, str, Any]]:
        found = []
        for hook in Hook.objects.filter(endpoint_id=instance.pk).order_by("id"):
            body = json.loads(bytes(hook.body))
            assert body.pop("instanceId") == "12345"
            ((item,),) = body.values()
            found.append((hook.kind, hook.skip_reason, item))
        return found

    return read
