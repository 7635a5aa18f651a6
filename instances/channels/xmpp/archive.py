"""Reads archives of messages (MAM, XEP-0313): that of the account, and those of rooms."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from instances.channels.xmpp.stream import MAM, MESSAGE, StanzaRefused, XmppStream
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
    last: str = ""  # the id to continue after
    is_complete: bool = True


async def read_page(
    stream: XmppStream,
    of: str = "",
    *,
    after: str = "",
    start: str = "",
    is_last: bool = False,
    most: int = PAGE,
) -> Page:
    """Returns the messages after an id or since a time, oldest first; with `is_last`, the last ones.

    Raises StanzaRefused, ReceiveFailed.
    """
    form = [] if not start else [filled({"FORM_TYPE": MAM, "start": start})]
    rsm = [element(f"{{{RSM}}}max", None, str(most))]
    if after:
        rsm.append(element(f"{{{RSM}}}after", None, after))
    if is_last:
        rsm.append(element(f"{{{RSM}}}before"))
    results, response = await stream.page(
        of, secrets.token_hex(8), [*form, element(f"{{{RSM}}}set", None, "", *rsm)]
    )
    end = child(response, f"{{{MAM}}}fin")
    last = child_text(child(end, f"{{{RSM}}}set"), f"{{{RSM}}}last")
    is_complete = end is None or end.get("complete") in ("true", "1")
    return Page([found for found in map(archived, results) if found], last, is_complete)


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
        if page.is_complete or not page.last or page.last == after:
            return
        after = page.last


def archived(result: Element) -> Archived | None:
    """Returns the message of a result; None if it has none."""
    forwarded = child(result, f"{{{FORWARD}}}forwarded")
    message, delay = child(forwarded, MESSAGE), child(forwarded, f"{{{DELAY}}}delay")
    if message is None or not result.get("id"):
        return None
    return Archived(result.get("id", ""), delay.get("stamp", "") if delay is not None else "", message)


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
