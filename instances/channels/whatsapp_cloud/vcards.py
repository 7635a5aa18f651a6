"""Contacts: the contract's vCards, and the Cloud API's JSON for the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from instances.channels.whatsapp_cloud.graph import objects

# A long line is continued on the next one, which begins with a space (RFC 6350, section 3.2).
FOLD = re.compile(r"\r?\n[ \t]")
LINE = re.compile(r"(?:[\w-]+\.)?(?P<name>[\w-]+)(?P<parameters>(?:;[^:]*)?):(?P<value>.*)")
ESCAPES = re.compile(r"\\(.)", re.DOTALL)
PARTS = re.compile(r"(?<!\\);")
MAX_CONTACTS = 257  # of one message


def to_contacts(body: str) -> list[dict[str, Any]]:
    """Returns the contacts of one or several vCards. One without a name has its number, or "Contact"."""
    cards = re.split(r"(?i)END:VCARD", FOLD.sub("", body))
    return [to_contact(card) for card in cards if card.strip()][:MAX_CONTACTS] or [to_contact("")]


def to_contact(card: str) -> dict[str, Any]:
    name: dict[str, str] = {}
    contact: dict[str, Any] = {"name": name}
    for found in LINE.finditer(card):
        value = unescape(found["value"].strip())
        types = found["parameters"].upper()
        match found["name"].upper():
            case "FN" if value:
                name["formatted_name"] = value
            case "N":
                last, first = ([*map(unescape, PARTS.split(found["value"].strip())), "", ""])[:2]
                name.update({key: part for key, part in (("first_name", first), ("last_name", last)) if part})
            case "TEL" if value:
                contact.setdefault("phones", []).append(phone_of(value, types))
            case "EMAIL" if value:
                contact.setdefault("emails", []).append({"email": value})
            case "ORG" if value:
                contact["org"] = {"company": value.split(";")[0]}
    phones = contact.get("phones") or [{}]
    name.setdefault("formatted_name", name.get("first_name") or phones[0].get("phone") or "Contact")
    if not name.get("first_name") and not name.get("last_name"):  # WhatsApp requires one of them
        name["first_name"] = name["formatted_name"]
    return contact


def phone_of(value: str, types: str) -> dict[str, str]:
    phone = {"phone": value.removeprefix("tel:")}
    if wa_id := re.search(r"WAID=(\d+)", types):
        phone["wa_id"] = wa_id[1]
    known = next((one for one in ("WORK", "HOME", "CELL") if one in types), "")
    return phone | ({"type": known} if known else {})


def unescape(value: str) -> str:
    return ESCAPES.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def escape(value: object) -> str:
    text = value if isinstance(value, str) else ""
    escaped = re.sub(r"([\\,;])", r"\\\1", text)
    return re.sub(r"\r\n|\r|\n", r"\\n", escaped)


def of_contacts(contacts: Sequence[Any]) -> str:
    """Returns the vCards of contacts that a person sent."""
    return "\n".join(of_contact(contact) for contact in contacts if isinstance(contact, Mapping))


def of_contact(contact: Mapping[str, Any]) -> str:
    name = contact.get("name")
    name = name if isinstance(name, Mapping) else {}
    lines = ["BEGIN:VCARD", "VERSION:3.0"]
    if name.get("last_name") or name.get("first_name"):
        lines.append(f"N:{escape(name.get('last_name'))};{escape(name.get('first_name'))};;;")
    lines.append(f"FN:{escape(name.get('formatted_name'))}")
    org = contact.get("org")
    if isinstance(org, Mapping) and org.get("company"):
        lines.append(f"ORG:{escape(org['company'])}")
    for phone in objects(contact, "phones"):
        wa_id = phone.get("wa_id")
        waid = f";waid={wa_id}" if isinstance(wa_id, str) and wa_id.isdigit() else ""
        kind = re.sub(r"[^A-Za-z]", "", str(phone.get("type") or ""))
        lines.append(f"TEL{f';TYPE={kind}' if kind else ''}{waid}:{escape(phone.get('phone'))}")
    lines += [f"EMAIL:{escape(one.get('email'))}" for one in objects(contact, "emails")]
    return "\n".join([*lines, "END:VCARD"])
