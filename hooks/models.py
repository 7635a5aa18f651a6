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

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
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


def new_public_id() -> uuid.UUID:
    """A time-ordered UUID (version 7): random enough not to be guessed, and kind to its index."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    number = int.from_bytes(stamp + os.urandom(10), "big")
    number = number & ~(0xF << 76) | (7 << 76)  # version
    number = number & ~(0x3 << 62) | (0x2 << 62)  # variant
    return uuid.UUID(int=number)


def new_secret() -> str:
    """A signing secret as Standard Webhooks writes it: `whsec_` and the base64 of 24 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


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
    guaranteed = models.BooleanField("guaranteedHooks", default=False)
    parallel = models.BooleanField("parallelHooks", default=False)
    paused_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="hooks_endpoint_borrowed_whole",
                condition=models.Q(borrowed_url="", borrowed_until=None)
                | (~models.Q(borrowed_url="") & models.Q(borrowed_until__isnull=False)),
            )
        ]

    def __str__(self) -> str:
        return f"endpoint {self.pk}"

    def is_borrowed(self, now: datetime | None = None) -> bool:
        """Is a verification running?"""
        return self.borrowed_until is not None and self.borrowed_until > (now or timezone.now())

    def effective_url(self, now: datetime | None = None) -> str:
        """Where a hook sent now would go; empty when there is no address."""
        return self.borrowed_url if self.is_borrowed(now) else self.url

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


class HookQuerySet(models.QuerySet["Hook"]):
    def of_instances(self, instances: models.QuerySet[Any]) -> HookQuerySet:
        """The hooks of these instances; pages and REST pass `Instance.objects.visible_to(user)`."""
        return self.filter(endpoint_id__in=instances.order_by().values("pk"))

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

    objects = HookQuerySet.as_manager()

    class Meta:
        indexes = [
            # claim: the oldest queued ones of a lane; the order of ids in a lane is the order of events
            models.Index(
                name="hooks_hook_queued", fields=["endpoint", "id"], condition=models.Q(state=State.QUEUED)
            ),
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
            # leases of those who are gone
            models.Index(
                name="hooks_hook_sending", fields=["endpoint"], condition=models.Q(state=State.SENDING)
            ),
            # the delivery log, newest first
            models.Index(name="hooks_hook_log", fields=["endpoint", "-id"]),
            models.Index(
                name="hooks_hook_message", fields=["endpoint", "message"], condition=~models.Q(message="")
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


class Role(models.TextChoices):
    DISPATCH = "dispatch", "Dispatcher"
    OUTGOING = "outgoing", "Outgoing queue"


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

    class Meta:
        constraints = [
            models.CheckConstraint(name="hooks_runner_role", condition=models.Q(role__in=Role.values))
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {self.slot} (pid {self.pid})"
