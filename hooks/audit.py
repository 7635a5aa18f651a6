"""Tells whoever keeps an audit trail what a person has done here, in the transaction of the deed.

hooks knows of no such trail: chatapi, which stands over all apps, connects one at start. Without it nothing is told.
"""

from __future__ import annotations

from typing import Any, Protocol


class Listener(Protocol):
    """Takes the deed as "hook.resent", who did it, the key of the endpoint's instance, and what else is to be said."""

    def __call__(
        self, action: str, *, acting_user: Any, instance_id: int, hook: Any, **detail: Any
    ) -> None: ...


listener: Listener | None = None


def connect(new: Listener) -> None:
    """There is one listener; a second takes the place of the first."""
    global listener
    listener = new


def tell(deed: str, *, acting_user: Any, instance_id: int, hook: Any = None, **detail: Any) -> None:
    """What nobody has done (`acting_user` None), such as a pause after a day of failures, is no deed."""
    if listener is not None and acting_user is not None:
        listener(deed, acting_user=acting_user, instance_id=instance_id, hook=hook, **detail)
