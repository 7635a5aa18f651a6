"""Links an instance to an account by the values that a person enters (instances/channels/linking.py).

    check at the messenger → save the link → connect → change the status

Pages and the REST API call this. No transaction may be open, because the messenger is asked. What a channel or the
network says never contains a secret here: each sentence is masked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from accounts.models import User
from chatapi.encryption.cipher import UnreadableSecret
from instances.actions.channel_links import (
    MAX_NAME,
    AlreadyLinked,
    mark_connected,
    mark_unconnected,
    save_link,
)
from instances.channels.linking import NOTHING_SAVED, Found, Linkable, LinkSetup, NotLinkable
from instances.channels.links import link_of
from instances.channels.masking import mask_text
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Link
from instances.models import ChannelLink, Instance
from instances.receiving.links import linkable_channel
from instances.receiving.messenger_calls import call_messenger, refuse_open_transaction

T = TypeVar("T")
log = logging.getLogger(__name__)

NO_VALUES = "This instance is not linked by values: its channel is {}."
ENTER_AGAIN = "Enter the {} again, because another value has changed."
TAKEN = "This account is already linked to {}. Unlink it there first."


def link_account(instance: Instance, values: Mapping[str, str], *, acting_user: User | None) -> ChannelLink:
    """Check the values at the messenger, save the link and connect it. The instance becomes `authenticated`.

    Secrets that are left empty stay as they were saved. Linked already, the credentials are changed.

    Raises:
        NotLinkable: which value is wrong and why. If only connecting failed, the values are saved and the status is
            `init`; otherwise nothing has changed.
    """
    channel = linkable_channel(instance.channel)
    if channel is None:
        raise NotLinkable(NO_VALUES.format(instance.get_channel_display()))
    saved = ChannelLink.objects.filter(instance=instance, channel=instance.channel).first()
    given = complete_values(channel.setup, saved, values)
    secrets = {field.name: given[field.name] for field in channel.setup.fields if field.is_secret}
    found = ask(
        lambda network: channel.check(given, network, saved.options if saved else NOTHING_SAVED), secrets
    )
    try:
        stored = save_link(
            instance,
            credentials=found.credentials,
            external_id=found.external_id,
            name=found.name[:MAX_NAME],
            own_chat_id=found.own_chat_id,
            options=found.options,
            acting_user=acting_user,
        )
    except AlreadyLinked as error:
        raise NotLinkable(TAKEN.format(name_for(error.other, acting_user))) from None
    connect(channel, instance, stored, found, acting_user=acting_user)
    return stored


def connect(
    channel: Linkable, instance: Instance, stored: ChannelLink, found: Found, *, acting_user: User | None
) -> None:
    """Connect the saved link and change the status. Raises NotLinkable."""
    stored.instance = instance
    link, callback_url = link_of(stored), stored.callback_url
    secrets = dict(found.credentials) | {"callback": stored.callback_secret}
    try:
        ask(lambda network: channel.connect(link, callback_url, network), secrets)
    except NotLinkable:
        mark_unconnected(instance, linked_at=stored.changed_at, acting_user=acting_user)
        raise
    mark_connected(instance, status=found.status, linked_at=stored.changed_at, acting_user=acting_user)


def complete_values(
    setup: LinkSetup, stored: ChannelLink | None, values: Mapping[str, str]
) -> dict[str, str]:
    """Returns a value for each field: the saved one if it is not given, or if it is a secret that is left empty.

    A saved secret is used only if no other value has changed: it would be sent to another server, whose URL was entered
    by someone who does not know the secret.

    Raises:
        NotLinkable: the first value whose form is wrong.
    """
    given = {name: value.strip() for name, value in values.items()}
    if stored is not None:
        given = with_kept_secrets(setup, stored, given)
    for name, sentence in setup.mistakes(given).items():
        raise NotLinkable(sentence, name)
    return setup.complete(given)


def with_kept_secrets(setup: LinkSetup, stored: ChannelLink, given: dict[str, str]) -> dict[str, str]:
    """Returns the values with the saved ones of secrets that are empty, and of others that are not given.

    If another value has changed, no secret is kept.

    Raises:
        NotLinkable: another value has changed, and a required secret is not given, or none is.
    """
    names = {field.name for field in setup.fields if not field.is_secret}
    given = {name: value for name, value in stored.options.items() if name in names} | given
    try:
        saved = stored.credentials
    except UnreadableSecret:
        return given
    kept = [field for field in setup.fields if field.is_secret and not given.get(field.name)]
    kept = [field for field in kept if saved.get(field.name)]
    complete = setup.complete(given)
    if kept and any(
        complete[field.name] != stored.options.get(field.name, field.default)
        for field in setup.fields
        if not field.is_secret
    ):
        has_given = any(given.get(field.name) for field in setup.fields if field.is_secret)
        if missing := next((field for field in kept if field.is_required or not has_given), None):
            raise NotLinkable(ENTER_AGAIN.format(missing.label), missing.name)
        return given
    return given | {field.name: saved[field.name] for field in kept}


def ask(job: Callable[[Network], Awaitable[T]], secrets: Mapping[str, str]) -> T:
    """Returns what the channel's coroutine returns. Raises NotLinkable, also if the messenger cannot be reached."""
    refuse_open_transaction()
    masking = Link(0, "", secrets)
    try:
        return call_messenger(job)
    except NotLinkable as error:
        raise NotLinkable(mask_text(error.sentence, masking), error.field) from None
    except (ReceiveFailed, OSError) as error:
        raise NotLinkable(mask_text(str(error), masking)) from None
    except Exception as error:  # noqa: BLE001 - a channel may read a response that it does not expect
        sentence = mask_text(f"{type(error).__name__}: {error}", masking)
        log.warning("linking failed: %s", sentence)  # without a traceback, which could have secrets
        raise NotLinkable(f"The messenger's response could not be read ({sentence}).") from None


def name_for(other: Instance, user: User | None) -> str:
    """Returns what this user may know of the instance that has the account."""
    if user is not None and Instance.objects.visible_to(user).filter(pk=other.pk).exists():
        return f"{other} (instance {other.number})" if other.name else str(other)
    return "another instance of this site"
