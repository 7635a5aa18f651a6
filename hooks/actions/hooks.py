"""What a user can do with one hook: resend, try now, skip, cancel. Each is one transaction with its audit row."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from hooks import database_clock
from hooks.audit import ActingUser, report
from hooks.explain.sentences import body_dropped_words, is_being_cancelled
from hooks.log import statistics
from hooks.models import UNFINISHED, Attempt, Hook, Lane, SkipReason, State, Tally, Trigger
from hooks.outbox import wake

NO_URL = "The instance has no webhook URL. Set one first."
BEING_CANCELLED = "The waiting hooks of this endpoint are being cancelled. Try again when that is done."
REMOVED = "The endpoint of this hook was removed, so the hook can't be sent."


class NotPossible(Exception):
    """The action does not apply to the hook or job in its current state; str() is a sentence for the user."""


def locked(hook: Hook) -> Hook:
    """Returns the hook's current row with its endpoint; the hook is locked until the transaction ends."""
    rows = Hook.objects.select_for_update(no_key=True, of=("self",)).select_related("endpoint")
    return rows.get(pk=hook.pk)


def raise_without_url(hook: Hook) -> None:
    """Raises NotPossible if the hook can't be sent anywhere."""
    if hook.endpoint.is_removed:
        raise NotPossible(REMOVED)
    if not hook.destination():
        raise NotPossible(NO_URL)


def raise_if_being_cancelled(hook: Hook) -> None:
    """Raises NotPossible if a task would cancel the hook when it waits again; see maintenance/cancelling.py."""
    if is_being_cancelled(hook):
        raise NotPossible(BEING_CANCELLED)


def resend(hook: Hook, *, acting_user: ActingUser) -> Hook:
    """Resend a finished hook with its `webhook-id`; in its lane it is treated like a retry.

    Raises NotPossible if it has not finished, its body was dropped, there is no URL, or the waiting hooks of its
    endpoint are being cancelled.
    """
    with transaction.atomic():
        row = locked(hook)
        if not row.is_finished:
            raise NotPossible("This hook has not finished yet. Resend it when it has.")
        if row.body_dropped_at is not None:
            raise NotPossible(f"{body_dropped_words()}, so this hook can't be resent.")
        raise_without_url(row)
        raise_if_being_cancelled(row)
        before = row.state
        row.state, row.skip_reason, row.trigger = State.RETRYING, "", Trigger.RESEND
        row.next_attempt_at, row.finished_at = database_clock.query_now(), None
        row.attempts_allowed = row.attempts_made + row.endpoint.attempts_allowed
        row.redelivery = None
        row.save(
            update_fields=[
                "state", "skip_reason", "trigger", "next_attempt_at", "finished_at", "attempts_allowed", "redelivery",
            ]
        )  # fmt: skip
        statistics.subtract([(row.endpoint_id, row.public_id.hex, before)])
        wake(row.endpoint_id)
        report("hook.resent", acting_user=acting_user, instance_id=row.endpoint.instance_id, hook=row)
    return row


def try_now(hook: Hook, *, acting_user: ActingUser) -> Hook:
    """Make a retry due now.

    Raises NotPossible if the hook is not waiting for a retry or is being cancelled, its endpoint is paused, or there is
    no URL.
    """
    with transaction.atomic():
        row = locked(hook)
        if row.state != State.RETRYING:
            raise NotPossible("This hook is not waiting for another attempt.")
        raise_if_being_cancelled(row)
        if row.endpoint.paused_at is not None:
            raise NotPossible("Delivery to this endpoint is paused. Resume it to send the hook.")
        raise_without_url(row)
        row.next_attempt_at = database_clock.query_now()
        row.save(update_fields=["next_attempt_at"])
        wake(row.endpoint_id)
        report("hook.tried_now", acting_user=acting_user, instance_id=row.endpoint.instance_id, hook=row)
    return row


def skip(hook: Hook, *, acting_user: ActingUser) -> Hook:
    """Skip a waiting hook, so that its lane continues without it. Raises NotPossible if it is not waiting."""
    with transaction.atomic():
        lane = Lane.objects.select_for_update().get(pk=hook.endpoint_id)  # no dispatcher claims it meanwhile
        row = locked(hook)
        if row.state == State.SENDING or (row.state == State.QUEUED and row.pk <= lane.cursor):
            raise NotPossible("This hook is being sent now.")
        if row.is_finished:
            raise NotPossible("This hook has already finished.")
        row.state, row.skip_reason, row.finished_at = State.SKIPPED, SkipReason.BY_HAND, timezone.now()
        row.next_attempt_at = None
        row.save(update_fields=["state", "skip_reason", "finished_at", "next_attempt_at"])
        Tally.objects.filter(pk=row.endpoint_id).update(skipped=F("skipped") + 1)
        report("hook.skipped", acting_user=acting_user, instance_id=row.endpoint.instance_id, hook=row)
    return row


def cancel(hook: Hook, *, acting_user: ActingUser) -> Hook:
    """Cancel an unfinished hook. Raises NotPossible if it has finished.

    A request in flight can't be recalled: its attempt will be in the log.
    """
    with transaction.atomic():
        row = locked(hook)
        if row.state not in UNFINISHED:
            raise NotPossible("This hook has already finished.")
        row.state, row.finished_at = State.CANCELLED, timezone.now()
        row.next_attempt_at = row.lease_until = None
        row.save(update_fields=["state", "finished_at", "next_attempt_at", "lease_until"])
        Tally.objects.filter(pk=row.endpoint_id).update(cancelled=F("cancelled") + 1)
        report("hook.cancelled", acting_user=acting_user, instance_id=row.endpoint.instance_id, hook=row)
    return row


def newest_attempt(hook: Hook) -> Attempt | None:
    """Returns the latest attempt, or None before the first."""
    return hook.attempts.order_by("-number", "-id").first()
