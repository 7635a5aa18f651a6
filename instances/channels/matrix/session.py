"""Logs in to a homeserver, and again when it has ended a session whose device it keeps (soft logout)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from instances.channels.matrix import api
from instances.channels.receiving import LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object
from instances.models import AccountStatus, Substatus
from instances.received_events import CredentialsRenewed, ReceivedEvent, StatusReported

DEVICE_NAME = "Chat API"
SECONDS = 30.0
ASK_FOR_PASSWORD = "Link the instance again, with the password, so that it can sign in by itself."


def login_request(homeserver: str, user: str, password: str, device: str = "") -> Request:
    """Returns the request that signs in; `device` is one that the account has already."""
    body: dict[str, Any] = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "initial_device_display_name": DEVICE_NAME,
    }
    if device:
        body["device_id"] = device
    return api.json_request("POST", f"{homeserver}{api.CLIENT}/login", body)


async def renew(
    link: Link, network: Network, reason: str
) -> tuple[Mapping[str, str], Sequence[ReceivedEvent]]:
    """Log in again on the same device; returns the new credentials, and the events that have them stored.

    Raises:
        LinkLost: there is no password, or the homeserver does not accept it any more.
        ReceiveFailed: the homeserver cannot be reached.
    """
    password = link.credentials.get("password", "")
    if not password:
        raise LinkLost(f"{reason} {ASK_FOR_PASSWORD}")
    request = login_request(
        link.options["base_url"], link.external_id, password, link.options.get("device_id", "")
    )
    response = await network.send(request, seconds=SECONDS)
    if response.status == 200 and isinstance(token := json_object(response).get("access_token"), str):
        credentials = {**link.credentials, "access_token": token}
        status = StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL)
        return credentials, [CredentialsRenewed(credentials), status]
    problem = api.problem_of(response)
    if problem.code == "M_FORBIDDEN" or problem.is_link_lost:
        raise LinkLost("The session has ended, and the homeserver does not accept the saved password.")
    raise ReceiveFailed(problem.sentence, seconds=problem.seconds)
