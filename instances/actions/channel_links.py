"""Links an instance to an account at a messenger outside this product: credentials, and the URL for callbacks."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from hooks.wakeups import notify_after_commit
from instances import chat_ids
from instances.actions import events
from instances.actions.callbacks import LINKS_CHANGED, RECEIVING_CHANNEL
from instances.models import ChannelLink, Instance, ReceiverState
from instances.models.receiving import new_callback_secret


@transaction.atomic
def save_link(
    instance: Instance,
    *,
    credentials: Mapping[str, str],
    external_id: str = "",
    options: Mapping[str, str] | None = None,
    own_chat_id: str = "",
    acting_user: User | None,
) -> ChannelLink:
    """Link the instance, or change the credentials of its link. The callback URL stays the same.

    `options` are what the channel needs besides secrets. `own_chat_id` is the account's chat id; empty: it stays the
    same. The receiver connects again with the new credentials. Of another account, it receives from the start.
    """
    events.lock(instance)
    link = ChannelLink.objects.filter(instance=instance).first() or ChannelLink(instance=instance)
    state, _ = ReceiverState.objects.get_or_create(instance=instance)
    if link.external_id != external_id:
        state.cursor = ""
    state.failures, state.next_try_at = 0, timezone.now()
    state.save(update_fields=["cursor", "failures", "next_try_at"])
    link.channel, link.external_id = instance.channel, external_id
    link.credentials, link.options = dict(credentials), dict(options or {})
    link.changed_at = timezone.now()
    link.save()
    if own_chat_id:
        instance.phone = chat_ids.phone_of(own_chat_id)
        instance.account_chat_id = "" if instance.phone else own_chat_id
        instance.save(update_fields=["phone", "account_chat_id"])
    audit.record(instance, AuditAction.CHANNEL_LINKED, acting_user=acting_user, channel=instance.channel)
    notify_after_commit(RECEIVING_CHANNEL, LINKS_CHANGED)
    return link


@transaction.atomic
def renew_credentials(instance: Instance, credentials: Mapping[str, str]) -> None:
    """Store the credentials of a session that the channel has renewed by itself. Nothing else of the link changes.

    Senders use them from now on, and the receiver connects again. Without a link, nothing is stored.
    """
    events.lock(instance)
    link = ChannelLink.objects.filter(instance=instance).first()
    if link is not None:
        link.credentials, link.changed_at = dict(credentials), timezone.now()
        link.save(update_fields=["credentials_json", "changed_at"])
        notify_after_commit(RECEIVING_CHANNEL, LINKS_CHANGED)


@transaction.atomic
def remove_link(instance: Instance, *, acting_user: User | None) -> None:
    """Delete the link with its credentials. The callback URL becomes invalid at once."""
    events.lock(instance)
    deleted, _ = ChannelLink.objects.filter(instance=instance).delete()
    ReceiverState.objects.filter(instance=instance).delete()
    if deleted:
        notify_after_commit(RECEIVING_CHANNEL, LINKS_CHANGED)
        audit.record(
            instance, AuditAction.CHANNEL_UNLINKED, acting_user=acting_user, channel=instance.channel
        )


@transaction.atomic
def rotate_callback_secret(link: ChannelLink, *, acting_user: User | None) -> ChannelLink:
    """Create a new callback URL. The old one is invalid immediately: set the new one at the messenger."""
    link.callback_secret = new_callback_secret()
    link.save(update_fields=["callback_secret", "callback_digest"])
    audit.record(link.instance, AuditAction.CALLBACK_URL_ROTATED, acting_user=acting_user)
    return link
