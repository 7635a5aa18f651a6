"""`manage.py hooks load` creates thousands of hooks for load-test instances, and removes them again."""

import json
import re
import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from hooks.models import Attempt, Endpoint, Hook, Kind, State
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
URL = "http://127.0.0.1:9/load"


def load(*words: str) -> list[str]:
    output = StringIO()
    call_command("hooks", "load", *words, stdout=output)
    return output.getvalue().splitlines()


def bodies(instance: Instance) -> list[dict]:
    rows = Hook.objects.filter(endpoint_id=instance.pk).order_by("id").values_list("body", flat=True)
    return [json.loads(bytes(row)) for row in rows]


def test_hooks_are_spread_evenly_over_load_test_instances() -> None:
    [line] = load("--instances", "3", "--count", "8", "--url", URL, "--parallel", "--guaranteed")
    assert line.startswith("8 hooks created for 3 instances in ")
    instances = list(Instance.objects.order_by("pk"))
    assert [(one.name, one.owner.owner.email, one.is_paid) for one in instances] == [
        ("Load test 1", "load-test@localhost", True),
        ("Load test 2", "load-test@localhost", True),
        ("Load test 3", "load-test@localhost", True),
    ]
    assert [one.endpoint.url for one in instances] == [f"{URL}/{one.number}" for one in instances]
    assert set(Endpoint.objects.values_list("parallel", "guaranteed")) == {(True, True)}
    assert [Hook.objects.filter(endpoint_id=one.pk).count() for one in instances] == [3, 3, 2]
    assert set(Hook.objects.values_list("state", "kind")) == {(State.QUEUED, Kind.MESSAGE)}


def test_each_body_is_a_message_with_the_clock_and_a_number_that_counts_up_per_instance() -> None:
    before = time.time_ns()
    load("--instances", "2", "--count", "4", "--url", URL)
    load("--instances", "2", "--count", "2", "--url", URL)
    for instance in Instance.objects.order_by("pk"):
        found = bodies(instance)
        metadata = [body["messages"][0]["metadata"] for body in found]
        assert [entry["seq_no"] for entry in metadata] == [1, 2, 3]
        stamps = [entry["ts_ns"] for entry in metadata]
        assert before < stamps[0] < stamps[1] < stamps[2] < time.time_ns()
        assert {body["instanceId"] for body in found} == {str(instance.number)}


def test_a_rate_is_the_most_that_is_emitted_in_a_second() -> None:
    began = time.monotonic()
    load("--instances", "2", "--count", "11", "--rate", "50", "--url", URL)
    assert time.monotonic() - began >= 10 / 50
    assert Hook.objects.count() == 11


def test_with_wait_it_says_what_became_of_them(tmp_path: Path) -> None:
    with Receiver([(200, {}, b""), (200, {}, b""), (500, {}, b"")]) as receiver, Dispatch(tmp_path):
        lines = load("--instances", "1", "--count", "3", "--url", receiver.url, "--wait")
    assert re.fullmatch(
        r"All finished \d+\.\d s after the first was created: \d+/s; total 2 delivered, 1 failed\.", lines[1]
    )
    [instance] = Instance.objects.all()
    assert {received.path for received in receiver.wait_for(3)} == {f"/hook/{instance.number}"}


def test_clean_removes_the_load_and_nothing_else() -> None:
    other = InstanceFactory(url=URL)
    load("--instances", "2", "--count", "5", "--url", URL)
    hook = Hook.objects.order_by("id")[0]
    Attempt.objects.create(hook=hook, number=1, started_at=hook.created_at, url=URL, outcome="ok")
    assert load("--clean") == ["2 load-test instances removed, with 5 hooks."]
    assert list(Instance.objects.all()) == [other]
    assert (Hook.objects.count(), Attempt.objects.count()) == (0, 0)


def test_clean_never_removes_an_instance_of_a_person() -> None:
    named = InstanceFactory(name="Load test 1")
    load("--instances", "1", "--count", "1", "--url", URL)
    given = InstanceFactory(owner=Instance.objects.exclude(pk=named.pk).get().owner, name="Shop")
    assert load("--clean") == ["1 load-test instances removed, with 1 hooks."]
    assert set(Instance.objects.all()) == {named, given}


def test_a_person_with_the_load_tests_address_keeps_the_account_and_its_instances() -> None:
    account = AccountFactory(email="load-test@localhost")
    account.owner.set_password("a password of mine")
    account.owner.save()
    instance = InstanceFactory(owner=account, name="Load test 1")
    with pytest.raises(CommandError, match="has a password, so it belongs to a user"):
        load("--url", URL)
    assert load("--clean") == ["0 load-test instances removed, with 0 hooks."]
    assert list(Instance.objects.all()) == [instance]


def test_it_says_what_is_wrong_and_makes_nothing() -> None:
    with pytest.raises(CommandError, match="--url is required"):
        load("--count", "5")
    with pytest.raises(CommandError, match="must start with http:// or https://"):
        load("--url", "ftp://127.0.0.1/")
    with pytest.raises(CommandError, match="0 is less than 1"):
        load("--url", URL, "--instances", "0")
    with pytest.raises(CommandError, match="-1 is not between 0 and 1 000 000"):
        load("--url", URL, "--rate", "-1")
    assert Instance.objects.count() == 0
