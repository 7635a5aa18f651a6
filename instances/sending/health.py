"""How sending works for one instance, in words; channel_numbers.py has the numbers of all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, IntegerField, OuterRef
from django.utils import timezone

from hooks import database_clock
from instances.models import Instance, OutgoingMessage, OutgoingQueue
from instances.sending.waits import Wait, explain_queue, pace_words

FAILED_WITHIN = timedelta(hours=24)
MAX_FAILED = 1000  # failed messages that are counted


@dataclass(frozen=True, slots=True)
class SendingHealth:
    """`words` is such as "27 wait, one every 30 s"; `failed` counts the last FAILED_WITHIN, up to MAX_FAILED."""

    words: str
    failed: int

    @property
    def failed_words(self) -> str:
        return f"{self.failed}{'+' if self.failed == MAX_FAILED else ''} failed"


def describe_sending(instance: Instance) -> SendingHealth:
    """Returns the state of the instance's queue. One query, by the index of failed messages."""
    now = database_clock.now()
    failed = OutgoingMessage.objects.failed().filter(
        instance=OuterRef("pk"), failed_at__gt=now - FAILED_WITHIN
    )
    queue = OutgoingQueue.objects.annotate(
        failed=Func(
            ArraySubquery(failed.values("failed_at")[:MAX_FAILED]),
            function="cardinality",
            output_field=IntegerField(),
        )
    ).get(pk=instance.pk)
    return SendingHealth(
        queue_words(instance, queue.length, explain_queue(instance, queue, now=now)), queue.failed
    )


def queue_words(instance: Instance, length: int, wait: Wait | None) -> str:
    """Returns how many messages wait, and at what pace they are sent or why they are not."""
    waiting = f"{length} wait{'s' if length == 1 else ''}" if length else "Nothing waits"
    if wait is not None and wait.until is not None and not wait.is_pace:
        count = f"{waiting}. " if length else ""
        return f"{count}Nothing is sent until {time_words(wait.until)}: {wait.words}"
    if not length:
        return waiting
    if wait is not None and wait.until is None:
        return f"{waiting}: {wait.words}"
    return f"{waiting}, {pace_words(instance)}" if instance.send_delay else waiting


def time_words(at: datetime) -> str:
    """Returns the time with its zone, and with the day unless it is today: "12:04 UTC", "3 December, 12:04 UTC"."""
    local = timezone.localtime(at)
    if local.date() == timezone.localdate():
        return f"{local:%H:%M %Z}"
    return f"{local:%-d %B, %H:%M %Z}"
