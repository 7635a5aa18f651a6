"""Sends links with a preview, contacts, vCards and locations (contract.md §2)."""

import io
from collections.abc import Sequence
from typing import Any

from instances import chat_ids
from instances.actions.media import store_given_media, store_media
from instances.actions.sending.accept import VCARD_LIMIT, QueueFull, check_can_send
from instances.contract.arguments import Destination, text
from instances.contract.errors import CallFailed
from instances.contract.registry import method
from instances.contract.sending.messages import QUOTED, accept, mentions
from instances.contract.sending.send_arguments import contacts, degrees, required_text
from instances.media import sources
from instances.media.kinds import WrongFile
from instances.models import Chat, Instance, Media, MessageType

MAX_PREVIEW_SIZE = 1_000_000  # bytes
MAX_CONTACTS = 100
MAX_DESCRIPTION_LENGTH = 1000  # characters
MAX_ADDRESS_LENGTH = 1000


@method(
    "sendLink",
    "POST",
    failure_key="sent",
    accepts_files=True,
    arguments=(
        Destination(),
        required_text("body", "the URL to link", max_length=2000),
        required_text("title", "the title of the preview"),
        required_text("previewBase64", "an image as a data: URI", max_length=MAX_PREVIEW_SIZE * 3 // 2),
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
    """Sends a URL with a preview: a text message whose `metadata` is {"title","description","preview"}."""
    if not sources.is_http_url(body):
        raise CallFailed("Message was not sent: `body` must be a URL that starts with http:// or https://.")
    if len(description or "") > MAX_DESCRIPTION_LENGTH:
        raise CallFailed(
            f"Message was not sent: `description` must be at most {MAX_DESCRIPTION_LENGTH} characters."
        )
    preview = store_preview(instance, preview_base64)
    metadata = {"title": title, "description": description, "preview": preview.link}
    return accept(
        instance,
        chat_id=chat_id,
        body=body.strip(),
        media=preview,
        quoted_id=quoted_msg_id or None,
        metadata=metadata | (mentions(mentioned_phones) or {}),
    )


def store_preview(instance: Instance, given: str) -> Media:
    """Stores the image of a preview, a data: URI or plain base64. Raises CallFailed."""
    try:
        check_can_send(instance)
        if given[:5].lower() == "data:":
            return store_given_media(instance, given.strip(), filename="preview", only="image")
        raw = io.BytesIO(sources.decode_base64(given))
        return store_media(instance, content=raw, filename="preview", only="image")
    except QueueFull as error:
        raise CallFailed(str(error)) from None
    except WrongFile as error:
        raise CallFailed(f"Message was not sent: `previewBase64`: {error}") from None


@method("sendContact", "POST", failure_key="sent", arguments=(Destination(), contacts("contactId")))
def send_contact(instance: Instance, *, chat_id: str, contact_id: Sequence[str]) -> dict[str, Any]:
    """Sends contacts as one message of type vcard: their vCards, one after another."""
    if len(contact_id) > MAX_CONTACTS:
        raise CallFailed(f"Message was not sent: `contactId` must be at most {MAX_CONTACTS} contacts.")
    names = dict(
        Chat.objects.filter(instance=instance, chat_id__in=contact_id).values_list("chat_id", "name")
    )
    body = "\n".join(vcard_of(each, names.get(each, "")) for each in contact_id)
    return accept(instance, chat_id=chat_id, body=body, type=MessageType.VCARD)


def vcard_of(chat_id: str, name: str) -> str:
    """A contact's vCard (RFC 2426, with \\n between lines as in messengers). Without a name it shows the number.

    Contacts without a phone number have a vCard with a name alone.
    """
    number = chat_ids.phone_of(chat_id)
    shown = " ".join(name.split()) or (f"+{number}" if number else chat_ids.bare_id(chat_id))
    for letter in "\\,;":
        shown = shown.replace(letter, "\\" + letter)
    telephone = f"TEL;type=CELL;type=VOICE;waid={number}:+{number}\n" if number else ""
    return f"BEGIN:VCARD\nVERSION:3.0\nN:;{shown};;;\nFN:{shown}\n{telephone}END:VCARD"


@method(
    "sendVCard",
    "POST",
    failure_key="sent",
    arguments=(
        Destination(),
        required_text("vcard", "a vCard: BEGIN:VCARD … END:VCARD", max_length=VCARD_LIMIT),
    ),
)
def send_vcard(instance: Instance, *, chat_id: str, vcard: str) -> dict[str, Any]:
    """Sends a vCard unchanged, with its photo: up to 1 MB."""
    card = vcard.strip()
    if not (card[:11].upper() == "BEGIN:VCARD" and card[-9:].upper() == "END:VCARD"):
        raise CallFailed("Message was not sent: `vcard` must start with BEGIN:VCARD and end with END:VCARD.")
    return accept(instance, chat_id=chat_id, body=card, type=MessageType.VCARD)


@method(
    "sendLocation",
    "POST",
    aliases=("location",),
    failure_key="sent",
    arguments=(
        Destination(),
        degrees("lat", 90),
        degrees("lng", 180),
        text("address", "the address or name of the place", max_length=MAX_ADDRESS_LENGTH),
    ),
)
def send_location(
    instance: Instance, *, chat_id: str, lat: str, lng: str, address: str | None
) -> dict[str, Any]:
    """Sends a location. The message's body is "lat;lng", its caption the address, null without one."""
    caption = (address or "").strip() or None
    return accept(instance, chat_id=chat_id, body=f"{lat};{lng}", type=MessageType.LOCATION, caption=caption)
