"""The instances API: an account's instances, authenticated by its key `uid` (contract.md §2).

A key gives access to its own account only, and not to other accounts of which its owner is a member.
"""

from typing import Any

from django.db.models import Count

from accounts.models import Account, Scope
from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from instances.actions import lifecycle as lifecycle_actions
from instances.actions.lifecycle import create_instance
from instances.channels import CHANNELS
from instances.contract.arguments import text
from instances.contract.errors import NO_INSTANCE, BadArgument, WireError
from instances.contract.registry import method
from instances.models import Channel, Instance
from instances.receiving.unlinking import ending_links
from instances.sending import session

# Names that old clients send for their messenger: a word, or its number in a list of choices.
OLD_TYPES = frozenset({"", "whatsapp", "wa", "private", "0", "1", "2"})

DOES_NOT_EXPIRE = 2**31 - 1  # `paidTill`: old clients may keep it in 32 bits

INSTANCE_ID = text("instanceId", "the instance's id", default="", max_length=100)


@method(
    "newInstance",
    "GET",
    "POST",
    scopes=tuple(Scope),  # its result has the instance's token, which calls all other methods
    arguments=(
        text("type", f"the messenger, one of {', '.join(CHANNELS)}", default="", max_length=100),
        text("name", "a name, shown on pages", default="", max_length=100),
    ),
)
def new_instance(account: Account, *, type: str, name: str) -> dict[str, Any]:
    """Creates an instance. It shows a QR code to scan, and works until the end of its trial, if it has one."""
    wanted = type.strip().lower()
    channel = Channel.SANDBOX.value if wanted in OLD_TYPES else wanted
    if channel not in CHANNELS:
        raise BadArgument(f"`type` must be one of: {', '.join(CHANNELS)}.")
    instance = create_instance(account, name=name.strip(), channel=channel, acting_user=account.owner)
    created = {"id": str(instance.number), "apiUrl": instance.api_url, "token": instance.token}
    return {"result": {"status": "created", "instance": created}}


@method("listInstances", "GET", "POST", scopes=(Scope.READ,))
def list_instances(account: Account) -> dict[str, Any]:
    """Lists the account's instances, oldest first.

    `paidTill` is in unix seconds; 2147483647, the largest number of 32 bits, if the instance does not expire.
    """
    found = Instance.objects.of_account(account).annotate(payments_count=Count("payments")).order_by("pk")
    return {
        "result": [
            {
                "id": str(instance.number),
                "name": str(instance),
                "apiUrl": instance.api_url,
                "type": instance.channel,
                "stopped": instance.is_stopped,
                "paymentsCount": instance.payments_count,
                "paidTill": int(instance.expires_at.timestamp()) if instance.expires_at else DOES_NOT_EXPIRE,
            }
            for instance in found
        ]
    }


@method("deleteInstance", "POST", "GET", scopes=(Scope.MANAGE,), arguments=(INSTANCE_ID,))
def delete_instance(account: Account, *, instance_id: str) -> dict[str, Any]:
    """Deletes an instance and everything in it. Its payments stay in the account."""
    instance = find_instance(account, instance_id)
    with ending_links(instance, acting_user=account.owner):
        lifecycle_actions.delete_instance(instance, acting_user=account.owner)
    return {"result": {"status": "deleted"}}


@method("cleanInstance", "POST", "GET", scopes=(Scope.MANAGE,), arguments=(INSTANCE_ID,))
def clean_instance(account: Account, *, instance_id: str) -> dict[str, Any]:
    """Resets an instance: logs it out and deletes its chats, messages, queues and histories.

    Its id, token, settings, payments and delivery log stay, and message numbers continue from the last one. The queue
    is empty when it responds; of more than 2 000 rows, the rest is deleted in the background.
    """
    session.log_out_and_clean(find_instance(account, instance_id), acting_user=account.owner)
    return {"result": {"status": "cleaned"}}


def find_instance(account: Account, instance_id: str) -> Instance:
    """Returns the account's instance with this id. Raises WireError 404."""
    number = parse_digits(instance_id, max_digits=INSTANCE_NUMBER_DIGITS)
    found = None if number is None else Instance.objects.of_account(account).filter(number=number).first()
    if found is None:
        raise WireError(404, NO_INSTANCE)
    return found
