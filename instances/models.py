"""A linked messenger: the instance and its settings, its chats and messages, its outgoing queue."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone


def new_number() -> int:
    """The instance's number in the wire contract: digits alone, and not to be guessed."""
    return 100_000_000 + secrets.randbelow(1_900_000_000)  # fits PostgreSQL's integer


def new_token() -> str:
    return secrets.token_hex(12)


class Channel(models.TextChoices):
    """How an instance reaches its messenger; one module each in instances/channels."""

    SANDBOX = "sandbox", "Sandbox"


class AccountStatus(models.TextChoices):
    """contract.md, section 4; `not_paid` is derived from paid_until and never stored."""

    INIT = "init", "init"
    LOADING = "loading", "loading"
    GOT_QR_CODE = "got qr code", "got qr code"
    AUTHENTICATED = "authenticated", "authenticated"


NOT_PAID = "not_paid"
CODE_LIVES = timedelta(minutes=1)  # a QR code, contract.md, section 4


class Substatus(models.TextChoices):
    NORMAL = "normal", "normal"
    PHONE = "phone", "phone"
    COMPUTER = "computer", "computer"
    OFFLINE = "offline", "offline"
    BATTERY_LOW = "battery_low", "battery_low"
    BATTERY_LOW_1 = "battery_low_1", "battery_low_1"
    BATTERY_LOW_2 = "battery_low_2", "battery_low_2"
    SYNCING = "syncing", "syncing"
    LOADING = "loading", "loading"
    EXPIRED = "expired", "expired"
    OPENING = "opening", "opening"
    PAIRING = "pairing", "pairing"
    TIMEOUT = "timeout", "timeout"


class InstanceQuerySet(models.QuerySet["Instance"]):
    def visible_to(self, user: Any) -> InstanceQuerySet:
        """The instances whose account belongs to `user`; nobody's for an anonymous one."""
        if not user.is_authenticated:
            return self.none()
        return self.filter(owner__owner=user)

    def of_account(self, account: Any) -> InstanceQuerySet:
        return self.filter(owner=account)


class Instance(models.Model):
    """One linked messenger account.

    The settings stand here in the order and with the defaults of contract.md, section 2; those that
    say where and how hooks go (webhookUrl, guaranteedHooks, parallelHooks) are hooks.Endpoint's.
    """

    number = models.IntegerField(unique=True, default=new_number, editable=False)
    owner = models.ForeignKey("accounts.Account", models.CASCADE, related_name="instances")
    name = models.CharField(max_length=100, blank=True, default="")
    token = models.CharField(max_length=64, default=new_token, editable=False)
    channel = models.CharField(max_length=20, choices=Channel, default=Channel.SANDBOX)
    account_status = models.CharField(max_length=20, choices=AccountStatus, default=AccountStatus.INIT)
    substatus = models.CharField(max_length=20, choices=Substatus, default=Substatus.NORMAL)
    status_changed_at = models.DateTimeField(default=timezone.now)
    phone = models.CharField("own phone number", max_length=20, blank=True, default="")
    paid_until = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    load_test = models.BooleanField("made by manage.py hooks load", default=False, editable=False)

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

    # Gapless: raised by one UPDATE that holds the row until the event's transaction ends.
    last_message_number = models.PositiveIntegerField(default=0, editable=False)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="instances_instance_status", condition=models.Q(account_status__in=AccountStatus.values)
            ),
            models.CheckConstraint(
                name="instances_instance_substatus", condition=models.Q(substatus__in=Substatus.values)
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"Instance {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("instances:detail", args=[self.number])

    @property
    def api_url(self) -> str:
        """`apiUrl` of the wire contract: the token goes into the query, not in here."""
        return f"{settings.SITE_URL}/instance{self.number}/"

    @property
    def is_paid(self) -> bool:
        return self.paid_until > timezone.now()

    @property
    def is_authenticated(self) -> bool:
        return self.account_status == AccountStatus.AUTHENTICATED

    @property
    def code_is_over(self) -> bool:
        """Has its QR code been there for CODE_LIVES, and is not said to have expired yet?"""
        return (
            self.account_status == AccountStatus.GOT_QR_CODE
            and self.substatus == Substatus.NORMAL
            and self.status_changed_at <= timezone.now() - CODE_LIVES
        )

    @property
    def shown_status(self) -> str:
        """`accountStatus` as the wire contract says it: `not_paid` hides all the others."""
        return self.account_status if self.is_paid else NOT_PAID

    @property
    def last_queue_number(self) -> int:
        """How many messages the API has ever accepted; costs a query unless `queue` is selected with it."""
        return self.queue.last_number

    @property
    def own_chat_id(self) -> str:
        return f"{self.phone}@c.us"


class StatusChange(models.Model):
    """The status history of an instance, kept while `instanceStatuses` is on."""

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="status_changes")
    account_status = models.CharField(max_length=20, choices=AccountStatus)
    substatus = models.CharField(max_length=20, choices=Substatus)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(name="instances_statuschange_log", fields=["instance", "at"])]

    def __str__(self) -> str:
        return f"{self.account_status} at {self.at:%F %T}"


class Chat(models.Model):
    """A conversation of the instance's account with a contact or a group."""

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="chats")
    chat_id = models.CharField(max_length=100)
    name = models.CharField(max_length=200, blank=True, default="")
    image = models.CharField(max_length=2000, blank=True, default="")
    is_group = models.BooleanField(default=False)
    last_time = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_chat_once", fields=["instance", "chat_id"]),
        ]
        indexes = [models.Index(name="instances_chat_recent", fields=["instance", "-last_time"])]

    def __str__(self) -> str:
        return self.name or self.chat_id


class MessageType(models.TextChoices):
    CHAT = "chat", "Text"
    IMAGE = "image", "Image"
    PTT = "ptt", "Voice"
    DOCUMENT = "document", "Document"
    AUDIO = "audio", "Audio"
    VIDEO = "video", "Video"
    LOCATION = "location", "Location"
    CALL_LOG = "call_log", "Missed call"
    VCARD = "vcard", "Contact card"
    STICKER = "sticker", "Sticker"


class Ack(models.IntegerChoices):
    """The ticks of an outgoing message; a status never goes back."""

    SENT = 1, "sent"
    DELIVERED = 2, "delivered"
    VIEWED = 3, "viewed"


class Message(models.Model):
    """A message that has gone in or out. Its number is gapless per instance (contract.md, section 3)."""

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="messages")
    number = models.PositiveIntegerField("messageNumber")
    message_id = models.CharField(max_length=200)
    chat = models.ForeignKey(Chat, models.CASCADE, related_name="messages")
    author = models.CharField(max_length=100)
    sender_name = models.CharField(max_length=200, blank=True, default="")
    type = models.CharField(max_length=10, choices=MessageType, default=MessageType.CHAT)
    body = models.TextField(blank=True, default="")
    caption = models.TextField(null=True, blank=True)
    from_me = models.BooleanField(default=False)
    by_api = models.BooleanField("sent by the API (`self` 1)", default=False)
    forwarded = models.PositiveSmallIntegerField(default=0)
    quoted = models.JSONField(null=True, blank=True)  # {"id","body","type"}
    metadata = models.JSONField(null=True, blank=True)
    ack = models.PositiveSmallIntegerField(choices=Ack, null=True, blank=True)
    queue_number = models.PositiveIntegerField(null=True, blank=True)
    queued_at = models.DateTimeField("accepted by the API", null=True, blank=True)
    time = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_message_number", fields=["instance", "number"]),
            models.UniqueConstraint(name="instances_message_id", fields=["instance", "message_id"]),
            models.CheckConstraint(
                name="instances_message_ack_outgoing",
                condition=models.Q(from_me=True) | models.Q(ack__isnull=True),
            ),
        ]
        indexes = [models.Index(name="instances_message_chat", fields=["chat", "number"])]

    def __str__(self) -> str:
        return self.message_id


class OutgoingQueue(models.Model):
    """Number, length and pace of an instance's outgoing queue.

    Apart from Instance, so that a call that sends never waits for a message that is being written down:
    both hold their row until their commit has reached the disk.
    """

    instance = models.OneToOneField(Instance, models.CASCADE, primary_key=True, related_name="queue")
    last_number = models.PositiveIntegerField("queueNumber", default=0)  # gapless
    length = models.PositiveIntegerField("messages waiting", default=0)  # of the rows in OutgoingMessage
    next_send_at = models.DateTimeField(default=timezone.now)  # nothing goes before (sendDelay)

    class Meta:
        indexes = [
            # the sending loop: which queues are due
            models.Index(
                name="instances_outgoingqueue_due", fields=["next_send_at"], condition=models.Q(length__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.length} waiting"


class OutgoingMessage(models.Model):
    """A message that the API has accepted and the messenger has not got yet.

    It becomes a Message, with the same id and queue number, when the channel takes it; so a queue
    that is cleared leaves no hole in the message numbers.
    """

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="outgoing")
    queue_number = models.PositiveIntegerField()
    message_id = models.CharField(max_length=200)
    chat_id = models.CharField(max_length=100)
    type = models.CharField(max_length=10, choices=MessageType, default=MessageType.CHAT)
    body = models.TextField()
    caption = models.TextField(null=True, blank=True)
    quoted = models.JSONField(null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_try_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_outgoing_number", fields=["instance", "queue_number"]),
            models.UniqueConstraint(name="instances_outgoing_id", fields=["instance", "message_id"]),
        ]

    def __str__(self) -> str:
        return self.message_id
