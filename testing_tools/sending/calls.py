"""The call of the wire contract for the form of Sending Messages.

Each kind of message is one method with arguments: the page does the same as a client, and can show the call.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from instances.contract.sending import contacts_and_locations, files
from testing_tools import sample_files
from testing_tools.sending.kinds import KINDS, MessageKind

REGISTERED = (contacts_and_locations, files)  # importing them registers their methods
MAX_SHOWN = 60  # characters of a data: URI when the call is shown


@dataclass(frozen=True)
class Call:
    """A method of the wire contract and its arguments, by their names in the contract."""

    method: str
    arguments: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """The arguments as JSON; a data: URI is cut, an upload is shown by its name."""
        shown = {name: shown_argument(value) for name, value in self.arguments.items()}
        return json.dumps(shown, ensure_ascii=False, indent=2)


def shown_argument(value: Any) -> Any:
    if isinstance(value, UploadedFile):
        return f"(the file {value.name})"
    if isinstance(value, str) and value.startswith("data:"):
        return value[:MAX_SHOWN] + "…"
    return value


def strip_punctuation(phone: str) -> str:
    """Returns `+1 (768) 056-1234` without punctuation; a chat id unchanged."""
    return phone if "@" in phone else "".join(letter for letter in phone if letter not in " ()-./")


def call_of(cleaned: Mapping[str, Any]) -> Call:
    """Returns the call that sends the message of a valid form."""
    kind = cleaned["kind"]
    arguments: dict[str, Any] = {"chatId": cleaned["recipient"]}
    match kind:
        case MessageKind.TEXT:
            arguments["body"] = cleaned["text"]
        case MessageKind.FILE:
            file = cleaned["file"]
            arguments["body"] = file or cleaned["file_url"]
            arguments["filename"] = file.name if file else files.name_in_url(cleaned["file_url"]) or "file"
            if cleaned["caption"]:
                arguments["caption"] = cleaned["caption"]
        case MessageKind.LINK:
            arguments |= {"body": cleaned["link"], "title": cleaned["title"]}
            arguments["previewBase64"] = picture_uri(cleaned["picture"])
            if cleaned["description"]:
                arguments["description"] = cleaned["description"]
        case MessageKind.LOCATION:
            arguments |= {name: cleaned[name] for name in ("lat", "lng", "address")}
        case MessageKind.CONTACT:
            arguments["contactId"] = [
                strip_punctuation(phone) for phone in cleaned["contacts"].split(",") if phone.strip()
            ]
        case MessageKind.VOICE:
            sample = f"data:audio/wav;base64,{base64.b64encode(sample_files.synthesize_sound()).decode()}"
            arguments["audio"] = cleaned["voice"] or cleaned["voice_url"] or sample
    return Call(KINDS[kind].method, arguments)


def picture_uri(upload: UploadedFile | None) -> str:
    """Returns the picture of a link's preview as a data: URI. The method rejects one that is too long."""
    content = upload.read(settings.MEDIA_DATA_URI_MAX_BYTES) if upload else sample_files.draw_picture()
    content_type = (upload.content_type if upload else "") or "image/png"
    return f"data:{content_type};base64,{base64.b64encode(content).decode()}"
