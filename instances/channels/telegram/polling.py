"""Long polling: the cursor is the offset, and each poll confirms what the one before has brought."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from hooks.http import Response
from instances.channels.large_responses import read_response
from instances.channels.receiving import MAX_EVENTS_BYTES, Batch, LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.responses import json_object, retry_after
from instances.channels.telegram import api
from instances.channels.telegram.updates import ALLOWED, read_update
from instances.received_events import ReceivedEvent

log = logging.getLogger(__name__)

LIMIT = 100  # updates of a poll, which is Telegram's most
WAIT_SECONDS = 25  # of a poll without updates …
SPARE_SECONDS = 20.0  # … and of the response's way
WEBHOOK_IS_SET = "webhook is active"
LOST = "Telegram does not accept the bot's token any more. Enter the bot's current token."
TWO_PROGRAMS = "Another program receives the messages of this bot. Stop it, or create a bot for each of them."
TWO_PROGRAMS_SECONDS = 10.0


async def receive(link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
    """Polls again and again. The first poll does not wait, so that people soon see whether the link works.

    A webhook, which was set while this site had a public URL, is deleted; Telegram keeps the updates.
    """
    wait = 0
    while True:
        arguments = {"offset": int(cursor or 0), "limit": LIMIT, "timeout": wait, "allowed_updates": ALLOWED}
        request = api.call(link, "getUpdates", arguments)
        response = await network.send(request, seconds=wait + SPARE_SECONDS, max_bytes=MAX_EVENTS_BYTES)
        found = await read_response(response, json_object)
        if response.status == 409 and WEBHOOK_IS_SET in api.explain(found):
            request = api.call(link, "deleteWebhook", {"drop_pending_updates": False})
            response = await network.send(request, seconds=SPARE_SECONDS)
            raise_for_error(response, json_object(response))
            continue
        raise_for_error(response, found)
        updates = found.get("result")
        if not isinstance(updates, list):
            raise ReceiveFailed("Telegram's response has no updates.")
        if updates:
            cursor = str(updates[-1]["update_id"] + 1)
        yield Batch(cursor, read_all(updates, api.bot_of(link)))
        wait = WAIT_SECONDS


def raise_for_error(response: Response, found: Mapping[str, Any]) -> None:
    """Raise LinkLost or ReceiveFailed for a response, with the JSON in it, that is not a success."""
    if response.status == 200 and found.get("ok") is True:
        return
    if response.status in (401, 404) and found.get("ok") is False:
        raise LinkLost(LOST)
    if response.status == 409:
        raise ReceiveFailed(TWO_PROGRAMS, seconds=TWO_PROGRAMS_SECONDS)
    said = api.explain(found) or f"Telegram responded with {response.status}."
    raise ReceiveFailed(said, seconds=api.retry_seconds(found) or retry_after(response))


def read_all(updates: Sequence[dict[str, Any]], bot: str) -> list[ReceivedEvent]:
    """Returns the events of all updates. One that cannot be read must not hold up the others for ever."""
    events: list[ReceivedEvent] = []
    for update in updates:
        try:
            events += read_update(update, bot)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
            log.exception("An update of Telegram was not read: its fields are %s", describe(update))
    return events


def describe(update: dict[str, Any]) -> str:
    """Returns the names of an update's fields, without what people wrote."""
    return ", ".join(
        f"{name} ({', '.join(sorted(value))})" if isinstance(value, dict) else name
        for name, value in sorted(update.items())
    )
