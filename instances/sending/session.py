"""Logs an instance out and cleans it through its channel, for every caller: person, support desk, wire contract.

No transaction may be open here, because the channel may use the network.
"""

from accounts.models import User
from instances.actions.cleaning import clean_instance
from instances.channels import channel_of
from instances.channels.base import Button, CannotDo
from instances.models import Instance


def log_out(instance: Instance, *, acting_user: User | None) -> None:
    """Ask the messenger to end the session; the channel reports the new status.

    Raises:
        CannotDo: the channel has no such function.
    """
    channel_of(instance).press(instance, Button.LOGOUT, acting_user=acting_user)


def log_out_and_clean(instance: Instance, *, acting_user: User | None) -> Instance:
    """Log the instance out and delete its data (actions.cleaning). A channel that cannot log out is cleaned as well."""
    try:
        log_out(instance, acting_user=acting_user)
    except CannotDo:
        pass  # clean_instance sets the status
    return clean_instance(instance, acting_user=acting_user)
