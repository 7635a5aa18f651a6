"""What is to be delivered, where to, and what came of it.

`hooks` knows an instance only by its key: Endpoint's primary key is the instance's. Everything
that the dispatcher does can be read from these rows, and nothing is kept anywhere else.
"""

from __future__ import annotations

import base64
import os
import secrets
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

# How long before the first, second, … twentieth attempt of a hook with guaranteedHooks:
# 0, 5, 15, 30 s, 1, 2, 5, 10, 20, 30 min, 1, 2, 3, 4, 6, 6, 8, 10, 12, 12 h; 65 h 8 min 50 s in all.
# hooks/retries.py adds the jitter and obeys Retry-After.
RETRY_DELAYS = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        0, 5, 15, 30,
        60, 120, 300, 600, 1200, 1800,
        3600, 7200, 10800, 14400, 21600, 21600, 28800, 36000, 43200, 43200,
    )
)  # fmt: skip
GUARANTEED_ATTEMPTS = len(RETRY_DELAYS)


def new_public_id(at: datetime | None = None) -> uuid.UUID:
    """A time-ordered UUID (version 7): random enough not to be guessed, and kind to its index.

    The log finds the hooks of a period by it (first_key), so a hook of another time needs one of that time.
    """
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    stamp = milliseconds.to_bytes(6, "big")
    number = int.from_bytes(stamp + os.urandom(10), "big")
    number = number & ~(0xF << 76) | (7 << 76)  # version
    number = number & ~(0x3 << 62) | (0x2 << 62)  # variant
    return uuid.UUID(int=number)


def new_secret() -> str:
    """A signing secret as Standard Webhooks writes it: `whsec_` and the base64 of 24 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


class PauseReason(models.TextChoices):
    FAILING = "failing", "nothing but failures for 24 hours"
    BY_HAND = "by_hand", "paused by hand"


class Endpoint(models.Model):
    """Where and how the hooks of one instance go."""

    instance = models.OneToOneField(
        "instances.Instance", models.CASCADE, primary_key=True, related_name="endpoint"
    )
    url = models.CharField("address", max_length=2000, blank=True, default="")
    # A running verification: until then the hooks go to the borrowed address. Nothing has to put it back.
    borrowed_url = models.CharField("borrowed address", max_length=2000, blank=True, default="")
    borrowed_until = models.DateTimeField(null=True, blank=True)
    secret = models.CharField("signing secret", max_length=100, default=new_secret)
    # After a rotation: until then every hook carries a signature by this one as well.
    previous_secret = models.CharField("signing secret before", max_length=100, blank=True, default="")
    previous_secret_until = models.DateTimeField(null=True, blank=True)
    guaranteed = models.BooleanField("guaranteedHooks", default=False)
    parallel = models.BooleanField("parallelHooks", default=False)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=10, choices=PauseReason, blank=True, default="")
    pause_told_at = models.DateTimeField("owner told of the pause", null=True, blank=True)
    # for a while from then on its hooks go at a rate that grows; see hooks/dispatch/catch_up.py
    resumed_at = models.DateTimeField(null=True, blank=True)
    # the first failure after the last success; null: the last attempt was a success, or there was none
    failing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # who is to be paused
            models.Index(
                name="hooks_endpoint_failing",
                fields=["failing_since"],
                condition=models.Q(failing_since__isnull=False),
            ),
            # which lanes the dispatchers pass by
            models.Index(
                name="hooks_endpoint_paused",
                fields=["paused_at"],
                condition=models.Q(paused_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="hooks_endpoint_pause_says_why",
                condition=models.Q(paused_at=None, pause_reason="")
                | (models.Q(paused_at__isnull=False) & ~models.Q(pause_reason="")),
            ),
            models.CheckConstraint(
                name="hooks_endpoint_previous_secret_whole",
                condition=models.Q(previous_secret="", previous_secret_until=None)
                | (~models.Q(previous_secret="") & models.Q(previous_secret_until__isnull=False)),
            ),
            models.CheckConstraint(
                name="hooks_endpoint_borrowed_whole",
                condition=models.Q(borrowed_url="", borrowed_until=None)
                | (~models.Q(borrowed_url="") & models.Q(borrowed_until__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"endpoint {self.pk}"

    def is_borrowed(self, now: datetime | None = None) -> bool:
        """Is a verification running?"""
        return self.borrowed_until is not None and self.borrowed_until > (now or timezone.now())

    def effective_url(self, now: datetime | None = None) -> str:
        """Where a hook sent now would go; empty when there is no address."""
        return self.borrowed_url if self.is_borrowed(now) else self.url

    def valid_secrets(self, now: datetime | None = None) -> list[str]:
        """What a hook sent now is signed with: the secret, and for a day after a rotation the one before."""
        old = self.previous_secret_until is not None and self.previous_secret_until > (now or timezone.now())
        return [self.secret, self.previous_secret] if old else [self.secret]

    @property
    def attempts_allowed(self) -> int:
        return GUARANTEED_ATTEMPTS if self.guaranteed else 1


class Lane(models.Model):
    """Who may send the hooks of one endpoint now: one dispatcher, until its lease ends or it dies.

    Apart from Endpoint, so that a person who saves an address and a dispatcher that renews a lease
    never wait for each other.
    """

    endpoint = models.OneToOneField(Endpoint, models.CASCADE, primary_key=True, related_name="lane")
    owner = models.BigIntegerField("dispatcher", null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # the sweep: lanes whose owner may be dead
            models.Index(name="hooks_lane_owned", fields=["owner"], condition=models.Q(owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"lane {self.pk}"


class Tally(models.Model):
    """How many hooks an endpoint has ever emitted, counted apart from their rows: the proof that none is lost.

    emitted = dropped by retention + the rows in all states; `manage.py hooks check` adds it up. Its row lock,
    held until the emitting transaction ends, also makes the order of ids in a lane the order of commits.
    """

    endpoint = models.OneToOneField(Endpoint, models.CASCADE, primary_key=True, related_name="tally")
    emitted = models.BigIntegerField(default=0)
    dropped = models.BigIntegerField(default=0)
    # how often one was skipped at its event or by hand, and cancelled: for hooks/metrics.py
    skipped = models.BigIntegerField(default=0, db_default=0)
    cancelled = models.BigIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.emitted} emitted"


class Kind(models.TextChoices):
    MESSAGE = "message", "Message"
    ACK = "ack", "Ack"
    STATUS = "status", "Status"
    CHAT = "chat", "Chat change"


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    RETRYING = "retrying", "Retrying"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Skipped"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (State.QUEUED, State.SENDING, State.RETRYING)


class SkipReason(models.TextChoices):
    FLAG_OFF = "flag_off", "switched off in the instance's settings"
    NO_ADDRESS = "no_address", "the instance has no webhook address"
    TYPED_ON_PHONE = "typed_on_phone", "typed on the phone: such messages get no ack"
    TOO_OLD = "too_old", "older than oldMessagesPeriod"
    NOT_PAID = "not_paid", "the instance is not paid"
    BY_HAND = "by_hand", "skipped by hand"


class Outcome(models.TextChoices):
    OK = "ok", "Delivered"
    NOT_200 = "not_200", "Answered, but not 200"
    DNS = "dns", "Name not found"
    REFUSED = "refused", "Connection refused"
    TIMEOUT = "timeout", "Timed out"
    TLS = "tls", "TLS fault"
    RESET = "reset", "Connection broken off"
    BLOCKED = "blocked", "Address not allowed"
    REDIRECT = "redirect", "Redirect"
    TOO_LARGE = "too_large", "Answer too large"
    PROTOCOL = "protocol", "Not an HTTP answer"


class AnswerClass(models.TextChoices):
    OK = "200", "200"
    OTHER_2XX = "2xx", "2xx, but not 200"
    REDIRECT = "3xx", "3xx redirects"
    CLIENT_ERROR = "4xx", "4xx"
    SERVER_ERROR = "5xx", "5xx and above"
    NONE = "none", "no answer"


class Side(models.TextChoices):
    """On which side a failed attempt failed."""

    SERVER = "server", "Server"  # ours: this product or its configuration
    ENDPOINT = "endpoint", "Endpoint"  # the person's own
    BETWEEN = "between", "Between"  # the network, names, certificates in transit


class Trigger(models.TextChoices):
    EVENT = "event", "Event"
    RETRY = "retry", "Retry"
    RESEND = "resend", "Resend"
    SIMULATION = "simulation", "Simulation"


CLOCKS_APART = timedelta(minutes=10)


def happened_since(at: datetime) -> models.Q:
    """The condition of the hooks of events from then on, found by the index of keys; see first_key()."""
    return models.Q(pk__gte=Coalesce(first_key(at - CLOCKS_APART), 0), created_at__gte=at)


def happened_before(at: datetime) -> models.Q:
    """The same for those of events before."""
    return models.Q(pk__lt=Coalesce(first_key(at + CLOCKS_APART), 2**63 - 1), created_at__lt=at)


def first_key(at: datetime) -> models.Subquery:
    """The key of the first hook made from then on, null when there is none.

    Keys grow with time, and a public id holds the millisecond of its making: it is one probe of an index. Good to
    CLOCKS_APART, for the rows of another machine's clock and of long transactions.
    """
    stamp = min(max(int(at.timestamp() * 1000), 0), 2**48 - 1)
    made = Hook.objects.filter(public_id__gte=uuid.UUID(int=stamp << 80))
    return models.Subquery(made.order_by("public_id").values("pk")[:1])


class HookQuerySet(models.QuerySet["Hook"]):
    def of_instances(self, instances: models.QuerySet[Any]) -> HookQuerySet:
        """The hooks of these instances; pages and REST pass `Instance.objects.visible_to(user)`."""
        return self.filter(endpoint_id__in=instances.order_by().values("pk"))

    def since(self, at: datetime) -> HookQuerySet:
        """The hooks of events from then on."""
        return self.filter(happened_since(at))

    def counts(self) -> dict[str, int]:
        """How many hooks are in each state; every state is a key."""
        found = dict(self.order_by().values_list("state").annotate(n=models.Count("id")))
        return {state.value: found.get(state.value, 0) for state in State}


class Hook(models.Model):
    """One event on its way to one address. Its rows are written in the event's own transaction."""

    public_id = models.UUIDField(unique=True, default=new_public_id, editable=False)
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="hooks")
    kind = models.CharField(max_length=10, choices=Kind)
    body = models.BinaryField(help_text="the exact bytes to be sent")
    # by retention: the bytes and those of its answers are gone, the rest of the row stays
    body_dropped_at = models.DateTimeField(null=True, blank=True)
    # what it is about, for people and for filters: the message's id and its chat, empty for a status
    message = models.CharField("message id", max_length=200, blank=True, default="")
    chat = models.CharField(max_length=100, blank=True, default="")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    skip_reason = models.CharField(max_length=20, choices=SkipReason, blank=True, default="")
    simulated = models.BooleanField(default=False)
    # a simulation's own address; empty: the endpoint's effective address at the time of sending
    to_url = models.CharField(max_length=2000, blank=True, default="")
    trigger = models.CharField(
        "what the next attempt is made for", max_length=10, choices=Trigger, default=Trigger.EVENT
    )
    # the job that has sent it again last; no constraint, which would be looked up at every claim
    redelivery = models.ForeignKey(
        "Redelivery", models.DO_NOTHING, null=True, blank=True, related_name="hooks",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    attempts_made = models.PositiveSmallIntegerField(default=0)
    attempts_allowed = models.PositiveSmallIntegerField(default=1)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    claim = models.BigIntegerField("claim number", default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    # the last attempt in short, so that the log lists and filters hooks without reading attempts
    last_outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_host = models.CharField(max_length=255, blank=True, default="")
    last_ms = models.FloatField(null=True, blank=True)
    # the class of the last answer, kept by the database itself so that the log can be filtered by it
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
        output_field=models.CharField("class of the last answer", max_length=4, choices=AnswerClass),
        db_persist=True,
    )

    objects = HookQuerySet.as_manager()

    class Meta:
        indexes = [
            # claim: the oldest queued ones of a lane (the order of ids in a lane is the order of events); which
            # lanes wait; leases of those who are gone; and the log's chips, filtered and counted. One whole index
            # costs as much as the two partial ones (queued, sending) that it took the place of: 1.0 in CPU.
            models.Index(name="hooks_hook_state", fields=["state", "endpoint", "id"]),
            # claim: a lane's due retries
            models.Index(
                name="hooks_hook_retrying",
                fields=["endpoint", "next_attempt_at"],
                condition=models.Q(state=State.RETRYING),
            ),
            # which lanes have a retry due, and when the next one is
            models.Index(
                name="hooks_hook_due", fields=["next_attempt_at"], condition=models.Q(state=State.RETRYING)
            ),
            # the delivery log, newest first
            models.Index(name="hooks_hook_log", fields=["endpoint", "-id"]),
            models.Index(
                name="hooks_hook_message", fields=["endpoint", "message"], condition=~models.Q(message="")
            ),
            # the log's filters, each newest first: an instance of a million hooks may have three that fit
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
            # of a chat, for REST: a tree would cost 8 % of all work on hooks; this costs nothing until vacuum
            BrinIndex(
                fields=["chat"],
                opclasses=["text_bloom_ops"],
                name="hooks_hook_chat",
                pages_per_range=32,
                autosummarize=True,
            ),
            # of messages and acks there are always many; these are the rare kinds
            models.Index(
                name="hooks_hook_kind",
                fields=["endpoint", "kind", "-id"],
                condition=models.Q(kind__in=(Kind.STATUS, Kind.CHAT)),
            ),
            models.Index(
                name="hooks_hook_simulated", fields=["endpoint", "-id"], condition=models.Q(simulated=True)
            ),
            # a job's progress: few rows, and none at all in everyday life
            models.Index(
                name="hooks_hook_redelivery",
                fields=["redelivery", "endpoint", "state"],
                condition=models.Q(redelivery__isnull=False),
            ),
            # retention of what was skipped, which goes sooner than the rest
            models.Index(
                name="hooks_hook_skipped", fields=["created_at"], condition=models.Q(state=State.SKIPPED)
            ),
            # retention; rows lie in the order of their age, so a few pages index millions
            BrinIndex(name="hooks_hook_created", fields=["created_at"]),
        ]
        constraints = [
            models.CheckConstraint(name="hooks_hook_state", condition=models.Q(state__in=State.values)),
            models.CheckConstraint(
                name="hooks_hook_skipped_says_why",
                condition=models.Q(state=State.SKIPPED) ^ models.Q(skip_reason=""),
            ),
            models.CheckConstraint(
                name="hooks_hook_finished",
                condition=models.Q(state__in=UNFINISHED) ^ models.Q(finished_at__isnull=False),
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
        """The `webhook-id` header: the same through all attempts and redeliveries."""
        return f"hook_{self.public_id.hex}"

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED


class Attempt(models.Model):
    """One POST of a hook, whole: what was sent, what came back, how long each phase took."""

    # No constraint in the database: it would look up the hook once more for every attempt of the COPY.
    hook = models.ForeignKey(Hook, models.CASCADE, related_name="attempts", db_constraint=False)
    number = models.PositiveSmallIntegerField()
    trigger = models.CharField(max_length=10, choices=Trigger, default=Trigger.EVENT)
    started_at = models.DateTimeField()
    url = models.CharField(max_length=2000)
    address = models.CharField("address reached", max_length=60, blank=True, default="")
    request_headers = models.JSONField(default=list)  # [[name, value], …] in the order sent
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    response_headers = models.JSONField(default=list)  # [[name, value], …] as they came
    response_body = models.BinaryField(blank=True, default=b"")  # the first 8 KB
    response_size = models.PositiveIntegerField("bytes read", default=0)
    outcome = models.CharField(max_length=10, choices=Outcome)
    side = models.CharField("side at fault", max_length=10, choices=Side, blank=True, default="")
    error = models.CharField("what exactly failed", max_length=500, blank=True, default="")
    # times in milliseconds since the start, as libcurl counts them; null: this phase was not reached
    name_ms = models.FloatField("name looked up", null=True, blank=True)
    connect_ms = models.FloatField("connected", null=True, blank=True)
    tls_ms = models.FloatField("TLS agreed", null=True, blank=True)
    first_byte_ms = models.FloatField("first byte", null=True, blank=True)
    total_ms = models.FloatField("total", default=0)

    class Meta:
        indexes = [models.Index(name="hooks_attempt_hook", fields=["hook", "number"])]

    def __str__(self) -> str:
        return f"attempt {self.number} of hook {self.hook_id}"


class JobState(models.TextChoices):
    PLANNED = "planned", "Planned"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"


OPEN_JOBS = (JobState.PLANNED, JobState.RUNNING, JobState.PAUSED)


class RedeliveryQuerySet(models.QuerySet["Redelivery"]):
    def of_instances(self, instances: models.QuerySet[Any]) -> RedeliveryQuerySet:
        """The jobs on hooks of these instances; pages and REST pass `Instance.objects.visible_to(user)`."""
        parts = RedeliveryPart.objects.filter(endpoint_id__in=instances.order_by().values("pk"))
        return self.filter(pk__in=parts.values("job_id"))

    def with_totals(self) -> RedeliveryQuerySet:
        """Each with `done` and `refused`, summed up over its parts."""
        return self.annotate(done=models.Sum("parts__done"), refused=models.Sum("parts__refused"))


class Redelivery(models.Model):
    """A job that sends finished hooks again: which, how many there were, and how far it is.

    hooks/redelivery.py works it off in portions; each portion's transaction also moves its part on, so a
    process that dies in between loses nothing and sends nothing twice.
    """

    public_id = models.UUIDField(unique=True, default=new_public_id, editable=False)
    filter = models.JSONField(default=dict)  # of hooks/selection.py
    state = models.CharField(max_length=10, choices=JobState, default=JobState.PLANNED)
    up_to = models.BigIntegerField("newest hook that it takes")
    planned = models.PositiveIntegerField("hooks counted before")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RedeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "redeliveries"
        indexes = [
            # what is to be worked on
            models.Index(
                name="hooks_redelivery_open",
                fields=["id"],
                condition=models.Q(state__in=(JobState.PLANNED, JobState.RUNNING)),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="hooks_redelivery_state", condition=models.Q(state__in=JobState.values)
            ),
            models.CheckConstraint(
                name="hooks_redelivery_finished",
                condition=models.Q(state__in=OPEN_JOBS) ^ models.Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"redelivery {self.public_id.hex}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_JOBS


class RedeliveryPart(models.Model):
    """The share of one endpoint in a job: a lane that is slow or paused keeps no other one waiting."""

    job = models.ForeignKey(Redelivery, models.CASCADE, related_name="parts")
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="+")
    cursor = models.BigIntegerField("the last hook looked at", default=0)
    done = models.PositiveIntegerField("put on their way", default=0)
    refused = models.PositiveIntegerField("not sent after all", default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="hooks_redeliverypart_once", fields=["job", "endpoint"]),
        ]

    def __str__(self) -> str:
        return f"{self.done} of endpoint {self.endpoint_id}"


class Role(models.TextChoices):
    DISPATCH = "dispatch", "Dispatcher"
    OUTGOING = "outgoing", "Outgoing queue"
    REDELIVERY = "redelivery", "Redelivery"


class RetentionMark(models.Model):
    """How far the bodies are dropped; one row. See hooks/retention.py."""

    id: Any = models.PositiveSmallIntegerField(primary_key=True, default=1)
    bodies_up_to = models.BigIntegerField("newest hook looked at", default=0)
    began_at = models.DateTimeField("began with the oldest hook", default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(name="hooks_retentionmark_one", condition=models.Q(id=1))]

    def __str__(self) -> str:
        return f"bodies dropped up to {self.bodies_up_to}"


class Runner(models.Model):
    """One run of an always-running task: a dispatcher, or the loop of the outgoing queues.

    Its heartbeat is what /readyz and the worker's watchdog look at; see hooks/loops.py.
    """

    id: Any = models.BigIntegerField(primary_key=True)  # random; also the key of its advisory lock
    role = models.CharField(max_length=10, choices=Role)
    slot = models.PositiveSmallIntegerField()
    pid = models.IntegerField()
    host = models.CharField(max_length=100)
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    in_flight = models.PositiveIntegerField("requests under way", default=0, db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(name="hooks_runner_role", condition=models.Q(role__in=Role.values))
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {self.slot} (pid {self.pid})"


class Measure(models.Model):
    """A number that dispatchers count and that only ever grows, one row a series and slot; see hooks/metrics.py."""

    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    label = models.CharField(max_length=20, blank=True)
    value = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(name="hooks_measure_series", fields=["slot", "name", "label"])]

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.value}"
