"""How a homeserver is found from a user id, and which value is wrong if an account cannot be linked.

The responses are given here; test_with_synapse.py has those of a real homeserver.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from hooks.http import Response
from hooks.models import Outcome
from instances.channels.linking import Found, NotLinkable
from instances.channels.matrix import account
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Request

BOT = "@bot:example.org"
WELL_KNOWN = "https://example.org/.well-known/matrix/client"
CLIENT = "/_matrix/client/v3"
SERVER = "https://matrix.example.org"

Answer = tuple[int, Any] | str  # a status with JSON, or where it redirects to


class Scripted:
    """A Network with a response for each method and URL without its query; what is not there cannot be reached."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers, self.asked = answers, list[Request]()

    async def send(self, request: Request, *, seconds: float, max_bytes: int | None = None) -> Response:
        self.asked.append(request)
        answer = self.answers.get(f"{request.method} {request.url.partition('?')[0]}")
        if answer is None:
            raise ReceiveFailed("The messenger cannot be reached: no route.")
        if isinstance(answer, str):
            return Response(Outcome.NOT_200, 302, [["Location", answer]], b"")
        status, found = answer
        return Response(
            Outcome.OK if status == 200 else Outcome.NOT_200, status, [], json.dumps(found).encode()
        )


def homeserver(url: str = SERVER, **more: Answer) -> dict[str, Answer]:
    return {
        f"GET {url}/_matrix/client/versions": (200, {"versions": ["v1.11"]}),
        f"GET {url}{CLIENT}/login": (200, {"flows": [{"type": "m.login.password"}]}),
        f"POST {url}{CLIENT}/login": (200, {"user_id": BOT, "access_token": "new", "device_id": "D"}),
        f"GET {url}{CLIENT}/account/whoami": (200, {"user_id": BOT, "device_id": "D"}),
        f"GET {url}{CLIENT}/sync": (200, {"next_batch": "s1"}),
        **more,
    }


def check(answers: Mapping[str, Answer], **values: str) -> Found:
    given = {"user": BOT, "password": "", "access_token": "", "homeserver": "", **values}
    network: Any = Scripted(answers)

    async def run(network: Network) -> Found:
        return await account.check(given, network)

    return asyncio.run(run(network))


def mistake(answers: Mapping[str, Answer], **values: str) -> tuple[str, str]:
    """Returns the field that is wrong, and the sentence."""
    with pytest.raises(NotLinkable) as refused:
        check(answers, **values)
    return refused.value.field, refused.value.sentence


NAMED: Answer = (200, {"m.homeserver": {"base_url": f"{SERVER}/"}})


@pytest.mark.parametrize(
    ("answers", "url"),
    [
        ({WELL_KNOWN: NAMED}, SERVER),
        (
            {WELL_KNOWN: "https://www.example.org/matrix.json", "https://www.example.org/matrix.json": NAMED},
            SERVER,
        ),
        ({WELL_KNOWN: (404, {})}, "https://example.org"),
        ({WELL_KNOWN: (200, {"m.homeserver": 7})}, "https://example.org"),
    ],
)
def test_the_homeserver_is_found_from_the_user_id(answers: dict[str, Answer], url: str) -> None:
    known = {f"GET {where}": answer for where, answer in answers.items()}
    found = check(known | homeserver(url), password="secret")
    assert found.options == {
        "homeserver": "",
        "base_url": url,
        "user": BOT,
        "device_id": "D",
        "since": "s1",
    }
    assert found.credentials == {"access_token": "new", "password": "secret"}


def test_a_homeserver_that_cannot_be_used_is_a_mistake_in_its_field() -> None:
    assert mistake({}, password="x") == (
        "homeserver",
        "The homeserver of example.org cannot be found. The messenger cannot be reached: no route. Enter its URL.",
    )
    plain: Answer = (200, {"m.homeserver": {"base_url": "http://matrix.example.org"}})
    assert mistake({f"GET {WELL_KNOWN}": plain}, password="x")[0] == "homeserver"
    website: dict[str, Answer] = {f"GET {SERVER}/_matrix/client/versions": (200, ["a page"])}
    assert mistake(website, password="x", homeserver=SERVER) == (
        "homeserver",
        f"{SERVER} does not respond as a Matrix homeserver does.",
    )


def test_redirects_end() -> None:
    assert mistake({f"GET {WELL_KNOWN}": WELL_KNOWN}, password="x")[0] == "homeserver"


def test_a_homeserver_without_passwords_asks_for_a_token() -> None:
    flows: dict[str, Answer] = {f"GET {SERVER}{CLIENT}/login": (404, {"errcode": "M_UNRECOGNIZED"})}
    field, sentence = mistake(homeserver() | flows, password="x", homeserver=SERVER)
    assert field == "access_token" and sentence.startswith("This homeserver has no sign-in by password.")


def test_a_token_that_is_not_valid_any_more_is_replaced_with_the_password() -> None:
    invalid: dict[str, Answer] = {
        f"GET {SERVER}{CLIENT}/account/whoami": (401, {"errcode": "M_UNKNOWN_TOKEN", "error": "no"})
    }
    answers = homeserver() | invalid
    found = check(answers, access_token="old", password="secret", homeserver=SERVER)
    assert found.credentials["access_token"] == "new"
    assert mistake(answers, access_token="old", homeserver=SERVER)[0] == "access_token"


def test_a_password_is_checked_beside_a_valid_token() -> None:
    refused: dict[str, Answer] = {f"POST {SERVER}{CLIENT}/login": (403, {"errcode": "M_FORBIDDEN"})}
    assert mistake(homeserver() | refused, access_token="old", password="wrong", homeserver=SERVER) == (
        "password",
        "The homeserver does not accept this user id and password.",
    )
    signed_out: dict[str, Answer] = {f"POST {SERVER}{CLIENT}/logout": (200, {})}
    found = check(homeserver() | signed_out, access_token="old", password="secret", homeserver=SERVER)
    assert found.credentials == {"access_token": "old", "password": "secret"}


def test_a_password_is_given_up_where_the_homeserver_has_only_tokens() -> None:
    """It may have had passwords when this one was saved, and a secret cannot be emptied."""
    flows: dict[str, Answer] = {f"GET {SERVER}{CLIENT}/login": (200, {"flows": [{"type": "m.login.sso"}]})}
    found = check(homeserver() | flows, access_token="old", password="secret", homeserver=SERVER)
    assert found.credentials == {"access_token": "old"}


def test_a_password_is_not_given_up_while_the_homeserver_is_busy() -> None:
    busy: dict[str, Answer] = {f"GET {SERVER}{CLIENT}/login": (503, {})}
    with pytest.raises(ReceiveFailed):
        check(homeserver() | busy, access_token="old", password="secret", homeserver=SERVER)


def test_neither_password_nor_token_is_a_mistake() -> None:
    assert mistake(homeserver(), homeserver=SERVER) == ("password", "Enter the password or an access token.")


def test_a_homeserver_that_is_busy_is_not_a_mistake() -> None:
    busy: dict[str, Answer] = {f"POST {SERVER}{CLIENT}/login": (503, {})}
    with pytest.raises(ReceiveFailed):
        check(homeserver() | busy, password="x", homeserver=SERVER)


def test_the_fields_accept_what_people_enter() -> None:
    setup = account.SETUP
    assert setup.mistakes({"user": "@bot:matrix.example.org:8448", "password": "p"}) == {}
    wrong = setup.mistakes({"user": "bot", "homeserver": "matrix.example.org"})
    assert set(wrong) == {"user", "homeserver"}
