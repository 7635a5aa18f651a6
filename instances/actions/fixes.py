"""Fixes the cause of a failed or skipped hook where the product can: another URL, or a setting that is off.

What a fix will do is decided by the hook's row and its newest attempt; pages show it before, and pass it to the action,
which refuses if it has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db import transaction

from accounts.models import User
from hooks.actions import hooks as hook_actions
from hooks.actions import issues as issue_actions
from hooks.actions.endpoints import change_endpoint
from hooks.actions.hooks import NotPossible, newest_attempt
from hooks.explain.suggested_urls import suggested_url
from hooks.log.counts import Count
from hooks.log.issue_hooks import count_hooks, issue_of
from hooks.models import GUARANTEED_ATTEMPTS, Attempt, Hook, Issue, Kind, Outcome, SkipReason, State
from hooks.urls.webhook_urls import host_of
from instances.actions.settings import change_settings
from instances.models import Instance
from instances.settings_table import FLAGS_OF_KINDS, find

GUARANTEED = "guaranteedHooks"
ARCHIVED = "processArchive"
# The settings that a fix can turn on, by their wire names.
SETTINGS = (*FLAGS_OF_KINDS.values(), ARCHIVED, GUARANTEED)
CHANGED_SINCE = "The webhook URL or the hook was changed since this page was shown. Look at the hook again."


class UrlFix(NamedTuple):
    """The endpoint's URL, empty if it has none, and the one to use instead; `is_other_host`: the response led to it."""

    now: str
    url: str
    is_other_host: bool


class Fixes(NamedTuple):
    """What the product can change: the URL, or the setting with this wire name; at most one of them."""

    url: UrlFix | None = None
    setting: str = ""

    @property
    def suggested_url(self) -> str:
        return self.url.url if self.url else ""


class Resends(NamedTuple):
    """What can be resent after a fix: this hook, and `others` of all that failed with the same cause, its `issue`."""

    this: bool
    issue: Issue | None = None
    others: Count = Count()
    all: Count = Count()


def suggested_fixes(hook: Hook, instance: Instance, attempt: Attempt | None) -> Fixes:
    """Returns the fixes of a hook by its newest attempt: those of the buttons on its page, and of REST.

    No query; the hook's endpoint must be loaded.
    """
    url = url_fix(hook, attempt)
    # retries at the wrong URL would fail, too
    return Fixes(url, "" if url else switch_fix(hook, instance))


def fixes_of_issues(issues: Iterable[Issue], newest: Mapping[int, Attempt]) -> dict[int, Fixes]:
    """Returns the fixes of each issue by its key: those of the hook of its newest failed attempt. One query.

    `newest` are these attempts by the issue's key; `endpoint.instance` of the issues must be loaded.
    """
    hooks = Hook.objects.defer("body").in_bulk([attempt.hook_id for attempt in newest.values()])
    found = {}
    for issue in issues:
        attempt = newest.get(issue.pk)
        hook = hooks.get(attempt.hook_id) if attempt else None  # both may be deleted by now
        if hook is not None:
            hook.endpoint = issue.endpoint
        found[issue.pk] = suggested_fixes(hook, issue.endpoint.instance, attempt) if hook else Fixes()
    return found


def url_fix(hook: Hook, attempt: Attempt | None, *, is_test: bool = False) -> UrlFix | None:
    """Returns the fix of a hook by its newest attempt; None if the attempt suggests none or is out of date.

    No query; the hook's endpoint must be loaded. The attempt is out of date if the hook was delivered since, or if the
    endpoint has another URL now. With `is_test` a simulated hook was a test of a URL that need not be saved.
    `chatapi listen` sets the URL of its endpoint itself.
    """
    endpoint = hook.endpoint
    if attempt is None or hook.state == State.DELIVERED or endpoint.is_removed or endpoint.is_listener:
        return None
    if attempt.url != endpoint.url and not (is_test and hook.simulated):
        return None
    url = suggested_url(attempt)
    if not url or url == endpoint.url:
        return None
    return UrlFix(endpoint.url, url, host_of(url) != host_of(attempt.url))


def switch_fix(hook: Hook, instance: Instance) -> str:
    """Returns the wire name of the setting that is off and kept the hook from being sent or retried; empty if none.

    No query; the hook's endpoint must be loaded.
    """
    match hook.state, hook.skip_reason:
        case State.SKIPPED, SkipReason.FLAG_OFF:
            name = FLAGS_OF_KINDS.get(Kind(hook.kind), "")
        case State.SKIPPED, SkipReason.ARCHIVED:
            name = ARCHIVED
        case State.FAILED, _ if hook.attempts_made and not hook.simulated:
            is_off = not hook.endpoint.guaranteed and not hook.endpoint.is_removed
            return GUARANTEED if is_off and hook.attempts_allowed < GUARANTEED_ATTEMPTS else ""
        case _:
            return ""
    return name if name and not find(name).read(instance) else ""


def resends_of(hook: Hook, attempt: Attempt | None) -> Resends:
    """Returns what can be resent after a fix. Up to two queries, for a failed attempt."""
    # A hook with a URL of its own, such as a simulation, would go there again.
    can_resend = not hook.to_url and not hook.endpoint.is_removed and hook.body_dropped_at is None
    this = can_resend and (hook.is_finished or hook.state == State.RETRYING)
    has_failed = attempt is not None and attempt.outcome != Outcome.OK and not hook.simulated
    issue = issue_of(hook, attempt) if attempt is not None and has_failed else None
    if issue is None:
        return Resends(this)
    failed = count_hooks([issue])[issue.pk]
    others = Count.of(failed - (hook.state == State.FAILED), more=failed.more)
    return Resends(this, issue, others, failed) if others else Resends(this)


@transaction.atomic
def use_suggested_url(
    hook: Hook,
    *,
    instance: Instance,
    url: str,
    resend: bool = False,
    others: bool = False,
    is_test: bool = False,
    acting_user: User | None,
) -> str:
    """Set the URL that the hook's newest attempt suggests; returns what was done, as sentences for the user.

    `url` must be that URL. With `resend` the hook is sent again, with `others` also the failed hooks of its issue.
    `is_test`: see url_fix().

    Raises:
        NotPossible: another URL, or none, is suggested now; nothing was changed.
        webhook_urls.InvalidUrl: as for any other URL.
    """
    attempt = newest_attempt(hook)
    fix = url_fix(hook, attempt, is_test=is_test)
    if fix is None or fix.url != url:
        raise NotPossible(CHANGED_SINCE)
    again = resends_of(hook, attempt)
    if hook.endpoint.is_first:
        change_settings(instance, changes={"webhookUrl": url}, acting_user=acting_user)
    else:
        change_endpoint(hook.endpoint, url=url, acting_user=acting_user)
    resent = send_again(
        hook, instance=instance, again=again, resend=resend, others=others, acting_user=acting_user
    )
    return f"The webhook URL is now {url}. {resent}".strip()


@transaction.atomic
def turn_on(hook: Hook, *, instance: Instance, name: str, resend: bool, acting_user: User | None) -> str:
    """Turn on the setting `name`, which switch_fix() names; returns what was done, as sentences for the user.

    With `resend` the hook is sent. Raises NotPossible if another setting, or none, is named now.
    """
    if not name or switch_fix(hook, instance) != name:
        raise NotPossible(CHANGED_SINCE)
    if name == GUARANTEED and not hook.endpoint.is_first:
        change_endpoint(hook.endpoint, guaranteed=True, acting_user=acting_user)
    else:
        change_settings(instance, changes={name: True}, acting_user=acting_user)
    again = resends_of(hook, None)
    resent = send_again(
        hook, instance=instance, again=again, resend=resend, others=False, acting_user=acting_user
    )
    return f"{name} is on. {resent}".strip()


def send_again(
    hook: Hook,
    *,
    instance: Instance,
    again: Resends,
    resend: bool,
    others: bool,
    acting_user: User | None,
) -> str:
    """Resends what was asked for; returns a sentence about it. A hook that can't be sent now says why."""
    said = []
    if resend and again.this:
        again_now = hook_actions.try_now if hook.state == State.RETRYING else hook_actions.resend
        try:
            with transaction.atomic():
                again_now(hook, acting_user=acting_user)
            said.append("The hook is queued again.")
        except NotPossible as reason:
            said.append(str(reason))
    if others and again.issue is not None:
        own = Instance.objects.filter(pk=instance.pk)
        try:
            with transaction.atomic():
                issue_actions.resend_missed(again.issue, instances=own, acting_user=acting_user)
            others_are = "other hook is" if again.others == 1 else "others are"
            said.append(f"{again.others.words} {others_are} being resent.")
        except NotPossible as reason:
            said.append(str(reason))
    return " ".join(said)
