"""How a WhatsApp number is linked: what people enter, and how Meta is asked whether it is right."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

from instances.channels.linking import Found, LinkField, LinkSetup, NotLinkable
from instances.channels.receiving import LinkLost, Network, ReceiveFailed, object_in
from instances.channels.requests import Link, Request, Unlinked
from instances.channels.responses import json_object, words
from instances.channels.whatsapp_cloud import graph
from instances.channels.whatsapp_cloud.errors import PERMISSION, TOKEN, read_error, sentence_of
from instances.channels.whatsapp_cloud.graph import (
    APP_SECRET,
    BUSINESS_ACCOUNT,
    DEFAULT_VERSION,
    VERIFY_TOKEN,
    VERSION,
    code_of,
)
from instances.models import AccountStatus
from instances.received_events import StatusReported

PHONE_NUMBER = "phone_number_id"
SECONDS = 15.0  # for each request to Meta
REMOVE_URL = (
    "If Meta still has the callback URL, remove it in the app's dashboard: WhatsApp, Configuration, Webhook."
)
NUMBER_FIELDS = "id,display_phone_number,verified_name,quality_rating,code_verification_status,status"

SETUP = LinkSetup(
    title="WhatsApp Business",
    summary="A phone number of a WhatsApp Business account, through Meta's official Cloud API.",
    needs=(
        "A Meta business portfolio and an app of the type Business, at developers.facebook.com.",
        "A phone number that is not in use in the WhatsApp app, or the test number that Meta gives the app.",
        "This site must be reachable from the internet by https: Meta sends messages to it.",
    ),
    fields=(
        LinkField(
            PHONE_NUMBER,
            "phone number id",
            "In the app's dashboard under WhatsApp, API Setup, below the number. It is not the number itself.",
            pattern=r"[0-9]{10,20}",
            mistake="The phone number id has 10 to 20 digits, without + and spaces. It is not the phone number.",
            placeholder="106540352242922",
        ),
        LinkField(
            graph.TOKEN,
            "access token",
            "Of a system user (Business settings, System users), with the permissions whatsapp_business_messaging and "
            "whatsapp_business_management. The token shown under API Setup expires after 24 hours.",
            is_secret=True,
            pattern=r"[A-Za-z0-9_|.\-]{20,1000}",
            mistake="An access token has only letters and digits, usually starts with EAA, and has no spaces.",
            placeholder="EAAG…",
        ),
        LinkField(
            APP_SECRET,
            "app secret",
            "In the app's dashboard under App settings, Basic, Show. Meta signs what it sends with it.",
            is_secret=True,
            pattern=r"[A-Za-z0-9\-]{16,64}",
            mistake="An app secret has 32 letters and digits. It is not the access token.",
        ),
        LinkField(
            VERIFY_TOKEN,
            "verify token",
            "A text that you choose. Enter the same one at Meta beside the callback URL.",
            is_secret=True,
            pattern=r"[!-~]{4,200}",
            mistake="The verify token has 4 to 200 letters, digits and signs, without spaces.",
        ),
        LinkField(
            BUSINESS_ACCOUNT,
            "WhatsApp Business account id",
            "Also under API Setup. With it, this site subscribes the app to the account, so you need not do it.",
            pattern=r"[0-9]{10,20}",
            mistake="The WhatsApp Business account id has 10 to 20 digits.",
            is_required=False,
        ),
        LinkField(
            VERSION,
            "API version",
            "Leave it as it is, unless your app needs another version of the Graph API.",
            pattern=r"v[0-9]{2}\.0",
            mistake="A version looks like v23.0.",
            placeholder=DEFAULT_VERSION,
            is_required=False,
            default=DEFAULT_VERSION,
        ),
    ),
    steps=(
        "At developers.facebook.com create an app of the type Business, and add the product WhatsApp to it.",
        (
            "Under WhatsApp, API Setup, choose the phone number, and copy its phone number id and the WhatsApp "
            "Business account id. The two are easily confused."
        ),
        (
            "In the Business settings create a system user, give it the app and the WhatsApp account with full "
            "control; then generate a token that never expires. The token of API Setup works too, for 24 hours."
        ),
        (
            "Copy the app secret from App settings, Basic. With the secret of another app, Meta's messages are "
            "refused here as forged."
        ),
        "Choose a verify token, enter everything here, and save.",
    ),
    callback_steps=(
        (
            "In the app's dashboard open WhatsApp, Configuration, Webhook, Edit. Enter this callback URL and the "
            "verify token, and press Verify and save."
        ),
        (
            "Under Webhook fields subscribe to messages; also to smb_message_echoes if the number is used in the "
            "WhatsApp Business app as well. Without the field, nothing arrives."
        ),
        (
            "If Test in the dashboard arrives and real messages do not, the app is not subscribed to the business "
            "account: enter the WhatsApp Business account id here, and save again."
        ),
        (
            "While the app is in development mode, only numbers on its list of five get messages. Publish it for "
            "all others."
        ),
    ),
    facts=(
        "Delivered and read are reported; read only if the recipient allows it.",
        "A person who has not written in the last 24 hours only gets message templates, which Meta approves.",
        "Meta charges for template messages; answers within 24 hours are free.",
        "It cannot delete messages, manage groups, or tell whether a number uses WhatsApp.",
        "Up to 80 messages a second for each number, and one in 6 seconds to the same person.",
    ),
)


def link_of(values: Mapping[str, str]) -> Link:
    """Returns a link with values that are not saved yet."""
    return Link(
        number=0,
        own_chat_id="",
        credentials={name: values[name] for name in (graph.TOKEN, APP_SECRET, VERIFY_TOKEN)},
        external_id=values[PHONE_NUMBER],
        options={name: values.get(name, "") for name in (PHONE_NUMBER, BUSINESS_ACCOUNT, VERSION)},
    )


async def check(values: Mapping[str, str], network: Network) -> Found:
    """Returns the number that the values belong to, after Meta has accepted each of them. Raises NotLinkable."""
    link = link_of(values)
    number = await ask(network, graph.get(link, link.external_id, fields=NUMBER_FIELDS), PHONE_NUMBER)
    phone = re.sub(r"\D", "", str(number.get("display_phone_number", "")))
    if not phone:
        raise NotLinkable("This id is not that of a phone number. Copy the phone number id.", PHONE_NUMBER)
    await check_secret(link, network)
    if account := link.options.get(BUSINESS_ACCOUNT):
        found = await ask(network, graph.get(link, account, "phone_numbers", fields="id"), BUSINESS_ACCOUNT)
        ids = {str(one.get("id")) for one in graph.objects(found, "data")}
        if link.external_id not in ids:
            raise NotLinkable("The phone number does not belong to this business account.", BUSINESS_ACCOUNT)
    name = words(number.get("verified_name"))
    return Found(
        external_id=link.external_id,
        own_chat_id=f"{phone}@c.us",
        name=f"{name} (+{phone})" if name else f"+{phone}",
        credentials=link.credentials,
        options=link.options,
    )


async def check_secret(link: Link, network: Network) -> None:
    """Ask Meta whether the secret is that of the token's app: it compares a proof made of both. Raises NotLinkable."""
    proof = hmac.new(
        link.credentials[APP_SECRET].encode(), link.credentials[graph.TOKEN].encode(), hashlib.sha256
    )
    request = graph.get(link, link.external_id, fields="id", appsecret_proof=proof.hexdigest())
    response = await network.send(request, seconds=SECONDS)
    if response.status != 200:
        error = json_object(response).get("error")
        error = error if isinstance(error, dict) else {}
        if code_of(error) == 100 and "appsecret_proof" in str(error):
            raise NotLinkable("This is not the secret of the app that the access token is from.", APP_SECRET)
        raise not_linkable(response.status or 0, error, APP_SECRET)


async def ask(network: Network, request: Request, field: str) -> dict[str, Any]:
    """Returns the object of a response. Raises NotLinkable with the field that the error is about."""
    response = await network.send(request, seconds=SECONDS)
    if response.status == 200:
        return json_object(response)
    error = json_object(response).get("error")
    raise not_linkable(response.status or 0, error if isinstance(error, dict) else {}, field)


def not_linkable(status: int, error: Mapping[str, Any], field: str) -> NotLinkable | ReceiveFailed:
    code = code_of(error)
    if status >= 500 or status == 429:
        return ReceiveFailed(f"WhatsApp responded with {status}. Try again in a few minutes.")
    if code in (0, 190) or status == 401:
        return NotLinkable(TOKEN, graph.TOKEN)
    if code in (3, 10) or (code is not None and 200 <= code < 300):
        return NotLinkable(f"{PERMISSION} WhatsApp: {graph.words_of(error)} ({code})", graph.TOKEN)
    if code == 100 and field == PHONE_NUMBER:
        sentence = (
            "No phone number has this id, or the access token may not see it. Is it the phone number id?"
        )
        return NotLinkable(sentence, PHONE_NUMBER)
    if code == 100 and field == BUSINESS_ACCOUNT:
        sentence = "No WhatsApp Business account has this id, or the access token may not see it."
        return NotLinkable(sentence, BUSINESS_ACCOUNT)
    return NotLinkable(sentence_of(error) if error else f"WhatsApp responded with {status}.", field)


async def connect(link: Link, network: Network) -> None:
    """Subscribe the app to the business account. Without it Meta sends tests, and no real messages."""
    account = link.options.get(BUSINESS_ACCOUNT)
    if not account:
        return
    await ask(network, graph.post(link, account, "subscribed_apps"), BUSINESS_ACCOUNT)
    found = await ask(network, graph.get(link, account, "subscribed_apps"), BUSINESS_ACCOUNT)
    if not graph.objects(found, "data"):
        raise NotLinkable(
            "Meta did not subscribe the app to the business account. Save again.", BUSINESS_ACCOUNT
        )


async def disconnect(link: Link, network: Network) -> str:
    """Ends the app's subscription to the business account, unless the account has other numbers, which may need it.

    The callback URL was entered at Meta by a person, who has to remove it. Raises ReceiveFailed.
    """
    account = link.options.get(BUSINESS_ACCOUNT)
    if not account:
        return REMOVE_URL
    try:
        found = await ask(network, graph.get(link, account, "phone_numbers", fields="id"), BUSINESS_ACCOUNT)
        if {str(one.get("id")) for one in graph.objects(found, "data")} <= {link.external_id}:
            await ask(network, graph.delete(link, account, "subscribed_apps"), BUSINESS_ACCOUNT)
    except NotLinkable as error:
        if error.sentence != TOKEN:
            raise ReceiveFailed(error.sentence) from None
    return REMOVE_URL


async def health(link: Link, network: Network) -> StatusReported | None:
    """Returns that the token is valid and the number reachable. Raises LinkLost, ReceiveFailed."""
    response = await network.send(graph.get(link, link.external_id, fields="id,status"), seconds=SECONDS)
    if response.status == 200:
        object_in(response)
        return StatusReported(account_status=AccountStatus.AUTHENTICATED)
    result = read_error(response)
    if isinstance(result, Unlinked):
        raise LinkLost(result.reason)
    raise ReceiveFailed(getattr(result, "reason", "WhatsApp's response could not be read."))
