"""Waiting hooks beyond those that a request cancels itself are cancelled by a task, in portions."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from accounts.models import AuditEntry
from hooks import tallies
from hooks.actions import redelivery, stopping
from hooks.actions.hooks import NotPossible, resend, try_now
from hooks.maintenance import cancelling, conservation
from hooks.models import Endpoint, Hook, Lane, State, Tally
from instances.actions.lifecycle import delete_instance
from instances.actions.messages import receive_message
from instances.api.serializers.endpoints import EndpointSerializer
from instances.models import Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance with 7 waiting hooks, of which a request cancels 2 and each portion of the task 2."""
    monkeypatch.setattr(stopping, "CANCELLED_AT_ONCE", 2)
    monkeypatch.setattr(cancelling, "BATCH", 2)
    instance: Instance = InstanceFactory(url="https://example.com/hook")
    for number in range(7):
        receive_message(instance, sender="17680561234", body=str(number))
    Hook.objects.exclude(kind="message").delete()
    tallies.add_up()
    Tally.objects.update(emitted=Hook.objects.count(), skipped=0)
    return instance


def states() -> list[str]:
    return list(Hook.objects.order_by("pk").values_list("state", flat=True))


def nothing_is_missing() -> bool:
    return not any(conservation.missing(row) for row in conservation.totals())


def test_a_request_cancels_some_and_records_the_rest(waiting: Instance) -> None:
    assert stopping.cancel_waiting(waiting.pk, acting_user=waiting.owner.owner) == (2, True)
    assert states() == ["cancelled"] * 2 + ["queued"] * 5
    newest = Hook.objects.latest("pk").pk
    assert Endpoint.objects.get(pk=waiting.pk).cancel_up_to == newest
    assert [task.func() for task in OrmQ.objects.all()] == ["hooks.maintenance.cancelling.cancel"]
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.detail["hooks"]) == ("hooks.cancelled", 2)
    assert nothing_is_missing()


def test_the_task_cancels_the_rest_and_no_later_hook(waiting: Instance) -> None:
    stopping.cancel_waiting(waiting.pk, acting_user=None)
    receive_message(waiting, sender="17680561234", body="later")
    assert cancelling.cancel() == "5 waiting hooks cancelled"
    assert states() == ["cancelled"] * 7 + ["queued"]
    assert Endpoint.objects.get(pk=waiting.pk).cancel_up_to is None
    assert Tally.objects.get(pk=waiting.pk).cancelled == 7
    assert nothing_is_missing()
    assert cancelling.cancel() == "0 waiting hooks cancelled"


def test_a_run_that_was_killed_is_continued(waiting: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping.cancel_waiting(waiting.pk, acting_user=None)

    def killed(*args: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(cancelling.time, "sleep", killed)
        cancelling.cancel()
    assert states().count(State.CANCELLED) == 4
    assert nothing_is_missing()
    assert cancelling.cancel() == "3 waiting hooks cancelled"
    assert set(states()) == {State.CANCELLED}


def test_endpoints_take_turns(waiting: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with few hooks does not wait for one with many."""
    other: Instance = InstanceFactory(url="https://example.com/other")
    for number in range(3):
        receive_message(other, sender="17680561234", body=str(number))
    for instance in (waiting, other):
        stopping.cancel_waiting(instance.pk, acting_user=None)
    cancel_batch = cancelling.cancel_batch
    turns: list[tuple[int, int]] = []

    def note_turn(key: int, after: int) -> list[int]:
        keys = cancel_batch(key, after)
        turns.append((key, len(keys)))
        return keys

    monkeypatch.setattr(cancelling, "cancel_batch", note_turn)
    cancelling.cancel()
    many, few = waiting.pk, other.pk
    # Each endpoint is looked through again from its start when no hook is left.
    assert turns[:6] == [(many, 2), (few, 1), (many, 2), (few, 0), (many, 1), (few, 0)]
    assert set(turns[6:]) == {(many, 0)}
    assert not Hook.objects.filter(state=State.QUEUED).exists()
    assert not Endpoint.objects.filter(cancel_up_to__isnull=False).exists()
    assert nothing_is_missing()


def test_a_deleted_instance_ends_it(waiting: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping.cancel_waiting(waiting.pk, acting_user=None)
    other: Instance = InstanceFactory(url="https://example.com/other")
    for number in range(3):
        receive_message(other, sender="17680561234", body=str(number))
    stopping.cancel_waiting(other.pk, acting_user=None)
    cancel_batch = cancelling.cancel_batch

    def delete_first(key: int, after: int) -> list[int]:
        """Deletes the instance between the list of what is recorded and its first portion."""
        if Instance.objects.filter(pk=waiting.pk).exists():
            delete_instance(waiting, acting_user=None)
        return cancel_batch(key, after)

    monkeypatch.setattr(cancelling, "cancel_batch", delete_first)
    cancelling.cancel()
    assert not Hook.objects.filter(endpoint=other.pk, state=State.QUEUED).exists()
    assert not Endpoint.objects.filter(cancel_up_to__isnull=False).exists()


def test_a_hook_that_is_handed_back_meanwhile_is_cancelled_too(
    waiting: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dispatcher had claimed the first three, and returns them after the first portion."""
    claimed = Hook.objects.order_by("pk")[2].pk
    Lane.objects.filter(pk=waiting.pk).update(cursor=claimed, owner=1)
    stopping.cancel_waiting(waiting.pk, acting_user=None)
    assert states()[:3] == ["queued"] * 3
    cancel_batch = cancelling.cancel_batch

    def hand_back_after(key: int, after: int) -> list[int]:
        keys = cancel_batch(key, after)
        Lane.objects.filter(pk=waiting.pk).update(cursor=0, owner=None)
        return keys

    monkeypatch.setattr(cancelling, "cancel_batch", hand_back_after)
    cancelling.cancel()
    assert set(states()) == {State.CANCELLED}
    assert nothing_is_missing()


def test_a_hook_is_not_resent_until_the_task_is_done(waiting: Instance) -> None:
    """The task would cancel it again. A hook that is newer than what is cancelled is resent."""
    stopping.cancel_waiting(waiting.pk, acting_user=None)
    cancelled = Hook.objects.filter(state=State.CANCELLED).earliest("pk")
    retrying = Hook.objects.filter(state=State.QUEUED).latest("pk")
    Hook.objects.filter(pk=retrying.pk).update(state=State.RETRYING, next_attempt_at=timezone.now())
    receive_message(waiting, sender="17680561234", body="later")
    later = Hook.objects.latest("pk")
    Hook.objects.filter(pk=later.pk).update(state=State.FAILED, finished_at=timezone.now())
    for action, hook in ((resend, cancelled), (try_now, retrying)):
        with pytest.raises(NotPossible, match="are being cancelled"):
            action(hook, acting_user=None)
    resend(later, acting_user=None)
    cancelling.cancel()
    assert states() == ["cancelled"] * 7 + ["retrying"]
    resend(cancelled, acting_user=None)
    cancelling.cancel()
    assert states() == ["retrying"] + ["cancelled"] * 6 + ["retrying"]


def test_a_redelivery_waits_until_the_task_is_done(waiting: Instance) -> None:
    oldest = Hook.objects.earliest("pk")
    Hook.objects.filter(pk=oldest.pk).update(state=State.FAILED, finished_at=timezone.now())
    stopping.cancel_waiting(waiting.pk, acting_user=None)
    failed = {"states": ["failed"]}
    redelivery.plan(Instance.objects.filter(pk=waiting.pk), wanted=failed, acting_user=None)
    assert redelivery.work() == 0
    cancelling.cancel()
    assert redelivery.work() == 1
    cancelling.cancel()
    assert states() == ["retrying"] + ["cancelled"] * 6


def test_pages_and_rest_say_so_until_it_is_done(waiting: Instance, client: Client) -> None:
    stopping.cancel_waiting(waiting.pk, acting_user=None)
    client.force_login(waiting.owner.owner)
    kept = Hook.objects.filter(state=State.QUEUED).first()
    assert kept is not None
    pages = [
        reverse("instances:detail", args=[waiting.number]),
        reverse("instances:endpoint", args=[waiting.number, waiting.pk]),
        f"{reverse('log:list')}?instance={waiting.number}",
        reverse("log:hook", args=[kept.public_id]),
    ]
    for page in pages:
        assert "being cancelled" in client.get(page).content.decode(), page
    assert "Being cancelled: it will not be sent." in client.get(pages[3]).content.decode()
    endpoint = Endpoint.objects.get(pk=waiting.pk)
    assert EndpointSerializer(endpoint).data["cancelling"] is True
    cancelling.cancel()
    for page in pages:
        assert "being cancelled" not in client.get(page).content.decode(), page
    endpoint.refresh_from_db()
    assert EndpointSerializer(endpoint).data["cancelling"] is False


def test_a_run_that_has_no_time_left_queues_the_next_one(waiting: Instance) -> None:
    stopping.cancel_waiting(waiting.pk, acting_user=None)
    OrmQ.objects.all().delete()
    assert cancelling.cancel(seconds=0) == "2 waiting hooks cancelled, more may be left"
    assert OrmQ.objects.count() == 1
