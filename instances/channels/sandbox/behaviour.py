"""How a sandbox contact behaves: when they receive a message, when they read it, and what stops them.

A contact without a row has the defaults of SandboxContact: online, receives immediately, never reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from chatapi.database import prepared
from instances.models import Ack, Instance, SandboxContact

DEFAULT = SandboxContact()  # built once: it costs more than the rest of next_ack


class NextAck(NamedTuple):
    """The next ack of a contact for a message. `due_at` None: not while they behave as they do now."""

    ack: Ack
    due_at: datetime | None


def next_ack(contact: SandboxContact | None, ack: Ack, now: datetime) -> NextAck | None:
    """Returns the ack that follows `ack`, which the contact has given at `now`; None after the last one."""
    if ack == Ack.VIEWED:
        return None
    behaviour = contact or DEFAULT
    following = Ack(ack + 1)
    is_delivery = following == Ack.DELIVERED
    delay = behaviour.deliver_after if is_delivery else behaviour.read_after
    if delay is None or not behaviour.online or (is_delivery and not behaviour.is_reachable):
        return NextAck(following, None)
    return NextAck(following, now + timedelta(seconds=delay))


def acks_when_sent(contact: SandboxContact | None, now: datetime) -> tuple[Ack, NextAck | None]:
    """Returns the highest ack that a message has the moment it is sent, and the ack that follows."""
    ack = Ack.SENT
    while (following := next_ack(contact, ack, now)) and following.due_at and following.due_at <= now:
        ack = following.ack
    return ack, following


def contact_behaviours(instance: Instance, members: Iterable[str]) -> dict[str, SandboxContact]:
    """Returns the contacts with these chat ids that have a row. One query."""
    found = SandboxContact.objects.filter(instance=instance, chat_id__in=list(members))
    return {contact.chat_id: contact for contact in found}


ROW = prepared.ModelRow(SandboxContact, "contact")
BEHAVIOURS = f"""
    SELECT {ROW.columns} FROM {SandboxContact._meta.db_table} contact
    JOIN unnest(%s::bigint[], %s::text[]) AS wanted (instance_id, chat_id) USING (instance_id, chat_id)
"""


def behaviours_of(contacts: Collection[tuple[int, str]]) -> dict[tuple[int, str], SandboxContact]:
    """Returns the contacts with these keys of instances and chat ids that have a row. One query.

    Runs for every message sent, and most contacts have no row.
    """
    rows = prepared.fetch_all(
        BEHAVIOURS, [[key for key, _ in contacts], [chat_id for _, chat_id in contacts]]
    )
    found = map(ROW.build, rows)
    return {(contact.instance_id, contact.chat_id): contact for contact in found}
