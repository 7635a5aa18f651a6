"""The profile that contacts of the linked account see."""

from django.db import transaction

from instances.actions import events
from instances.models import Instance


@transaction.atomic
def change_profile(instance: Instance, *, name: str | None = None, status: str | None = None) -> Instance:
    """Change the name (up to 100 characters) or status text (up to 200); None leaves a value unchanged.

    The profile belongs to the account at the messenger, so it is not audited. Only a token's holder changes it.
    """
    events.lock(instance)
    changed = {"profile_name": name, "profile_status": status}
    fields = [field for field, value in changed.items() if value is not None]
    for field in fields:
        setattr(instance, field, changed[field])
    instance.save(update_fields=fields)
    return instance
