"""20 000 waiting hooks are cancelled while a dispatcher sends, and the task is killed: no cancelled hook is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.db.models import F

from hooks.actions import stopping
from hooks.maintenance import cancelling, conservation
from hooks.models import Endpoint, Hook, Kind, State, Tally
from instances.models import Instance
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import Dispatcher, emit
from tests.hooks.dispatch.dispatching import Dispatch, wait_until
from tests.product import ROOT
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

WAITING = 20_000
# Ends inside a transaction that has cancelled hooks, and waits to be killed.
KILLED = """
import time
import django
django.setup()
from hooks.maintenance import cancelling

cancelling.BATCH = 500
cancel_portion, portions = cancelling.cancel_portion, []

def count_and_wait(*arguments, **options):
    keys = cancel_portion(*arguments, **options)
    portions.append(keys)
    if len(portions) == 5:
        print("cancelling", flush=True)
        time.sleep(3600)
    return keys

cancelling.cancel_portion = count_and_wait
cancelling.cancel()
"""


def add_waiting(instance: Instance) -> None:
    Hook.objects.bulk_create(
        (Hook(endpoint_id=instance.pk, kind=Kind.MESSAGE, body=b"%d" % number) for number in range(WAITING)),
        batch_size=5_000,
    )
    Tally.objects.filter(pk=instance.pk).update(emitted=F("emitted") + WAITING)


def assert_conserved() -> None:
    assert not any(conservation.missing(row) for row in conservation.consistent_totals())


def test_a_dispatcher_sends_nothing_that_was_cancelled_although_the_task_is_killed(tmp_path: Path) -> None:
    with Receiver() as receiver, Dispatch(tmp_path) as dispatch:
        instance: Instance = InstanceFactory(url=receiver.url)
        hooks = Hook.objects.filter(endpoint=instance.pk)
        add_waiting(instance)
        wait_until(lambda: hooks.filter(state=State.DELIVERED).exists(), "hooks are sent", 60)
        assert stopping.cancel_waiting(instance.pk, acting_user=None).has_more
        killed = subprocess.Popen(
            [sys.executable, "-c", KILLED],
            cwd=ROOT,
            env=dispatch.environment | {"DJANGO_SETTINGS_MODULE": "chatapi.settings"},
            stdout=subprocess.PIPE,
            text=True,
        )
        with killed:
            assert killed.stdout
            assert killed.stdout.readline() == "cancelling\n"
            killed.kill()
        assert_conserved()
        assert hooks.filter(state=State.CANCELLED).count() == stopping.CANCELLED_AT_ONCE + 4 * 500
        cancelling.cancel()
        assert_conserved()
        [later] = emit(Endpoint.objects.get(pk=instance.pk))
        wait_until(lambda: Hook.objects.get(pk=later.pk).state == State.DELIVERED, "the later hook", 60)
        assert not hooks.exclude(state__in=(State.DELIVERED, State.CANCELLED)).exists()
        cancelled = {
            bytes(body) for body in hooks.filter(state=State.CANCELLED).values_list("body", flat=True)
        }
        arrived = [received.body for received in receiver.requests]
        assert not cancelled & set(arrived[:-1])
        assert len(arrived) == hooks.filter(state=State.DELIVERED).count()
    assert_conserved()


def test_nothing_of_the_endpoint_is_claimed_until_its_hooks_are_cancelled() -> None:
    me = Dispatcher(1_000_000_000_001)
    instance: Instance = InstanceFactory(url="http://a.example/")
    add_waiting(instance)
    stopping.cancel_waiting(instance.pk, acting_user=None)
    endpoint = Endpoint.objects.get(pk=instance.pk)
    [later] = emit(endpoint)
    assert me.claim(endpoint) == []
    cancelling.cancel()
    assert [hook.id for hook in me.claim(endpoint)] == [later.pk]
    me.session.close()
