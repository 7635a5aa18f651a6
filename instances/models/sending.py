"""The tries of messages: each request to the messenger, and its response."""

from __future__ import annotations

from django.db import models

from hooks.body_masking import MaskedBinaryField, MaskedTextField
from hooks.models import Outcome
from instances.chat_ids import MESSAGE_ID_LENGTH
from instances.models.choices import TryResult
from instances.models.instances import Instance


class SendingTry(models.Model):
    """One request that sends a message, as hooks.Attempt is one of a hook. Credentials are masked before it is stored.

    It is found by the message's id, which OutgoingMessage and Message have in common, and is deleted after
    HOOKS_KEEP_DAYS.
    """

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    # No index of its own: instances_try_message starts with the instance.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    message_id = models.CharField(max_length=MESSAGE_ID_LENGTH)
    queue_number = models.PositiveIntegerField()
    number = models.PositiveSmallIntegerField()  # from 1
    started_at = models.DateTimeField()
    method = models.CharField(max_length=10)
    url = models.CharField(max_length=2000)
    request_headers = models.JSONField(default=list)  # [[name, value], …]
    request_body = MaskedTextField(blank=True, default="")
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    response_headers = models.JSONField(default=list)  # [[name, value], …] as received
    response_body = MaskedBinaryField(blank=True, default=b"")  # the first 8 KB
    response_size = models.PositiveIntegerField("bytes read", default=0)
    address = models.CharField("IP address connected to", max_length=60, blank=True, default="")
    # milliseconds since the start, as libcurl measures them; null: the phase was not reached
    name_ms = models.FloatField("DNS lookup", null=True, blank=True)
    connect_ms = models.FloatField("connected", null=True, blank=True)
    tls_ms = models.FloatField("TLS handshake", null=True, blank=True)
    first_byte_ms = models.FloatField("first byte", null=True, blank=True)
    total_ms = models.FloatField("total", default=0)
    outcome = models.CharField(max_length=10, choices=Outcome)
    error = models.CharField("error detail", max_length=500, blank=True, default="")
    result = models.CharField(max_length=10, choices=TryResult)
    reason = models.TextField("in the messenger's words", blank=True, default="")

    class Meta:
        indexes = [
            # the tries of a message, in order
            models.Index(name="instances_try_message", fields=["instance", "message_id", "number"]),
            # retention: the rows are appended in this order, so the index is small
            models.Index(name="instances_try_old", fields=["started_at"]),
        ]

    def __str__(self) -> str:
        return f"try {self.number} of {self.message_id}"
