"""The buttons of the status: log out, take over, new code, retry, reboot (contract.md §2 and §4).

Clients compare these sentences, so they are the original's. The instance's channel does the rest; a status change
sends its hook.
"""

from typing import Any

from instances.actions.status import expire_code
from instances.channels import channel_of
from instances.channels.base import Button, CannotDo
from instances.contract.errors import WireError
from instances.contract.registry import method
from instances.models import Instance


def reply(sentence: str) -> dict[str, Any]:
    """The sentence under both keys that clients read."""
    return {"accountStatus": sentence, "result": sentence}


def press(instance: Instance, button: Button) -> None:
    """Presses the button. Raises WireError if the messenger does not have it."""
    try:
        channel_of(instance).press(instance, button)
    except CannotDo as error:
        raise WireError(400, str(error)) from None


@method("logout", "POST")
def logout(instance: Instance) -> dict[str, Any]:
    """Unlinks the phone. A new QR code follows."""
    press(instance, Button.LOGOUT)
    return reply("Logout request sent to WhatsApp")


@method("expiry", "POST")
def expiry(instance: Instance) -> dict[str, Any]:
    """Creates a new QR code in place of an expired one."""
    if instance.is_code_outdated:
        expire_code(instance)
    if not instance.is_expired:
        return reply('Expiry request not sent because substatus don\'t equals "expired"')
    press(instance, Button.EXPIRY)
    return reply("Expiry request sent to WhatsApp")


@method("retry", "POST")
def retry(instance: Instance) -> dict[str, Any]:
    """Retries the synchronisation."""
    if not instance.is_syncing:
        return reply('Retry request not sent because reason don\'t equals "syncing"')
    press(instance, Button.RETRY)
    return reply("Retry request sent to WhatsApp")


@method("takeover", "POST")
def takeover(instance: Instance) -> dict[str, Any]:
    """Takes the session back from another browser."""
    if not instance.is_taken_over:
        return reply('Takeover request not sent because reason don\'t equals "conflict"')
    press(instance, Button.TAKEOVER)
    return reply("Takeover request sent to WhatsApp")


@method("reboot", "POST")
def reboot(instance: Instance) -> dict[str, Any]:
    """Restarts the messenger. A session continues; an instance that waits for a scan gets a new QR code."""
    press(instance, Button.REBOOT)
    return {"success": True}
