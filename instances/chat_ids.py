"""Chat ids: `17680561234@c.us` is a contact, `17680561234-1479621234@g.us` a group; and the ids of messages."""

import hashlib
import re
import secrets

from chatapi.ui.numbers import clean_number

PERSON = "@c.us"
GROUP = "@g.us"

PHONE_SENTENCE = (
    "phone parameter should contain only numbers, start from country code and be 9-14 characters long"
)
CHAT_ID_SENTENCE = "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us"

# No country code begins with 0, so such a number has no chat. `00` before the country code means `+`.
_PHONE = re.compile(r"(?:\+|00)?([1-9][0-9]{8,13})")
_CHAT_ID = re.compile(r"[1-9][0-9]{4,19}@c\.us|[1-9][0-9]{4,24}(-[0-9]{5,20})?@g\.us")


class BadChatId(ValueError):
    """Neither a phone number nor a chat id. The text is a sentence for the caller."""


def of_phone(phone: str) -> str:
    """Returns the chat id of a phone number, 9 to 14 digits with or without `+` or `00`, or of a chat id.

    Spaces, dashes and invisible format characters are removed first (clean_number).
    """
    phone = clean_number(phone)
    if _CHAT_ID.fullmatch(phone):
        return phone
    if match := _PHONE.fullmatch(phone.replace("-", "")):
        return match[1] + PERSON
    raise BadChatId(PHONE_SENTENCE)


def of_chat(chat_id: str) -> str:
    """Returns the chat id for a chat id or phone number. Raises BadChatId with CHAT_ID_SENTENCE."""
    try:
        return of_phone(chat_id)
    except BadChatId:
        raise BadChatId(CHAT_ID_SENTENCE) from None


def is_group(chat_id: str) -> bool:
    return chat_id.endswith(GROUP)


def digits(chat_id: str) -> str:
    """Returns the part before the `@`, which is shown if there is no name."""
    return chat_id.partition("@")[0]


def message_id(chat_id: str, *, author: str, from_me: bool, by_api: bool = False, key: str = "") -> str:
    """Returns the id of a new message: `true_17680561234@c.us_3EB0957AD66BAFF57D1D` (contract.md, section 3).

    Ids created by the API start with 3EB0 and have 20 hexadecimal digits; ids created on a phone have 32. In a group
    the author follows. The same `key`, the messenger's own id, always gives the same id.
    """
    if key:
        unique = hashlib.sha256(key.encode()).hexdigest()[:32]
    else:
        unique = "3EB0" + secrets.token_hex(8) if by_api else secrets.token_hex(16)
    whole = f"{'true' if from_me else 'false'}_{chat_id}_{unique.upper()}"
    return f"{whole}_{author}" if is_group(chat_id) else whole
