"""An instance with a URL, whose hooks are queued; and its hooks so far."""

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
    """A paid, authenticated instance with a URL and all flags on; its own phone is 15550001111."""
    instance = InstanceFactory(
        owner__email="alice@example.org", number=12345, phone="15550001111", url="https://example.com/hook"
    )
    flags = ("ackNotificationsOn", "statusNotificationsOn", "chatUpdateOn")
    change_settings(instance, changes=dict.fromkeys(flags, True))
    return instance


@pytest.fixture
def alice(instance: Instance) -> Client:
    """A client signed in as alice, who owns `instance`."""
    client = Client()
    client.force_login(instance.owner.owner)
    return client


@pytest.fixture
def bob(instance: Instance) -> Client:
    """A client signed in as bob, who has no access to `instance`."""
    client = Client()
    client.force_login(UserFactory(email="bob@example.org"))
    return client


@pytest.fixture
def emitted(instance: Instance) -> Emitted:
    """`emitted()`: for every hook so far, in order, its kind, skip reason ("" if queued) and its one item."""

    def read() -> list[tuple[str, str, Any]]:
        found = []
        for hook in Hook.objects.filter(endpoint_id=instance.pk).order_by("id"):
            body = json.loads(bytes(hook.body))
            assert body.pop("instanceId") == "12345"
            ((item,),) = body.values()
            found.append((hook.kind, hook.skip_reason, item))
        return found

    return read
