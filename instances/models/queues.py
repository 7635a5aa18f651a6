"""The queues of an instance: outgoing messages, and commands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import models
from django.utils import timezone

from hooks.body_masking import MaskedJSONField, MaskedTextField
from instances.chat_ids import CHAT_ID_LENGTH, MESSAGE_ID_LENGTH
from instances.models.choices import ActionType, MessageType, SendState
from instances.models.instances import Instance
from instances.models.messages import Media

# How long a sender owns a message or command after last_try_at; a channel must finish within it.
DELIVERY_DEADLINE = timedelta(seconds=10)


# OutgoingQueueQuerySet.with_messages() in SQL; `q` is the queue. `is_active` is there for the index.
WITH_MESSAGES_SQL = "q.is_active AND q.length > 0"


class OutgoingQueueQuerySet(models.QuerySet["OutgoingQueue"]):
    def with_messages(self) -> OutgoingQueueQuerySet:
        return self.filter(is_active=True, length__gt=0)

    def shorten(self, by: int, *, removed: int = 0, **fields: datetime) -> int:
        """Subtract the number of messages that have left the queue from `length`, and set other fields.

        `removed` is how many messages have ended without being a Message or failed; it is added to the counter.

        Subtracted and not counted: a message that is accepted at the same time would not be counted, and a queue
        whose length is 0 is never sent. Do it after the messages are removed, so that two transactions that remove
        messages of one instance cannot deadlock.
        """
        if removed:
            return self.update(
                length=models.F("length") - by, removed=models.F("removed") + removed, **fields
            )
        return self.update(length=models.F("length") - by, **fields)


class OutgoingQueue(models.Model):
    """Number, length and pace of an instance's outgoing queue.

    It is separate from Instance, so that a sendMessage call never waits for a message that is being recorded: both lock
    their row until their commit has reached the disk.
    """

    instance = models.OneToOneField(Instance, models.CASCADE, primary_key=True, related_name="queue")
    last_number = models.PositiveIntegerField("queueNumber", default=0)  # gapless
    length = models.PositiveIntegerField("messages waiting", default=0)  # OutgoingMessage.objects.waiting()
    next_send_at = models.DateTimeField(default=timezone.now)  # nothing is sent before (sendDelay)
    # the run (hooks.Runner.id) of the sender that sends this queue now
    owner = models.BigIntegerField(null=True, blank=True)
    # Whether it has messages or an owner, for the index. An owner keeps the queue for some seconds after its last
    # message, so a message that is accepted or sent changes no indexed column: the update is HOT.
    is_active = models.GeneratedField(
        expression=models.ExpressionWrapper(
            models.Q(length__gt=0) | models.Q(owner__isnull=False), models.BooleanField()
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    # accepted messages that are neither in the queue nor failed nor a Message: cleared, cancelled, requests for a
    # deletion that were carried out, and messages that were deleted with the instance's data
    removed = models.PositiveIntegerField("messages removed", default=0, db_default=0)
    waits_until = models.DateTimeField(null=True, blank=True)  # nothing is sent before …
    wait_reason = models.TextField(
        "why nothing is sent now", blank=True, default="", db_default=""
    )  # … for this reason

    objects = OutgoingQueueQuerySet.as_manager()

    class Meta:
        indexes = [
            # the senders: which queues have messages. No index has a column that most messages change, such as
            # `length`, `owner` or `next_send_at`.
            models.Index(
                name="instances_queue_active", fields=["instance"], condition=models.Q(is_active=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.length} waiting"


class MessengerIds(NamedTuple):
    """What the messenger calls a message's chat, and the messages that it quotes, deletes and forwards.

    Empty if there is none, or if the messenger has not said so.
    """

    chat: str = ""
    quoted: str = ""
    deletes: str = ""
    forwards: str = ""


class OutgoingMessageQuerySet(models.QuerySet["OutgoingMessage"]):
    def waiting(self) -> OutgoingMessageQuerySet:
        """Returns the messages in the queue: queued and being sent, not failed."""
        return self.filter(failed_at=None)

    def failed(self) -> OutgoingMessageQuerySet:
        """Returns the messages that are not sent any more, which are kept for HOOKS_KEEP_DAYS."""
        return self.filter(failed_at__isnull=False)


# OutgoingMessageQuerySet.waiting() in SQL. It is a condition on `failed_at`, as those of the indexes, so that no index
# has `state`: a message that is being sent changes its state without a change of an index (a HOT update).
WAITING_SQL = "failed_at IS NULL"


class OutgoingMessage(models.Model):
    """A message that the API has accepted and the channel has not sent yet.

    It becomes a Message, with the same id and queue number, when the channel has sent it. So clearing the queue leaves
    no gap in the message numbers. A message that failed stays here, outside the queue, for HOOKS_KEEP_DAYS.
    """

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(Instance, models.DO_NOTHING, related_name="outgoing", db_constraint=False)
    queue_number = models.PositiveIntegerField()
    message_id = models.CharField(max_length=MESSAGE_ID_LENGTH)
    chat_id = models.CharField(max_length=CHAT_ID_LENGTH)
    type = models.CharField(max_length=10, choices=MessageType, default=MessageType.CHAT)
    body = MaskedTextField()
    caption = MaskedTextField(null=True, blank=True)
    quoted = MaskedJSONField(null=True, blank=True)
    metadata = MaskedJSONField(null=True, blank=True)
    forwarded = models.PositiveSmallIntegerField(default=0)
    media = models.ForeignKey(Media, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    # if set, not a message: the id of a message to delete for everyone
    deletes = models.CharField("deletes the message", max_length=MESSAGE_ID_LENGTH, blank=True, default="")
    # the id of the message that it is a copy of; a messenger that has it can forward it
    forwards = models.CharField(max_length=MESSAGE_ID_LENGTH, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=SendState, default=SendState.QUEUED, db_default="queued")
    tries = models.PositiveSmallIntegerField("tries made", default=0, db_default=0)
    # Of a message that was resent: a time before the first of its tries that `tries` does not count.
    tried_since = models.DateTimeField(null=True, blank=True)
    last_try_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    # in the messenger's words: why it waits for another try, or has failed
    reason = models.TextField(blank=True, default="", db_default="")
    # a try ended without a result, and the messenger has no idempotency key
    maybe_twice = models.BooleanField("may have been sent twice", default=False, db_default=False)
    failed_at = models.DateTimeField(null=True, blank=True)

    # Set by the claim (instances/sending/claims.py).
    messenger_ids = MessengerIds()

    objects = OutgoingMessageQuerySet.as_manager()

    class Meta:
        constraints = [
            # the queue in order; without the failed messages, which would be read each time
            models.UniqueConstraint(
                name="instances_outgoing_number",
                fields=["instance", "queue_number"],
                condition=models.Q(failed_at=None),
            ),
            models.UniqueConstraint(name="instances_outgoing_id", fields=["instance", "message_id"]),
            models.CheckConstraint(
                name="instances_outgoing_state",
                condition=models.Q(state=SendState.FAILED, failed_at__isnull=False)
                | models.Q(state__in=[SendState.QUEUED, SendState.SENDING], failed_at=None),
            ),
        ]
        indexes = [
            # the waiting messages of a deleted file
            models.Index(
                name="instances_outgoing_media",
                fields=["media"],
                condition=models.Q(media__isnull=False),
            ),
            # failed messages: those of an instance, newest first; and retention
            models.Index(
                name="instances_outgoing_failed",
                fields=["instance", "failed_at"],
                condition=models.Q(failed_at__isnull=False),
            ),
            models.Index(
                name="instances_outgoing_old",
                fields=["failed_at"],
                condition=models.Q(failed_at__isnull=False),
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
