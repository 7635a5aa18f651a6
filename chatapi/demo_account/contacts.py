"""The people of the demo account's sandbox: each says by the name what becomes of a message to them."""

from django.db import transaction

from instances.channels.sandbox.actions.contacts import ContactChanges, change_contact
from instances.channels.sandbox.actions.groups import create_group_as_contact
from instances.models import Instance, SandboxContact

# 555-0100 to 0199 are reserved for fiction: no subscriber has them.
PEOPLE: dict[str, ContactChanges] = {
    "15550100101": {"name": "Rita Reads (after 2 s)", "read_after": 2},
    "15550100102": {"name": "Sam Slow (gets it after 5 s)", "deliver_after": 5, "read_after": 5},
    "15550100103": {"name": "Otto Offline", "online": False},
    "15550100104": {"name": "Bruno Blocks You", "blocks": True},
    "15550100105": {"name": "Nora No-Account", "has_account": False},
}
GROUP = "Rita and Sam"


@transaction.atomic
def give_people(instance: Instance) -> None:
    """A few contacts and one group for a sandbox that has no contacts; any other stays as it is."""
    if SandboxContact.objects.filter(instance=instance).exists():
        return
    for phone, mind in PEOPLE.items():
        change_contact(instance, phone=phone, **mind)
    rita, sam = (f"{phone}@c.us" for phone in list(PEOPLE)[:2])
    create_group_as_contact(instance, name=GROUP, by=rita, members=[sam])
