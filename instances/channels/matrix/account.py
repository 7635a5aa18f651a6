"""Finds the homeserver of an account, checks the token or the password that a user enters, and signs out."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from hooks.http import Response
from instances.channels.linking import NOTHING_SAVED, Found, LinkField, LinkSetup, NotLinkable
from instances.channels.matrix import api
from instances.channels.matrix.api import Problem
from instances.channels.matrix.receiving import POSITION_FILTER, TokenExpired, ask, compact
from instances.channels.matrix.session import DEVICE_NAME, login_request
from instances.channels.matrix.timeline import Json, mapping, objects, text
from instances.channels.receiving import MAX_LIST_BYTES, LinkLost, Network, ReceiveFailed, object_in
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object
from instances.models import AccountStatus, Substatus
from instances.received_events import StatusReported

SECONDS = 20.0
MAX_REDIRECTS = 3

SETUP = LinkSetup(
    title="Matrix",
    summary="A user account at any Matrix homeserver. It joins the rooms that it is invited to.",
    needs=("A Matrix account for the instance alone, at a homeserver of yours or at a public one.",),
    fields=(
        LinkField(
            "user",
            "user id",
            help="The full id of the account, as its profile shows it.",
            pattern=r"@[!-9;-~]+:[A-Za-z0-9.:\[\]-]+",
            mistake="A user id looks like @bot:example.org. It starts with @ and ends with the homeserver's name.",
            placeholder="@bot:example.org",
        ),
        LinkField(
            "password",
            "password",
            help="With the password, the instance signs in again by itself when the homeserver ends a session.",
            is_secret=True,
            is_required=False,
        ),
        LinkField(
            "access_token",
            "access token",
            help="Instead of the password. Element shows it in Settings, Help & About, Advanced.",
            is_secret=True,
            is_required=False,
        ),
        LinkField(
            "homeserver",
            "homeserver URL",
            help="Only if it cannot be found from the user id.",
            pattern=r"https?://[^\s/?#]+/?",
            mistake="A homeserver URL looks like https://matrix.example.org, without a path.",
            placeholder="https://matrix.example.org",
            is_required=False,
        ),
    ),
    steps=(
        "Create an account for the instance. Do not use your own: it will join each room it is invited to.",
        "Enter its user id and its password.",
        "Does the homeserver sign in by a web page only? Sign in there with Element, and enter the access token.",
        "Close Element's window without signing out: signing out makes the token invalid.",
        "Invite the account to a room, or start a direct chat with it, and write.",
        "The room must not be encrypted. An encrypted room stays encrypted, so create another one.",
    ),
    facts=(
        "Rooms with end-to-end encryption cannot be read. The first message there becomes one that says so.",
        "Matrix reports when a message was read, not when it was delivered.",
        "Matrix has no phone numbers: a chat id is that of a room, such as matrix:!room:example.org@g.us.",
        "A message to a user, such as matrix:@ann:example.org@c.us, begins a direct chat.",
        "A message is sent once, however often it is tried.",
        "Matrix costs nothing and forbids no bots; a homeserver may limit how fast an account writes.",
    ),
)


class Homeserver:
    """The requests of linking, before there is a link."""

    def __init__(self, network: Network) -> None:
        self.network = network

    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, max_bytes: int | None = None
    ) -> Response:
        """Returns the response, after at most MAX_REDIRECTS redirects; the token goes nowhere else."""
        for _ in range(MAX_REDIRECTS):
            request = Request("GET", url, headers or {})
            response = await self.network.send(request, seconds=SECONDS, max_bytes=max_bytes)
            where = response.header("location")
            if headers or response.status not in (301, 302, 303, 307, 308) or not where:
                return response
            url = urljoin(url, where)
        return response

    async def find(self, user: str, given: str) -> str:
        """Returns the base URL of the user's homeserver: `given`, or what its domain says in /.well-known.

        Raises:
            NotLinkable: there is no homeserver.
        """
        url = given.rstrip("/") or await self.discover(user.partition(":")[2])
        try:
            response = await self.get(f"{url}/_matrix/client/versions")
        except ReceiveFailed as error:
            raise NotLinkable(f"The homeserver {url} cannot be used. {error}", "homeserver") from error
        if response.status != 200 or not isinstance(json_object(response).get("versions"), list):
            raise NotLinkable(f"{url} does not respond as a Matrix homeserver does.", "homeserver")
        return url

    async def discover(self, domain: str) -> str:
        """Returns the base URL that the domain names; by default the domain itself."""
        try:
            response = await self.get(f"https://{domain}/.well-known/matrix/client")
        except ReceiveFailed as error:
            raise NotLinkable(
                f"The homeserver of {domain} cannot be found. {error} Enter its URL.", "homeserver"
            ) from error
        found = text(mapping(json_object(response), "m.homeserver"), "base_url").rstrip("/")
        if response.status == 200 and found:
            if not found.startswith("https://") or not urlsplit(found).hostname:
                raise NotLinkable(f"{domain} names a homeserver without https. Enter its URL.", "homeserver")
            return found
        return f"https://{domain}"

    async def has_passwords(self, homeserver: str) -> bool:
        """Returns whether it has a sign-in by password. Raises NotLinkable, ReceiveFailed."""
        flows = await self.get(f"{homeserver}{api.CLIENT}/login")
        if flows.status not in (200, 404):
            raise refusal(flows)
        return "m.login.password" in [text(flow, "type") for flow in objects(json_object(flows), "flows")]

    async def login(self, homeserver: str, user: str, password: str, device: str) -> Json:
        """Returns `user_id`, `access_token` and `device_id` of a new session, on the device if one is given.

        Raises:
            NotLinkable.
        """
        if not await self.has_passwords(homeserver):
            raise NotLinkable(
                "This homeserver has no sign-in by password. Sign in with a Matrix client, and enter its access token.",
                "access_token",
            )
        response = await self.network.send(login_request(homeserver, user, password, device), seconds=SECONDS)
        found = json_object(response)
        if response.status == 200 and text(found, "access_token"):
            return found
        if api.problem_of(response).code == "M_FORBIDDEN":
            raise NotLinkable("The homeserver does not accept this user id and password.", "password")
        raise refusal(response)

    async def check_password(self, homeserver: str, user: str, password: str) -> None:
        """Sign in with the password, and out again. Raises NotLinkable, ReceiveFailed."""
        session = await self.login(homeserver, user, password, device="")
        token = {"Authorization": f"Bearer {text(session, 'access_token')}"}
        logout = api.json_request("POST", f"{homeserver}{api.CLIENT}/logout", {}, token)
        await self.network.send(logout, seconds=SECONDS)

    async def whoami(self, homeserver: str, token: str) -> Json:
        """Returns `user_id` and `device_id` of the token. Raises NotLinkable."""
        response = await self.get(
            f"{homeserver}{api.CLIENT}/account/whoami", {"Authorization": f"Bearer {token}"}
        )
        if response.status == 200 and text(json_object(response), "user_id"):
            return json_object(response)
        if api.problem_of(response).is_link_lost:
            raise NotLinkable("The homeserver does not accept this access token.", "access_token")
        raise refusal(response)


def refusal(response: Response) -> NotLinkable | ReceiveFailed:
    """Returns NotLinkable in the homeserver's words, or ReceiveFailed if it may work later."""
    problem = api.problem_of(response)
    if problem.code and 400 <= problem.status < 500 and problem.status != 429:
        return NotLinkable(problem.sentence)
    return ReceiveFailed(problem.sentence, seconds=problem.seconds)


async def check(
    values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
) -> Found:
    """See instances.channels.linking.Linkable. A password opens a session of its own at the homeserver.

    Of the same account, the session is on the same device, and the link begins where it began. Transaction ids are
    those of a device: on another one, a message whose response was lost is sent a second time, and one that was sent
    is reported as typed in another client.
    """
    user, password = values["user"], values["password"]
    if not password and not values["access_token"]:
        raise NotLinkable("Enter the password or an access token.", "password")
    server = Homeserver(network)
    homeserver = await server.find(user, values["homeserver"])
    device, since = continued(saved, user, homeserver)
    session, is_by_password = await open_session(server, homeserver, values, device)
    token, found = text(session, "access_token"), text(session, "user_id")
    if found != user:
        raise NotLinkable(f"The access token is that of {found}, not of {user}.", "access_token")
    credentials = {"access_token": token} | ({"password": password} if is_by_password else {})
    options = {
        "homeserver": values["homeserver"],
        "base_url": homeserver,
        "user": user,
        "device_id": text(session, "device_id"),
        "since": since or await position(server, homeserver, token),
    }
    return Found(user, api.user_chat_id(user), user, credentials, options)


def continued(saved: Mapping[str, str], user: str, homeserver: str) -> tuple[str, str]:
    """Returns the device and the first position of the account's link until now; empty without one."""
    if saved.get("user") != user:
        return "", ""
    since = saved.get("since", "") if saved.get("base_url") == homeserver else ""
    return saved.get("device_id", ""), since


async def open_session(
    server: Homeserver, homeserver: str, values: Mapping[str, str], device: str
) -> tuple[Json, bool]:
    """Returns `user_id`, `access_token` and `device_id`, and whether the password opens the next session.

    They are those of the token if it is valid, or of a new session. `device` is that of the account's former session;
    "" without one. A password that is not needed now is checked all the same. It is given up if the homeserver has no
    sign-in by password any more: otherwise, a saved one would keep the account from being linked by a new token.

    Raises:
        NotLinkable: the password is not accepted, or without one the token.
    """
    user, token, password = values["user"], values["access_token"], values["password"]
    if token:
        try:
            session = {**await server.whoami(homeserver, token), "access_token": token}
        except NotLinkable:
            if not password:
                raise
        else:
            is_by_password = bool(password) and await server.has_passwords(homeserver)
            if is_by_password:
                await server.check_password(homeserver, user, password)
            return session, is_by_password
    return await server.login(homeserver, user, password, device), True


async def position(server: Homeserver, homeserver: str, token: str) -> str:
    """Returns the position at which the link begins: what comes later is received, however late a receiver starts."""
    url = f"{homeserver}{api.CLIENT}/sync?timeout=0&set_presence=offline&filter="
    response = await server.get(
        url + api.quote(compact(POSITION_FILTER)),
        {"Authorization": f"Bearer {token}"},
        max_bytes=MAX_LIST_BYTES,  # the filter does not leave out what other devices have sent to this one
    )
    if response.status == 200 and (since := text(json_object(response), "next_batch")):
        return since
    raise refusal(response)


async def health(link: Link, network: Network) -> StatusReported:
    """Returns that the account is connected. Raises LinkLost, ReceiveFailed."""
    response = await network.send(api.request(link, "GET", "account", "whoami"), seconds=SECONDS)
    if response.status == 200:
        object_in(response)
        return StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL)
    problem = api.problem_of(response)
    if problem.is_link_lost and not (problem.is_soft_logout and "password" in link.credentials):
        raise LinkLost(problem.sentence)
    raise ReceiveFailed(problem.sentence, seconds=problem.seconds)


async def disconnect(link: Link, network: Network) -> str:
    """Signs out the session that this product has opened. One whose token a person entered belongs to another client.

    Raises:
        ReceiveFailed.
    """
    try:
        device = await ask(network, api.request(link, "GET", "devices", link.options.get("device_id", "")))
        if isinstance(device, Problem) or text(device, "display_name") != DEVICE_NAME:
            return ""
        answer = await ask(network, api.request(link, "POST", "logout", body={}))
    except (LinkLost, TokenExpired):
        return ""
    if isinstance(answer, Problem):
        raise ReceiveFailed(answer.sentence)
    return ""
