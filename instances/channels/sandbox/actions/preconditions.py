"""Checks that the sandbox's actions share."""

from instances.models import Instance, Substatus


class NotLinked(Exception):
    """The instance has no linked phone, so no message reaches it. The text is a sentence for the caller."""


class NotPossible(Exception):
    """The sandbox's contacts or phone cannot do that in their current state. The text is a sentence for the caller."""


LINK_COLUMNS = ("account_status", "substatus")  # and stopped_at: what require_linked() reads


def require_linked(instance: Instance, consequence: str) -> None:
    """Check that a phone is linked and connected. An unpaid instance passes.

    Raises:
        NotLinked: its sentence is the reason followed by `consequence`, such as "no message reaches it".
    """
    if instance.is_stopped:
        raise NotLinked(f"The instance is stopped, so {consequence}.")
    if not instance.is_authenticated:
        raise NotLinked(f"The instance is not authenticated ({instance.account_status}), so {consequence}.")
    if instance.substatus in (Substatus.PHONE, Substatus.OFFLINE):
        raise NotLinked(f"The phone is not connected (substatus {instance.substatus}), so {consequence}.")
