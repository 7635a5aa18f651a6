"""Endpoints, the lanes of their hooks, and the counts of their hooks."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Collate, Left, Reverse
from django.utils import timezone

from chatapi.encryption.fields import EncryptedTextField
from hooks.models.choices import GUARANTEED_ATTEMPTS, ChatKind, Direction, Kind, PauseReason

MAX_ENDPOINTS = 10  # of one instance
MAX_CHATS = 100  # in one endpoint's filter
# Ids of the endpoints that are not the first of their instance start here. The first has its instance's key.
OTHER_IDS = 2**40
# A run of `chatapi listen` calls at least every 15 s. After so long without a call it is not connected.
LISTENER_SEEN = timedelta(seconds=45)


def new_secret() -> str:
    """Returns a new signing secret in the format of Standard Webhooks: `whsec_` and the base64 of 24 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


# The host of a stored URL, which has no upper-case letters there: without the user, the port and the path.
HOST_OF_URL = r"^[a-z]+://(?:[^/?#@]*@)?(\[[^]]*\]|[^/?#:]+)"
INDEXED_LENGTH = 250  # characters; an entry of an index has at most 2 700 bytes


def url_beginning() -> Collate:
    """The first characters of the URL. With the collation C, its index serves LIKE 'https://shop%'."""
    return Collate(Left("url", INDEXED_LENGTH), "C")


def reversed_host() -> Collate:
    """The URL's host from its end, so that an index finds `example.com` and `shop.example.com` by `moc.elpmaxe`."""
    host = models.Func(
        models.F("url"), models.Value(HOST_OF_URL), function="substring", output_field=models.TextField()
    )
    return Collate(Reverse(Left(host, INDEXED_LENGTH)), "C")


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def present(self) -> Self:
        """Returns the endpoints that were not removed, in the order in which they were added."""
        return self.filter(removed_at=None).order_by("pk")

    def of_instances(self, instances: models.QuerySet[Any]) -> Self:
        """Returns the endpoints of these instances; REST and pages pass `Instance.objects.visible_to(user)`."""
        return self.filter(instance__in=instances.order_by().values("pk"))

    def failing(self) -> Self:
        """Returns the endpoints whose last attempt has failed and that still get hooks.

        Without paused ones, and without those of `chatapi listen`: a computer that is switched off keeps its last
        failure.
        """
        return self.filter(
            removed_at=None, failing_since__isnull=False, paused_at=None, is_listener=False
        ).order_by()

    def paused(self) -> Self:
        """Returns the paused endpoints."""
        return self.filter(removed_at=None, paused_at__isnull=False).order_by()

    def with_url(self, beginning: str) -> Self:
        """Returns the endpoints whose URL begins with this text."""
        found = self.alias(url_beginning=url_beginning())
        return found.filter(url_beginning__startswith=beginning[:INDEXED_LENGTH], url__startswith=beginning)

    def with_host(self, host: str) -> Self:
        """Returns the endpoints whose URL has this host, or one below it; `host` as in a stored URL."""
        end = host[::-1]
        found = self.alias(reversed_host=reversed_host())
        return found.filter(models.Q(reversed_host=end) | models.Q(reversed_host__startswith=f"{end}."))


class Endpoint(models.Model):
    """A URL that gets hooks of one instance, with its delivery settings and filters.

    An instance has up to MAX_ENDPOINTS. The first always exists and has the instance's key; its URL is the contract's
    `webhookUrl`, and `instance.endpoint` is this endpoint.
    """

    id: Any = models.BigAutoField(primary_key=True)  # see OTHER_IDS
    instance = models.ForeignKey("instances.Instance", models.CASCADE, related_name="endpoints")
    # Set for the first endpoint of the instance only. A deleted instance takes all its endpoints by `instance`.
    first_of = models.OneToOneField(
        "instances.Instance",
        models.DO_NOTHING,
        null=True,
        blank=True,
        editable=False,
        related_name="endpoint",
    )
    # Of the first endpoint: the ids of the instance's other endpoints, removed ones too, so that an instance with one
    # endpoint needs no query for them. Only actions/endpoints.py and maintenance/removed_endpoints.py write it.
    others = ArrayField(models.BigIntegerField(), default=list, db_default=[], blank=True, editable=False)
    name = models.CharField(max_length=60, blank=True, default="", db_default="")
    url = models.CharField("URL", max_length=2000, blank=True, default="")
    # The URL as its owner typed it, if it differs from `url`, which is as it is requested.
    typed_url = models.CharField(max_length=2000, blank=True, default="", db_default="")
    # A running verification overrides the URL until this time. It ends without a write.
    # The columns keep their names in existing databases; raw SQL takes them from hooks/urls/destination.py.
    override_url = models.CharField(max_length=2000, blank=True, default="", db_column="borrowed_url")
    override_until = models.DateTimeField(null=True, blank=True, db_column="borrowed_until")
    # During the override the own URL also gets a hook for every event; see outbox.py.
    override_also_sends_to_own = models.BooleanField(
        default=False, db_default=False, db_column="borrowed_forwards"
    )
    secret = EncryptedTextField("signing secret", bound_to="id", default=new_secret)
    # After a rotation, every hook is also signed with this secret until then.
    previous_secret = EncryptedTextField("previous signing secret", bound_to="id", blank=True, default="")
    previous_secret_until = models.DateTimeField(null=True, blank=True)
    guaranteed = models.BooleanField("guaranteedHooks", default=False)
    parallel = models.BooleanField("parallelHooks", default=False)
    # No hook is sent while an older one of this endpoint is unfinished; see hooks/dispatch/strict_order.py.
    strict = models.BooleanField("strictOrder", default=False, db_default=False)
    # `chatapi listen` on a user's computer fetches its hooks (hooks/actions/listening.py); dispatchers send none.
    is_listener = models.BooleanField(default=False, db_default=False, editable=False)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=10, choices=PauseReason, blank=True, default="")
    pause_told_at = models.DateTimeField("owner notified of the pause", null=True, blank=True)
    # for some time after it, hooks are sent at an increasing rate; see hooks/dispatch/catch_up.py
    resumed_at = models.DateTimeField(null=True, blank=True)
    # the first failure after the last success; null: the last attempt succeeded, or there was none
    failing_since = models.DateTimeField(null=True, blank=True)
    # The filters; an empty one matches every event. hooks/filters.py decides which events match.
    families = ArrayField(
        models.CharField(max_length=10, choices=Kind), default=list, db_default=[], blank=True
    )
    direction = models.CharField(max_length=3, choices=Direction, blank=True, default="", db_default="")
    message_types = ArrayField(models.CharField(max_length=20), default=list, db_default=[], blank=True)
    chat_ids = ArrayField(models.CharField(max_length=280), default=list, db_default=[], blank=True)
    chat_kinds = models.CharField(max_length=6, choices=ChatKind, blank=True, default="", db_default="")
    # Waiting hooks up to this key are being cancelled, and nothing is sent; see maintenance/cancelling.py.
    cancel_up_to = models.BigIntegerField(null=True, blank=True, editable=False)
    # Its hooks stay in the log until they are too old; then maintenance/removed_endpoints.py deletes the row.
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        indexes = [
            # the endpoints that auto-pause examines
            models.Index(
                name="hooks_endpoint_failing",
                fields=["failing_since"],
                condition=models.Q(failing_since__isnull=False),
            ),
            # the lanes that dispatchers ignore
            models.Index(
                name="hooks_endpoint_paused",
                fields=["paused_at"],
                condition=models.Q(paused_at__isnull=False),
            ),
            # the running verifications, whose notice is on every page
            models.Index(
                name="hooks_endpoint_overridden",
                fields=["override_until"],
                condition=models.Q(override_until__isnull=False),
            ),
            # the support desk's search: by the beginning of a URL, and by a host or a domain above it
            models.Index(url_beginning(), name="hooks_endpoint_url"),
            models.Index(reversed_host(), name="hooks_endpoint_host"),
            # the task that cancels waiting hooks
            models.Index(
                name="hooks_endpoint_cancelling",
                fields=["cancel_up_to"],
                condition=models.Q(cancel_up_to__isnull=False),
            ),
            # the task that deletes removed endpoints
            models.Index(
                name="hooks_endpoint_removed",
                fields=["removed_at"],
                condition=models.Q(removed_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="hooks_endpoint_strict_or_parallel", condition=~models.Q(parallel=True, strict=True)
            ),
            models.CheckConstraint(
                name="hooks_endpoint_first",
                condition=models.Q(
                    first_of=models.F("instance"), id=models.F("instance"), removed_at__isnull=True
                )
                | models.Q(first_of__isnull=True, id__gte=OTHER_IDS, others=[]),
            ),
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
                name="hooks_endpoint_borrowed_whole",  # its name in existing databases
                condition=models.Q(override_url="", override_until=None)
                | (~models.Q(override_url="") & models.Q(override_until__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return self.name or (urlsplit(self.url).hostname or "") or f"endpoint {self.pk}"

    @property
    def is_first(self) -> bool:
        """Whether it is the instance's first endpoint, which the wire contract shows."""
        return self.first_of_id is not None

    @property
    def is_removed(self) -> bool:
        return self.removed_at is not None

    @property
    def sibling_ids(self) -> list[int]:
        """Of the first endpoint: the ids of all endpoints of its instance, itself first, removed ones too."""
        return [self.pk, *self.others]

    @property
    def is_filtered(self) -> bool:
        """Whether any filter is set, so that some events do not match."""
        return bool(self.families or self.direction or self.message_types or self.chat_ids or self.chat_kinds)

    def is_overridden(self, now: datetime | None = None) -> bool:
        """Returns whether a running verification overrides the URL."""
        return self.override_until is not None and self.override_until > (now or timezone.now())

    @property
    def shown_url(self) -> str:
        """The URL as its owner typed it; clients compare it with what they have set. Empty if there is none."""
        return self.typed_url if self.url and self.typed_url else self.url

    def effective_url(self, now: datetime | None = None) -> str:
        """Returns the URL that a hook would be sent to now; empty if there is none. See hooks/urls/destination.py."""
        return self.override_url if self.is_overridden(now) else self.url

    def own_url_as_well(self, now: datetime | None = None) -> str:
        """Returns the endpoint's own URL if it gets every hook in addition to the override; empty if not."""
        return self.url if self.override_also_sends_to_own and self.is_overridden(now) else ""

    def valid_secrets(self, now: datetime | None = None) -> list[str]:
        """Returns the secrets that sign a hook now: the current one, and for a day after a rotation the last one."""
        previous_is_valid = self.previous_secret_until is not None and self.previous_secret_until > (
            now or timezone.now()
        )
        return [self.secret, self.previous_secret] if previous_is_valid else [self.secret]

    @property
    def attempts_allowed(self) -> int:
        return GUARANTEED_ATTEMPTS if self.guaranteed else 1


class Lane(models.Model):
    """The lease of one endpoint's hooks: the dispatcher that may send them, until the lease ends or it dies.

    The owner claims first attempts in the order of their ids and moves `cursor`, so a queued hook up to the cursor is
    being sent (HookQuerySet.in_states), and the rows of hooks are not written before their results. A free lane has no
    queued hook up to its cursor.

    A table of its own, so that saving a URL and renewing a lease never wait for each other's row lock.
    """

    endpoint = models.OneToOneField(Endpoint, models.CASCADE, primary_key=True, related_name="lane")
    owner = models.BigIntegerField("dispatcher", null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    cursor = models.BigIntegerField("last claimed hook", default=0, db_default=0)
    # When it was last claimed, in units of claim.PERIOD_SECONDS since 1970. The key in the database is (endpoint,
    # period): while an old transaction keeps the row's former versions, a new entry in the index of the key is compared
    # with those of its period only. With the key of the endpoint alone, it was compared with all of them. It never
    # decreases: if the database's clock is set back, the period stays until the clock has caught up. The trigger
    # hooks_lane_is_first refuses a second lane of an endpoint.
    period = models.IntegerField(default=0, db_default=0)
    # Of an endpoint with `is_listener`, whose lane has no owner: the run of `chatapi listen` that fetches its hooks,
    # and when it last called. Null: none runs, or none has called.
    listener = models.UUIDField(null=True, blank=True)
    listener_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # the sweep: lanes with an owner, which may be dead
            models.Index(name="hooks_lane_owned", fields=["owner"], condition=models.Q(owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"lane {self.pk}"

    def is_connected(self, now: datetime | None = None) -> bool:
        """Returns whether a run of `chatapi listen` fetches the hooks: it has called within LISTENER_SEEN."""
        seen_at = self.listener_seen_at
        return (
            self.listener is not None
            and seen_at is not None
            and seen_at > (now or timezone.now()) - LISTENER_SEEN
        )


class Tally(models.Model):
    """Counts the hooks that an endpoint has emitted, independently of their rows; it proves that none is lost.

    emitted = dropped by retention + the rows in all states; `manage.py hooks check` verifies this. What events have
    counted a moment ago is in EmittedCount, and belongs to it. The row lock is held until the emitting transaction
    ends, so the ids in a lane are in commit order.
    """

    endpoint = models.OneToOneField(Endpoint, models.CASCADE, primary_key=True, related_name="tally")
    emitted = models.BigIntegerField(default=0)
    dropped = models.BigIntegerField(default=0)
    # how many were skipped (at their event or manually) and cancelled, for hooks/metrics.py
    skipped = models.BigIntegerField(default=0, db_default=0)
    cancelled = models.BigIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.emitted} emitted"


class EmittedCount(models.Model):
    """How many hooks one transaction has emitted at an endpoint; hooks/tallies.py adds them to its Tally later.

    No row is ever changed. It has no foreign key in the database, which would cost each event a look-up: the tally is
    locked, so the endpoint exists. The counts of a deleted endpoint are kept in Measure.
    """

    id: Any = models.BigAutoField(primary_key=True)
    endpoint_id = models.BigIntegerField()
    emitted = models.BigIntegerField()
    skipped = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.emitted} emitted by endpoint {self.endpoint_id}"
