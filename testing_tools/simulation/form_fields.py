"""The fields of each kind's form."""

from __future__ import annotations

from typing import NamedTuple

from django.db import models

from instances.models import AccountStatus, Substatus
from testing_tools.simulation.kinds import OUTGOING, SimulationKind, body_key


class Field(NamedTuple):
    """A field of the form; with `choices`, pairs of value and label, it is a select."""

    name: str
    label: str
    digits: bool = False
    hint: str = ""
    long: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    more: bool = False  # shown under "Group, quote, forwarded"


def values_of(choices: type[models.TextChoices]) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in choices.values)


PHONE_HINT = "Digits with country code"
SENDER_FIELDS = (
    Field("sender", "Sender", True, PHONE_HINT),
    Field("sender_name", "Sender name", False, "As in the address book"),
)
MORE_FIELDS = (
    Field("group", "Chat", choices=(("", "Direct chat"), ("yes", "Group")), more=True),
    Field("group_name", "Group name", more=True, hint="Only for a group"),
    Field("quoted", "Quoted text", more=True, hint="Empty: no quote"),
    Field("forwarded", "Times forwarded", True, more=True, hint="0: not forwarded"),
)
TEXT = Field("text", "Text", long=True)
FILE_URL = Field(
    "text", "File URL", hint="Its path ends in .ext. Enter a URL of yours if your program downloads the file."
)
CAPTION = Field("caption", "Caption")
RECIPIENT = Field("recipient", "Recipient", True, PHONE_HINT)
CONTENT_FIELDS: dict[str, tuple[Field, ...]] = {
    SimulationKind.LOCATION: (Field("text", "Coordinates", hint="lat;lng"),),
    SimulationKind.VCARD: (Field("text", "vCard", long=True),),
    SimulationKind.CALL: (),
    SimulationKind.PTT: (FILE_URL,),
    SimulationKind.AUDIO: (FILE_URL,),
    SimulationKind.STICKER: (FILE_URL,),
    SimulationKind.IMAGE: (FILE_URL, CAPTION),
    SimulationKind.DOCUMENT: (FILE_URL, CAPTION),
    SimulationKind.VIDEO: (FILE_URL._replace(hint="“upload disabled” while videoUploadOn is off"), CAPTION),
}
ACK_FIELDS = (
    RECIPIENT,
    Field("message_id", "Message id", False, "The id in the response of sendMessage"),
    Field("queue_number", "Queue number", True, "In the same response"),
)
STATUS_FIELDS = (
    Field("new_status", "New accountStatus", choices=values_of(AccountStatus)),
    Field("new_substatus", "New substatus", choices=values_of(Substatus)),
    Field("old_status", "Old accountStatus", choices=values_of(AccountStatus)),
    Field("old_substatus", "Old substatus", choices=values_of(Substatus)),
)


def fields_of(kind: str) -> tuple[Field, ...]:
    """Returns the fields of this kind's form, in order."""
    match body_key(kind):
        case "ack":
            return ACK_FIELDS
        case "instanceStatus":
            return STATUS_FIELDS
        case "chatUpdate" if kind == SimulationKind.NEW_CHAT:
            return (Field("new_name", "Chat name"),)
        case "chatUpdate":
            return (Field("new_name", "New name"), Field("old_name", "Old name"))
    contacts = (RECIPIENT,) if kind in OUTGOING else SENDER_FIELDS
    return (*contacts, *CONTENT_FIELDS.get(kind, (TEXT,)), *MORE_FIELDS)
