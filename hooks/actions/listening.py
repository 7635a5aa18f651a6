"""Hooks for `chatapi listen`, a program on a user's computer: it fetches them and reports its local server's responses.

Such an endpoint (Endpoint.is_listener) has a lane like any other, but no dispatcher sends its hooks: they wait until
the program takes them. There is no cursor beside their states, so nothing is lost while the program is away or if it is
killed: hooks that it took and did not report go back to their places.

One run of the program at a time fetches the hooks of an endpoint. A new run replaces it, so a restarted program need
not wait for the lease of the one before it. A report is recorded like the attempt of a dispatcher (dispatch/record.py),
with the same verdicts and retries; a late one matches no row and changes no hook, but its attempt is logged.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, zip_longest
from typing import NamedTuple

from django.core import signing
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Func, IntegerField, Q
from django.db.models.functions import Now
from django.utils import timezone

from hooks import metrics, tracing
from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.endpoints import configure
from hooks.audit import ActingUser, report_endpoint
from hooks.dispatch.attempts import AttemptResult, attempt_result, claimed_hook
from hooks.dispatch.claim import REQUEUE
from hooks.dispatch.record import record_attempts
from hooks.http import Response
from hooks.http_headers import headers_as_sent
from hooks.log.index_order import in_index_order
from hooks.models import Endpoint, Hook, Lane, State, Trigger
from hooks.sql.lane_queries import STATE_OF_FOUND
from hooks.urls import webhook_urls

LEASE = timedelta(seconds=30)  # of hooks that were taken; each report renews it
PORTION = 20  # hooks taken at a time …
PORTION_BYTES = 1024 * 1024  # … or fewer: with so many bytes of bodies, or one hook
SEEN_EVERY = timedelta(seconds=5)  # between two writes of the time at which a run has called
DEFAULT_NAME = "My computer"
SALT = "hooks.listening"

Sized = tuple[int, int]  # a hook's key, and the bytes of its body
BODY_BYTES = Func("body", function="octet_length", output_field=IntegerField())

# "+ 0" leaves only the index on the state: hooks being sent are few, those of an endpoint may be a million.
PUT_BACK = f"""
UPDATE hooks_hook h SET {REQUEUE} WHERE h.endpoint_id + 0 = %s AND h.state = 'sending' AND NOT h.simulated
"""
RENEW = """
UPDATE hooks_hook h SET lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE h.endpoint_id + 0 = %s AND h.state = 'sending' AND NOT h.simulated
"""
TAKE = f"""
UPDATE hooks_hook h SET
    state = 'sending', claim = h.claim + 1, lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE h.id = ANY(%s) AND h.id BETWEEN %s AND %s AND {STATE_OF_FOUND} IN ('queued', 'retrying')
"""


class Replaced(Exception):
    """Another run of the program fetches this endpoint's hooks now; str() is a sentence for users."""

    def __init__(self) -> None:
        super().__init__(
            "Another chatapi listen fetches the hooks of this endpoint now. Use --name to run several at a time."
        )


class InvalidClaim(ValueError):
    """A report names a hook that was not taken from this endpoint; str() is a sentence for users."""


class Run(NamedTuple):
    """A run of the program: the endpoint whose hooks it fetches, and its key."""

    endpoint: Endpoint
    key: uuid.UUID


@dataclass(frozen=True, slots=True)
class TakenHook:
    """A hook that was taken, the headers to send with it, in order, and the text that its report repeats."""

    hook: Hook
    headers: list[list[str]]
    claim: str


class Report(NamedTuple):
    """The local server's response to a hook; `delay` is the time from the taking of the hook to its request."""

    claim: str
    delay: timedelta
    response: Response


@transaction.atomic
def start(instance_id: int, *, url: str, name: str = "", acting_user: ActingUser) -> Run:
    """Begin a run for the instance's listening endpoint of this name, which is added if there is none.

    It replaces a running one. `url` is that of the local server, as logged; a new endpoint gets all events, in the
    delivery mode of the instance's first endpoint. The endpoint counts as failing since a failure of this run at the
    earliest: the time while no computer was connected does not lead to an automatic pause.

    Raises NotPossible if the instance has MAX_ENDPOINTS, and webhook_urls.InvalidUrl.
    """
    name = name or DEFAULT_NAME
    wanted = webhook_urls.check(url)
    first = Endpoint.objects.select_for_update(no_key=True).get(
        first_of=instance_id
    )  # one run adds the endpoint
    endpoint = Endpoint.objects.present().filter(instance=instance_id, is_listener=True, name=name).first()
    if endpoint is None:
        endpoint = add_endpoint(
            instance_id,
            url=url,
            name=name,
            guaranteed=first.guaranteed,
            strict=first.strict,
            is_listener=True,
            acting_user=acting_user,
        )
    key = uuid.uuid4()
    Lane.objects.select_for_update().get(pk=endpoint.pk)
    Lane.objects.filter(pk=endpoint.pk).update(listener=key, listener_seen_at=timezone.now())
    put_back(endpoint.pk)
    # Only now, as record_attempts() changes the endpoint after its hooks, for a late report of the run before.
    if endpoint.url != wanted:
        configure(endpoint, url=url)
        report_endpoint("endpoint.changed", endpoint, acting_user=acting_user, changed=["url"])
    Endpoint.objects.filter(pk=endpoint.pk, failing_since__isnull=False).update(failing_since=None)
    return Run(endpoint, key)


@transaction.atomic
def stop(run: Run) -> None:
    """End a run: the hooks that it has taken wait again. No change if another run has replaced it."""
    if Lane.objects.filter(pk=run.endpoint.pk, listener=run.key).update(listener=None):
        put_back(run.endpoint.pk)


@transaction.atomic
def take(run: Run) -> list[TakenHook]:
    """Take the next hooks, in order; none while the endpoint is paused or its hooks are being cancelled.

    First attempts in the order of their events, retries and resends between them; with strictOrder one hook at a time,
    and none before an older one has finished. What the run took before and has not reported is put back first: the
    program calls this when it has nothing left. Raises Replaced.
    """
    endpoint = locked(run)
    put_back(endpoint.pk)
    if endpoint.paused_at is not None or endpoint.cancel_up_to is not None or endpoint.removed_at is not None:
        return []
    keys = next_keys(endpoint)
    if not keys:
        return []
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [LEASE.total_seconds(), keys, min(keys), max(keys)])
    found = Hook.objects.filter(
        pk__in=keys, pk__gte=min(keys), pk__lte=max(keys), state=State.SENDING
    ).in_bulk()
    at = datetime.now(UTC)
    return [taken(found[key], endpoint, at) for key in keys if key in found]


def locked(run: Run) -> Endpoint:
    """Returns the endpoint as stored, with its lane locked until the transaction ends. Raises Replaced."""
    lane = Lane.objects.select_for_update().filter(pk=run.endpoint.pk).first()
    if lane is None or lane.listener != run.key:
        raise Replaced
    mark_seen(lane)
    return Endpoint.objects.get(pk=lane.pk)


def mark_seen(lane: Lane) -> None:
    now = timezone.now()
    if lane.listener_seen_at is None or lane.listener_seen_at < now - SEEN_EVERY:
        Lane.objects.filter(pk=lane.pk).update(listener_seen_at=now)


def put_back(endpoint_id: int) -> None:
    """Put back the hooks that were taken and not reported; the caller has locked the lane."""
    with connection.cursor() as cursor:
        cursor.execute(PUT_BACK, [endpoint_id])


def next_keys(endpoint: Endpoint) -> list[int]:
    """Returns the keys of the hooks to take, in the order in which they are sent."""
    # A range and this order leave only the index hooks_hook_state, as in stopping.cancel_portion().
    of_lane = Hook.objects.filter(endpoint__gte=endpoint.pk, endpoint__lte=endpoint.pk)
    queued = of_lane.filter(state=State.QUEUED).order_by("endpoint_id", "pk")
    retrying = of_lane.filter(state=State.RETRYING)
    is_due = Q(next_attempt_at__lte=Now())
    with in_index_order({}):
        firsts = list(queued.values_list("pk", BODY_BYTES)[:PORTION])
        if endpoint.strict:
            oldest = (
                retrying.order_by("endpoint_id", "pk")
                .values_list("pk", ExpressionWrapper(is_due, output_field=BooleanField()))
                .first()
            )
            if oldest is not None and (not firsts or oldest[0] < firsts[0][0]):
                return [oldest[0]] if oldest[1] else []
            return [key for key, _ in firsts[:1]]
        due = retrying.filter(is_due).order_by("next_attempt_at")
        retries = list(due.values_list("pk", BODY_BYTES)[:PORTION])
    return limited(alternated(retries, firsts))


def alternated(retries: Sequence[Sized], firsts: Sequence[Sized]) -> Iterator[Sized]:
    """Yields a retry, a first attempt, a retry …, so that neither delays the other for long."""
    for pair in zip_longest(retries, firsts):
        yield from (one for one in pair if one is not None)


def limited(hooks: Iterable[Sized]) -> list[int]:
    """Returns the keys of the first PORTION hooks, up to PORTION_BYTES; at least one."""
    keys: list[int] = []
    total = 0
    for key, size in islice(hooks, PORTION):
        total += size
        if keys and total > PORTION_BYTES:
            break
        keys.append(key)
    return keys


def taken(hook: Hook, endpoint: Endpoint, at: datetime) -> TakenHook:
    claimed = claimed_hook(hook, endpoint, url=endpoint.url, secret=" ".join(endpoint.valid_secrets(at)))
    headers = claimed.headers(at)
    content = [
        hook.pk, hook.claim, hook.attempts_made, hook.attempts_allowed, hook.trigger, at.isoformat(), endpoint.url,
        headers,
    ]  # fmt: skip
    return TakenHook(
        hook,
        headers_as_sent(endpoint.url, headers, claimed.body),
        signing.dumps(content, salt=f"{SALT}.{endpoint.pk}"),
    )


def record(run: Run, reports: Sequence[Report]) -> dict[str, Hook]:
    """Record attempts that the program has made; returns their hooks by `claim`, without those that were deleted.

    The lease of what the run has still to report is renewed. A report of a run that was replaced is recorded too, and
    one that is repeated changes nothing. Raises InvalidClaim before anything is recorded.
    """
    claims = [read_claim(run.endpoint.pk, report.claim) for report in reports]
    if len({claim.hook_id for claim in claims}) < len(claims):
        raise InvalidClaim("`results` has two reports of one hook.")
    hooks = Hook.objects.filter(
        endpoint=run.endpoint.pk, pk__in=[claim.hook_id for claim in claims]
    ).in_bulk()
    results = [
        result_of(hooks[claim.hook_id], run.endpoint, claim, report)
        for claim, report in zip(claims, reports, strict=True)
        if claim.hook_id in hooks
    ]
    if results:
        connection.ensure_connection()
        counted = record_attempts(connection.connection, results)
        metrics.add(connection.connection, metrics.OTHER_PROCESSES, counted)
        tracing.export(results)
    renew(run)
    fresh = Hook.objects.defer("body").filter(pk__in=list(hooks)).in_bulk() if results else {}
    return {
        report.claim: fresh[claim.hook_id]
        for claim, report in zip(claims, reports, strict=True)
        if claim.hook_id in fresh
    }


@transaction.atomic
def renew(run: Run) -> None:
    """Renew the lease of the hooks that the run has taken, unless another run has replaced it."""
    lane = Lane.objects.select_for_update().filter(pk=run.endpoint.pk, listener=run.key).first()
    if lane is not None:
        mark_seen(lane)
        with connection.cursor() as cursor:
            cursor.execute(RENEW, [LEASE.total_seconds(), lane.pk])


class Claim(NamedTuple):
    """What a claim's text says: the hook as it was taken, and what was to be sent where."""

    hook_id: int
    number: int
    attempts_made: int
    attempts_allowed: int
    trigger: Trigger
    at: datetime
    url: str
    headers: dict[str, str]


def read_claim(endpoint_id: int, text: str) -> Claim:
    try:
        hook_id, number, made, allowed, trigger, at, url, headers = signing.loads(
            text, salt=f"{SALT}.{endpoint_id}"
        )
    except signing.BadSignature:
        raise InvalidClaim("`claim` must be the text that came with the hook.") from None
    return Claim(hook_id, number, made, allowed, Trigger(trigger), datetime.fromisoformat(at), url, headers)


def result_of(hook: Hook, endpoint: Endpoint, claim: Claim, report: Report) -> AttemptResult:
    claimed = replace(
        claimed_hook(hook, endpoint, url=claim.url, secret=""),  # signed when the hook was taken
        claim=claim.number,
        attempts_made=claim.attempts_made,
        attempts_allowed=claim.attempts_allowed,
        trigger=claim.trigger,
    )
    return attempt_result(claimed, claim.at + report.delay, claim.headers, report.response)
