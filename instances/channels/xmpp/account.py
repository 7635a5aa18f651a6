"""Checks the JID and the password that a user enters, and whether a link is still valid: each signs in once."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from instances.channels.linking import Found, LinkField, LinkSetup, NotLinkable
from instances.channels.receiving import LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.xmpp import jids
from instances.channels.xmpp.archive import read_page
from instances.channels.xmpp.errors import StanzaRefused
from instances.channels.xmpp.servers import connect
from instances.channels.xmpp.services import Services
from instances.channels.xmpp.session import CARBONS
from instances.channels.xmpp.stream import MAM, XmppStream
from instances.models import AccountStatus, Substatus
from instances.received_events import StatusReported

NO_ARCHIVE = (
    "No archive (MAM): what comes while this site is away may be lost, and a message may be sent twice."
)
SETUP = LinkSetup(
    title="XMPP",
    summary="An account at any XMPP server. It talks to people and in rooms, and shows all three ticks.",
    needs=("An XMPP account for the instance alone, at a server of yours or at a public one.",),
    fields=(
        LinkField(
            "jid",
            "JID",
            help="The address of the account.",
            pattern=r"""[^\s"&'/:<>@]+@[^\s"&'/<>@]+""",
            mistake="A JID looks like bot@example.org: the user, @, and the server's domain, without a resource.",
            placeholder="bot@example.org",
        ),
        LinkField("password", "password", help="The account's password at its server.", is_secret=True),
        LinkField(
            "host",
            "host",
            help="Only if the server cannot be found from the JID's domain.",
            pattern=r"[A-Za-z0-9.:_-]+",
            mistake="A host is a name or an IP address, such as xmpp.example.org, without a port.",
            placeholder="xmpp.example.org",
            is_required=False,
        ),
        LinkField(
            "port",
            "port",
            help="Only with a host whose port is not 5222.",
            pattern=r"[1-9][0-9]{0,4}",
            mistake="A port is a number, such as 5222.",
            placeholder="5222",
            is_required=False,
        ),
    ),
    steps=(
        "Create an account for the instance with any XMPP client, or have the server's operator create it.",
        "Enter its JID and its password. The server is found from the domain, as clients find it.",
        "Does the server need another host or port? Enter them.",
        "Write to the JID from another account, for example with Conversations, Dino or Gajim.",
        "Switch encryption (OMEMO) off for this chat: encrypted messages cannot be read.",
        "Invite the account to a room: it enters, and stays in it.",
    ),
    facts=(
        "Messages that are encrypted by OMEMO or OpenPGP cannot be read. The first one becomes a message that says so.",
        "All three ticks are reported: sent by the server, delivered and viewed by the person's client.",
        "XMPP has no phone numbers: a chat id contains a JID, such as xmpp:ann@example.org@c.us.",
        "With an archive at the server (MAM), nothing is lost or doubled while this product is away.",
        "XMPP costs nothing and forbids no bots; a server may limit how fast an account writes.",
    ),
)


@contextlib.asynccontextmanager
async def signed_in(network: Network, values: Mapping[str, str]) -> AsyncIterator[XmppStream]:
    """Yields a stream with a resource of its own: the receiver's stays open. Raises as servers.connect."""
    stream = await connect(
        network,
        jid=values["jid"],
        password=values["password"],
        host=values.get("host", ""),
        port=values.get("port", ""),
        resource=f"chat-api-check-{secrets.token_hex(6)}",
    )
    try:
        yield stream
    finally:
        await stream.close()


async def check(values: Mapping[str, str], network: Network) -> Found:
    """See instances.channels.linking.Linkable."""
    if values.get("port") and not 0 < int(values["port"]) < 65_536:
        raise NotLinkable("A port is a number from 1 to 65535.", "port")
    if not jids.is_jid(values["jid"]):
        raise NotLinkable("This is not a JID.", "jid")
    own = jids.bare(values["jid"])
    try:
        async with signed_in(network, {**values, "jid": own}) as stream:
            options = await options_of(stream)
    except LinkLost as error:
        raise NotLinkable(str(error), "password") from None
    given = {name: values[name] for name in ("jid", "host", "port") if values.get(name)}
    return Found(own, jids.person_chat_id(own), own, {"password": values["password"]}, given | options)


async def options_of(stream: XmppStream) -> dict[str, str]:
    """Returns what the link has to know of the server: where its archive begins, and what it does not offer."""
    services = Services(Link(0, ""), stream)
    features = await services.find_features()
    await services.find()
    lacks = {
        NO_ARCHIVE: MAM not in features,
        "No carbon copies: what you write in other clients is not shown.": CARBONS not in features,
        "No file store (HTTP upload): files cannot be sent.": not services.upload,
        "No stream management: each message is confirmed by a ping.": not stream.has_acks,
        "No rooms: groups cannot be created.": not services.rooms,
    }
    options = {
        "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "missing": " ".join(sentence for sentence, is_lacking in lacks.items() if is_lacking),
        "largest_file": str(services.upload_max or ""),
        "upload": services.upload,
        "rooms": services.rooms,
    }
    if MAM in features:
        with contextlib.suppress(StanzaRefused):
            last = await read_page(stream, before="", most=1)
            options["archive_id"] = last.messages[-1].id if last.messages else ""
    return {name: value for name, value in options.items() if value}


async def health(link: Link, network: Network) -> StatusReported:
    """Returns that the account is connected. Raises LinkLost, ReceiveFailed."""
    values = {**link.options, "jid": link.external_id, "password": link.credentials.get("password", "")}
    if not values["password"]:
        raise ReceiveFailed("The password is not known.")
    async with signed_in(network, values):
        return StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL)
