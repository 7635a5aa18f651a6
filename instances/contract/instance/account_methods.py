"""The instances API: an account's instances, opened by its key `uid` (contract.md, section 2).

A key opens what belongs to its account, and not what its owner may see as a member of others.
"""

from typing import Any

from django.db.models import Count

from accounts.models import Account
from instances.actions import lifecycle as lifecycle_actions
from instances.actions.lifecycle import create_instance
from instances.contract.arguments import text
from instances.contract.errors import NO_INSTANCE, BadArgument, WireError
from instances.contract.registry import method
from instances.models import Channel, Instance
from instances.sending import session

NUMBER_LENGTH = 10  # digits that every number has room in
# What old clients call the messenger that they knew, by name or by a number of the list they chose from.
OLD_TYPES = frozenset({"", "whatsapp", "wa", "private", "0", "1", "2"})

INSTANCE_ID = text("instanceId", "the instance's number", default="", most=100)


@method(
    "newInstance",
    "GET",
    "POST",
    by_uid=True,
    arguments=(
        text("type", f"the messenger, one of {', '.join(Channel.values)}", default="", most=100),
        text("name", "a name for people", default="", most=100),
    ),
)
def new_instance(account: Account, *, type: str, name: str) -> dict[str, Any]:
    """Makes an instance, which is paid for the trial days and waits for its QR code to be scanned."""
    wanted = type.strip().lower()
    channel = Channel.SANDBOX.value if wanted in OLD_TYPES else wanted
    if channel not in Channel.values:
        raise BadArgument(f"type takes one of {', '.join(Channel.values)}")
    instance = create_instance(account, name=name.strip(), channel=channel, acting_user=account.owner)
    made = {"id": str(instance.number), "apiUrl": instance.api_url, "token": instance.token}
    return {"result": {"status": "created", "instance": made}}


@method("listInstances", "GET", "POST", by_uid=True)
def list_instances(account: Account) -> dict[str, Any]:
    """The account's instances, oldest first; `paidTill` in unix seconds."""
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
                "paidTill": int(instance.paid_until.timestamp()),
            }
            for instance in found
        ]
    }


@method("deleteInstance", "POST", "GET", by_uid=True, arguments=(INSTANCE_ID,))
def delete_instance(account: Account, *, instance_id: str) -> dict[str, Any]:
    """Deletes an instance with all that it has; its payments stay in the account."""
    lifecycle_actions.delete_instance(own(account, instance_id), acting_user=account.owner)
    return {"result": {"status": "deleted"}}


@method("cleanInstance", "POST", "GET", by_uid=True, arguments=(INSTANCE_ID,))
def clean_instance(account: Account, *, instance_id: str) -> dict[str, Any]:
    """Makes an instance as good as new: logged out, its chats, messages, queues and histories gone.

    Its number, token, settings, payments and delivery log stay, and its messages are numbered on from the last.
    """
    session.log_out_and_clean(own(account, instance_id), acting_user=account.owner)
    return {"result": {"status": "cleaned"}}


def own(account: Account, instance_id: str) -> Instance:
    """Raises WireError 404 for one that is nobody's or another's."""
    known = instance_id.isascii() and instance_id.isdigit() and len(instance_id) <= NUMBER_LENGTH
    found = Instance.objects.of_account(account).filter(number=int(instance_id)).first() if known else None
    if found is None:
        raise WireError(404, NO_INSTANCE)
    return found
