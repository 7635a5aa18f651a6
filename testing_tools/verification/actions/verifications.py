"""Start and stop a verification, which sends an instance's hooks to its bin for a limited time."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from hooks.actions.endpoints import end_override, override_url
from hooks.models import Endpoint
from instances.models import Instance
from testing_tools.verification.actions.bins import open_bin
from testing_tools.verification.models import Bin


@transaction.atomic
def start_verification(instance: Instance, *, forwards: bool = False, acting_user: User | None) -> Bin:
    """Send the instance's hooks to its bin for VERIFICATION_MINUTES from now; returns the bin.

    With `forwards` the instance's own URL receives them too, as separate hooks with the same guarantees. The own URL
    stays stored, so the end needs no write. hooks.actions.endpoints writes the audit row.
    """
    endpoint = Endpoint.objects.select_for_update().get(first_of=instance)  # before its bin: see delete_bin()
    bin = open_bin(instance)
    until = timezone.now() + timedelta(minutes=settings.VERIFICATION_MINUTES)
    override_url(endpoint, url=bin.url, until=until, forwards=forwards, acting_user=acting_user)
    return bin


@transaction.atomic
def stop_verification(instance: Instance, *, acting_user: User | None) -> None:
    """Send hooks to the instance's own URL again; does nothing if no verification is running."""
    endpoint = endpoint_of(instance)
    if endpoint.is_overridden():
        end_override(endpoint, acting_user=acting_user)


def endpoint_of(instance: Instance) -> Endpoint:
    return Endpoint.objects.get(first_of=instance)
