"""The contacts of the demo account's sandbox. Each contact's name says what happens to a message to them."""

from django.db import transaction

from instances.channels.sandbox.actions.contacts import ContactChanges, change_contact
from instances.channels.sandbox.actions.groups import create_group_as_contact
from instances.models import Instance, SandboxContact

# 555-0100 to 0199 are reserved for fiction: no real phone has them.
CONTACTS: dict[str, ContactChanges] = {
    "15550100101": {"name": "Rita Reads (after 2 s)", "read_after": 2},
    "15550100102": {"name": "Sam Slow (gets it after 5 s)", "deliver_after": 5, "read_after": 5},
    "15550100103": {"name": "Otto Offline", "online": False},
    "15550100104": {"name": "Bruno Blocks You", "blocks": True},
    "15550100105": {"name": "Nora No-Account", "has_account": False},
}
GROUP = "Rita and Sam"


@transaction.atomic
def add_contacts(instance: Instance) -> None:
    """Adds the contacts and one group to a sandbox without contacts; does nothing if it has any."""
    if SandboxContact.objects.filter(instance=instance).exists():
        return
    for phone, behaviour in CONTACTS.items():
        change_contact(instance, phone=phone, **behaviour)
    rita, sam = (f"{phone}@c.us" for phone in list(CONTACTS)[:2])
    create_group_as_contact(instance, name=GROUP, by=rita, members=[sam])
