"""How the linked account shows itself to its contacts."""

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.models import Instance


@transaction.atomic
def change_profile(
    instance: Instance, *, name: str | None = None, status: str | None = None, acting_user: User | None = None
) -> Instance:
    """`name` up to 100 characters, `status` up to 200; what is None stays."""
    events.lock(instance)
    changed = {"profile_name": name, "profile_status": status}
    fields = [field for field, value in changed.items() if value is not None]
    for field in fields:
        setattr(instance, field, changed[field])
    instance.save(update_fields=fields)
    return instance
