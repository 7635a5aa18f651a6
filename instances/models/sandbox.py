"""The tables of the sandbox messenger: its contacts, and the acks that they will send."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone

from instances.models.choices import Ack
from instances.models.instances import Instance


class SandboxContact(models.Model):
    """A contact of the sandbox and their behaviour: what happens to messages sent to them.

    A number without a row is a contact who is online, receives messages immediately and never reads them.
    """

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="sandbox_contacts", db_constraint=False
    )
    chat_id = models.CharField(max_length=100)
    name = models.CharField(max_length=100, blank=True, default="")
    image = models.CharField(max_length=2000, blank=True, default="")
    has_account = models.BooleanField("uses the messenger", default=True)
    online = models.BooleanField("receives messages", default=True)
    blocks = models.BooleanField("has blocked the instance's account", default=False)
    # seconds after "sent" and after "delivered"; null: never
    deliver_after = models.PositiveIntegerField(null=True, blank=True, default=0)
    read_after = models.PositiveIntegerField(null=True, blank=True, default=None)
    # Messages sent to a contact who blocks, or has no account, never arrive, not even later.
    missed_until = models.DateTimeField(
        "messages sent before this are never delivered", null=True, blank=True
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(name="instances_sandboxcontact_once", fields=["instance", "chat_id"])
        ]

    def __str__(self) -> str:
        return self.name or self.chat_id

    @property
    def is_reachable(self) -> bool:
        """Whether messages can reach the contact. If not, they stay at "sent"."""
        return self.has_account and not self.blocks

    def has_missed(self, sent_at: datetime) -> bool:
        """Whether a message sent at this time never arrives, because the contact was not reachable then."""
        return self.missed_until is not None and sent_at <= self.missed_until


class SandboxReceipt(models.Model):
    """The next ack that a contact will send for a message; due_at is null if the contact's behaviour prevents it.

    A message to a contact has a row only while an ack is due at some time; the rest follows from the message and the
    contact. A message to a group has a row for every member who has not read it, because the group's ack follows the
    last member's.
    """

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="sandbox_receipts", db_constraint=False
    )
    message_id = models.CharField(max_length=200)
    chat_id = models.CharField("chat id of the contact", max_length=100)
    ack = models.PositiveSmallIntegerField(choices=Ack)
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="instances_sandboxreceipt_once", fields=["instance", "message_id", "chat_id", "ack"]
            )
        ]
        indexes = [
            # the loop: due acks
            models.Index(
                name="instances_sandboxreceipt_due",
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_ack_display()} of {self.message_id}"
