"""Informs messengers that a link has ended: that it was removed, or replaced by one of another account.

    with ending_links(instance, acting_user=user) as notice:
        unlink_account(instance, acting_user=user)
    notice.text

Whatever is done inside, the links that are not saved any more after it are ended at their messengers
(channels/linking.py, Disconnectable). That is best effort: the product has removed the link in any case, and `notice`
says what may be left. No transaction may be open, because the messengers are asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from accounts.models import User
from chatapi.encryption.cipher import UnreadableSecret
from instances.channels import CHANNELS
from instances.channels.linking import Disconnectable, Linkable
from instances.channels.links import link_of
from instances.channels.masking import mask_text
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Link
from instances.limits import manual_request_limit
from instances.limits.manual_request_limit import TooMany
from instances.models import ChannelLink, Instance
from instances.receiving.connection import sentence_of
from instances.receiving.messenger_calls import call_messenger, refuse_open_transaction

log = logging.getLogger(__name__)

SECONDS = 12.0  # of one messenger; those of several links are asked at the same time
ALL_SECONDS = 15.0  # of all of them: thousands of requests at once may take longer than each of them is given
MAX_SENTENCES = 5  # that are shown: an account may have thousands of links
MORE = "Look at {:,} more accounts at their messengers, too."
NOT_CONFIRMED = "{messenger} has not confirmed that the account is unlinked: {reason} {may_remain}"


@dataclass
class Notice:
    """What people should know after the links have ended; empty if nothing is left at the messengers."""

    sentences: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        shown, more = self.sentences[:MAX_SENTENCES], len(self.sentences) - MAX_SENTENCES
        return " ".join([*shown, MORE.format(more)] if more > 0 else shown)


@dataclass(frozen=True)
class OldLink:
    """A link as it was saved before. `link` is None if its credentials cannot be read."""

    instance: Instance
    channel: str
    external_id: str
    link: Link | None


@contextlib.contextmanager
def ending_links(*instances: Instance, acting_user: User | None) -> Iterator[Notice]:
    """Informs the messengers of the links that end inside the `with`. At most two queries, none without such a channel.

    Waits up to SECONDS for them, within the limit of requests that `acting_user` waits for.
    """
    before, notice = saved_links(instances), Notice()
    try:
        yield notice
    finally:
        ended = still_unsaved(before)
        if ended:
            notice.sentences += disconnect(ended, acting_user)


def saved_links(instances: Sequence[Instance]) -> list[OldLink]:
    names = [name for name, channel in CHANNELS.items() if isinstance(channel, Disconnectable)]
    keys = [instance.pk for instance in instances if instance.channel in names]
    if not keys:
        return []
    found = ChannelLink.objects.filter(pk__in=keys, channel__in=names).select_related("instance")
    return [OldLink(each.instance, each.channel, each.external_id, readable_link(each)) for each in found]


def readable_link(stored: ChannelLink) -> Link | None:
    try:
        return link_of(stored)
    except UnreadableSecret:
        return None


def still_unsaved(before: Sequence[OldLink]) -> list[OldLink]:
    """Returns the links that were removed or belong to another account now."""
    if not before:
        return []
    keys = [old.instance.pk for old in before]
    saved = set(ChannelLink.objects.filter(pk__in=keys).values_list("pk", "channel", "external_id"))
    return [old for old in before if (old.instance.pk, old.channel, old.external_id) not in saved]


def disconnect(ended: Sequence[OldLink], acting_user: User | None) -> list[str]:
    """Returns a sentence for each messenger that has not confirmed it, or at which people have to do something.

    Takes at most ALL_SECONDS for any number of links. Never raises: what was done to the links is done.
    """
    refuse_open_transaction()
    try:
        with manual_request_limit.place(acting_user) if acting_user else contextlib.nullcontext():
            found = call_messenger(lambda network: disconnect_all(ended, network), seconds=ALL_SECONDS)
    except (TooMany, ReceiveFailed, OSError) as error:
        found = [not_confirmed(old, str(error)) for old in ended]
    return list(dict.fromkeys(filter(None, found)))


async def disconnect_all(ended: Sequence[OldLink], network: Network) -> list[str]:
    return await asyncio.gather(*(disconnect_one(old, network) for old in ended))


async def disconnect_one(old: OldLink, network: Network) -> str:
    """Returns a sentence for people, or "". Never raises."""
    channel = CHANNELS[old.channel]
    if old.link is None:
        return not_confirmed(old, "Its credentials could not be read.")
    try:
        async with asyncio.timeout(SECONDS):
            return await channel.disconnect(old.link, network) if isinstance(channel, Disconnectable) else ""
    except TimeoutError:
        return not_confirmed(old, f"It did not respond within {SECONDS:.0f} s.")
    except Exception as error:  # noqa: BLE001 - a channel may read a response that it does not expect
        return not_confirmed(old, mask_text(sentence_of(error), old.link))


def not_confirmed(old: OldLink, reason: str) -> str:
    channel = CHANNELS[old.channel]
    messenger = channel.setup.title if isinstance(channel, Linkable) else old.channel
    may_remain = channel.may_remain if isinstance(channel, Disconnectable) else ""
    sentence = NOT_CONFIRMED.format(messenger=messenger, reason=reason, may_remain=may_remain).strip()
    log.warning("instance %s: %s", old.instance.number, sentence)
    return sentence
