"""No secret of an account is on anything that users other than its owner and managers may read: page, file, JSON, log.

Every URL of the site is requested as every kind of visitor, and every response with its headers is searched for the
token, the old and new signing secrets, the account's keys and their digests, and the token of an invitation.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client

from accounts.models import key_digest
from hooks.actions.endpoints import rotate_secret
from tests.chatapi.permissions import ADDRESSES, World
from tests.chatapi.test_permissions import ROWS

pytestmark = pytest.mark.django_db

READ = sorted({name for name, method in ROWS if method == "GET"} & set(ADDRESSES))


def text_of(answer: Any) -> str:
    """Status line's neighbours and content, a stream's too, as text."""
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return "\n".join(f"{name}: {value}" for name, value in answer.headers.items()) + content.decode(
        errors="replace"
    )


@pytest.fixture
def world() -> World:
    made = World()
    rotate_secret(made.instance.endpoint, keep_old=True, acting_user=made.account.owner)
    made.instance.endpoint.refresh_from_db()
    return made


def secrets_of(world: World) -> dict[str, str]:
    """The secrets, by name."""
    endpoint = world.instance.endpoint
    assert endpoint.previous_secret
    return {
        "token": world.instance.token,
        "signing secret": endpoint.secret,
        "old signing secret": endpoint.previous_secret,
        "account key": world.keys["owner"],
        "digest of the key": key_digest(world.keys["owner"]),
        "invitation": world.token,
        "digest of the invitation": key_digest(world.token),
    }


def leaks(world: World, client: Client, names: list[str]) -> list[str]:
    secrets = secrets_of(world)
    found = []
    for name in names:
        text = text_of(client.get(world.address(name), headers={"Accept": "text/html"}))
        own = {"invitation"} if name == "accounts:invitation" else set()  # the client sent it itself
        found += [f"{name}: {what}" for what, secret in secrets.items() if secret in text and what not in own]
    return found


@pytest.mark.parametrize("visitor", ["anonymous", "stranger", "viewer", "staff"])
def test_no_answer_holds_a_secret_for_others(world: World, visitor: str) -> None:
    assert leaks(world, world.client(visitor), READ) == []


def test_managers_read_the_instances_secrets_and_none_of_the_accounts(world: World) -> None:
    found = {leak.partition(": ")[2] for leak in leaks(world, world.client("manager"), READ)}
    assert found == {"token", "signing secret", "old signing secret"} - ({"old signing secret"} - found)


def test_a_log_holds_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        leaks(world, world.client("owner"), READ)
    lines = "\n".join(record.getMessage() for record in caplog.records if record.name != "django.db.backends")
    assert [what for what, secret in secrets_of(world).items() if secret in lines] == []
