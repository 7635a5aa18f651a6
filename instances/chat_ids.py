"""Chat ids: `17680561234@c.us` is a contact, `17680561234-1479621234@g.us` a group; and the ids of messages.

People and groups without a phone number have `<scheme>:<native id>` and the same suffixes, with the messenger's own id
as it is: `telegram:-1001234567890@g.us`, `matrix:@ann:example.org@c.us`. docs/chat-ids.md explains the rule to clients.
"""

import hashlib
import re
import secrets

from chatapi.ui.numbers import clean_number

PERSON = "@c.us"
GROUP = "@g.us"
HIDDEN_NUMBER = "@lid"  # WhatsApp's id of a person whose number it does not tell
NEWSLETTER = "@newsletter"
STATUS = "status@broadcast"

# What pages say of chats that are neither a contact nor a group.
KINDS = {HIDDEN_NUMBER: "Hidden number", NEWSLETTER: "Newsletter"}

# The first part of ids without a phone number. `user`: a user id of WhatsApp.
SCHEMES = ("telegram", "matrix", "xmpp", "user")

NATIVE_LENGTH = 255  # characters: the longest id of Matrix
CHAT_ID_LENGTH = 280
MESSAGE_ID_LENGTH = 600  # two chat ids, and what message_id() adds

PHONE_SENTENCE = (
    "phone parameter should contain only numbers, start from country code and be 9-14 characters long"
)
CHAT_ID_SENTENCE = "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us"

# No country code begins with 0, so such a number has no chat. `00` before the country code means `+`.
_PHONE = re.compile(r"(?:\+|00)?([1-9][0-9]{8,13})")
_NUMBER = re.compile(r"([1-9][0-9]{4,19})@c\.us")
_CHAT_ID = re.compile(
    r"[1-9][0-9]{4,19}@c\.us|[1-9][0-9]{4,24}(-[0-9]{5,20})?@g\.us"
    r"|[0-9]{5,25}@(lid|newsletter)|status@broadcast"
)
# Control characters and halves of surrogate pairs are in no id.
_NATIVE = re.compile(
    rf"({'|'.join(SCHEMES)}):([^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{{1,{NATIVE_LENGTH}}})@[cg]\.us"
)
# What `bare_id` removes; a regular expression for Python and PostgreSQL.
AROUND_BARE_ID = f"^(?:{'|'.join(SCHEMES)}):|@[^@]*$"


class BadChatId(ValueError):
    """Neither a phone number nor a chat id. The text is a sentence for the caller."""


def of_native(scheme: str, native: str, *, is_group: bool) -> str:
    """Returns the chat id of a person, or of a group, whom the messenger knows by another id than a phone number.

    Raises:
        BadChatId: `native` is empty, longer than NATIVE_LENGTH or has control characters.
    """
    chat_id = f"{scheme}:{native}{GROUP if is_group else PERSON}"
    if native_of(chat_id) is None:
        raise BadChatId(f"{native[:50]!r} is no id of a chat.")
    return chat_id


def native_of(chat_id: str) -> tuple[str, str] | None:
    """Returns the scheme and the messenger's own id; None for phone numbers and for WhatsApp's own ids."""
    match = _NATIVE.fullmatch(chat_id)
    return (match[1], match[2]) if match else None


def scheme(chat_id: str) -> str:
    """Returns the scheme of a native id; empty for phone numbers and WhatsApp's own ids."""
    native = native_of(chat_id)
    return native[0] if native else ""


def phone_of(chat_id: str) -> str:
    """Returns the digits of a person's phone number; empty if the chat id has none."""
    match = _NUMBER.fullmatch(chat_id)
    return match[1] if match else ""


def of_phone(phone: str) -> str:
    """Returns the chat id of a phone number, 9 to 14 digits with or without `+` or `00`, or of a chat id.

    Spaces, dashes and invisible format characters are removed first (clean_number), except from ids that are not made
    of digits.
    """
    if native_of(phone.strip()):
        return phone.strip()
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


def is_person(chat_id: str) -> bool:
    """Whether it may be a person: the ids of Telegram's groups and channels, which can write too, are negative."""
    return not is_group(chat_id) and not chat_id.startswith("telegram:-")


def bare_id(chat_id: str) -> str:
    """Returns the phone number, or the messenger's own id, which is shown if there is no name."""
    return re.sub(AROUND_BARE_ID, "", chat_id)


def names_at_messenger(chat_id: str) -> list[str]:
    """Returns what the messenger may have called this chat in its own words (Chat.messenger_chat_id)."""
    has_digits = chat_id.endswith((PERSON, GROUP))
    return [bare_id(chat_id), chat_id] if has_digits else [chat_id]


def label(chat_id: str) -> str:
    """Returns what pages show of a chat without a name."""
    if chat_id == STATUS:
        return "Status messages"
    for end, kind in KINDS.items():
        if chat_id.endswith(end):
            return f"{kind} {bare_id(chat_id)}"
    phone = phone_of(chat_id)
    return f"+{phone}" if phone else bare_id(chat_id)


def storable_messenger_id(given: str) -> str:
    """Returns a messenger's id of a message or chat; empty if it is none: too long, or with control characters.

    Ids come in responses of messengers; one that the database does not take must not stop what it came with.
    """
    return given if len(given) <= NATIVE_LENGTH and given.isprintable() else ""


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
