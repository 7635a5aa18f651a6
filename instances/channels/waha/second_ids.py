"""People whom WhatsApp knows by two ids, a number and a `…@lid` that hides it: asked whether both are one person.

A group may list a person by the number, and have their messages from the other id.
"""

from __future__ import annotations

from collections.abc import Sequence

from instances import chat_ids
from instances.channels.receiving import GroupLookup, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.responses import json_object, retry_after
from instances.channels.waha import api
from instances.channels.waha.group_events import is_person
from instances.received_events import GroupChanged, MessageReceived, ReceivedEvent

SECONDS = 20.0


def lookups(events: Sequence[ReceivedEvent]) -> list[GroupLookup]:
    """Returns the people of groups in these events of whom only one id is known: who write, join or become admins."""
    found = []
    for event in events:
        if isinstance(event, MessageReceived) and event.chat_id and is_hidden(event.sender):
            found.append(GroupLookup(event.chat_id, event.sender))
        elif isinstance(event, GroupChanged):
            alone = (
                person for person in (*event.joined, *event.promoted, *event.demoted) if len(person) == 1
            )
            found += [GroupLookup(event.chat_id, person[0]) for person in alone]
    return list(dict.fromkeys(found))


def is_hidden(person: str) -> bool:
    return person.endswith(chat_ids.HIDDEN_NUMBER)


async def look_up(link: Link, lookup: GroupLookup, network: Network) -> list[ReceivedEvent]:
    """Returns that two ids are one person; nothing if WhatsApp does not tell the other one. Raises ReceiveFailed."""
    path = [lookup.person] if is_hidden(lookup.person) else ["pn", lookup.person]
    request = api.request(link, "GET", api.session_of(link), "lids", *path)
    response = await network.send(request, seconds=SECONDS)
    if response.status == 422 or response.status == 429 or (response.status or 500) >= 500:
        raise ReceiveFailed(api.reason(response), seconds=retry_after(response))
    found = json_object(response) if response.status == 200 else {}
    person = tuple(api.chat_id_of(found.get(key)) for key in ("lid", "pn"))
    if lookup.person not in person or not all(map(is_person, person)):
        return []
    return [GroupChanged(lookup.chat_id, same=(person,))]
