"""Links an instance to a bot by its token, and chooses how the bot's updates come: by its webhook, or by polling."""

from __future__ import annotations

import functools
import ipaddress
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from instances.channels.linking import Found, LinkField, LinkSetup, NotLinkable
from instances.channels.receiving import LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object
from instances.channels.telegram import api
from instances.channels.telegram.updates import ALLOWED
from instances.models import AccountStatus
from instances.received_events import StatusReported

SECONDS = 12.0
PORTS = (None, 443, 80, 88, 8443)  # to which Telegram sends updates
WRONG_TOKEN = (
    "Telegram does not know this token. Copy it again from @BotFather; /revoke there makes a new one."
)

SETUP = LinkSetup(
    title="Telegram",
    summary="Messages are sent and received by a Telegram bot, which you create in a minute. It costs nothing.",
    needs=("A Telegram account, on a phone or computer.",),
    fields=(
        LinkField(
            "token",
            "bot token",
            help="@BotFather shows it after /newbot, and later with /token.",
            is_secret=True,
            pattern=r"[0-9]{5,20}:[A-Za-z0-9_-]{30,100}",
            mistake="A bot token has digits, a colon and at least 30 letters. The bot's name is not its token.",
            placeholder="123456789:AAExampleTokenOfABotFromBotFather00",
        ),
    ),
    steps=(
        "In Telegram, open a chat with @BotFather and send /newbot.",
        "Choose a name and a user name that ends in “bot”. @BotFather responds with the bot's token.",
        "Copy the whole token, with the digits and the colon, and enter it here.",
        (
            "For groups: send /setprivacy to @BotFather, choose the bot and Disable, then add the bot to the group "
            "again. Otherwise it receives only commands and replies there."
        ),
        "Stop other programs that use the bot: Telegram gives each message to one program.",
    ),
    facts=(
        "A bot cannot write first: people must start it, or add it to their group.",
        "A bot cannot write to phone numbers. Chat ids look like telegram:123456789@c.us.",
        "Telegram tells bots neither that a message was delivered nor that it was read.",
        "Up to 30 messages per second, one per second to a person, and 20 per minute to a group.",
        "Files of up to 50 MB can be sent, and files of up to 20 MB received.",
    ),
)


async def check(values: Mapping[str, str], network: Network) -> Found:
    """Asks Telegram which bot the token is of. Raises NotLinkable, ReceiveFailed."""
    token = values["token"]
    response = await network.send(Request("GET", api.url(token, "getMe")), seconds=SECONDS)
    found = json_object(response)
    if response.status in (401, 404) and found.get("ok") is False:
        raise NotLinkable(WRONG_TOKEN, "token")
    bot = result_of(response.status, found)
    if not isinstance(bot, dict) or type(bot.get("id")) is not int:
        raise ReceiveFailed("Telegram's response does not name the bot.")
    return Found(
        external_id=str(bot["id"]),
        own_chat_id=api.chat_id(bot["id"], is_group=False),
        name=f"@{bot['username']}" if bot.get("username") else str(bot.get("first_name", "")),
        credentials={"token": token, "webhook_secret": secrets.token_urlsafe(32)},
    )


async def connect(link: Link, callback_url: str, network: Network) -> None:
    """Sets or deletes the webhook. Telegram keeps what was not received in either case."""
    if is_public(callback_url):
        arguments = {
            "url": callback_url,
            "secret_token": link.credentials["webhook_secret"],
            "allowed_updates": ALLOWED,
        }
        request = api.call(link, "setWebhook", arguments)
    else:
        request = api.call(link, "deleteWebhook", {"drop_pending_updates": False})
    response = await network.send(request, seconds=SECONDS)
    result_of(response.status, json_object(response))


async def disconnect(link: Link, network: Network) -> str:
    """Deletes the webhook, unless another program has set its own meanwhile. Telegram keeps what was not received.

    Raises:
        ReceiveFailed.
    """
    response = await network.send(api.call(link, "getWebhookInfo", {}), seconds=SECONDS)
    found = json_object(response)
    if response.status in (401, 404) and found.get("ok") is False:
        return ""
    try:
        info = result_of(response.status, found)
        if isinstance(info, dict) and info.get("url") == link.callback_url:
            request = api.call(link, "deleteWebhook", {"drop_pending_updates": False})
            response = await network.send(request, seconds=SECONDS)
            result_of(response.status, json_object(response))
    except NotLinkable as error:
        raise ReceiveFailed(error.sentence) from None
    return ""


async def health(link: Link, network: Network) -> StatusReported | None:
    """Asks Telegram whether the token is valid, and sets the webhook if it is another.

    The site's URL may have changed, and a newer version may ask for more kinds of updates.

    Raises:
        LinkLost, ReceiveFailed.
    """
    method = "getWebhookInfo" if is_public(link.callback_url) else "getMe"
    response = await network.send(api.call(link, method, {}), seconds=SECONDS)
    found = json_object(response)
    if response.status in (401, 404) and found.get("ok") is False:
        raise LinkLost(WRONG_TOKEN)
    try:
        result = result_of(response.status, found)
        if method == "getWebhookInfo" and not is_as_set(result, link.callback_url):
            await connect(link, link.callback_url, network)
    except NotLinkable as error:
        raise ReceiveFailed(error.sentence) from None
    return StatusReported(AccountStatus.AUTHENTICATED)


def is_as_set(info: Mapping[str, Any], callback_url: str) -> bool:
    """Returns whether the bot's webhook is that of this site, with all kinds of updates that this version reads."""
    return info.get("url") == callback_url and set(ALLOWED) <= set(info.get("allowed_updates") or ())


def result_of(status: int | None, found: Mapping[str, Any]) -> Any:
    """Returns the result of a method. Raises NotLinkable for a refusal, ReceiveFailed for what may pass."""
    if status == 200 and found.get("ok") is True:
        return found.get("result")
    said = api.explain(found) or f"Telegram responded with {status}."
    if status == 400 and found.get("ok") is False:
        raise NotLinkable(said)
    raise ReceiveFailed(said, seconds=api.retry_seconds(found))


def is_pushed() -> bool:
    """Returns whether updates come by webhooks: whether Telegram can reach this site."""
    return is_public(settings.SITE_URL)


@functools.lru_cache(maxsize=100)
def is_public(url: str) -> bool:
    """Returns whether Telegram accepts this URL as a webhook: https, a port of its list, and no private host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or port not in PORTS:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa"))
