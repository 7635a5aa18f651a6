"""Deletes the data of deleted instances in the background, in small transactions.

A million messages take minutes, too long for a request or for the locks of one transaction. So no foreign key
constraint joins them to their instance. They are hidden immediately: code that reads them starts from instances.

hooks/maintenance/deleted_instances.py does the same for hooks.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import connection, models, transaction
from django.utils import timezone
from django_q.tasks import async_task

from instances.actions import media
from instances.models import (
    BannedContact,
    Chat,
    DeletedInstance,
    Label,
    Media,
    MembershipChange,
    Message,
    OutgoingMessage,
    Participant,
    QueuedAction,
    SandboxContact,
    SandboxReceipt,
    SendingTry,
    StatusChange,
    StoredCallback,
)

BATCH = 2_000  # rows deleted by one transaction
RUN_SECONDS = 600.0  # a run ends after this, and queues the next one
# A transaction that began before the deletion may still store a message afterwards, so an instance is looked through
# again until it was deleted this long ago.
LATE = timedelta(minutes=10)


# In this order: a message refers to its chat and its file. Participants and labels of chats go with each batch of
# chats.
TABLES: tuple[type[models.Model], ...] = (
    Message, OutgoingMessage, SendingTry, QueuedAction, SandboxReceipt, SandboxContact, StatusChange, BannedContact,
    StoredCallback, Chat, Label, Media,
)  # fmt: skip
OF_CHATS: tuple[type[models.Model], ...] = (Participant, MembershipChange, Chat.labels.through)


def schedule_drop() -> None:
    """Queue drop() in the transaction that deletes an instance. A schedule runs it too."""
    async_task("instances.actions.deleted_data.drop")


def drop(seconds: float = RUN_SECONDS) -> str:
    """Delete the data of deleted instances for at most `seconds`; returns a summary for the task's result."""
    ends = time.monotonic() + seconds
    rows = instances = 0
    has_files = False
    for instance in DeletedInstance.objects.filter(dropped_at=None).order_by("pk"):
        for model in TABLES:
            while deleted := delete_batch(model, instance_key=instance.pk):
                rows += deleted
                has_files = has_files or model is Media
                if time.monotonic() > ends:
                    schedule_drop()
                    return f"{rows} rows of {instances + 1} deleted instances dropped, more are left"
        instances += 1
        now = timezone.now()
        if instance.deleted_at < now - LATE:
            DeletedInstance.objects.filter(pk=instance.pk).update(dropped_at=now)
    if has_files:  # whose links are deleted now
        media.schedule_drop()
    return f"{rows} rows of {instances} deleted instances dropped"


def delete_batch(model: type[models.Model], *, instance_key: int) -> int:
    """Delete up to BATCH rows of the instance, in one transaction; returns how many.

    Then it sleeps as long as it worked, which leaves half of the disk's time to others.
    """
    table = model._meta.db_table
    began = time.monotonic()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")  # a transaction lost in a crash is repeated
        # To the planner half of a table may belong to one instance; with its last rows gone, it would read all others.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"SELECT id FROM {table} WHERE instance_id = %s LIMIT %s", [instance_key, BATCH])
        keys = [row[0] for row in cursor.fetchall()]
        if not keys:
            return 0
        if model is Chat:
            for child in OF_CHATS:
                cursor.execute(f"DELETE FROM {child._meta.db_table} WHERE chat_id = ANY(%s)", [keys])
        cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s)", [keys])
    time.sleep(min(time.monotonic() - began, 1.0))
    return len(keys)
