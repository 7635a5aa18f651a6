"""A dump of the database opens nothing: it contains no secret in any usual form, and none of its texts is one.

pg_dump writes a database in which every kind of secret exists. Bodies of messages and hooks are not secrets in this
sense, nor are the links to files in them (docs/security.md).
"""

import base64
import re
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse

from accounts.actions import keys, members
from accounts.actions.share_links import VALID_FOR
from accounts.actions.users import sign_up
from accounts.models import Invitation
from accounts.sessions import SessionStore
from chatapi.runtime.postgres.data_folder import programs
from hooks.actions.endpoints import rotate_secret
from hooks.models import Hook
from instances.actions.chats.groups import create_group
from instances.actions.lifecycle import create_instance, link_sandbox
from instances.actions.messages import receive_message
from instances.contract.authentication import authenticate_instance
from instances.contract.errors import WireError
from instances.models import Chat, Instance
from testing_tools.verification.actions import bins, shares
from tests.authenticator_app import code_of

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery 9"
SHORTEST = 16  # characters; no secret is shorter, except for codes that are derived from a seed


class Site:
    """alice's account with all that has a secret; `secrets` has each by its name, as its holder knows it."""

    def __init__(self) -> None:
        self.account = sign_up("alice@example.org", password=PASSWORD)
        self.instance = link_sandbox(create_instance(self.account, name="Shop"))
        old_secret = self.instance.endpoint.secret
        rotate_secret(self.instance.endpoint, acting_user=None)
        receive_message(self.instance, sender="17680561234", body="hello")
        group = create_group(self.instance, chat_id="15550001111-1@g.us", name="Friends", members=[])
        _, uid = keys.issue_key(self.account, acting_user=None)
        _, invitation = members.invite(
            self.account, email="bob@example.org", role="viewer", acting_user=self.account.owner
        )
        _, share = shares.share(bins.open_bin(self.instance), valid_for=VALID_FOR["24h"], acting_user=None)
        self.secrets = {
            "token": self.instance.token,
            "signing secret": self.instance.endpoint.secret.removeprefix("whsec_"),
            "old signing secret": old_secret.removeprefix("whsec_"),
            "invite code": group.invite_code,
            "uid": uid,
            "invitation": invitation,
            "share": urlsplit(share).path.rstrip("/").rpartition("/")[2],
            "password": PASSWORD,
        }
        self.add_second_factor()
        self.reset_password()

    def add_second_factor(self) -> None:
        client = Client()
        client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        seed = client.get(reverse("mfa_activate_totp")).context["form"].secret
        client.post(reverse("mfa_activate_totp"), {"code": code_of(seed)})
        recovery = Authenticator.objects.get(type="recovery_codes")
        pending = Client()  # another user has opened the page, and not confirmed yet
        sign_up("carol@example.org", password=PASSWORD)
        pending.post(reverse("account_login"), {"login": "carol@example.org", "password": PASSWORD})
        pending.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        self.secrets |= {
            "cookie": client.cookies["sessionid"].value,
            "TOTP seed": seed,
            "TOTP seed in a session": pending.get(reverse("mfa_activate_totp")).context["form"].secret,
            "seed of recovery codes": get_adapter().decrypt(recovery.data["seed"]),
        }

    def reset_password(self) -> None:
        with override_settings(EMAIL_URL="submission://h"):
            Client().post(reverse("account_reset_password"), {"email": "carol@example.org"})
        [link] = re.findall(r"https?://\S+/password/reset/key/\S+", str(mail.outbox[-1].body))
        self.secrets["reset link"] = link.rstrip("/").rpartition("-")[2]


def dump(*options: str) -> str:
    """What pg_dump writes about the test's database."""
    database = connection.settings_dict
    done = subprocess.run(
        [programs() / "pg_dump", "-h", database["HOST"], "-p", database["PORT"], "-U", database["USER"],
         *options, database["NAME"]],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.decode()


def forms(secret: str) -> dict[str, str]:
    """The secret in the forms in which a database may hold it, in lower case."""
    raw = secret.encode()
    found = {"plain": secret, "hex": raw.hex(), "reversed": secret[::-1]}
    for shift in range(
        3
    ):  # base64 of a text of which it is a part, without the characters that depend on the rest
        coded = base64.b64encode(b"\0" * shift + raw).decode()
        start, end = (0, 2, 3)[shift], len(coded) - (4 if (len(raw) + shift) % 3 else 0)
        found[f"base64 at {shift}"] = coded[start:end]
    return {name: form.casefold() for name, form in found.items() if len(form) >= 12}


@pytest.fixture
def site() -> Site:
    return Site()


def test_no_secret_is_in_a_dump_in_any_form(site: Site) -> None:
    text = dump()
    assert "alice@example.org" in text and str(site.instance.number) in text
    lower = text.casefold()
    decoded = "".join(
        base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode("latin-1").casefold()
        for word in re.findall(r"[A-Za-z0-9_-]{16,}", text)
        if len(word) % 4 != 1
    )
    bytea = "".join(
        bytes.fromhex(word).decode("latin-1").casefold()
        for word in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", text)
    )
    assert "hello" in bytea, "the bodies of hooks are read"
    found = [
        f"{name}, {form}"
        for name, secret in site.secrets.items()
        for form, shown in forms(secret).items()
        if shown in lower or shown in decoded or shown in bytea
    ]
    # the chatUpdate hook of the new group has carried its link: in the body, until retention drops that
    assert set(found) == {"invite code, plain", "invite code, hex"}
    Hook.objects.update(body=b"")
    lower = dump().casefold()
    assert [shown for shown in forms(site.secrets["invite code"]).values() if shown in lower] == []


def opens(site: Site) -> dict[str, Callable[[str], object]]:
    """What a text could open, by kind; each returns something true if it does."""

    def token(text: str) -> bool:
        try:
            return bool(authenticate_instance(str(site.instance.number), text, "192.0.2.1"))
        except WireError:
            return False

    return {
        "token": token,
        "uid": keys.authenticate_key,
        "cookie": lambda text: SessionStore.from_cookie(text).get(SESSION_KEY),
        "invitation": Invitation.objects.matching,
        "share": shares.share_for_token,
        "invite code": lambda text: Chat.objects.with_invite_code(text).exists(),
    }


def test_no_text_of_a_dump_opens_anything(site: Site, settings: Any) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 10**9
    locks = opens(site)
    for kind, lock in locks.items():
        assert lock(site.secrets[kind]), f"the {kind} itself opens"
    text = dump("--data-only")
    words = {word for line in text.splitlines() for word in re.split(r"\s+", line)}
    words |= set(re.findall(rf"[A-Za-z0-9_+/=-]{{{SHORTEST},}}", text)) | set(
        re.findall(r"[^\"'\\,:;{}\[\]]+", text)
    )
    tried = {word for word in words if SHORTEST <= len(word) <= 400}
    assert len(tried) > 300
    assert [(kind, word) for word in tried for kind, lock in locks.items() if lock(word)] == []


def test_the_links_of_secrets_open_their_pages(site: Site) -> None:
    """The pages call what the test above calls."""
    bob = sign_up("bob@example.org", password=PASSWORD)
    client = Client()
    client.force_login(bob.owner)
    assert client.get(f"/shared/{site.secrets['share']}/").status_code == 200
    page = client.get(reverse("accounts:invitation"), {"token": site.secrets["invitation"]})
    assert "alice@example.org" in page.content.decode()
    assert client.get(f"/invite/{site.secrets['invite code']}").status_code == 200
    visitor = Client()
    visitor.cookies["sessionid"] = site.secrets["cookie"]
    assert visitor.get(reverse("accounts:account")).status_code == 200
    number = Instance.objects.get(owner=site.account).number
    answer = Client().get(f"/instance{number}/status?token={site.secrets['token']}")
    assert answer.status_code == 200
