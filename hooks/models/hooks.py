"""Hooks and their attempts, and the conditions that find the hooks of a period."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact, GreaterThan, IsNull, Regex
from django.utils import timezone

from chatapi.database.checks import NOT_NEGATIVE, one_of, pattern_of
from hooks.body_masking import MaskedBinaryField, size_of
from hooks.models.choices import UNFINISHED, Kind, Outcome, ResponseClass, Side, SkipReason, State, Trigger
from hooks.models.endpoints import Endpoint, Lane


def new_public_id(at: datetime | None = None) -> uuid.UUID:
    """Returns a UUID version 7: ordered by time, so its index stays compact, and too random to be guessed.

    The log finds the hooks of a period by it (key_since), so pass `at` for a hook that was created at another time.
    """
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    stamp = milliseconds.to_bytes(6, "big")
    number = int.from_bytes(stamp + os.urandom(10), "big")
    number = number & ~(0xF << 76) | (7 << 76)  # version
    number = number & ~(0x3 << 62) | (0x2 << 62)  # variant
    return uuid.UUID(int=number)


def parse_webhook_id(text: str) -> uuid.UUID | None:
    """Returns a hook's public id, written as in the `webhook-id` header or as a UUID; None for any other text."""
    return parse_public_id(text, "hook_")


def parse_public_id(text: str, prefix: str) -> uuid.UUID | None:
    """Returns the public id in a text with or without the prefix; None for any other text."""
    try:
        return uuid.UUID(text.strip().removeprefix(prefix))
    except ValueError:
        return None


CLOCK_TOLERANCE = timedelta(minutes=10)
# No hook is older or newer, and times beyond these cannot be shifted or moved to another time zone.
EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)


def within_calendar(at: datetime) -> datetime:
    """Returns a time from outside, moved to EARLIEST or LATEST if it is beyond."""
    return min(max(at, EARLIEST), LATEST)


def created_since(at: datetime) -> models.Q:
    """Returns the condition for hooks created at or after `at`; it uses the index of the primary key.

    The lower bound is the last hook before `at`, because public ids within one millisecond are in random order.
    """
    at = within_calendar(at)
    return models.Q(pk__gt=Coalesce(key_before(at - CLOCK_TOLERANCE), 0), created_at__gte=at)


def created_before(at: datetime) -> models.Q:
    """Returns the condition for hooks created before `at`."""
    at = within_calendar(at)
    return models.Q(pk__lt=Coalesce(key_since(at + CLOCK_TOLERANCE), 2**63 - 1), created_at__lt=at)


def key_since(at: datetime) -> models.Subquery:
    """Returns the key of one of the first hooks created at or after `at`; null if there is none.

    Keys grow with time, and a public id contains the millisecond of its creation, so this is one index lookup. It is
    accurate to CLOCK_TOLERANCE: clocks of machines differ, and long transactions commit late.
    """
    created = Hook.objects.filter(public_id__gte=smallest_public_id(at))
    return models.Subquery(created.order_by("public_id").values("pk")[:1])


def key_before(at: datetime) -> models.Subquery:
    """Returns the key of one of the last hooks created before `at`; see key_since()."""
    created = Hook.objects.filter(public_id__lt=smallest_public_id(at))
    return models.Subquery(created.order_by("-public_id").values("pk")[:1])


def smallest_public_id(at: datetime) -> uuid.UUID:
    """Returns the smallest public id of this millisecond."""
    stamp = min(max(int(at.timestamp() * 1000), 0), 2**48 - 1)
    return uuid.UUID(int=stamp << 80)


def in_states(states: Collection[str]) -> models.Q:
    """Returns the condition for hooks that are in one of these states, as `show_sending` shows them."""
    wanted = models.Q(state__in=states)
    if State.SENDING in states and State.QUEUED not in states:
        return wanted | is_claimed_by_cursor()
    if State.QUEUED in states and State.SENDING not in states:
        others = models.Q(state__in=[state for state in states if state != State.QUEUED])
        return others | models.Q(state=State.QUEUED, pk__gt=cursor_of_lane())
    return wanted


def cursor_of_lane(*conditions: models.Q) -> models.Subquery:
    """Returns the cursor of the hook's lane; null if the lane does not meet the conditions.

    A subquery and no join: with the statistics of an emptied table, each lane was joined with all queued hooks.
    """
    lane = Lane.objects.filter(*conditions, endpoint=models.OuterRef("endpoint_id"))
    return models.Subquery(lane.order_by("-endpoint").values("cursor")[:1])


def is_claimed_by_cursor() -> models.Q:
    """Returns the condition for queued hooks that a dispatcher has claimed: at most those that it has in its memory."""
    return models.Q(state=State.QUEUED, pk__lte=cursor_of_lane(models.Q(owner__isnull=False)))


class HookQuerySet(models.QuerySet["Hook"]):
    shows_sending = False

    def show_sending(self) -> HookQuerySet:
        """Returns hooks whose `state` is SENDING if they are being sent: only for display, never to be saved.

        Until its result is recorded, the row of a first attempt says QUEUED (see Lane). One query more for a page with
        queued hooks.
        """
        found = self.all()
        found.shows_sending = True
        return found

    def _clone(self) -> HookQuerySet:
        copy: HookQuerySet = super()._clone()  # type: ignore[misc]  # django-stubs does not know it
        copy.shows_sending = self.shows_sending
        return copy

    def _fetch_all(self) -> None:
        is_new = self._result_cache is None
        super()._fetch_all()
        if self.shows_sending and is_new:
            found = self._result_cache or []
            queued = [hook for hook in found if isinstance(hook, Hook) and hook.state == State.QUEUED]
            if queued:
                keys = [hook.pk for hook in queued]
                claimed = Hook.objects.filter(is_claimed_by_cursor(), pk__in=keys).order_by()
                sending = set(claimed.values_list("pk", flat=True))
                for hook in queued:
                    if hook.pk in sending:
                        hook.state = State.SENDING

    def of_instances(self, instances: models.QuerySet[Any]) -> HookQuerySet:
        """Returns the hooks of these instances; pages and REST pass `Instance.objects.visible_to(user)`."""
        return self.filter(endpoint_id__in=Endpoint.objects.of_instances(instances).values("pk"))

    def of_instance(self, instance: Any) -> HookQuerySet:
        """Returns the hooks of all endpoints of an instance. No query if the instance was loaded with its `endpoint`.

        For most instances this is an equality, which the indexes serve in order; of several endpoints, a sorted page
        is read with hooks.log.newest.
        """
        return self.of_endpoints(instance.endpoint.sibling_ids)

    def of_first_endpoint(self, instance_id: int) -> HookQuerySet:
        """Returns the hooks of the instance's first endpoint, which are those that the wire contract knows."""
        return self.filter(endpoint_id=instance_id)

    def of_endpoints(self, ids: list[int]) -> HookQuerySet:
        """Returns the hooks of these endpoints, of which there is at least one."""
        return self.filter(endpoint_id=ids[0]) if len(ids) == 1 else self.filter(endpoint_id__in=ids)

    def since(self, at: datetime) -> HookQuerySet:
        """Returns the hooks created at or after `at`."""
        return self.filter(created_since(at))

    def counts(self) -> dict[str, int]:
        """Returns how many hooks are in each state; every state is a key."""
        found = dict(self.order_by().values_list("state").annotate(n=models.Count("id")))
        return {state.value: found.get(state.value, 0) for state in State}


class Hook(models.Model):
    """One event to send to one endpoint. It is created in the transaction of its event."""

    # No unique constraint, which a partitioned table can't have without its key: 74 bits of it are random.
    public_id = models.UUIDField(default=new_public_id, editable=False)
    # No constraint: a task deletes the hooks of a deleted instance, see hooks/maintenance/deleted_instances.py.
    # No index of its own: hooks_hook_log begins with the endpoint.
    endpoint = models.ForeignKey(
        Endpoint, models.DO_NOTHING, related_name="hooks", db_constraint=False, db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind)
    body = MaskedBinaryField(help_text="the exact bytes that are sent")
    # set by retention, which drops the body and the bodies of responses and keeps the rest of the row
    body_dropped_at = models.DateTimeField(null=True, blank=True)
    # what it is about, shown and filtered by: the id of the message and of its chat; empty for a status
    message = models.CharField("message id", max_length=600, blank=True, default="")
    chat = models.CharField(max_length=280, blank=True, default="")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    skip_reason = models.CharField(max_length=20, choices=SkipReason, blank=True, default="")
    simulated = models.BooleanField(default=False)
    # the URL of a simulation; empty: the endpoint's effective URL at the time of sending
    to_url = models.CharField(max_length=2000, blank=True, default="")
    trigger = models.CharField(
        "reason for the next attempt", max_length=10, choices=Trigger, default=Trigger.EVENT
    )
    # the last job that resent it; no constraint, because every claim would check it
    redelivery = models.ForeignKey(
        "Redelivery", models.DO_NOTHING, null=True, blank=True, related_name="hooks",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    attempts_made = models.SmallIntegerField(default=0, validators=NOT_NEGATIVE)
    attempts_allowed = models.SmallIntegerField(default=1, validators=NOT_NEGATIVE)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    claim = models.BigIntegerField("claim number", default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    # the last attempt's result, so that the log lists and filters hooks without reading attempts
    last_outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")
    last_status = models.SmallIntegerField(null=True, blank=True, validators=NOT_NEGATIVE)
    last_host = models.CharField(max_length=255, blank=True, default="")
    last_ms = models.FloatField(null=True, blank=True)
    # The class of the last response, computed by the database, so that the log can filter by it. The column and its
    # index keep their names in existing databases.
    last_answer = models.GeneratedField(
        expression=models.Case(
            models.When(last_status=200, then=models.Value("200")),
            models.When(last_status__lt=300, then=models.Value("2xx")),
            models.When(last_status__lt=400, then=models.Value("3xx")),
            models.When(last_status__lt=500, then=models.Value("4xx")),
            models.When(last_status__gte=500, then=models.Value("5xx")),
            models.When(last_outcome="", then=models.Value("")),
            default=models.Value("none"),
        ),
        output_field=models.CharField("class of the last response", max_length=4, choices=ResponseClass),
        db_persist=True,
    )

    objects = HookQuerySet.as_manager()

    class Meta:
        permissions = [
            ("view_body", "Can read the bodies of hooks and responses"),
            ("cancel_hook", "Can cancel waiting hooks"),
            ("resend_hook", "Can resend hooks of any account"),
        ]
        indexes = [
            models.Index(name="hooks_hook_public_id", fields=["public_id"]),
            # Serves the claim of a lane's oldest queued hooks (ids in a lane are in the order of events), the list of
            # lanes with queued hooks, the leases of dead dispatchers, and the log's filter and counts by state. This
            # full index costs as much CPU (ratio 1.0) as the two partial ones (queued, sending) that it replaced.
            models.Index(name="hooks_hook_state", fields=["state", "endpoint", "id"]),
            # claim: a lane's due retries
            models.Index(
                name="hooks_hook_retrying",
                fields=["endpoint", "next_attempt_at"],
                condition=models.Q(state=State.RETRYING),
            ),
            # the lanes with a due retry, and the time of the next retry
            models.Index(
                name="hooks_hook_due", fields=["next_attempt_at"], condition=models.Q(state=State.RETRYING)
            ),
            # the delivery log, newest first
            models.Index(name="hooks_hook_log", fields=["endpoint", "-id"]),
            models.Index(
                name="hooks_hook_message", fields=["endpoint", "message"], condition=~models.Q(message="")
            ),
            # the log's filters, each newest first: of an instance's million hooks, three may match
            models.Index(
                name="hooks_hook_host",
                fields=["endpoint", "last_host", "-id"],
                condition=~models.Q(last_host=""),
            ),
            models.Index(
                name="hooks_hook_answer",
                fields=["endpoint", "last_answer", "-id"],
                condition=~models.Q(last_answer=""),
            ),
            # of hooks whose last attempt failed; their response class says less
            models.Index(
                name="hooks_hook_outcome",
                fields=["endpoint", "last_outcome", "-id"],
                condition=~models.Q(last_outcome="") & ~models.Q(last_outcome=Outcome.OK),
            ),
            # The hooks of a chat, for REST. A B-tree would cost 8 % of all work on hooks; this costs nothing until
            # vacuum.
            BrinIndex(
                fields=["chat"],
                opclasses=["text_bloom_ops"],
                name="hooks_hook_chat",
                pages_per_range=32,
                autosummarize=True,
            ),
            # only the rare kinds: there are always many messages and acks
            models.Index(
                name="hooks_hook_kind",
                fields=["endpoint", "kind", "-id"],
                condition=models.Q(kind__in=(Kind.STATUS, Kind.CHAT)),
            ),
            models.Index(
                name="hooks_hook_simulated", fields=["endpoint", "-id"], condition=models.Q(simulated=True)
            ),
            # a job's progress: few rows, and usually none
            models.Index(
                name="hooks_hook_redelivery",
                fields=["redelivery", "endpoint", "state"],
                condition=models.Q(redelivery__isnull=False),
            ),
            # the sweep: hooks with a URL of their own, which are sent even if their endpoint has none; nearly empty
            models.Index(
                name="hooks_hook_own_url",
                fields=["endpoint"],
                condition=~models.Q(to_url="") & models.Q(state__in=(State.QUEUED, State.RETRYING)),
            ),
            # retention of skipped hooks, which are dropped sooner than others
            models.Index(
                name="hooks_hook_skipped", fields=["created_at"], condition=models.Q(state=State.SKIPPED)
            ),
            # retention; rows are stored in order of age, so a few pages index millions
            BrinIndex(name="hooks_hook_created", fields=["created_at"]),
        ]
        constraints = [
            # Short for PostgreSQL (chatapi/database/checks.py), which reads them for each event.
            models.CheckConstraint(name="hooks_hook_state", condition=one_of("state", State.values)),
            models.CheckConstraint(
                name="hooks_hook_skipped_says_why",
                condition=Exact(
                    Exact(models.F("state"), models.Value(State.SKIPPED.value)),
                    GreaterThan(models.F("skip_reason"), models.Value("")),
                ),
            ),
            models.CheckConstraint(
                name="hooks_hook_finished",
                condition=Exact(
                    IsNull(models.F("finished_at"), True), Regex(models.F("state"), pattern_of(UNFINISHED))
                ),
            ),
            models.CheckConstraint(
                name="hooks_hook_sending_has_lease",
                condition=~models.Q(state=State.SENDING) | models.Q(lease_until__isnull=False),
            ),
            models.CheckConstraint(
                name="hooks_hook_attempts",
                condition=models.Q(attempts_made__lte=models.F("attempts_allowed")),
            ),
        ]

    def __str__(self) -> str:
        return self.webhook_id

    @property
    def webhook_id(self) -> str:
        """The `webhook-id` header, the same for all attempts and resends."""
        return f"hook_{self.public_id.hex}"

    def destination(self, now: datetime | None = None) -> str:
        """Returns the URL that the hook would be sent to now; empty if there is none. See hooks/urls/destination.py."""
        return self.to_url or self.endpoint.effective_url(now)

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED


class Attempt(models.Model):
    """One request of a hook: the request, the response, and how long each phase took."""

    # No constraint in the database: it would look up the hook for every row of the COPY.
    # No index of its own: hooks_attempt_hook starts with the hook.
    hook = models.ForeignKey(
        Hook, models.CASCADE, related_name="attempts", db_constraint=False, db_index=False
    )
    number = models.PositiveSmallIntegerField()
    trigger = models.CharField(max_length=10, choices=Trigger, default=Trigger.EVENT)
    started_at = models.DateTimeField()
    url = models.CharField(max_length=2000)
    address = models.CharField("IP address connected to", max_length=60, blank=True, default="")
    request_headers = models.JSONField(default=list)  # [[name, value], …] in the order sent
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    response_headers = models.JSONField(default=list)  # [[name, value], …] as received
    response_body = MaskedBinaryField(blank=True, default=b"")  # the first 8 KB
    response_size = models.PositiveIntegerField("bytes read", default=0)
    outcome = models.CharField(max_length=10, choices=Outcome)
    side = models.CharField("side at fault", max_length=10, choices=Side, blank=True, default="")
    error = models.CharField("error detail", max_length=500, blank=True, default="")
    # milliseconds since the start, as libcurl measures them; null: the phase was not reached
    name_ms = models.FloatField("DNS lookup", null=True, blank=True)
    connect_ms = models.FloatField("connected", null=True, blank=True)
    tls_ms = models.FloatField("TLS handshake", null=True, blank=True)
    first_byte_ms = models.FloatField("first byte", null=True, blank=True)
    total_ms = models.FloatField("total", default=0)

    class Meta:
        indexes = [
            models.Index(name="hooks_attempt_hook", fields=["hook", "number"]),
            # A partition has no primary key. The support desk's list and its pages read attempts by this.
            models.Index(name="hooks_attempt_id", fields=["id"]),
            # the failed attempts since the last look for issues; successes cost the test of its condition
            models.Index(name="hooks_attempt_failed", fields=["id"], condition=~models.Q(outcome=Outcome.OK)),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of hook {self.hook_id}"

    @property
    def is_response_cut(self) -> bool:
        """Whether the stored body may end inside a character: its rest was not stored, or never came."""
        return self.response_size > size_of(self.response_body) or self.outcome in (
            Outcome.RESET,
            Outcome.TIMEOUT,
        )
