"""Reads archives of messages (MAM, XEP-0313): that of the account, and those of rooms."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from instances import chat_ids
from instances.channels.xmpp.errors import StanzaRefused
from instances.channels.xmpp.stream import ARCHIVE_SECONDS, MAM, MESSAGE, XmppStream
from instances.channels.xmpp.xml import child, child_text, element

PAGE = 100
RSM, DATA, FORWARD, DELAY = (
    "http://jabber.org/protocol/rsm",
    "jabber:x:data",
    "urn:xmpp:forward:0",
    "urn:xmpp:delay",
)


@dataclass(frozen=True, slots=True)
class Archived:
    """A message of an archive: the archive's id of it, and when it came there."""

    id: str
    stamp: str
    message: Element


@dataclass(frozen=True, slots=True)
class Page:
    messages: list[Archived] = field(default_factory=list)
    first: str = ""  # the id to continue before
    last: str = ""  # … and the one to continue after
    is_complete: bool = True
    is_cut: bool = False  # its last messages are missing


async def read_page(
    stream: XmppStream,
    of: str = "",
    *,
    after: str = "",
    start: str = "",
    chat: str = "",
    before: str | None = None,
    most: int = PAGE,
    seconds: float = ARCHIVE_SECONDS,
) -> Page:
    """Returns the messages after an id or since a time, oldest first; or those before an id, "" for the last ones.

    With `chat`, a bare JID, those from or to it.

    Raises StanzaRefused, ReceiveFailed.
    """
    conditions = {name: value for name, value in (("start", start), ("with", chat)) if value}
    form = [filled({"FORM_TYPE": MAM} | conditions)] if conditions else []
    rsm = [element(f"{{{RSM}}}max", None, str(most))]
    if after:
        rsm.append(element(f"{{{RSM}}}after", None, after))
    if before is not None:
        rsm.append(element(f"{{{RSM}}}before", None, before))
    results, response = await stream.page(
        of, secrets.token_hex(8), [*form, element(f"{{{RSM}}}set", None, "", *rsm)], seconds=seconds
    )
    end = child(response, f"{{{MAM}}}fin")
    first, last = (
        chat_ids.storable_messenger_id(child_text(child(end, f"{{{RSM}}}set"), f"{{{RSM}}}{name}"))
        for name in ("first", "last")
    )
    messages = [found for found in map(archived, results.found) if found]
    if results.is_cut:
        return Page(messages, first, messages[-1].id if messages else "", is_complete=False, is_cut=True)
    is_complete = end is None or end.get("complete") in ("true", "1")
    return Page(messages, first, last, is_complete)


async def read_back(stream: XmppStream, of: str = "", *, chat: str = "", most: int) -> AsyncGenerator[Page]:
    """Yields the last `most` messages, the newest page first. Servers shorten pages: Prosody to 50 messages.

    Raises as read_page.
    """
    before, left, size = "", most, PAGE
    while left > 0:
        page = await read_page(stream, of, chat=chat, before=before, most=min(size, left))
        if page.is_cut:  # asked for again with fewer messages, until they fit
            size = max(1, min(len(page.messages), size - 1))
            continue
        yield page
        if page.is_complete or not page.messages or page.first in ("", before):
            return
        left -= len(page.messages)
        before = page.first


async def read_after(stream: XmppStream, of: str, *, after: str, start: str) -> AsyncGenerator[Page]:
    """Yields the pages after an id; since `start` if the archive does not know the id any more. Raises as read_page."""
    while True:
        try:
            page = await read_page(stream, of, after=after, start="" if after else start)
        except StanzaRefused as error:
            if error.condition != "item-not-found" or not after:
                raise
            after = ""
            continue
        yield page
        if page.is_complete or not page.messages or page.last in ("", after):
            return
        after = page.last


def archived(result: Element) -> Archived | None:
    """Returns the message of a result; None if it has none, or no id that can be stored."""
    forwarded = child(result, f"{{{FORWARD}}}forwarded")
    message, delay = child(forwarded, MESSAGE), child(forwarded, f"{{{DELAY}}}delay")
    key = chat_ids.storable_messenger_id(result.get("id", ""))
    if message is None or not key:
        return None
    return Archived(key, delay.get("stamp", "") if delay is not None else "", message)


def filled(values: dict[str, str]) -> Element:
    """Returns a form with these values (XEP-0004)."""
    fields = [
        element(
            f"{{{DATA}}}field",
            {"var": name, "type": "hidden" if name == "FORM_TYPE" else ""},
            "",
            element(f"{{{DATA}}}value", None, value),
        )
        for name, value in values.items()
    ]
    return element(f"{{{DATA}}}x", {"type": "submit"}, "", *fields)
