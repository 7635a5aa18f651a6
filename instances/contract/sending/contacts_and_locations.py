"""Sending links with a preview, contacts, vCards and places (contract.md, section 2)."""

import io
from collections.abc import Sequence
from typing import Any

from instances import chat_ids
from instances.actions.media import store_media, take_media
from instances.actions.sending.accept import TEXT_LIMIT, QueueFull, check_room
from instances.contract.arguments import Destination, text
from instances.contract.errors import Refused
from instances.contract.registry import method
from instances.contract.sending.messages import QUOTED, accept, mentions
from instances.contract.sending.send_arguments import degrees, needed, people
from instances.media import sources
from instances.media.kinds import WrongFile
from instances.models import Chat, Instance, Media, MessageType

PREVIEW_MOST = 1_000_000  # bytes
CONTACTS_MOST = 100
TEXT_MOST = TEXT_LIMIT


@method(
    "sendLink",
    "POST",
    refusal="sent",
    large=True,
    arguments=(
        Destination(),
        needed("body", "the address that is linked, https://…", most=2000),
        needed("title", "the title of the preview"),
        needed("previewBase64", "a picture: data:image/jpeg;base64,…", most=PREVIEW_MOST * 3 // 2),
        text("description", "a text below the title"),
        *QUOTED,
    ),
)
def send_link(
    instance: Instance,
    *,
    chat_id: str,
    body: str,
    title: str,
    preview_base64: str,
    description: str | None,
    quoted_msg_id: str | None,
    mentioned_phones: Sequence[str],
) -> dict[str, Any]:
    """Sends an address with a preview: a text message, whose `metadata` is {"title","description","preview"}."""
    if not sources.is_http_url(body):
        raise Refused("Message was not sent: body takes an address that begins with http:// or https://.")
    if len(description or "") > 1000:
        raise Refused("Message was not sent: description takes a text of at most 1000 characters.")
    preview = keep_preview(instance, preview_base64)
    metadata = {"title": title, "description": description, "preview": preview.link}
    return accept(
        instance,
        chat_id=chat_id,
        body=body.strip(),
        media=preview,
        quoted_id=quoted_msg_id or None,
        metadata=metadata | (mentions(mentioned_phones) or {}),
    )


def keep_preview(instance: Instance, given: str) -> Media:
    """The picture of a preview, as a data: URI or as plain base64. Raises Refused."""
    try:
        check_room(instance)
        if given[:5].lower() == "data:":
            return take_media(instance, given.strip(), filename="preview", only="image")
        raw = io.BytesIO(sources.decode_base64(given))
        return store_media(instance, content=raw, filename="preview", only="image")
    except QueueFull as error:
        raise Refused(str(error)) from None
    except WrongFile as error:
        raise Refused(f"Message was not sent: previewBase64: {error}") from None


@method("sendContact", "POST", refusal="sent", arguments=(Destination(), people("contactId")))
def send_contact(instance: Instance, *, chat_id: str, contact_id: Sequence[str]) -> dict[str, Any]:
    """Sends contacts as one message of type vcard: their cards, one after the other."""
    if len(contact_id) > CONTACTS_MOST:
        raise Refused(f"Message was not sent: contactId takes at most {CONTACTS_MOST} contacts.")
    names = dict(
        Chat.objects.filter(instance=instance, chat_id__in=contact_id).values_list("chat_id", "name")
    )
    body = "\n".join(vcard_of(each, names.get(each, "")) for each in contact_id)
    return accept(instance, chat_id=chat_id, body=body, type=MessageType.VCARD)


def vcard_of(chat_id: str, name: str) -> str:
    """The card of a contact (RFC 2426, its lines parted by \\n as messengers do); the number where no name is known."""
    number = chat_ids.digits(chat_id)
    shown = " ".join(name.split()) or f"+{number}"
    for letter in "\\,;":
        shown = shown.replace(letter, "\\" + letter)
    return (
        f"BEGIN:VCARD\nVERSION:3.0\nN:;{shown};;;\nFN:{shown}\n"
        f"TEL;type=CELL;type=VOICE;waid={number}:+{number}\nEND:VCARD"
    )


@method(
    "sendVCard",
    "POST",
    refusal="sent",
    arguments=(Destination(), needed("vcard", "a vCard: BEGIN:VCARD … END:VCARD", most=TEXT_MOST)),
)
def send_vcard(instance: Instance, *, chat_id: str, vcard: str) -> dict[str, Any]:
    """Sends a vCard as it is given."""
    card = vcard.strip()
    if not (card[:11].upper() == "BEGIN:VCARD" and card[-9:].upper() == "END:VCARD"):
        raise Refused("Message was not sent: vcard begins with BEGIN:VCARD and ends with END:VCARD.")
    return accept(instance, chat_id=chat_id, body=card, type=MessageType.VCARD)


@method(
    "sendLocation",
    "POST",
    refusal="sent",
    arguments=(
        Destination(),
        degrees("lat", 90),
        degrees("lng", 180),
        needed("address", "the place in words"),
    ),
)
def send_location(instance: Instance, *, chat_id: str, lat: str, lng: str, address: str) -> dict[str, Any]:
    """Sends a place: its body is "lat;lng", its caption the address."""
    return accept(
        instance, chat_id=chat_id, body=f"{lat};{lng}", type=MessageType.LOCATION, caption=address.strip()
    )
