"""Everything that is done to endpoints and hooks by people, pages and programs; each atomic."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from hooks import webhook_urls
from hooks.actions.simulation import simulate, simulate_again
from hooks.audit import tell
from hooks.explain import body_dropped_words
from hooks.models import (
    UNFINISHED,
    Attempt,
    Endpoint,
    Hook,
    Lane,
    PauseReason,
    SkipReason,
    State,
    Tally,
    Trigger,
    new_secret,
)
from hooks.outbox import wake

OLD_SECRET = timedelta(hours=24)  # for so long after a rotation hooks are signed with both secrets


class NotPossible(Exception):
    """The action does not apply to the hook as it stands now; str() is a sentence for people."""


def open_endpoint(instance_id: int) -> Endpoint:
    """Make the endpoint (and lane) of a new instance, without an address."""
    with transaction.atomic():
        endpoint = Endpoint.objects.create(instance_id=instance_id)
        Lane.objects.create(endpoint=endpoint)
        Tally.objects.create(endpoint=endpoint)
    return endpoint


def configure(
    endpoint: Endpoint,
    *,
    acting_user: Any = None,
    url: str | None = None,
    guaranteed: bool | None = None,
    parallel: bool | None = None,
) -> dict[str, Any]:
    """Change what is given; returns only what changed. An empty `url` means: no address.

    Raises addresses.BadAddress, and then nothing has changed.
    """
    wanted: dict[str, Any] = {}
    if url is not None:
        wanted["url"] = webhook_urls.check(url) if url.strip() else ""
    if guaranteed is not None:
        wanted["guaranteed"] = guaranteed
    if parallel is not None:
        wanted["parallel"] = parallel
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if "url" in changed:  # what the old address did says nothing about the new one
            row.failing_since = endpoint.failing_since = None
        for name, value in changed.items():
            setattr(row, name, value)
            setattr(endpoint, name, value)
        if changed:
            row.save(update_fields=[*changed, "failing_since"])
    return changed


def rotate_secret(endpoint: Endpoint, *, acting_user: Any, keep_old: bool = True) -> str:
    """A new signing secret; returns it.

    For a day every hook carries a signature by each of the two, so that receivers may change over in their own
    time; a second rotation within the day ends the oldest. Not with `keep_old=False`, for a secret that has leaked.
    """
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        endpoint.previous_secret = row.secret if keep_old else ""
        endpoint.previous_secret_until = timezone.now() + OLD_SECRET if keep_old else None
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
        tell("instance.secret_rotated", acting_user=acting_user, instance_id=row.pk, old_secret_kept=keep_old)
    return endpoint.secret


@transaction.atomic
def end_previous_secret(endpoint: Endpoint, *, acting_user: Any) -> None:
    """End the old secret of a rotation before its day is over."""
    endpoint.previous_secret, endpoint.previous_secret_until = "", None
    endpoint.save(update_fields=["previous_secret", "previous_secret_until"])
    tell("instance.old_secret_ended", acting_user=acting_user, instance_id=endpoint.pk)


def pause(endpoint: Endpoint, *, acting_user: Any) -> Endpoint:
    """Let the hooks gather: nothing is sent until resume(), and nothing is lost. Paused already: no change.

    What a dispatcher has claimed, half a second's worth, still goes.
    """
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.paused_at is None:
            row.paused_at, row.pause_reason = timezone.now(), PauseReason.BY_HAND
            row.save(update_fields=["paused_at", "pause_reason"])
            tell("delivery.paused", acting_user=acting_user, instance_id=row.pk)
    return row


def pause_failing(endpoint: Endpoint, *, before: datetime) -> Endpoint | None:
    """Pause one that has given nothing but failures since `before` or longer; None: not so any more."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.paused_at is not None or row.failing_since is None or row.failing_since > before:
            return None
        row.paused_at, row.pause_reason = timezone.now(), PauseReason.FAILING
        row.save(update_fields=["paused_at", "pause_reason"])
    return row


def pause_was_told(endpoint: Endpoint) -> None:
    """The owner has been written to."""
    Endpoint.objects.filter(pk=endpoint.pk, paused_at=endpoint.paused_at).update(pause_told_at=timezone.now())


def resume(endpoint: Endpoint, *, acting_user: Any = None) -> Endpoint:
    """Send again, slowly at first (hooks/dispatch/catch_up.py); what became due meanwhile is due now.

    One that is paused because its instance is stopped stays so: see hooks/actions/stopping.py.
    """
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.paused_at is not None and row.pause_reason != PauseReason.STOPPED:
            go_on(row)
            tell("delivery.resumed", acting_user=acting_user, instance_id=row.pk)
    return row


def go_on(row: Endpoint) -> None:
    """End the pause of a locked row, and wake its lane."""
    row.paused_at = row.pause_told_at = row.failing_since = None
    row.pause_reason, row.resumed_at = "", timezone.now()
    row.save(update_fields=["paused_at", "pause_reason", "pause_told_at", "failing_since", "resumed_at"])
    wake(row.pk)


@transaction.atomic
def borrow_address(
    endpoint: Endpoint, *, url: str, until: datetime, forwards: bool = False, acting_user: Any = None
) -> None:
    """Until then (or return_address) the hooks go to `url`; the endpoint's own address stays as it is.

    With `forwards` the own address, if there is one, gets a hook of its own for every event as well.
    """
    endpoint.borrowed_url, endpoint.borrowed_until = webhook_urls.check(url), until
    endpoint.borrowed_forwards = forwards
    endpoint.save(update_fields=["borrowed_url", "borrowed_until", "borrowed_forwards"])
    tell("verification.started", acting_user=acting_user, instance_id=endpoint.pk, until=until.isoformat())


@transaction.atomic
def return_address(endpoint: Endpoint, *, acting_user: Any = None) -> None:
    """End the borrowing before its time."""
    endpoint.borrowed_url, endpoint.borrowed_until, endpoint.borrowed_forwards = "", None, False
    endpoint.save(update_fields=["borrowed_url", "borrowed_until", "borrowed_forwards"])
    tell("verification.ended", acting_user=acting_user, instance_id=endpoint.pk)


def return_all_addresses() -> int:
    """End every borrowing, after all has stood still: whoever watched a bin is no longer watching. How many."""
    return Endpoint.objects.filter(borrowed_until__gt=timezone.now()).update(
        borrowed_url="", borrowed_until=None, borrowed_forwards=False
    )


def resend(hook: Hook, *, acting_user: Any) -> Hook:
    """Send a finished hook again, under its old `webhook-id`; it takes the lane's turn like a retry.

    Raises NotPossible while it is still under way.
    """
    with transaction.atomic():
        row = (
            Hook.objects.select_for_update(no_key=True, of=("self",))
            .select_related("endpoint")
            .get(pk=hook.pk)
        )
        if not row.is_finished:
            raise NotPossible("This hook is still under way; it can be sent again when it has finished.")
        if row.body_dropped_at is not None:
            raise NotPossible(f"{body_dropped_words()}, so this hook can't be sent again.")
        if not (row.to_url or row.endpoint.effective_url()):
            raise NotPossible("The instance has no webhook address. Set one first.")
        row.state, row.skip_reason, row.trigger = State.RETRYING, "", Trigger.RESEND
        row.next_attempt_at, row.finished_at = timezone.now(), None
        row.attempts_allowed = row.attempts_made + row.endpoint.attempts_allowed
        row.redelivery = None
        row.save(
            update_fields=[
                "state", "skip_reason", "trigger", "next_attempt_at", "finished_at", "attempts_allowed", "redelivery",
            ]
        )  # fmt: skip
        wake(row.endpoint_id)
        tell("hook.resent", acting_user=acting_user, instance_id=row.endpoint_id, hook=row)
    return row


def try_now(hook: Hook, *, acting_user: Any) -> Hook:
    """Make a retry due at once. Raises NotPossible when the hook does not wait for one, or its endpoint is paused."""
    with transaction.atomic():
        row = (
            Hook.objects.select_for_update(no_key=True, of=("self",))
            .select_related("endpoint")
            .get(pk=hook.pk)
        )
        if row.state != State.RETRYING:
            raise NotPossible("This hook does not wait for another attempt.")
        if row.endpoint.paused_at is not None:
            raise NotPossible("Delivery to this address is paused. Resume it, and the hook goes by itself.")
        row.next_attempt_at = timezone.now()
        row.save(update_fields=["next_attempt_at"])
        wake(row.endpoint_id)
        tell("hook.tried_now", acting_user=acting_user, instance_id=row.endpoint_id, hook=row)
    return row


def skip(hook: Hook, *, acting_user: Any) -> Hook:
    """Pass over a hook that waits, so that its lane goes on without it. Raises NotPossible when it does not wait."""
    with transaction.atomic():
        row = Hook.objects.select_for_update(no_key=True).get(pk=hook.pk)
        if row.state == State.SENDING:
            raise NotPossible("This hook is being sent at this moment.")
        if row.is_finished:
            raise NotPossible("This hook has finished already.")
        row.state, row.skip_reason, row.finished_at = State.SKIPPED, SkipReason.BY_HAND, timezone.now()
        row.next_attempt_at = None
        row.save(update_fields=["state", "skip_reason", "finished_at", "next_attempt_at"])
        Tally.objects.filter(pk=row.endpoint_id).update(skipped=F("skipped") + 1)
        tell("hook.skipped", acting_user=acting_user, instance_id=row.endpoint_id, hook=row)
    return row


def cancel(hook: Hook, *, acting_user: Any) -> Hook:
    """Give a waiting hook up. Raises NotPossible when it has finished.

    A request that is under way at this moment can't be called back: its attempt will be in the log.
    """
    with transaction.atomic():
        row = Hook.objects.select_for_update(no_key=True).get(pk=hook.pk)
        if row.state not in UNFINISHED:
            raise NotPossible("This hook has finished already.")
        row.state, row.finished_at = State.CANCELLED, timezone.now()
        row.next_attempt_at = row.lease_until = None
        row.save(update_fields=["state", "finished_at", "next_attempt_at", "lease_until"])
        Tally.objects.filter(pk=row.endpoint_id).update(cancelled=F("cancelled") + 1)
        tell("hook.cancelled", acting_user=acting_user, instance_id=row.endpoint_id, hook=row)
    return row


def newest_attempt(hook: Hook) -> Attempt | None:
    return hook.attempts.order_by("-number", "-id").first()


__all__ = [
    "NotPossible",
    "borrow_address",
    "cancel",
    "configure",
    "end_previous_secret",
    "go_on",
    "newest_attempt",
    "open_endpoint",
    "pause",
    "pause_failing",
    "pause_was_told",
    "resend",
    "resume",
    "return_address",
    "return_all_addresses",
    "rotate_secret",
    "simulate",
    "simulate_again",
    "skip",
    "try_now",
]
