"""Received and sent messages, and their files."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from chatapi.database.checks import NOT_NEGATIVE
from hooks.body_masking import MaskedCharField, MaskedJSONField, MaskedTextField
from instances.chat_ids import CHAT_ID_LENGTH, MESSAGE_ID_LENGTH
from instances.models.chats import Chat
from instances.models.choices import Ack, MessageType
from instances.models.instances import Instance

MEDIA_KEPT = timedelta(days=30)


def new_media_key() -> str:
    """Returns the secret part of a media link: 192 random bits in hexadecimal digits."""
    return secrets.token_hex(24)


def media_expiry() -> datetime:
    return timezone.now() + MEDIA_KEPT


class StoredFile(models.Model):
    """The content of files in messages, once per account; Media has the links to it.

    `is_stored` is false while it is written, and again before it is deleted: only a stored file can be shared.
    """

    # null: the account was deleted, and retention deletes the file
    account = models.ForeignKey(
        "accounts.Account", models.SET_NULL, null=True, related_name="+", db_index=False
    )
    digest = models.CharField("SHA-256 of the content, in hexadecimal", max_length=64)
    size = models.PositiveBigIntegerField("bytes")
    path = models.CharField("name in the storage", max_length=300)
    is_stored = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="instances_stored_file_once",
                fields=["account", "digest"],
                condition=models.Q(is_stored=True),
            ),
        ]
        indexes = [
            # the bytes of an account, from this index alone
            models.Index(name="instances_stored_file_size", fields=["account"], include=["size"]),
        ]

    def __str__(self) -> str:
        return self.path


class MediaQuerySet(models.QuerySet["Media"]):
    def served(self, now: datetime) -> MediaQuerySet:
        """Returns the files that their links serve now.

        None of a blocked account, and none of a deleted instance, whose rows a task deletes.
        """
        instances = Instance.objects.filter(pk=models.OuterRef("instance_id"), owner__blocked_at=None)
        return self.filter(models.Exists(instances), expires_at__gt=now)


class Media(models.Model):
    """A message's file, served by its link until it expires; then the row is deleted, with the last one the file."""

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(Instance, models.DO_NOTHING, related_name="media", db_constraint=False)
    key = models.CharField(max_length=64, unique=True, default=new_media_key, editable=False)
    filename = MaskedCharField(max_length=200)
    extension = models.CharField(max_length=10, help_text="of the link, with its dot: .jpg")
    content_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField("bytes")
    path = models.CharField("name in the storage", max_length=300)
    # null: a file of version 0.1.0, which no other row shares
    file = models.ForeignKey(StoredFile, models.PROTECT, null=True, blank=True, related_name="links")
    # SHA-256 of the URL and file name by which it was fetched, in hexadecimal; a URL may contain secrets
    source = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(default=media_expiry)

    objects = MediaQuerySet.as_manager()

    class Meta:
        indexes = [
            # retention: expired files
            models.Index(name="instances_media_expiry", fields=["expires_at"]),
            # `cached`: files fetched from a URL within the last hour
            models.Index(
                name="instances_media_source",
                fields=["instance", "source", "created_at"],
                condition=~models.Q(source=""),
            ),
            # the bytes of an account's files that version 0.1.0 has stored
            models.Index(
                name="instances_media_unshared",
                fields=["instance"],
                include=["size"],
                condition=models.Q(file=None),
            ),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def name_in_link(self) -> str:
        """The file's name in letters, digits, _ and hyphens, with its extension."""
        stem = re.sub(re.escape(self.extension) + r"\Z", "", self.filename, flags=re.IGNORECASE)
        return (re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:80] or "file") + self.extension

    @property
    def link(self) -> str:
        """`{SITE_URL}/media/{key}/{name}.ext`: the `body` of a message that carries the file."""
        return settings.SITE_URL + reverse("media", args=[self.key, self.name_in_link])


class Message(models.Model):
    """A received or sent message. Numbers are gapless per instance (contract.md, section 3)."""

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    # Neither it nor the chat has an index of its own: others start with it, and each message writes an entry into each.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="messages", db_constraint=False, db_index=False
    )
    number = models.IntegerField("messageNumber", validators=NOT_NEGATIVE)
    message_id = models.CharField(max_length=MESSAGE_ID_LENGTH)
    # the messenger's own id, by which it reports acks and quotes
    messenger_id = models.TextField(blank=True, default="", db_default="")
    chat = models.ForeignKey(Chat, models.CASCADE, related_name="messages", db_index=False)
    author = models.CharField(max_length=CHAT_ID_LENGTH)
    sender_name = models.CharField(max_length=200, blank=True, default="")
    type = models.CharField(max_length=10, choices=MessageType, default=MessageType.CHAT)
    body = MaskedTextField(blank=True, default="")
    caption = MaskedTextField(null=True, blank=True)
    from_me = models.BooleanField(default=False)
    by_api = models.BooleanField("sent by the API (`self` 1)", default=False)
    forwarded = models.SmallIntegerField(default=0, validators=NOT_NEGATIVE)
    quoted = MaskedJSONField(null=True, blank=True)  # {"id","body","type"}
    metadata = MaskedJSONField(null=True, blank=True)
    media = models.ForeignKey(
        Media, models.SET_NULL, null=True, blank=True, related_name="messages", db_index=False
    )
    deleted_at = models.DateTimeField("deleted for everyone", null=True, blank=True)
    ack = models.SmallIntegerField(choices=Ack, null=True, blank=True)
    queue_number = models.IntegerField(null=True, blank=True, validators=NOT_NEGATIVE)
    queued_at = models.DateTimeField("accepted by the API", null=True, blank=True)
    # in the messenger's words: why the message did not arrive, although the messenger had accepted it
    failure = models.TextField(blank=True, default="", db_default="")
    failed_at = models.DateTimeField(null=True, blank=True)
    maybe_twice = models.BooleanField("may have been sent twice", default=False, db_default=False)
    time = models.DateTimeField(default=timezone.now)
    # `last_time` and `unread` of its chat with this message; null: its chat's row has them. See last_messages.py.
    chat_last_time = models.DateTimeField(null=True, blank=True, editable=False)
    chat_unread = models.IntegerField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_message_number", fields=["instance", "number"]),
            models.UniqueConstraint(name="instances_message_id", fields=["instance", "message_id"]),
            models.CheckConstraint(
                name="instances_message_ack_outgoing",
                condition=models.Q(from_me=True) | models.Q(ack__isnull=True),
            ),
        ]
        indexes = [
            models.Index(name="instances_message_chat", fields=["chat", "number"]),
            # the message of an ack, a quote or a deletion
            models.Index(
                name="instances_message_messenger",
                fields=["instance", "messenger_id"],
                condition=~models.Q(messenger_id=""),
            ),
            # the messages of a deleted file; without it, each deletion reads all messages of all instances
            models.Index(
                name="instances_message_media",
                fields=["media"],
                condition=models.Q(media__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.message_id
