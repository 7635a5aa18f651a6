"""Chats with their position in the list, the participants of groups, and labels."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.db import models
from django.utils import timezone

from chatapi.database.checks import one_of
from chatapi.encryption.cipher import token_digest
from chatapi.encryption.fields import DigestField, EncryptedTextField
from instances.chat_ids import CHAT_ID_LENGTH
from instances.models import last_messages
from instances.models.instances import Instance
from instances.models.last_messages import period


def new_invite_code() -> str:
    """Returns the last part of a group's invite link: 22 letters, digits, - or _; 128 random bits."""
    return secrets.token_urlsafe(16)


class Label(models.Model):
    """A label for the chats of an instance."""

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(Instance, models.DO_NOTHING, related_name="labels", db_constraint=False)
    name = models.CharField(max_length=100)
    color = models.CharField("hexColor", max_length=7, help_text="#rrggbb in lower case")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(name="instances_label_name", fields=["instance", "name"])]

    def __str__(self) -> str:
        return self.name


class ChatQuerySet(models.QuerySet["Chat"]):
    def listed(self) -> ChatQuerySet:
        """Returns the chats in the list of dialogs; a removed chat is listed again from its next message."""
        return self.filter(removed_at=None)

    def with_last_message(self) -> ChatQuerySet:
        """Annotates what `last_time` and `unread` return, so that they need no query."""
        return self.annotate(
            exact_last_time=last_messages.exact_last_time(), exact_unread=last_messages.exact_unread()
        )

    def in_order(self, *before: Any) -> ChatQuerySet:
        """Orders by these expressions, then by the last message, the newest first. Annotates what `last_time` returns.

        Reads the index `instances_chat_newest` or `instances_chat_listed`, and sorts one period at a time.
        """
        newest = period("stored_last_time").desc(), models.F("exact_last_time").desc(), models.F("id").desc()
        return self.annotate(exact_last_time=last_messages.exact_last_time()).order_by(*before, *newest)

    def with_invite_code(self, code: str) -> ChatQuerySet:
        """Returns the group that this invite code opens, if there is one; `Chat.has_invite_link` for one group."""
        if not code:
            return self.none()
        # the data of a deleted instance is deleted by a task
        exists = models.Exists(Instance.objects.filter(pk=models.OuterRef("instance_id")))
        return self.filter(exists, is_group=True, left_at=None, invite_code_digest=token_digest(code))


class Chat(models.Model):
    """A conversation of the instance's account with a contact or a group."""

    class Activity(models.TextChoices):
        TYPING = "typing", "typing"
        RECORDING = "recording", "recording"

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    # No index of its own: instances_chat_once starts with the instance, and each message updates the chat.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="chats", db_constraint=False, db_index=False
    )
    chat_id = models.CharField(max_length=CHAT_ID_LENGTH)
    # what the messenger calls it, if it has said so and it is not what chat_id says: a group that was migrated, a
    # number that the messenger writes in another way
    messenger_chat_id = models.CharField(max_length=CHAT_ID_LENGTH, blank=True, default="", db_default="")
    name = models.CharField(max_length=200, blank=True, default="")
    image = models.CharField(max_length=2000, blank=True, default="")
    is_group = models.BooleanField(default=False)
    # As of the last change of this row, in the same period as `last_time`; see last_messages.py.
    stored_last_time = models.DateTimeField(default=timezone.now, db_column="last_time")
    # Of a group; a new code invalidates the old link, an empty one means that there is no link
    invite_code = EncryptedTextField(bound_to="chat_id", blank=True, default="")
    invite_code_digest = DigestField(of="invite_code", blank=True, default="", db_default="")
    left_at = models.DateTimeField("when the account left the group", null=True, blank=True)
    # position in the list of dialogs
    pinned_at = models.DateTimeField(null=True, blank=True)
    archived = models.BooleanField(default=False)
    removed_at = models.DateTimeField("removed from the list until the next message", null=True, blank=True)
    # `unread` if the newest message does not have it: after it was read, or of version 0.1.0
    stored_unread = models.PositiveIntegerField(default=0, db_column="unread")
    marked_unread = models.BooleanField(default=False)
    read_number = models.PositiveIntegerField("messageNumber up to which the account has read", default=0)
    cleared_number = models.PositiveIntegerField("messageNumber up to which it was cleared", default=0)
    # what its contacts see: the account is typing or recording
    activity = models.CharField(max_length=10, choices=Activity, blank=True, default="")
    activity_until = models.DateTimeField(null=True, blank=True)
    labels = models.ManyToManyField(Label, blank=True, related_name="chats")

    objects = ChatQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_chat_once", fields=["instance", "chat_id"]),
            models.UniqueConstraint(
                name="instances_chat_invite_code",
                fields=["invite_code_digest"],
                condition=~models.Q(invite_code_digest=""),
            ),
            models.CheckConstraint(
                name="instances_chat_activity", condition=one_of("activity", ["", "typing", "recording"])
            ),
        ]
        indexes = [
            # in_order() sorts the chats of one period after the other by their exact times
            models.Index("instance", period("stored_last_time").desc(), name="instances_chat_newest"),
            # `dialogs`, forwards or backwards: pinned ones first, archived ones last
            models.Index(
                "instance",
                "archived",
                models.F("pinned_at").desc(nulls_last=True),
                period("stored_last_time").desc(),
                name="instances_chat_listed",
                condition=models.Q(removed_at__isnull=True),
            ),
            # the chat of an event in which the messenger uses its own id
            models.Index(
                name="instances_chat_messenger",
                fields=["instance", "messenger_chat_id"],
                condition=~models.Q(messenger_chat_id=""),
            ),
            # messagesHistory: whether the instance has a cleared chat
            models.Index(
                name="instances_chat_cleared", fields=["instance"], condition=models.Q(cleared_number__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.chat_id

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        if kwargs.get("fields") is None:  # else Django loads a field that was not selected
            self.forget_exact()

    @property
    def last_time(self) -> datetime:
        """The latest time of its messages; without any, of its creation. One query, unless it is known."""
        return self.__dict__.get("exact_last_time") or self.exact()[0]

    @property
    def unread(self) -> int:
        """How many messages contacts have written since the account has read it. One query, unless it is known."""
        known: int | None = self.__dict__.get("exact_unread")
        return self.exact()[1] if known is None else known

    def exact(self) -> tuple[datetime, int]:
        """Returns last_time and unread."""
        if self.pk is None:  # an example
            return self.stored_last_time, self.stored_unread
        if not self.__dict__.keys() >= {"exact_last_time", "exact_unread"}:
            rows = Chat.objects.filter(pk=self.pk)
            row = rows.values_list(last_messages.exact_last_time(), last_messages.exact_unread()).first()
            self.set_exact(*(row or (self.stored_last_time, self.stored_unread)))
        return self.__dict__["exact_last_time"], self.__dict__["exact_unread"]

    def set_exact(self, last_time: datetime, unread: int) -> None:
        self.__dict__.update(exact_last_time=last_time, exact_unread=unread)

    def forget_exact(self) -> None:
        """Read last_time and unread again when they are needed."""
        for name in ("exact_last_time", "exact_unread"):
            self.__dict__.pop(name, None)

    @property
    def has_invite_link(self) -> bool:
        return self.is_group and self.left_at is None and self.invite_code != ""


class Participant(models.Model):
    """A current participant of a group."""

    chat = models.ForeignKey(Chat, models.CASCADE, related_name="participants")
    member = models.CharField("chat id of the member", max_length=CHAT_ID_LENGTH)
    # of a person who has two at the messenger: a number, and an id that hides it
    other_id = models.CharField(max_length=CHAT_ID_LENGTH, blank=True, default="", db_default="")
    is_admin = models.BooleanField(default=False)
    # as the messenger says; a name in the address book (Chat.name) comes first
    name = models.CharField(max_length=200, blank=True, default="", db_default="")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(name="instances_participant_once", fields=["chat", "member"])]

    def __str__(self) -> str:
        return self.member


class MembershipChange(models.Model):
    """When a member of a group last came, left or got another role, by the messenger's clock.

    An earlier change, which the messenger reports late, changes nothing. Kept until there is one two days later;
    see actions/chats/change_order.py.
    """

    chat = models.ForeignKey(Chat, models.CASCADE, related_name="membership_changes")
    member = models.CharField(max_length=CHAT_ID_LENGTH, blank=True)  # empty: the group's name was changed
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_membership_change_once", fields=["chat", "member"])
        ]
        indexes = [
            # those that are not needed any more
            models.Index(name="instances_membership_old", fields=["chat", "at"]),
        ]

    def __str__(self) -> str:
        return f"{self.member or 'name'} {self.at}"
