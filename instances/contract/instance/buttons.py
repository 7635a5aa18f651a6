"""What the buttons of the status do: log out, take over, new code, retry, reboot (contract.md, sections 2 and 4).

Clients compare these sentences, so they stay as the original wrote them. What follows is the messenger's, by its
channel; a new status comes with its hook.
"""

from typing import Any

from instances.actions.status import expire_code
from instances.channels import channel_of
from instances.channels.base import Button, CannotDo
from instances.contract.errors import WireError
from instances.contract.registry import method
from instances.models import Instance, LoadingReason, Substatus


def said(sentence: str) -> dict[str, Any]:
    return {"accountStatus": sentence}


def press(instance: Instance, button: Button) -> None:
    """Raises WireError where the messenger has no such thing."""
    try:
        channel_of(instance).press(instance, button)
    except CannotDo as error:
        raise WireError(400, str(error)) from None


@method("logout", "POST")
def logout(instance: Instance) -> dict[str, Any]:
    """Unlinks the phone; a new QR code comes next."""
    press(instance, Button.LOGOUT)
    return said("Logout request sent to WhatsApp")


@method("expiry", "POST")
def expiry(instance: Instance) -> dict[str, Any]:
    """Makes a new QR code in place of an expired one."""
    if instance.code_is_over:
        expire_code(instance)
    if instance.substatus != Substatus.EXPIRED:
        return said('Expiry request not sent because substatus don\'t equals "expired"')
    press(instance, Button.EXPIRY)
    return said("Expiry request sent to WhatsApp")


@method("retry", "POST")
def retry(instance: Instance) -> dict[str, Any]:
    """Synchronises once more."""
    if instance.why_loading != LoadingReason.SYNCING:
        return said('Retry request not sent because reason don\'t equals "syncing"')
    press(instance, Button.RETRY)
    return said("Retry request sent to WhatsApp")


@method("takeover", "POST")
def takeover(instance: Instance) -> dict[str, Any]:
    """Takes the session back from another browser."""
    if instance.why_loading != LoadingReason.CONFLICT:
        return said('Takeover request not sent because reason don\'t equals "conflict"')
    press(instance, Button.TAKEOVER)
    return said("Takeover request sent to WhatsApp")


@method("reboot", "POST")
def reboot(instance: Instance) -> dict[str, Any]:
    """Starts the messenger anew: a session goes on, and whoever waits for a scan gets a new code."""
    press(instance, Button.REBOOT)
    return {"success": True}
