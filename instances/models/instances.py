"""One linked messenger account, its settings and status, and its status history."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Collate, Reverse
from django.urls import reverse
from django.utils import timezone

from accounts.audit import AuditSubject
from accounts.models import Account
from chatapi.database.checks import one_of
from chatapi.encryption.fields import DigestField, EncryptedTextField
from hooks.models import SAY_FAILING_AFTER
from instances.chat_ids import CHAT_ID_LENGTH
from instances.models.choices import (
    CONNECTED,
    NOT_PAID,
    QR_CODE_LIFETIME,
    AccountStatus,
    Channel,
    LoadingReason,
    StopReason,
    Substatus,
)

NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # `paid_until` of an instance that does not expire


def new_number() -> int:
    """Returns an instance's number in the wire contract: only digits, hard to guess."""
    return 100_000_000 + secrets.randbelow(1_900_000_000)  # fits PostgreSQL's integer


def new_token() -> str:
    """Returns a new token of 96 random bits. Users cannot choose one."""
    return secrets.token_hex(12)


def phone_from_end() -> Collate:
    """The phone number from its last digit on. With the collation C, its index serves LIKE '8765%'."""
    return Collate(Reverse("phone"), "C")


class InstanceQuerySet(models.QuerySet["Instance"]):
    def visible_to(self, user: Any) -> InstanceQuerySet:
        """Returns the instances of the user's own account and of accounts where they are a member.

        `may_change` of each says whether the user may also change it.
        """
        changeable = models.Q(owner__in=Account.objects.changeable_by(user))
        return self.filter(owner__in=Account.objects.visible_to(user)).annotate(
            may_change=models.ExpressionWrapper(changeable, models.BooleanField())
        )

    def changeable_by(self, user: Any) -> InstanceQuerySet:
        """Returns the instances of the user's own account and of accounts where they are a manager."""
        return self.filter(owner__in=Account.objects.changeable_by(user))

    def with_part_of_phone(self, digits: str) -> InstanceQuerySet:
        """Returns the instances whose phone number begins or ends with these digits."""
        of_end = self.alias(phone_from_end=phone_from_end())
        part = models.Q(phone__startswith=digits) | models.Q(phone_from_end__startswith=digits[::-1])
        return of_end.filter(part & ~models.Q(phone=""))

    def of_account(self, account: Any) -> InstanceQuerySet:
        """Returns the instances for an account's key: only its own, not of accounts that its owner is a member of."""
        return self.filter(owner=account)

    def with_outdated_code(self, now: datetime) -> InstanceQuerySet:
        """Returns the paid instances whose QR code has to expire; `Instance.is_code_outdated` for one."""
        return self.filter(
            account_status=AccountStatus.GOT_QR_CODE,
            substatus=Substatus.NORMAL,
            status_changed_at__lte=now - QR_CODE_LIFETIME,
            paid_until__gt=now,
        )

    def connected(self, now: datetime) -> InstanceQuerySet:
        """Instances whose queues may be sent now; `Instance.is_connected` for one."""
        return self.filter(connected(now))


def connected(now: datetime, *, path: str = "") -> models.Q:
    """Returns the condition for sending an instance's queues now; `path` leads to the instance, as in `instance__`.

    CONNECTED_SQL is the same rule in SQL, `Instance.is_connected` for one instance.
    """
    return models.Q(
        **{
            f"{path}account_status": AccountStatus.AUTHENTICATED,
            f"{path}substatus__in": CONNECTED,
            f"{path}paid_until__gt": now,
            f"{path}stopped_at": None,
        }
    )


# `connected` for raw SQL: a condition on the columns of Instance, whose one parameter is the time. The statuses are
# constants: psycopg needs longer for a parameter than PostgreSQL for the comparison.
CONNECTED_SQL = (
    f"account_status = '{AccountStatus.AUTHENTICATED}' AND substatus = ANY('{{{','.join(CONNECTED)}}}')"
    " AND paid_until > %s AND stopped_at IS NULL"
)


class Instance(models.Model):
    """One linked messenger account.

    The settings have the order and defaults of contract.md, section 2. The settings of deliveries (webhookUrl,
    guaranteedHooks, parallelHooks, strictOrder) are fields of hooks.Endpoint.
    """

    number = models.IntegerField(unique=True, default=new_number, editable=False)
    owner = models.ForeignKey("accounts.Account", models.CASCADE, related_name="instances")
    name = models.CharField(max_length=100, blank=True, default="")
    token = EncryptedTextField(bound_to="number", default=new_token, editable=False)
    token_digest = DigestField(of="token", unique=True)
    channel = models.CharField(max_length=20, choices=Channel, default=Channel.SANDBOX)
    account_status = models.CharField(max_length=20, choices=AccountStatus, default=AccountStatus.INIT)
    substatus = models.CharField(max_length=20, choices=Substatus, default=Substatus.NORMAL)
    status_changed_at = models.DateTimeField(default=timezone.now)
    phone = models.CharField("own phone number", max_length=20, blank=True, default="")
    # empty if the account has a phone number
    account_chat_id = models.CharField(
        "own chat id without a number", max_length=CHAT_ID_LENGTH, blank=True, default="", db_default=""
    )
    # why it is `loading`; empty if unknown
    loading_reason = models.CharField(max_length=20, choices=LoadingReason, blank=True, default="")
    battery = models.PositiveSmallIntegerField("battery of the phone, percent", default=90)
    profile_name = models.CharField("name that contacts see", max_length=100, blank=True, default="")
    profile_status = models.CharField("status text that contacts see", max_length=200, blank=True, default="")
    paid_until = models.DateTimeField(default=timezone.now)  # NEVER: it does not expire
    is_trial = models.BooleanField("until then on trial", default=False)  # until the first payment
    # by staff: nothing is sent or received until it is started again
    stopped_at = models.DateTimeField(null=True, blank=True)
    stop_reason = models.CharField(max_length=10, choices=StopReason, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    # when the first-run checklist was found complete: it is never shown again
    first_steps_done_at = models.DateTimeField(null=True, blank=True, editable=False)

    send_delay = models.PositiveIntegerField("sendDelay", default=0)
    instance_statuses = models.BooleanField("instanceStatuses", default=False)
    webhook_statuses = models.BooleanField("webhookStatuses", default=False)
    status_notifications_on = models.BooleanField("statusNotificationsOn", default=False)
    ack_notifications_on = models.BooleanField("ackNotificationsOn", default=False)
    chat_update_on = models.BooleanField("chatUpdateOn", default=False)
    video_upload_on = models.BooleanField("videoUploadOn", default=False)
    proxy = models.CharField("proxy", max_length=100, blank=True, default="")
    ignore_old_messages = models.BooleanField("ignoreOldMessages", default=False)
    old_messages_period = models.PositiveIntegerField("oldMessagesPeriod", default=300)
    process_archive = models.BooleanField("processArchive", default=False)
    disable_dialogs_archive = models.BooleanField("disableDialogsArchive", default=False)

    # banSettings: a regular expression for phone numbers, and the message for contacts who match it
    ban_phone_mask = models.CharField("banPhoneMask", max_length=200, blank=True, default="")
    pre_ban_message = models.TextField("preBanMessage", blank=True, default="")

    # Up to here, messages may have been deleted; see `last_message_number`.
    stored_message_number = models.PositiveIntegerField(
        default=0, editable=False, db_column="last_message_number"
    )

    # Keys up to which rows of each table are being deleted; null: none. See instances/actions/cleaning.py.
    cleaning = ArrayField(models.BigIntegerField(), null=True, blank=True, editable=False)

    # Set by `visible_to`: whether the user may change the instance; a viewer's pages show no buttons.
    may_change = False

    objects = InstanceQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            # the support desk's search: a whole number or its beginning, and its end
            models.Index(
                name="instances_phone_start",
                fields=["phone"],
                condition=~models.Q(phone=""),
                opclasses=["varchar_pattern_ops"],
            ),
            models.Index(
                phone_from_end(),
                name="instances_phone_end",
                condition=~models.Q(phone=""),
            ),
            # the task that expires QR codes, every minute
            models.Index(
                name="instances_instance_qr_code",
                fields=["status_changed_at"],
                condition=models.Q(account_status=AccountStatus.GOT_QR_CODE),
            ),
            # the support desk's health page: how many are linked
            models.Index(
                name="instances_instance_linked",
                fields=["channel"],
                condition=models.Q(account_status=AccountStatus.AUTHENTICATED),
            ),
            # the task that deletes the data of cleaned instances
            models.Index(
                name="instances_instance_cleaning",
                fields=["id"],
                condition=models.Q(cleaning__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="instances_instance_status", condition=one_of("account_status", AccountStatus.values)
            ),
            models.CheckConstraint(
                name="instances_instance_substatus", condition=one_of("substatus", Substatus.values)
            ),
            models.CheckConstraint(
                name="instances_instance_stop_reason",
                condition=models.Q(stop_reason="") | models.Q(stopped_at__isnull=False),
            ),
        ]
        permissions = [
            ("stop_instance", "Can stop and start instances"),
            ("log_out_instance", "Can log instances out"),
        ]

    def __str__(self) -> str:
        return self.name or f"Instance {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("instances:detail", args=[self.number])

    def audit_subject(self) -> AuditSubject:
        """Audit entries name the instance by its number, which stays readable after the instance is deleted."""
        return AuditSubject("instance", self.number, str(self), self.owner_id)

    @property
    def api_url(self) -> str:
        """`apiUrl` of the wire contract: the token goes into the query, not in here."""
        return f"{settings.SITE_URL}/instance{self.number}/"

    @property
    def is_paid(self) -> bool:
        return self.paid_until > timezone.now()

    @property
    def expires_at(self) -> datetime | None:
        """`paid_until`, or None if it does not expire."""
        return self.paid_until if self.paid_until < NEVER else None

    @property
    def why_unpaid(self) -> str:
        """Why it is not paid, as a part of a sentence."""
        return "the trial of this instance has ended" if self.is_trial else "this instance is not paid"

    @property
    def is_stopped(self) -> bool:
        """Whether staff has stopped it or blocked its account: nothing is sent or received."""
        return self.stopped_at is not None

    @property
    def is_authenticated(self) -> bool:
        return self.account_status == AccountStatus.AUTHENTICATED

    @property
    def is_connected(self) -> bool:
        """Whether its queues may be sent now: it is linked, connected, paid and not stopped."""
        linked = self.is_authenticated and self.substatus in CONNECTED
        return linked and self.is_paid and self.stopped_at is None

    @property
    def delivery_state(self) -> str:
        """A key of chatapi.ui.states.DELIVERY_STATES if its hooks are not delivered; empty if they are.

        Of the first endpoint; of all endpoints if `failing_since` was annotated (pages/instance_list/search.py).
        """
        endpoint = self.endpoint
        if not self.is_paid or self.is_stopped:  # its state says so
            return ""
        if endpoint.paused_at is not None:
            return "paused"
        since = self.__dict__.get("failing_since", endpoint.failing_since)
        if since is None:
            return ""
        return "failing" if timezone.now() - since > SAY_FAILING_AFTER else "last_failed"

    @property
    def shown_loading_reason(self) -> str:
        """`reason` of statusData: a LoadingReason while it is loading, otherwise ""."""
        if self.account_status != AccountStatus.LOADING:
            return ""
        if self.loading_reason:
            return self.loading_reason
        known_reasons = {Substatus.SYNCING: LoadingReason.SYNCING, Substatus.OFFLINE: LoadingReason.OFFLINE}
        return known_reasons.get(Substatus(self.substatus), LoadingReason.CONNECTING)

    @property
    def is_code_outdated(self) -> bool:
        """Whether its QR code was shown for QR_CODE_LIFETIME and is not yet recorded as expired."""
        return (
            self.account_status == AccountStatus.GOT_QR_CODE
            and self.substatus == Substatus.NORMAL
            and self.status_changed_at <= timezone.now() - QR_CODE_LIFETIME
        )

    @property
    def is_expired(self) -> bool:
        """Whether its QR code or session has expired: only `expiry` continues."""
        return self.substatus == Substatus.EXPIRED

    @property
    def is_syncing(self) -> bool:
        """Whether it is loading its chats: `retry` applies."""
        return self.shown_loading_reason == LoadingReason.SYNCING

    @property
    def is_taken_over(self) -> bool:
        """Whether another browser has the session: `takeover` applies."""
        return self.shown_loading_reason == LoadingReason.CONFLICT

    @property
    def unlinked_status(self) -> AccountStatus:
        """`accountStatus` without a session: the sandbox shows a code at once, other messengers when they have one."""
        return AccountStatus.GOT_QR_CODE if self.channel == Channel.SANDBOX else AccountStatus.INIT

    @property
    def is_unlinked(self) -> bool:
        """Whether an account has to be linked, or linked again, by values that a person enters."""
        return self.account_status == AccountStatus.INIT == self.unlinked_status

    @property
    def lost_link(self) -> Any:
        """The ReceiverState of a link that was lost; None if none was. One query, if it is not linked."""
        state = getattr(self, "receiver_state", None) if self.is_unlinked else None
        return state if state is not None and state.lost_at else None

    @property
    def has_session(self) -> bool:
        """Whether a phone is linked, connected or not: `logout` applies."""
        return self.account_status in (AccountStatus.AUTHENTICATED, AccountStatus.LOADING)

    @property
    def shown_status(self) -> str:
        """`accountStatus` of the wire contract: `not_paid` replaces all others."""
        return self.account_status if self.is_paid else NOT_PAID

    @property
    def last_message_number(self) -> int:
        """The number of the newest message, 0 if there has been none. One query; see message_numbers.py."""
        newer = self.messages.filter(number__gt=self.stored_message_number).order_by("-number")
        return newer.values_list("number", flat=True).first() or self.stored_message_number

    @property
    def last_queue_number(self) -> int:
        """How many messages the API has accepted in total. One query, unless `queue` was selected with it."""
        return self.queue.last_number

    @property
    def own_chat_id(self) -> str:
        return self.account_chat_id or f"{self.phone}@c.us"


class StatusChange(models.Model):
    """The status history of an instance, kept while `instanceStatuses` is on."""

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="status_changes", db_constraint=False
    )
    account_status = models.CharField(max_length=20, choices=AccountStatus)
    substatus = models.CharField(max_length=20, choices=Substatus)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(name="instances_statuschange_log", fields=["instance", "at"])]

    def __str__(self) -> str:
        return f"{self.account_status} at {self.at:%F %T}"


class DeletedInstance(models.Model):
    """An instance that was deleted: its number is not used again, and a task deletes its data."""

    # the key that the instance had
    id: Any = models.BigIntegerField(primary_key=True)
    number = models.IntegerField(unique=True)
    deleted_at = models.DateTimeField(default=timezone.now)
    dropped_at = models.DateTimeField("all its data deleted", null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                name="instances_deletedinstance_open", fields=["id"], condition=models.Q(dropped_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"deleted instance {self.number}"
