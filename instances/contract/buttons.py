"""What the buttons of the status do: log out, take over, new code, retry (contract.md, sections 2 and 4).

Clients compare these sentences, so they stay as the original wrote them.
"""

from typing import Any

from instances import actions
from instances.contract.registry import method
from instances.contract.status_data import reason_of
from instances.models import AccountStatus, Instance, Substatus


def said(sentence: str) -> dict[str, Any]:
    return {"accountStatus": sentence}


@method("logout", "POST")
def logout(instance: Instance) -> dict[str, Any]:
    """Unlinks the phone; a new QR code comes next."""
    if instance.is_authenticated:
        actions.change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    return said("Logout request sent to WhatsApp")


@method("expiry", "POST")
def expiry(instance: Instance) -> dict[str, Any]:
    """Makes a new QR code in place of an expired one."""
    if instance.is_paid and instance.code_is_over:
        actions.expire_code(instance)
    if instance.substatus != Substatus.EXPIRED:
        return said('Expiry request not sent because substatus don\'t equals "expired"')
    actions.change_status(instance, substatus=Substatus.NORMAL)
    return said("Expiry request sent to WhatsApp")


@method("retry", "POST")
def retry(instance: Instance) -> dict[str, Any]:
    """Synchronises once more; the messenger reports by a status what comes of it."""
    return when(instance, "syncing", "Retry")


@method("takeover", "POST")
def takeover(instance: Instance) -> dict[str, Any]:
    """Takes the session back from another browser."""
    return when(instance, "conflict", "Takeover")


def when(instance: Instance, reason: str, name: str) -> dict[str, Any]:
    """The sentence of a request that makes sense for one reason of loading alone."""
    if reason_of(instance) != reason:
        return said(f'{name} request not sent because reason don\'t equals "{reason}"')
    return said(f"{name} request sent to WhatsApp")
