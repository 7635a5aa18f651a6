"""How an instance is linked to a messenger outside this product, and the callbacks that the messenger sent.

The sandbox needs none of these rows.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from chatapi.encryption.fields import DigestField, EncryptedTextField
from hooks.body_masking import MaskedBinaryField, MaskedTextField
from instances.models.instances import Instance


def new_callback_secret() -> str:
    """Returns the secret in a callback's URL, 192 random bits."""
    return secrets.token_urlsafe(24)


class ChannelLink(models.Model):
    """The account at the messenger that an instance is linked to, with the credentials for it."""

    instance = models.OneToOneField(Instance, models.CASCADE, primary_key=True, related_name="channel_link")
    channel = models.CharField(max_length=20)  # of the instance; here for the index
    # the account's own id at the messenger, such as the id of a phone number or bot
    external_id = models.CharField(max_length=200, blank=True, default="")
    # as people call the account, such as @shop_bot
    name = models.CharField(max_length=200, blank=True, default="", db_default="")
    credentials_json = EncryptedTextField(bound_to="instance_id", blank=True, default="")
    # what is not secret: {name: text}, such as the version of the API
    options = models.JSONField(default=dict, blank=True, db_default={})
    # The messenger sends callbacks to a URL with this secret. It stays the same when the credentials change.
    callback_secret = EncryptedTextField(bound_to="instance_id", default=new_callback_secret, editable=False)
    callback_digest = DigestField(of="callback_secret", unique=True)
    changed_at = models.DateTimeField(default=timezone.now)
    # when the messenger was connected after that; null if it refused, or was not asked
    connected_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # whether a receiver is needed
            models.Index(name="instances_channellink_channel", fields=["channel"]),
        ]
        constraints = [
            # An account's events belong to one instance.
            models.UniqueConstraint(
                name="instances_channellink_account",
                fields=["channel", "external_id"],
                condition=~models.Q(external_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.external_id}".strip()

    @property
    def credentials(self) -> dict[str, str]:
        """Returns the credentials by name. Raises UnreadableSecret."""
        return json.loads(self.credentials_json) if self.credentials_json else {}

    @credentials.setter
    def credentials(self, values: dict[str, str]) -> None:
        self.credentials_json = json.dumps(values) if values else ""

    @property
    def callback_url(self) -> str:
        """The URL that the messenger sends callbacks to. It contains the secret. Raises UnreadableSecret."""
        return f"{settings.SITE_URL}/channels/{self.channel}/{self.callback_secret}"


class ReceiverState(models.Model):
    """Which receiver holds an instance's connection to its messenger, how far it has received, and its health.

    Every linked instance has a row. Those whose messenger pushes are not received from, and have no owner.
    """

    instance = models.OneToOneField(Instance, models.CASCADE, primary_key=True, related_name="receiver_state")
    # the run (hooks.Runner.id) of the receiver; a dead one is replaced
    owner = models.BigIntegerField(null=True, blank=True)
    # how far the events are recorded, in the channel's own form; changed in the transaction of its events only
    cursor = models.TextField(blank=True, default="", db_default="")
    connected_at = models.DateTimeField("connected since", null=True, blank=True)
    # where the owner takes requests of senders for the open connection; empty while it is not open
    stream_url = models.CharField(max_length=100, blank=True, default="", db_default="")
    success_at = models.DateTimeField("last response of the messenger", null=True, blank=True)
    received_at = models.DateTimeField("last event", null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField("failures in a row", default=0, db_default=0)
    error = models.TextField("why it fails", blank=True, default="", db_default="")
    next_try_at = models.DateTimeField(default=timezone.now)
    # events that their actions refused, such as a sender's number that is none
    refused = models.PositiveIntegerField("events refused", default=0, db_default=0)
    last_refusal = models.TextField(blank=True, default="", db_default="")
    # whether the account still accepts the link (instances/receiving/link_checks.py)
    next_check_at = models.DateTimeField(default=timezone.now, db_default=Now())
    check_failures = models.PositiveIntegerField("failed checks in a row", default=0, db_default=0)
    check_error = models.TextField("why checks fail", blank=True, default="", db_default="")
    # when the session had the last status that was reported with its time; an earlier one that arrives late is left out
    status_at = models.DateTimeField(null=True, blank=True)
    # since when the link is lost, and why; null while it is not, and for one that was removed
    lost_at = models.DateTimeField(null=True, blank=True)
    lost_reason = models.TextField(blank=True, default="", db_default="")
    lost_mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # the links to check
            models.Index(name="instances_receiver_check", fields=["next_check_at"]),
            # the owners to mail
            models.Index(
                name="instances_receiver_lost", fields=["lost_at"], condition=models.Q(lost_at__isnull=False)
            ),
            # the instances of a receiver, and those of a dead one
            models.Index(
                name="instances_receiver_owner", fields=["owner"], condition=models.Q(owner__isnull=False)
            ),
            # those without a receiver
            models.Index(name="instances_receiver_free", fields=["instance"], condition=models.Q(owner=None)),
        ]

    def __str__(self) -> str:
        return "failing" if self.failing_since else "connected" if self.connected_at else "not connected"


class StoredCallbackQuerySet(models.QuerySet["StoredCallback"]):
    def waiting(self) -> StoredCallbackQuerySet:
        """Returns the callbacks whose events are not recorded yet, without those that failed."""
        return self.filter(handled_at=None, failed_at=None)

    def failed(self) -> StoredCallbackQuerySet:
        """Returns the callbacks that could not be read or of which an event was refused."""
        return self.filter(failed_at__isnull=False)


# StoredCallbackQuerySet.waiting() in SQL
CALLBACK_WAITING_SQL = "handled_at IS NULL AND failed_at IS NULL"


class StoredCallback(models.Model):
    """A request of a messenger, stored before it got its response. Its events are recorded afterwards.

    Callbacks of an instance are handled in the order of the keys, one after the other.
    """

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    # No index of its own: instances_callback_key starts with the instance.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="callbacks", db_constraint=False, db_index=False
    )
    # the messenger's id of the callback, or the digest of its content: a repeated callback is stored once
    key = models.CharField(max_length=200)
    method = models.CharField(max_length=10)
    query = MaskedTextField(blank=True, default="")
    headers = models.JSONField(default=list)  # [[name, value], …]; credentials are masked
    body = MaskedBinaryField(blank=True, default=b"")
    received_at = models.DateTimeField(default=timezone.now)
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField("why it failed or is tried again", blank=True, default="", db_default="")

    objects = StoredCallbackQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_callback_key", fields=["instance", "key"]),
            models.CheckConstraint(
                name="instances_callback_state",
                condition=models.Q(handled_at=None) | models.Q(failed_at=None),
            ),
        ]
        indexes = [
            # the waiting callbacks of each instance, in order
            models.Index(
                name="instances_callback_waiting",
                fields=["instance", "id"],
                condition=models.Q(handled_at=None, failed_at=None),
            ),
            # those that failed: of an instance, and retention
            models.Index(
                name="instances_callback_failed",
                fields=["instance", "failed_at"],
                condition=models.Q(failed_at__isnull=False),
            ),
            # retention: nearly in the order of the table, so the index is small
            models.Index(name="instances_callback_old", fields=["received_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.key}"

    def header_list(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.headers]

    def body_bytes(self) -> bytes:
        content: Any = self.body
        return bytes(content)
