"""Gets the short code that links a phone instead of the QR code (channels/linking.py, PairsByCode)."""

from __future__ import annotations

from accounts.models import User
from instances import chat_ids
from instances.channels import channel_of
from instances.channels.base import CannotDo
from instances.channels.linking import PairsByCode
from instances.limits import manual_request_limit
from instances.limits.manual_request_limit import TooMany
from instances.models import Instance
from instances.receiving.messenger_calls import refuse_open_transaction

NO_CODES = "{} cannot be linked by a short code."


def can_pair(instance: Instance) -> bool:
    """Returns whether the phone can be linked by a short code."""
    return isinstance(channel_of(instance), PairsByCode)


def get_pairing_code(instance: Instance, phone: str, *, acting_user: User) -> str:
    """Returns the code to enter on the phone with this number, which may have a + and spaces.

    Raises:
        chat_ids.BadChatId: it is no phone number.
        CannotDo: the channel has no such codes, the messenger has none now, or the user has made too many requests.
    """
    channel = channel_of(instance)
    if not isinstance(channel, PairsByCode):
        raise CannotDo(NO_CODES.format(instance.get_channel_display()))
    if not (digits := chat_ids.phone_of(chat_ids.of_phone(phone))):  # of a group, or who hides their number
        raise chat_ids.BadChatId(chat_ids.PHONE_SENTENCE)
    refuse_open_transaction()
    try:
        with manual_request_limit.place(acting_user):
            return channel.pairing_code(instance, digits)
    except TooMany as error:
        raise CannotDo(str(error)) from None
