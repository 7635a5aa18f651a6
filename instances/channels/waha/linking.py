"""How an instance gets a session at a WAHA server: what a person may enter, and how the session is set up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hooks.http import Response
from instances.channels.linking import Found, LinkField, LinkSetup, NotLinkable
from instances.channels.receiving import MAX_LIST_BYTES, LinkLost, Network, ReceiveFailed, object_in
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object
from instances.channels.waha import api, servers, sessions
from instances.channels.waha.api import API_KEY, HMAC_KEY, SESSION, URL
from instances.channels.waha.responses import FORBIDDEN, NO_SESSION, WRONG_KEY
from instances.models import AccountStatus, LoadingReason, Substatus
from instances.received_events import StatusReported

SECONDS = 12.0  # for each request
SITE_SESSION = "chatapi-"  # how the names of sessions begin that this site makes
NEEDS_URL = "Enter the URL of your WAHA server: this site has none of its own."
NEEDS_KEY = "Enter the API key of your WAHA server (WAHA_API_KEY in its environment)."
KEY_WITHOUT_URL = "Enter the URL of the server that this API key is for."
NO_SERVER = "None of this site's WAHA servers responds. Try again in a few minutes, or tell the operator of this site."
NOT_WAHA = "There is no WAHA server at this URL: its response is not a list of sessions."
OWN_SESSIONS = "At a server of this site, leave the session empty: a new one is made."

MAY_REMAIN = (
    "The session may still be at the WAHA server: log the phone out under Linked devices in WhatsApp."
)

SETUP = LinkSetup(
    title="Personal WhatsApp",
    summary="The WhatsApp account of a phone, linked by scanning a QR code. A WAHA server keeps the connection.",
    needs=(
        "A phone with WhatsApp, which stays connected to the internet.",
        "A WAHA server: one of this site, or your own, which can reach this site and be reached from it.",
    ),
    fields=(
        LinkField(
            URL,
            "URL of the WAHA server",
            "Leave it empty to use a server of this site, if it has one.",
            pattern=r"https?://[^\s/?#@]{1,100}(/[^\s?#@]{0,40})?",
            mistake="The URL looks like https://waha.example.com:3000, without a user, a query or a # (140 letters).",
            placeholder="https://waha.example.com",
            is_required=False,
        ),
        LinkField(
            API_KEY,
            "API key",
            "Of your own server: WAHA_API_KEY in its environment.",
            is_secret=True,
            pattern=r"[!-~]{8,500}",
            mistake="The API key has at least 8 letters, digits and signs, without spaces.",
            is_required=False,
        ),
        LinkField(
            SESSION,
            "session",
            (
                "Leave it empty for a new session. A session of your own server that exists keeps its phone, and its "
                "webhooks are replaced."
            ),
            pattern=r"[A-Za-z0-9_-]{1,54}",
            mistake="The name of a session has letters, digits, - and _.",
            is_required=False,
        ),
    ),
    steps=(
        "Save. A QR code appears on the instance's page a few seconds later.",
        "On the phone open WhatsApp, Settings, Linked devices, Link a device.",
        "Scan the QR code. The first one is valid for 60 seconds, and the next ones for 20 seconds each.",
        "Wait until the page says Connected; with many chats it takes a minute.",
    ),
    facts=(
        "This is not an official way: WhatsApp's terms forbid it, and WhatsApp may block the number for it.",
        "Use a number that you can do without, and do not write to many people who have not written to you.",
        "Messages, files, groups, acks and what is typed on the phone are received; missed calls too.",
        "After a lost connection a message may be sent twice; it says so then.",
        "The phone must be online at least every 14 days, or WhatsApp logs the session out.",
    ),
)


def link_of(values: Mapping[str, str], url: str, key: str) -> Link:
    """Returns a link with values that are not saved yet."""
    return Link(0, "", {API_KEY: key} if key else {}, options={URL: url, SESSION: values.get(SESSION, "")})


async def check(values: Mapping[str, str], network: Network) -> Found:
    """Returns the session that the values are for; it is made when it is connected. Raises NotLinkable."""
    url, key = servers.without_slash(values[URL]), values[API_KEY]
    if not url:
        if key:
            raise NotLinkable(KEY_WITHOUT_URL, URL)
        url = await emptiest_server(network)
    is_of_site = not key and bool(servers.key_of(url))
    if not key and not is_of_site:
        raise NotLinkable(NEEDS_KEY, API_KEY)
    if is_of_site and values[SESSION] and not values[SESSION].startswith(SITE_SESSION):
        raise NotLinkable(OWN_SESSIONS, SESSION)
    link = link_of(values, url, key)
    session = values[SESSION] or SITE_SESSION + secrets.token_hex(16)
    named = (one for one in await sessions_at(link, network) if one.get("name") == session)
    existing: Mapping[str, Any] = next(named, {})
    account = next(sessions.account_in(existing.get("me")), None)
    loading = StatusReported(AccountStatus.LOADING, Substatus.NORMAL, LoadingReason.CONNECTING)
    is_working = existing.get("status") == sessions.WORKING
    return Found(
        external_id=f"{session}@{place_of(url)}",
        own_chat_id=account.own_chat_id if account else "",
        name=account.name if account else f"Session at {urlsplit(url).hostname}",
        credentials={
            **link.credentials,
            HMAC_KEY: sessions.hmac_key_in(existing.get("config")) or secrets.token_urlsafe(32),
        },
        options={URL: url, SESSION: session},
        status=StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL) if is_working else loading,
    )


def place_of(url: str) -> str:
    """Returns a server's URL without its scheme, which may change."""
    return url.partition("://")[2]


async def emptiest_server(network: Network) -> str:
    """Returns the server of this site with the fewest sessions, of those that respond. Raises NotLinkable."""
    urls = list(servers.all_servers())
    if not urls:
        raise NotLinkable(NEEDS_URL, URL)
    counts = await asyncio.gather(*(count_sessions(url, network) for url in urls))
    responding = [(count, url) for count, url in zip(counts, urls, strict=True) if count is not None]
    if not responding:
        raise NotLinkable(NO_SERVER)
    return min(responding, key=lambda each: each[0])[1]


async def count_sessions(url: str, network: Network) -> int | None:
    """Returns how many sessions a server of this site has; None if it does not say."""
    try:
        return len(await sessions_at(link_of({}, url, ""), network))
    except (NotLinkable, ReceiveFailed):
        return None


async def sessions_at(link: Link, network: Network) -> list[Mapping[str, Any]]:
    """Returns the sessions of a server. Raises NotLinkable, ReceiveFailed."""
    request = api.get(link, "sessions", query={"all": "true"})
    response = await network.send(request, seconds=SECONDS, max_bytes=MAX_LIST_BYTES)
    if response.status != 200:
        raise not_linkable(response)
    found = api.json_list(response)
    if found is None:
        raise NotLinkable(NOT_WAHA, URL)
    return [one for one in found if isinstance(one, Mapping)]


def not_linkable(response: Response) -> NotLinkable | ReceiveFailed:
    said = api.said(response)
    match response.status:
        case 401:
            return NotLinkable(WRONG_KEY, API_KEY)
        case 403:
            return NotLinkable(f"{FORBIDDEN} {said}".strip(), API_KEY)
        case 404:
            return NotLinkable(NOT_WAHA, URL)
    return ReceiveFailed(api.reason(response))


async def connect(link: Link, callback_url: str, network: Network) -> None:
    """Make the session, or change its settings, and start it. Raises NotLinkable, ReceiveFailed."""
    session, wanted = api.session_of(link), sessions.config(link, callback_url)
    response = await network.send(api.request(link, "GET", "sessions", session), seconds=SECONDS)
    if response.status == 404:
        body = {"name": session, "start": True, "config": wanted}
        await succeed(api.request(link, "POST", "sessions", body=body), network)
        return
    if response.status != 200:
        raise not_linkable(response)
    found = json_object(response).get("config")
    if not sessions.fits(found, wanted):  # a running session is restarted by this
        await succeed(api.request(link, "PUT", "sessions", session, body={"config": wanted}), network)
    await succeed(api.request(link, "POST", "sessions", session, "start"), network)


async def succeed(request: Request, network: Network) -> None:
    response = await network.send(request, seconds=SECONDS)
    if not 200 <= (response.status or 0) < 300:
        raise not_linkable(response)


async def health(link: Link, network: Network) -> StatusReported | None:
    """Returns the status of the session. Raises LinkLost, ReceiveFailed."""
    request = api.request(link, "GET", "sessions", api.session_of(link))
    response = await network.send(request, seconds=SECONDS)
    match response.status:
        case 200:
            found = object_in(response)
            return sessions.status_of(found.get("status"), is_known=bool(found.get("me")))
        case 401:
            raise LinkLost(WRONG_KEY)
        case 404:
            raise LinkLost(NO_SESSION)
    raise ReceiveFailed(api.reason(response))


async def disconnect(link: Link, network: Network) -> str:
    """Delete a session that this site has made, which logs the phone out. Another one only loses its webhooks.

    Returns what the person may want to do; "" if nothing. Raises ReceiveFailed.
    """
    session = api.session_of(link)
    if session.startswith(SITE_SESSION):
        await end(api.request(link, "DELETE", "sessions", session), network)
        return ""
    response = await network.send(api.request(link, "GET", "sessions", session), seconds=SECONDS)
    if response.status in (401, 404):
        return ""
    if response.status != 200:  # without its configuration, the session would lose all of it
        raise ReceiveFailed(api.reason(response))
    found = json_object(response).get("config")
    config = {**(found if isinstance(found, dict) else {}), "webhooks": []}
    await end(api.request(link, "PUT", "sessions", session, body={"config": config}), network)
    return f"The session {session} still keeps the phone linked: log it out at your WAHA server if you do not need it."


async def end(request: Request, network: Network) -> None:
    """Make the request. Raises ReceiveFailed, unless the session or the key does not exist any more."""
    response = await network.send(request, seconds=SECONDS)
    if response.status not in (401, 404) and not 200 <= (response.status or 0) < 300:
        raise ReceiveFailed(api.reason(response))
