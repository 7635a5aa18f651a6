"""Deletes the data of an instance, which itself stays."""

from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from instances.actions import events
from instances.actions.sending import message_queue
from instances.actions.session import log_out
from instances.models import Instance


@transaction.atomic
def clean_instance(instance: Instance, *, acting_user: User | None) -> Instance:
    """Log out; delete chats, messages, queues, labels, bans, the status history and sandbox contacts.

    The instance keeps its number, token, settings, payments and hooks. Message numbers continue, because a client that
    reads from the last number it knows must not miss the next message.
    """
    events.lock(instance)
    log_out(instance, acting_user=acting_user)
    message_queue.delete_messages(instance)
    instance.chats.all().delete()
    instance.labels.all().delete()
    instance.queued_actions.all().delete()
    instance.status_changes.all().delete()
    instance.banned_contacts.all().delete()
    instance.sandbox_receipts.all().delete()
    instance.sandbox_contacts.all().delete()
    # Files are deleted when they expire (media.drop_old).
    audit.record(instance, AuditAction.INSTANCE_CLEANED, acting_user=acting_user)
    return instance
