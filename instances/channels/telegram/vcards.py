"""Contacts: Telegram's have a phone number and a name, and may have a vCard."""

from __future__ import annotations

import re
from typing import Any

MAX_VCARD = 2048  # bytes that Telegram takes
FIELD = re.compile(r"^(?:[\w-]+\.)?(FN|N|TEL)(?:;[^:\n]*)?:(.*)$", re.IGNORECASE | re.MULTILINE)


def contact_of(vcard: str) -> dict[str, str] | None:
    """Returns the arguments of sendContact for a vCard; None if it has no phone number."""
    fields: dict[str, str] = {}
    for name, value in FIELD.findall(vcard.replace("\r\n", "\n").replace("\n ", "")):
        fields.setdefault(name.upper(), unescape(value).strip())
    phone = fields.get("TEL", "").removeprefix("tel:")
    if not phone:
        return None
    family, _, rest = fields.get("N", "").partition(";")
    name = fields.get("FN") or f"{rest.partition(';')[0]} {family}".strip() or phone
    contact = {"phone_number": phone, "first_name": name[:255]}
    if len(vcard.encode(errors="replace")) <= MAX_VCARD:
        contact["vcard"] = vcard
    return contact


def unescape(value: str) -> str:
    return re.sub(r"\\([,;\\])", r"\1", value).replace("\\n", " ")


def vcard_of(contact: dict[str, Any]) -> str:
    """Returns the vCard of a contact that was received: its own, or one of its name and number."""
    if contact.get("vcard"):
        return str(contact["vcard"])
    first, last = str(contact.get("first_name", "")), str(contact.get("last_name", ""))
    name = escape(f"{first} {last}".strip())
    return (
        f"BEGIN:VCARD\nVERSION:3.0\nN:{escape(last)};{escape(first)};;;\nFN:{name}\n"
        f"TEL:{contact.get('phone_number', '')}\nEND:VCARD"
    )


def escape(text: str) -> str:
    return re.sub(r"([,;\\])", r"\\\1", " ".join(text.split()))
