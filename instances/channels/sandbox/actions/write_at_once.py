"""Finds an instance by its number and its account's key and records a contact's text, in one statement.

For the usual case: the key was found right a moment ago, the instance is linked, connected and paid, and the contact
has written before. For all others nothing is written, and the caller loads the instance and calls
contacts.write_as_contact(), which knows the errors.
"""

from __future__ import annotations

from datetime import datetime

from accounts.actions import keys
from instances.actions.record_at_once import Written, record_text
from instances.channels.sandbox.actions.contacts import IS_PLAIN_CONTACT
from instances.models import Channel

CONDITION = f"i.channel = '{Channel.SANDBOX}' AND {IS_PLAIN_CONTACT} AND i.owner_id = {{account}}"


def write_text(
    *, number: int, key: str, owner_id: int, sender: str, sender_name: str, body: str, now: datetime
) -> Written | None:
    """Record a text that this contact has just written; None if this is not the usual case.

    The key is that of an account which this user owns; `sender` is the contact's chat id.
    """
    return record_text(
        number=number,
        chat_id=sender,
        sender_name=sender_name,
        body=body,
        now=now,
        condition=CONDITION.format(account=keys.account_of_key_sql()),
        parameters={
            "contact": sender,
            "is_unnamed": not sender_name,
            **keys.account_of_key_parameters(key, owner_id=owner_id, now=now),
        },
    )
