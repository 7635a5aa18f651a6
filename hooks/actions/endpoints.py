"""Actions on an endpoint: configure, filter, rotate its secret, pause, override its URL. Each is one transaction.

hooks/actions/endpoint_list.py adds and removes endpoints.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from hooks.audit import ActingUser, report, report_endpoint
from hooks.filters import Filters, check, filters_of
from hooks.models import Endpoint, PauseReason, new_secret
from hooks.outbox import wake
from hooks.urls import webhook_urls

STRICT_OR_PARALLEL = "`strictOrder` and `parallelHooks` can't both be on. Turn one of them off."
URL_OF_LISTENER = (
    "chatapi listen fetches the hooks of this endpoint. Start it with another --forward to change the URL."
)
OLD_SECRET = timedelta(hours=24)  # hooks are signed with both secrets for this long after a rotation


class ConflictingModes(ValueError):
    """strictOrder and parallelHooks would both be on; str() is a sentence for the user."""

    def __init__(self) -> None:
        super().__init__(STRICT_OR_PARALLEL)


def configure(
    endpoint: Endpoint,
    *,
    url: str | None = None,
    guaranteed: bool | None = None,
    parallel: bool | None = None,
    strict: bool | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Change the given settings; returns only the changed ones. An empty `url` removes the URL of a first endpoint.

    `typed_url` is set to the given `url` if it differs from the URL that is requested. The caller writes the audit
    row: change_endpoint, or change_settings, which changes the instance's other settings in the same transaction.

    Raises webhook_urls.InvalidUrl, or ConflictingModes if strictOrder and parallelHooks would both be on, and changes
    no setting.
    """
    wanted: dict[str, Any] = {}
    if name is not None:
        wanted["name"] = name
    if url is not None:
        if not url.strip() and not endpoint.is_first:
            raise webhook_urls.InvalidUrl("The URL is empty. Remove the endpoint instead.")
        wanted["url"] = webhook_urls.check(url) if url.strip() else ""
        wanted["typed_url"] = url.strip() if url.strip() != wanted["url"] else ""
    if guaranteed is not None:
        wanted["guaranteed"] = guaranteed
    if parallel is not None:
        wanted["parallel"] = parallel
    if strict is not None:
        wanted["strict"] = strict
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if wanted.get("parallel", row.parallel) and wanted.get("strict", row.strict):
            raise ConflictingModes
        changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if "url" in changed:  # failures of the old URL do not count for the new one
            row.failing_since = endpoint.failing_since = None
        for name, value in changed.items():
            setattr(row, name, value)
            setattr(endpoint, name, value)
        if changed:
            row.save(update_fields=[*changed, "failing_since"])
    return changed


@transaction.atomic
def change_endpoint(
    endpoint: Endpoint,
    *,
    acting_user: ActingUser,
    url: str | None = None,
    guaranteed: bool | None = None,
    parallel: bool | None = None,
    strict: bool | None = None,
    name: str | None = None,
    filters: Filters | None = None,
) -> list[str]:
    """Change the given settings and filters of any endpoint; returns the names of the changed ones.

    Raises:
        webhook_urls.InvalidUrl, ConflictingModes, InvalidFilters: a value is not valid; nothing was changed.
            InvalidUrl too for another URL of an endpoint whose hooks `chatapi listen` fetches.
    """
    if url is not None and endpoint.is_listener and webhook_urls.check(url) != endpoint.url:
        raise webhook_urls.InvalidUrl(URL_OF_LISTENER)
    if filters is not None:
        filters = check(filters)
    changed = configure(endpoint, url=url, guaranteed=guaranteed, parallel=parallel, strict=strict, name=name)
    changed.pop("typed_url", None)
    names = [*changed, *(save_filters(endpoint, filters) if filters is not None else [])]
    if names:
        report_endpoint("endpoint.changed", endpoint, acting_user=acting_user, changed=names)
    return names


@transaction.atomic
def set_filters(endpoint: Endpoint, *, filters: Filters, acting_user: ActingUser) -> list[str]:
    """Choose the events for which the endpoint gets hooks; returns the names of the changed filters.

    Hooks that exist already are not affected. Raises InvalidFilters.
    """
    return change_endpoint(endpoint, filters=filters, acting_user=acting_user)


def save_filters(endpoint: Endpoint, filters: Filters) -> list[str]:
    """Save checked filters; returns the names of the changed ones. The caller writes the audit row."""
    before = filters_of(endpoint)._asdict()
    changed = [name for name, value in filters._asdict().items() if value != before[name]]
    for name in changed:
        value = getattr(filters, name)
        setattr(endpoint, name, list(value) if isinstance(value, tuple) else value)
    if changed:
        endpoint.save(update_fields=changed)
    return changed


def rotate_secret(endpoint: Endpoint, *, acting_user: ActingUser, keep_old: bool = True) -> str:
    """Create a new signing secret; returns it.

    For a day every hook is signed with both secrets, so that receivers have time to switch. A second rotation within
    the day ends the oldest secret. `keep_old=False` ends the old secret immediately: use it after a leak.
    """
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        endpoint.previous_secret = row.secret if keep_old else ""
        endpoint.previous_secret_until = timezone.now() + OLD_SECRET if keep_old else None
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
        report_endpoint("instance.secret_rotated", row, acting_user=acting_user, old_secret_kept=keep_old)
    return endpoint.secret


@transaction.atomic
def end_previous_secret(endpoint: Endpoint, *, acting_user: ActingUser) -> None:
    """End the old secret of a rotation before its 24 hours are over. Does nothing if it has ended before."""
    row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    endpoint.previous_secret, endpoint.previous_secret_until = "", None
    if not row.previous_secret:
        return
    endpoint.save(update_fields=["previous_secret", "previous_secret_until"])
    report_endpoint("instance.old_secret_ended", endpoint, acting_user=acting_user)


def pause(endpoint: Endpoint, *, acting_user: ActingUser) -> Endpoint:
    """Pause delivery: hooks are queued until resume(). No change if it is paused already.

    Hooks that a dispatcher has already claimed (about half a second's worth) are still sent.
    """
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.paused_at is None:
            row.paused_at, row.pause_reason = timezone.now(), PauseReason.BY_HAND
            row.save(update_fields=["paused_at", "pause_reason"])
            report_endpoint("delivery.paused", row, acting_user=acting_user)
    return row


def pause_failing(endpoint: Endpoint, *, before: datetime) -> Endpoint | None:
    """Pause an endpoint whose attempts have all failed since `before` or earlier; None if they have not."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.paused_at is not None or row.failing_since is None or row.failing_since > before:
            return None
        row.paused_at, row.pause_reason = timezone.now(), PauseReason.FAILING
        row.save(update_fields=["paused_at", "pause_reason"])
    return row


def mark_pause_notified(endpoint: Endpoint) -> None:
    """Record that the owner was notified of the pause."""
    Endpoint.objects.filter(pk=endpoint.pk, paused_at=endpoint.paused_at).update(pause_told_at=timezone.now())


def resume(endpoint: Endpoint, *, acting_user: ActingUser) -> Endpoint:
    """Resume delivery, slowly at first (hooks/dispatch/catch_up.py). Hooks that became due meanwhile are due now.

    A pause with the reason "stopped" stays: see hooks/actions/stopping.py.
    """
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.paused_at is not None and row.pause_reason != PauseReason.STOPPED:
            end_pause(row)
            report_endpoint("delivery.resumed", row, acting_user=acting_user)
    return row


def end_pause(row: Endpoint) -> None:
    """End the pause of a locked row and wake its lane."""
    row.paused_at = row.pause_told_at = row.failing_since = None
    row.pause_reason, row.resumed_at = "", timezone.now()
    row.save(update_fields=["paused_at", "pause_reason", "pause_told_at", "failing_since", "resumed_at"])
    wake(row.pk)


@transaction.atomic
def override_url(
    endpoint: Endpoint,
    *,
    url: str,
    until: datetime,
    forwards: bool = False,
    acting_user: ActingUser,
) -> None:
    """Send the hooks to `url` until `until` or end_override(); the endpoint's own URL is kept.

    With `forwards` the own URL, if there is one, also gets a hook for every event.
    """
    endpoint.override_url, endpoint.override_until = webhook_urls.check(url), until
    endpoint.override_also_sends_to_own = forwards
    endpoint.save(update_fields=["override_url", "override_until", "override_also_sends_to_own"])
    report(
        "verification.started",
        acting_user=acting_user,
        instance_id=endpoint.instance_id,
        until=until.isoformat(),
    )


@transaction.atomic
def end_override(endpoint: Endpoint, *, acting_user: ActingUser) -> None:
    """End the URL override before its time."""
    endpoint.override_url, endpoint.override_until, endpoint.override_also_sends_to_own = "", None, False
    endpoint.save(update_fields=["override_url", "override_until", "override_also_sends_to_own"])
    report("verification.ended", acting_user=acting_user, instance_id=endpoint.instance_id)


def end_all_overrides() -> int:
    """End every URL override after an outage (bins are no longer watched); returns how many were ended."""
    return Endpoint.objects.filter(override_until__gt=timezone.now()).update(
        override_url="", override_until=None, override_also_sends_to_own=False
    )
