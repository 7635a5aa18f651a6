"""The stanzas that messages become, and what the responses of the gateway mean. Pure functions.

A message goes to the open connection (channels/open_streams.py) as the XML of its stanza. A file is uploaded to the
server before (XEP-0363): the connection is asked for a slot, the file is put there, and the message has its URL.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from hooks.http import Response
from instances import chat_ids
from instances.channels.open_streams import NOT_CONNECTED, WAIT_SECONDS, stream_request
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
from instances.channels.xmpp import jids
from instances.channels.xmpp.reading import (
    FALLBACK,
    GEOLOC,
    IDS,
    MARKERS,
    OOB,
    RECEIPTS,
    REPLY,
    RETRACT,
    STICKERS,
    VCARD4,
)
from instances.channels.xmpp.xml import CLIENT, element, to_bytes
from instances.models import FILE_TYPES, MessageType

XML = "application/xml"
UPLOAD = "urn:xmpp:http:upload:0"
SLOT = "slot "  # how an uploaded value begins that is not a URL yet
# What the request of a message that an earlier connection may have sent contains: the message, and since when. It is
# not sent to the server.
AGAIN = f"{{{CLIENT}}}again"
DELETION = "deletion"  # the context of a request; of another message it is the JID
HINTS = "urn:xmpp:hints"
NOT_KNOWN = "The message cannot be deleted: the server's id of it is not known."
NO_JID = "XMPP has no phone numbers: write to a JID, whose chat id looks like xmpp:ann@example.org@c.us."
RETRACTED = "This message was deleted. Your client does not support that."
# Those that a server may accept later.
TEMPORARY = ("resource-constraint", "remote-server-timeout", "internal-server-error")


def stanza_id(message: MessageToSend) -> str:
    """Returns the id of the message's stanza, and its origin id. reading.OWN_ID recognises it."""
    return "capi" + hashlib.sha256(message.message_id.encode()).hexdigest()[:28]


def prepare(message: MessageToSend, link: Link, uploaded: str | None = None) -> Request | Refused | Wait:
    """Returns the request of a message or a deletion; before it, those that upload its file."""
    to = jids.of_chat((message.messenger_chat_id and as_chat(message)) or message.chat_id)
    if not to:
        return Refused(NO_JID)
    if message.deletes and not message.deletes_messenger_id:
        return Refused(NOT_KNOWN)
    if uploaded and uploaded.startswith(SLOT):
        return put_request(message, uploaded.removeprefix(SLOT))
    if not link.stream_url:
        return NOT_CONNECTED
    if message.file is not None and not uploaded and not message.deletes:
        wanted = element(
            f"{{{UPLOAD}}}request",
            {
                "filename": message.file.filename[:200] or "file",
                "size": str(message.file.size),
                "content-type": message.file.content_type,
            },
        )
        asked = stream_request(link, "slot", to_bytes(wanted), XML)
        return Request(asked.method, asked.url, asked.headers, asked.body, is_upload=True)
    stanza = stanza_of(message, to, uploaded or "")
    if message.tried_since is None:
        made = stream_request(link, "message", to_bytes(stanza), XML)
    else:
        again = element(AGAIN, {"since": message.tried_since.isoformat()}, "", stanza)
        made = stream_request(link, "message-again", to_bytes(again), XML)
    context = DELETION if message.deletes else jids.bare(to) if chat_ids.is_group(message.chat_id) else to
    return Request(made.method, made.url, made.headers, made.body, context=context)


def as_chat(message: MessageToSend) -> str:
    """Returns the chat id with what the messenger calls the chat."""
    suffix = chat_ids.GROUP if chat_ids.is_group(message.chat_id) else chat_ids.PERSON
    return f"{jids.SCHEME}:{message.messenger_chat_id}{suffix}"


def put_request(message: MessageToSend, slot: str) -> Request | Refused:
    """Returns the request that puts the file into its slot. The URL to get it from is the context."""
    try:
        found = json.loads(slot)
        put, get, headers = found["put"], found["get"], dict(found["headers"])
    except (ValueError, KeyError, TypeError):
        return Refused("The server's slot for the file cannot be read.")
    assert message.file is not None
    headers |= {"Content-Type": message.file.content_type or "application/octet-stream"}
    return Request("PUT", put, headers, body_path=message.file.path, is_upload=True, context=get)


def stanza_of(message: MessageToSend, to: str, url: str) -> Element:
    """Returns the stanza of a message or a deletion; `url` is that of its uploaded file."""
    is_group, key = chat_ids.is_group(message.chat_id), stanza_id(message)
    stanza = element(
        "message",
        {"to": jids.bare(to) if is_group else to, "type": "groupchat" if is_group else "chat", "id": key},
    )
    if message.deletes:
        stanza.extend(retraction(message))
    else:
        stanza.extend(content(message, url))
        stanza.append(element(f"{{{MARKERS}}}markable"))
        if not is_group:
            stanza.append(element(f"{{{RECEIPTS}}}request"))
    stanza.append(element(f"{{{IDS}}}origin-id", {"id": key}))
    return stanza


def retraction(message: MessageToSend) -> list[Element]:
    return [
        element(f"{{{RETRACT}}}retract", {"id": message.deletes_messenger_id}),
        element(f"{{{FALLBACK}}}fallback", {"for": RETRACT}),
        element("body", None, RETRACTED),
        element(f"{{{HINTS}}}store"),
    ]


def content(message: MessageToSend, url: str) -> list[Element]:
    """Returns the body of a message, and its other elements."""
    body, beside = message.body, []
    if message.file is not None or message.type in FILE_TYPES:
        url = url or message.body
        body = url
        beside.append(element(f"{{{OOB}}}x", None, "", element(f"{{{OOB}}}url", None, url)))
        if message.type == MessageType.STICKER:
            beside.append(element(f"{{{STICKERS}}}sticker"))
    elif message.type == MessageType.LOCATION:
        latitude, _, longitude = (part.strip() for part in message.body.partition(";"))
        body = f"geo:{latitude},{longitude}"
        fields = {"lat": latitude, "lon": longitude, "text": message.caption or ""}
        parts = [element(f"{{{GEOLOC}}}{name}", None, text) for name, text in fields.items() if text]
        beside.append(element(f"{{{GEOLOC}}}geoloc", None, "", *parts))
    elif message.type == MessageType.VCARD:
        beside.append(card_of(message.body))
    if message.caption and message.caption != name_of_file(message):
        body = f"{body}\n{message.caption}"
    if message.quoted:
        body, quote = quoting(message.quoted, body)
        beside.extend(quote)
    return [element("body", None, body), *beside]


def name_of_file(message: MessageToSend) -> str:
    """Returns the name of the message's file: a caption that says it is left out.

    Clients show a file, and not its URL, if the body is the URL alone.
    """
    return message.file.filename if message.file else PurePosixPath(urlsplit(message.body).path).name


def quoting(quoted: Any, body: str) -> tuple[str, list[Element]]:
    """Returns the body after the quoted lines, and the elements by which clients show a quote instead (XEP-0461)."""
    text = str(quoted.get("body") or "")[:500]
    lines = "".join(f"> {line}\n" for line in text.splitlines()[:10])
    found = []
    if key := quoted.get("messenger_id"):
        found.append(element(f"{{{REPLY}}}reply", {"id": key}))
        part = element(
            f"{{{FALLBACK}}}body", {"start": "0", "end": str(len(element("a", None, lines).text or ""))}
        )
        if lines:
            found.append(element(f"{{{FALLBACK}}}fallback", {"for": REPLY}, "", part))
    return lines + body, found


def card_of(text: str) -> Element:
    """Returns a vCard's name, phones and mail addresses as XML (XEP-0292)."""
    card = element(f"{{{VCARD4}}}vcard")
    for line in text.splitlines():
        name, _, value = line.partition(":")
        kind = name.partition(";")[0].strip().lower()
        if kind in ("fn", "tel", "email") and value.strip():
            tag = "uri" if kind == "tel" else "text"
            value = f"tel:{value.strip()}" if kind == "tel" else value.strip()
            card.append(element(f"{{{VCARD4}}}{kind}", None, "", element(f"{{{VCARD4}}}{tag}", None, value)))
    return card


def read(request: Request, response: Response) -> Result:
    """Returns what the response means: of the gateway, or of the upload server."""
    if request.method == "PUT":
        return read_put(request, response)
    status, found = response.status or 0, json_object(response)
    if status == 200:
        return read_success(request, found)
    said = words(found.get("error")) or f"The receiver responded with {status}."
    if status == 422:
        return read_error(said, words(found.get("condition")), words(found.get("type")))
    if status == 403 and found:
        return Unlinked(said)
    if status in (429, 503):
        return Wait(said, Scope.NUMBER, retry_after(response) or WAIT_SECONDS)
    return Failed(said)


def read_success(request: Request, found: dict[str, Any]) -> Result:
    if request.is_upload:
        if all(isinstance(found.get(name), str) and found[name].isascii() for name in ("put", "get")):
            return Uploaded(SLOT + json.dumps(found))
        return Failed("The receiver's response has no slot for the file.")
    key = found.get("id")
    if not isinstance(key, str) or not key or not chat_ids.storable_messenger_id(key):
        return Failed("The receiver's response does not confirm the message.")
    if request.context == DELETION:
        return Sent(())
    return Sent(messenger_id=key, messenger_chat_id=chat_ids.storable_messenger_id(request.context))


def read_error(said: str, condition: str, kind: str) -> Result:
    """Returns what the error of a stanza means: its type says whether it may work later."""
    if kind == "wait" or condition in TEMPORARY:
        return Wait(said, Scope.CHAT)
    return Refused(said)


def read_put(request: Request, response: Response) -> Result:
    status = response.status or 0
    if status in (200, 201, 204):
        return Uploaded(request.context)
    if status == 413:
        return Refused("The server does not accept a file of this size.")
    return Failed(f"The server's file store responded with {status}.")


def is_header(name: str, value: str) -> bool:
    """Returns whether a header of a slot may be sent: only these three, in one line (XEP-0363, section 4)."""
    return (
        name.lower() in ("authorization", "cookie", "expires") and re.fullmatch(r"[ -~]*", value) is not None
    )
