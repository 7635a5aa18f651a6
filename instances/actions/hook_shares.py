"""Links that let anyone read a hook without signing in: create, revoke, open."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import share_links
from accounts.audit import AuditAction
from accounts.models import ShareLinkQuerySet, User
from hooks.models import Hook
from instances.models import HookShare, Instance


@transaction.atomic
def share_hook(
    hook: Hook, *, instance: Instance, valid_for: timedelta, acting_user: User | None
) -> tuple[HookShare, str]:
    """Create a link to the hook; returns it and its URL, which is not stored.

    Raises:
        TooManyShares: hooks of this instance have share_links.MAX_SHARES valid links.
        Instance.DoesNotExist: the instance was deleted.
    """
    Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
    created, token = share_links.create_link(
        HookShare(instance=instance, hook=hook.public_id),
        existing=HookShare.objects.filter(instance=instance),
        what="This instance",
        valid_for=valid_for,
        acting_user=acting_user,
    )
    words = share_links.words_of(valid_for)
    audit.record(
        instance, AuditAction.HOOK_SHARED, acting_user=acting_user, lasts=words, hook=hook.webhook_id
    )
    return created, settings.SITE_URL + reverse("shared-hook", kwargs={"token": token})


@transaction.atomic
def revoke_share(shared: HookShare, *, acting_user: User | None) -> None:
    """Revoke the link; does nothing if it is already revoked."""
    if share_links.revoke_link(shared):
        audit.record(
            shared.instance,
            AuditAction.HOOK_SHARE_REVOKED,
            acting_user=acting_user,
            hook=f"hook_{shared.hook.hex}",
        )


def shares_of(hook: Hook) -> ShareLinkQuerySet:
    """Returns the links to a hook, which must be loaded with its endpoint."""
    return HookShare.objects.filter(hook=hook.public_id, instance=hook.endpoint.instance_id).select_related(
        "instance"
    )


def share_for_token(token: str) -> HookShare | None:
    """Returns the valid link with this token; None also while the account is blocked or its owner cannot sign in.

    One query.
    """
    links = HookShare.objects.filter(instance__owner__blocked_at=None, instance__owner__owner__is_active=True)
    found: HookShare | None = share_links.find_link(links.select_related("instance"), token)
    return found


def hook_of(shared: HookShare) -> Hook | None:
    """Returns the hook that the link shares; None if it was deleted. One query."""
    hooks = Hook.objects.show_sending().select_related("endpoint__instance")
    return hooks.filter(public_id=shared.hook, endpoint__instance=shared.instance_id).first()


def delete_ended_shares() -> int:
    """Delete the links that expired more than a week ago; returns how many. Run every hour."""
    return share_links.delete_ended_links(HookShare.objects.all(), now=timezone.now())
