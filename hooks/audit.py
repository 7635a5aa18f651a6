"""Reports what was done to endpoints and hooks to an audit log, in the caller's transaction.

hooks does not know the audit log: chatapi, the layer above all apps, connects it at start. Without it nothing is
reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

    from hooks.models import Endpoint

# Who acts: `request.user`, or None for a program or the holder of an instance's
# token. hooks may not import the user model of accounts.
ActingUser: TypeAlias = "AbstractBaseUser | AnonymousUser | None"


class Listener(Protocol):
    """Takes the action ("hook.resent"), the user if there is one, the key of the endpoint's instance, and details."""

    def __call__(
        self, action: str, *, acting_user: ActingUser, instance_id: int, hook: Any, **detail: Any
    ) -> None: ...


listener: Listener | None = None


def connect(new: Listener) -> None:
    """Set the listener. There is one: a second call replaces it."""
    global listener
    listener = new


def report(
    action: str, *, acting_user: ActingUser, instance_id: int, hook: Any = None, **detail: Any
) -> None:
    """Report an action. Without a user, a program or the holder of an instance's token did it."""
    if listener is not None:
        listener(action, acting_user=acting_user, instance_id=instance_id, hook=hook, **detail)


def report_endpoint(action: str, endpoint: Endpoint, *, acting_user: ActingUser, **detail: Any) -> None:
    """Report an action on an endpoint; the entry names it unless it is the instance's first."""
    if not endpoint.is_first:
        detail["endpoint"] = str(endpoint)
    report(action, acting_user=acting_user, instance_id=endpoint.instance_id, **detail)
