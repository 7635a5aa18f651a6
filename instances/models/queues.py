"""The queues of an instance: outgoing messages, and commands."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from hooks.body_masking import MaskedJSONField, MaskedTextField
from instances.models.choices import ActionType, MessageType
from instances.models.instances import Instance
from instances.models.messages import Media

# How long a sender owns a message or command after last_try_at; a channel must finish within it.
DELIVERY_DEADLINE = timedelta(seconds=10)


class OutgoingQueueQuerySet(models.QuerySet["OutgoingQueue"]):
    def shorten(self, by: int, **fields: datetime) -> int:
        """Subtract the number of removed messages from `length`, and set other fields.

        Subtracted and not counted: a message that is accepted at the same time would not be counted, and a queue
        whose length is 0 is never sent. Do it after the messages are removed, so that two transactions that remove
        messages of one instance cannot deadlock.
        """
        return self.update(length=models.F("length") - by, **fields)


class OutgoingQueue(models.Model):
    """Number, length and pace of an instance's outgoing queue.

    It is separate from Instance, so that a sendMessage call never waits for a message that is being recorded: both lock
    their row until their commit has reached the disk.
    """

    instance = models.OneToOneField(Instance, models.CASCADE, primary_key=True, related_name="queue")
    last_number = models.PositiveIntegerField("queueNumber", default=0)  # gapless
    length = models.PositiveIntegerField("messages waiting", default=0)  # number of OutgoingMessage rows
    next_send_at = models.DateTimeField(default=timezone.now)  # nothing is sent before (sendDelay)

    objects = OutgoingQueueQuerySet.as_manager()

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
    """A message that the API has accepted and the channel has not sent yet.

    It becomes a Message, with the same id and queue number, when the channel has sent it. So clearing the queue leaves
    no gap in the message numbers.
    """

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(Instance, models.DO_NOTHING, related_name="outgoing", db_constraint=False)
    queue_number = models.PositiveIntegerField()
    message_id = models.CharField(max_length=200)
    chat_id = models.CharField(max_length=100)
    type = models.CharField(max_length=10, choices=MessageType, default=MessageType.CHAT)
    body = MaskedTextField()
    caption = MaskedTextField(null=True, blank=True)
    quoted = MaskedJSONField(null=True, blank=True)
    metadata = MaskedJSONField(null=True, blank=True)
    forwarded = models.PositiveSmallIntegerField(default=0)
    media = models.ForeignKey(Media, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    # if set, not a message: the id of a message to delete for everyone
    deletes = models.CharField("deletes the message", max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    last_try_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_outgoing_number", fields=["instance", "queue_number"]),
            models.UniqueConstraint(name="instances_outgoing_id", fields=["instance", "message_id"]),
        ]
        indexes = [
            # the waiting messages of a deleted file
            models.Index(
                name="instances_outgoing_media",
                fields=["media"],
                condition=models.Q(media__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.message_id


class QueuedAction(models.Model):
    """A command that waits in the queue; carried out in the order of the keys.

    `data` is `json_data` of showActionsQueue (instances/command_payloads.py).
    """

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="queued_actions", db_constraint=False
    )
    type = models.CharField(max_length=40, choices=ActionType)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    last_try_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="instances_queuedaction_type", condition=models.Q(type__in=ActionType.values)
            ),
        ]
        indexes = [
            # the first command, and showActionsQueue: in order, of one instance
            models.Index(name="instances_queuedaction_next", fields=["instance", "id"]),
        ]

    def __str__(self) -> str:
        return self.type
