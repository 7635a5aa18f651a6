"""The sandbox messenger's own tables: its people, what they do with a message, and when."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from instances.models.choices import Ack
from instances.models.instances import Instance


class SandboxContact(models.Model):
    """A person of the sandbox, with a mind: what becomes of a message that is sent to them.

    A number without a row is somebody who is online, gets everything at once and never reads.
    """

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="sandbox_contacts")
    chat_id = models.CharField(max_length=100)
    name = models.CharField(max_length=100, blank=True, default="")
    image = models.CharField(max_length=2000, blank=True, default="")
    has_account = models.BooleanField("uses the messenger", default=True)
    online = models.BooleanField("gets messages", default=True)
    blocks = models.BooleanField("has blocked the instance's account", default=False)
    # seconds after "sent" and after "delivered"; null: never
    deliver_after = models.PositiveIntegerField(null=True, blank=True, default=0)
    read_after = models.PositiveIntegerField(null=True, blank=True, default=None)
    # what was sent to somebody who blocks, or has no account, never arrives: not even afterwards
    missed_until = models.DateTimeField("what was sent before never arrives", null=True, blank=True)
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
        """Can a message ever get to them? If not, it stays at "sent"."""
        return self.has_account and not self.blocks


class SandboxReceipt(models.Model):
    """The next tick that a contact is going to make on a message; due_at null: not as things are.

    For a message to a person there is a row only while the tick is due some time: all else follows from the message
    and the contact. A message to a group has one for every member who has not read it yet, as the group's
    tick is made by the last of them.
    """

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="sandbox_receipts")
    message_id = models.CharField(max_length=200)
    chat_id = models.CharField("the contact", max_length=100)
    ack = models.PositiveSmallIntegerField(choices=Ack)
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="instances_sandboxreceipt_once", fields=["instance", "message_id", "chat_id", "ack"]
            )
        ]
        indexes = [
            # the loop: which are due
            models.Index(
                name="instances_sandboxreceipt_due",
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_ack_display()} of {self.message_id}"
