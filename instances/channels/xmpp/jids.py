"""JIDs, the addresses of XMPP (RFC 7622): `user@server/resource`, and the chat ids that contain them."""

from __future__ import annotations

import re
import unicodedata

from instances import chat_ids

SCHEME = "xmpp"  # of chat ids
MAX_PART = 1023  # bytes
# What a local part never has.
_LOCAL = re.compile(r"""[^\x00-\x20"&'/:<>@\x7f-\xa0]+""")
_DOMAIN = re.compile(r"[^\x00-\x20\"&'/<>@\x7f-\xa0]+")


def bare(jid: str) -> str:
    """Returns the JID without its resource, in the form in which servers compare it."""
    address = jid.partition("/")[0]
    local, at, domain = address.rpartition("@")
    return f"{prepared(local)}{at}{prepared(domain).rstrip('.')}"


def resource(jid: str) -> str:
    return jid.partition("/")[2]


def domain(jid: str) -> str:
    return bare(jid).rpartition("@")[2]


def local(jid: str) -> str:
    return bare(jid).rpartition("@")[0]


def prepared(part: str) -> str:
    """Returns the part in lower case and composed (NFKC). ASCII, as nearly all, takes the short way."""
    return part.lower() if part.isascii() else unicodedata.normalize("NFKC", part).lower()


def is_jid(jid: str) -> bool:
    """Returns whether this may be a JID: of a user, a room, a server, or with a resource."""
    address, slash, name = jid.partition("/")
    user, at, server = address.rpartition("@")
    parts = (user, server, name)
    if any(len(part.encode(errors="replace")) > MAX_PART for part in parts):
        return False
    return bool(
        _DOMAIN.fullmatch(server) and (not at or _LOCAL.fullmatch(user)) and (not slash or name.strip())
    )


def person_chat_id(jid: str) -> str:
    """Returns the chat id of a person: a bare JID, or the full one of an occupant of a room. Raises BadChatId."""
    return chat_ids.of_native(SCHEME, jid, is_group=False)


def room_chat_id(jid: str) -> str:
    """Returns the chat id of a room. Raises BadChatId."""
    return chat_ids.of_native(SCHEME, jid, is_group=True)


def of_chat(chat_id: str) -> str:
    """Returns the JID in a chat id, normalised; "" if it has none, for example if it is a phone number."""
    native = chat_ids.native_of(chat_id)
    if native is None or native[0] != SCHEME or not is_jid(native[1]):
        return ""
    name = resource(native[1])
    return f"{bare(native[1])}/{name}" if name else bare(native[1])
