"""Proves that no message was lost: those that an instance's API has accepted are in a state, or were removed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q

from instances.models import (
    Message,
    MessageState,
    OutgoingMessage,
    OutgoingQueue,
    SendState,
    sent_message_state,
)
from instances.models.message_states import OF_QUEUE


@dataclass(frozen=True, slots=True)
class Totals:
    """The messages of one instance: accepted, removed, and in each state; `length` is what its queue counts."""

    instance: int
    accepted: int
    removed: int
    length: int
    states: Counter[MessageState] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        """The number of accepted messages that are nowhere; 0 if none was lost."""
        return self.accepted - self.removed - self.states.total()

    @property
    def miscounted(self) -> int:
        """By how many the queue's length differs from its messages; a queue of length 0 is never sent."""
        return self.length - self.states[MessageState.QUEUED] - self.states[MessageState.SENDING]

    @property
    def is_right(self) -> bool:
        return not self.missing and not self.miscounted

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "instance": self.instance,
            "accepted": self.accepted,
            **{state.value: self.states[state] for state in MessageState},
            "removed": self.removed,
            "missing": self.missing,
            "length": self.length,
            "miscounted": self.miscounted,
        }

    def __str__(self) -> str:
        states = " + ".join(f"{self.states[state]} {state.value}" for state in MessageState)
        verdicts = []
        if self.missing:
            verdicts.append(f"{self.missing} missing")
        if self.miscounted:
            verdicts.append(f"the length of the queue is {self.length}")
        verdict = f"WRONG, {', '.join(verdicts)}" if verdicts else "ok"
        return f"instance key {self.instance}: {self.accepted} accepted = {states} + {self.removed} removed: {verdict}"


def totals() -> list[Totals]:
    """Returns the totals of each instance, in the order of their keys. Three queries, one over all messages."""
    found = {
        queue.pk: Totals(queue.pk, queue.last_number, queue.removed, queue.length)
        for queue in OutgoingQueue.objects.order_by("pk")
    }
    waiting = OutgoingMessage.objects.order_by().values_list("instance_id", "state").annotate(n=Count("id"))
    for instance, state, number in waiting:
        if instance in found:  # else a deleted instance, whose rows a task deletes
            found[instance].states[OF_QUEUE[SendState(state)]] += number
    sent = (
        Message.objects.filter(queue_number__isnull=False)
        .order_by()
        .annotate(has_failed=Q(failed_at__isnull=False))
        .values_list("instance_id", "ack", "has_failed")
        .annotate(n=Count("id"))
    )
    for instance, ack, failed, number in sent:
        if instance in found:
            found[instance].states[sent_message_state(ack, has_failed=failed)] += number
    return list(found.values())


def consistent_totals() -> list[Totals]:
    """Returns totals() of one database snapshot, unaffected by a sender at work. Call outside a transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return totals()
