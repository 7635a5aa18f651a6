"""Tries and failed messages are deleted after HOOKS_KEEP_DAYS, and the sums stay right."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from hooks.models import Outcome
from instances.actions.sending.accept import send_message
from instances.maintenance import conservation, old_tries
from instances.models import Instance, OutgoingMessage, OutgoingQueue, SendingTry, SendState, TryResult
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)
OLD = timedelta(days=settings.HOOKS_KEEP_DAYS, minutes=1)
RECENT = timedelta(days=settings.HOOKS_KEEP_DAYS) - timedelta(minutes=1)


def failed_message(instance: Instance, age: timedelta) -> OutgoingMessage:
    """A message that has failed this long ago, with its try."""
    at = timezone.now() - age
    message = send_message(instance, chat_id="17680561234@c.us", body="hello")
    OutgoingMessage.objects.filter(pk=message.pk).update(state=SendState.FAILED, failed_at=at)
    OutgoingQueue.objects.filter(pk=instance.pk).shorten(1)
    SendingTry.objects.create(
        instance=instance,
        message_id=message.message_id,
        queue_number=message.queue_number,
        number=1,
        started_at=at,
        method="POST",
        url="https://messenger.example.com/messages",
        outcome=Outcome.NOT_200,
        status=400,
        result=TryResult.REFUSED,
    )
    return message


def test_old_rows_are_dropped_and_counted_as_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_tries, "BATCH", 2)
    ann, ben = InstanceFactory(), InstanceFactory()
    for instance in (ann, ben, ann):
        failed_message(instance, OLD)
    kept = failed_message(ben, RECENT)
    waiting = send_message(ann, chat_id="17680561234@c.us", body="waiting")
    assert old_tries.drop_old() == "3 tries and 3 failed messages dropped"
    assert set(OutgoingMessage.objects.all()) == {kept, waiting}
    assert SendingTry.objects.get().message_id == kept.message_id
    totals = {one.instance: one for one in conservation.totals()}
    assert [totals[key].removed for key in (ann.pk, ben.pk)] == [2, 1]
    assert all(one.is_right for one in totals.values())


def test_it_is_scheduled() -> None:
    assert ("instances.maintenance.old_tries.drop_old", 60) in settings.SCHEDULES.values()
