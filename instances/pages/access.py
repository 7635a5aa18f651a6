"""Who may do what with an instance, on every page: another account's instance is 404, a viewer's change is 403.

The account's owner and managers may change its instances. Viewers may read them, without their credentials. Only the
owner may delete one. A view that changes something starts with `changeable_instance`, or calls `require_change` if it
found the instance another way. Templates read `instance.may_change`, and take credentials from `credentials_of` only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.models import Account
from hooks.models import Endpoint
from instances.models import Instance

VIEWER = (
    "You can view this instance but not change it: you are a viewer in its account. "
    "The owner of the account can make you a manager."
)
NOT_OWNER = "Only the owner of the account can do this."


class Credentials(NamedTuple):
    """What a page may show of an instance's credentials; both are empty for viewers."""

    token: str
    signing_secret: str


def credentials_of(instance: Instance, endpoint: Endpoint | None = None) -> Credentials:
    """The credentials for the user for whom `instance` was loaded; the secret is `endpoint`'s, or the first one's.

    With the token, a viewer could change everything through the API.
    """
    if not instance.may_change:
        return Credentials("", "")
    return Credentials(instance.token, (endpoint or instance.endpoint).secret)


def visible_instance(request: HttpRequest, number: int) -> Instance:
    """The instance with its endpoint. Raises Http404 if it does not exist or the user may not see it."""
    visible = Instance.objects.visible_to(request.user).select_related("endpoint", "owner")
    return get_object_or_404(visible, number=number if number < 2**31 else -1)


def changeable_instance(request: HttpRequest, number: int) -> Instance:
    """Like visible_instance, for a change. Raises PermissionDenied, with a message for people, for a viewer."""
    instance = visible_instance(request, number)
    if not instance.may_change:
        raise PermissionDenied(VIEWER)
    return instance


def may_change(user: Any, instance: Instance) -> bool:
    """Whether the user may change the instance. Sets `instance.may_change`, for templates. One query."""
    instance.may_change = Account.objects.changeable_by(user).filter(pk=instance.owner_id).exists()
    return instance.may_change


def require_change(user: Any, instance: Instance) -> None:
    """For an instance found through one of its rows, such as a hook. Raises PermissionDenied for a viewer."""
    if not may_change(user, instance):
        raise PermissionDenied(VIEWER)


def require_owner(user: Any, instance: Instance) -> None:
    """For what only the owner may do, such as deleting it. Raises PermissionDenied for others."""
    if not Account.objects.owned_by(user).filter(pk=instance.owner_id).exists():
        raise PermissionDenied(NOT_OWNER)
