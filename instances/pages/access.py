"""Who may do what with an instance, for every page: a stranger gets 404, a viewer who would change something 403.

The owner of the account and its managers may change its instances; viewers may look, without the secrets.
Only the owner deletes. A view that changes something starts from `changeable_instance`, or, where it found the
instance by another way, calls `must_change`. Templates ask `instance.may_change`.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.models import Account
from instances.models import Instance

VIEWER = (
    "You may look at this instance, but not change it: you are a viewer in its account. "
    "The owner of the account can make you a manager."
)
NOT_OWNER = "Only the owner of the account may do this."


def visible_instance(request: HttpRequest, number: int) -> Instance:
    """The instance with its endpoint; 404 for a number that is nobody's or that this person may not look at."""
    visible = Instance.objects.visible_to(request.user).select_related("endpoint", "owner")
    instance = get_object_or_404(visible, number=number if number < 2**31 else -1)
    hide_secrets(instance)
    return instance


def hide_secrets(instance: Instance) -> Instance:
    """Empties token and signing secrets of an instance in memory that its viewer may not change.

    With the token they could change everything by the API; so no page can show it, whatever it shows else.
    """
    if not instance.may_change:
        instance.token = ""
        if "endpoint" in instance._state.fields_cache:
            instance.endpoint.secret = instance.endpoint.previous_secret = ""
    return instance


def changeable_instance(request: HttpRequest, number: int) -> Instance:
    """As visible_instance, for what changes something: raises PermissionDenied, in words, for a viewer."""
    instance = visible_instance(request, number)
    if not instance.may_change:
        raise PermissionDenied(VIEWER)
    return instance


def may_change(user: Any, instance: Instance) -> bool:
    """May this person change it? Notes the answer in `instance.may_change`, for the templates."""
    instance.may_change = Account.objects.changeable_by(user).filter(pk=instance.owner_id).exists()
    return instance.may_change


def must_change(user: Any, instance: Instance) -> None:
    """For an instance that was found through something of its own, such as a hook. Raises PermissionDenied."""
    if not may_change(user, instance):
        raise PermissionDenied(VIEWER)


def must_own(user: Any, instance: Instance) -> None:
    """For what is the owner's alone, such as deleting it. Raises PermissionDenied."""
    if not Account.objects.owned_by(user).filter(pk=instance.owner_id).exists():
        raise PermissionDenied(NOT_OWNER)
