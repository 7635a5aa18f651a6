"""The sandbox over HTTP: requests to the sandbox messenger (messenger/server.py) and what its responses mean.

The contacts stay rows of this database: a message that the messenger has accepted is carried out here, so contacts
behave the same with and without HTTP.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from django.conf import settings
from django.utils.crypto import salted_hmac

from hooks.http import Response
from instances.channels.requests import (
    Failed,
    Link,
    MessageToSend,
    Refused,
    Request,
    Result,
    Scope,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.channels.responses import json_object, retry_after, words
from instances.models import Instance

JSON = "application/json"


def link(instance: Instance) -> Link:
    """Returns the sender with a token that is derived from the site's secret key."""
    token = salted_hmac("sandbox messenger", str(instance.number), algorithm="sha256").hexdigest()
    return Link(instance.number, instance.own_chat_id, {"token": token})


def prepare(message: MessageToSend, link: Link, uploaded: str | None = None) -> Request:
    """Returns the request of a message or a deletion; before it, if the message has a file, that of the upload."""
    url = f"{settings.SANDBOX_MESSENGER_URL}/instances/{link.number}"
    headers = {
        "Authorization": f"Bearer {link.credentials['token']}",
        "Idempotency-Key": message.message_id,
    }
    if message.deletes:
        return Request("DELETE", f"{url}/messages/{quote(message.deletes, safe='')}", headers)
    if message.file is not None and uploaded is None:
        headers["Content-Type"] = message.file.content_type
        return Request("POST", f"{url}/files", headers, body_path=message.file.path, is_upload=True)
    headers["Content-Type"] = JSON
    return Request("POST", f"{url}/messages", headers, body=body(message, uploaded))


def body(message: MessageToSend, uploaded: str | None) -> bytes:
    """Returns the JSON of a message; null and empty fields are left out."""
    file = message.file
    fields = {
        "chatId": message.chat_id,
        "type": message.type,
        "body": message.body,
        "caption": message.caption,
        "quoted": message.quoted,
        "metadata": message.metadata,
        "forwarded": message.forwarded or None,
        "file": None if file is None else {"id": uploaded, "filename": file.filename},
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, separators=(",", ":")).encode()


def read(request: Request, response: Response) -> Result:
    """Returns what the response means. An error in the messenger's words is final if its status is 4xx."""
    status, found = response.status or 0, json_object(response)
    said = words(found.get("error"))
    if 200 <= status < 300:
        return read_success(request, found)
    if status == 401:
        return Unlinked(said or "The token is not valid.")
    if status == 429 or (status == 503 and retry_after(response) is not None):
        return Wait(said or f"The messenger responded with {status}.", scope_of(found), retry_after(response))
    if 400 <= status < 500 and status not in (408, 425) and said:
        return Refused(said)
    return Failed(said or f"The response with {status} is not one of the sandbox messenger.")


def read_success(request: Request, found: dict[str, object]) -> Result:
    given_id = found.get("id")
    if request.method == "DELETE":
        is_complete = isinstance(found.get("deleted"), bool)
        return Sent((), needs_carry_out=True) if is_complete else Failed(NO_CONFIRMATION)
    if not isinstance(given_id, str) or not given_id:
        return Failed(NO_CONFIRMATION)
    return Uploaded(given_id) if request.is_upload else Sent(messenger_id=given_id, needs_carry_out=True)


NO_CONFIRMATION = "The response does not confirm the message."


def scope_of(found: dict[str, object]) -> Scope:
    """Returns what has to wait, which the body names; the whole number if it does not."""
    return next((scope for scope in Scope if scope.value == found.get("scope")), Scope.NUMBER)
