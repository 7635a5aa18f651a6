"""Where a hook goes: the endpoint's own URL, or the URL that overrides it during a verification.

A hook with a URL of its own (`to_url`) goes there: a simulation, and the two hooks of an event if the endpoint's own
URL also gets its hooks during the verification.

Endpoint.effective_url() and Hook.destination() are the rule for loaded rows; here it is in SQL and as ORM conditions.
The columns behind `override_url`, `override_until` and `override_also_sends_to_own` have older names in the database;
only this module writes them in SQL.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q


def is_overridden_sql(*, endpoint: str = "e", now: str = "clock_timestamp()") -> str:
    """SQL condition: an override is active. NULL counts as false where SQL asks for a condition."""
    return f"{endpoint}.borrowed_until > {now}"


def endpoint_url_sql(*, endpoint: str = "e", now: str = "clock_timestamp()") -> str:
    """SQL expression for the URL that the endpoint's hooks go to; '' if there is none."""
    return (
        f"CASE WHEN {is_overridden_sql(endpoint=endpoint, now=now)} THEN {endpoint}.borrowed_url"
        f" ELSE {endpoint}.url END"
    )


def is_open_sql(*, endpoint: str = "e") -> str:
    """SQL condition: dispatchers send its hooks. It is not paused, cancelled, or fetched by `chatapi listen`."""
    return f"{endpoint}.paused_at IS NULL AND {endpoint}.cancel_up_to IS NULL AND NOT {endpoint}.is_listener"


def can_send_sql(*, endpoint: str = "e", now: str = "clock_timestamp()") -> str:
    """SQL condition: the endpoint is open and has a URL. Otherwise its hooks wait."""
    return f"{is_open_sql(endpoint=endpoint)} AND {endpoint_url_sql(endpoint=endpoint, now=now)} <> ''"


def hook_url_sql(endpoint_url: str, *, hook: str = "h") -> str:
    """SQL expression for the URL of one hook, given the expression or column with its endpoint's."""
    return f"CASE WHEN {hook}.to_url <> '' THEN {hook}.to_url ELSE {endpoint_url} END"


def own_url_as_well_sql(*, endpoint: str = "e", now: str = "clock_timestamp()") -> str:
    """SQL condition: an override is active and the endpoint's own URL gets its hooks as well."""
    overridden = is_overridden_sql(endpoint=endpoint, now=now)
    return f"{endpoint}.borrowed_forwards AND {overridden} AND {endpoint}.url <> ''"


def endpoint_has_no_url(now: datetime, *, endpoint: str = "") -> Q:
    """Condition: the endpoint has no URL. For rows with a relation to it, `endpoint` is the prefix ("endpoint__")."""
    until = f"{endpoint}override_until"
    is_overridden = Q((f"{until}__gt", now))
    not_overridden = Q((until, None)) | Q((f"{until}__lte", now))
    return (not_overridden & Q((f"{endpoint}url", ""))) | (is_overridden & Q((f"{endpoint}override_url", "")))


def hook_has_no_url(now: datetime) -> Q:
    """Condition on hooks: there is no URL to send them to."""
    return Q(to_url="") & endpoint_has_no_url(now, endpoint="endpoint__")
