"""Finds an instance by its number and its account's key and records a contact's text, in one statement.

For the usual case: the key was found right a moment ago, the instance is linked, connected and paid, and the contact
has written before. For all others nothing is written, and the caller loads the instance and calls
contacts.write_as_contact(), which knows the errors.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

from accounts.actions import keys
from accounts.models import Scope
from instances.actions.record_at_once import Written, record_text
from instances.channels.sandbox.actions.contacts import IS_PLAIN_CONTACT
from instances.models import Channel


@cache
def condition_sql() -> str:
    """Returns the condition on the instance `i`; record_text() has the contact as the chat."""
    is_plain = IS_PLAIN_CONTACT.replace("%(contact)s", "%(chat)s")
    return f"i.channel = '{Channel.SANDBOX}' AND {is_plain} AND i.owner_id = {keys.account_of_key_sql(Scope.SEND)}"


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
        condition=condition_sql(),
        parameters={
            "is_unnamed": not sender_name,
            **keys.account_of_key_parameters(key, owner_id=owner_id, now=now),
        },
    )
