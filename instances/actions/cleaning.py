"""Making an instance as good as new, while it stays itself."""

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.actions.sending import message_queue
from instances.actions.session import log_out
from instances.models import Instance


@transaction.atomic
def clean_instance(instance: Instance, *, acting_user: User | None) -> Instance:
    """Logs it out, and throws away its chats, messages, queues, labels, files, bans, histories and sandbox people.

    Its number, token, settings, payments and hooks stay; so do the numbers that its messages have had, for a client
    that asks for what comes after the last one it knows.
    """
    events.lock(instance)
    log_out(instance, acting_user=acting_user)
    instance.messages.all().delete()
    instance.chats.all().delete()
    instance.labels.all().delete()
    instance.queued_actions.all().delete()
    instance.status_changes.all().delete()
    instance.banned_contacts.all().delete()
    instance.sandbox_receipts.all().delete()
    instance.sandbox_contacts.all().delete()
    # files go by their retention, which knows where they lie
    message_queue.empty(instance)
    return instance
