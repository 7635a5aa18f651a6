"""A real Matrix homeserver, Synapse, with SQLite in a folder of the test; and a person with an account on it.

Synapse pins other versions than the product, so it has an environment of its own (`make test` installs it).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from tests.product import ROOT, free_port
from tests.servers.process import DIE_WITH_TESTS, ServerProcess

PYTHON = ROOT / ".venv/synapse/bin/python"
NAME = "localhost"
SHARED_SECRET = "the secret for registrations"
WAIT_SECONDS = 120.0
REQUEST_SECONDS = 120.0
UNLIMITED = {"per_second": 10_000, "burst_count": 10_000}


class Synapse(ServerProcess):
    """`with Synapse(folder) as synapse:` starts it on a free port of loopback, and waits until it responds."""

    name, start_seconds = "Synapse", 240.0  # it takes 3 s of a core

    def __init__(self, folder: Path, **settings: Any) -> None:
        """`settings` replace those of homeserver.yaml."""
        assert PYTHON.exists(), "Synapse is not installed: run `make test`, or `make .venv/synapse/ready`."
        super().__init__(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin: Person | None = None
        self.numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "signing.key").write_text("ed25519 a_test wTsiU5TSyd1Csv2SwC1AsP9xBlmNzNsP0OHqE6CbIgY\n")
        (folder / "log.yaml").write_text(json.dumps(self.log_settings()))
        (folder / "homeserver.yaml").write_text(json.dumps(self.settings() | settings))  # YAML contains JSON

    def settings(self) -> dict[str, Any]:
        limits = ("message", "joins_per_room", "room_creation", "3pid_validation", "media_create")
        nested = {
            "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), UNLIMITED),
            "rc_joins": dict.fromkeys(("local", "remote"), UNLIMITED),
            "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), UNLIMITED),
        }
        return {
            "server_name": NAME,
            "public_baseurl": self.url,
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "resources": [{"names": ["client", "media"]}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self.database)}},
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "log_config": str(self.folder / "log.yaml"),
            "registration_shared_secret": SHARED_SECRET,
            "macaroon_secret_key": "a secret for tokens",
            "form_secret": "a secret for forms",
            "report_stats": False,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "bcrypt_rounds": 4,
            "presence": {"enabled": False},
            **{f"rc_{name}": UNLIMITED for name in limits},
            **nested,
        }

    def log_settings(self) -> dict[str, Any]:
        file = {"class": "logging.FileHandler", "filename": str(self.log)}
        return {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"file": {**file, "formatter": "plain"}},
            "root": {"level": "WARNING", "handlers": ["file"]},
        }

    def command(self) -> list[str | Path]:
        configuration = self.folder / "homeserver.yaml"
        return [*DIE_WITH_TESTS, PYTHON, "-m", "synapse.app.homeserver", "--config-path", configuration]

    def responds(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        return False

    @property
    def log(self) -> Path:
        return self.folder / "synapse.log"

    @property
    def database(self) -> Path:
        return self.folder / "homeserver.db"

    def limit(self, user: str, *, messages_per_second: int, burst: int) -> None:
        """Limit how fast a user may write; the others may write as fast as they can."""
        if self.admin is None:
            self.admin = self.register("the-admin", is_admin=True)
        limits = {"messages_per_second": messages_per_second, "burst_count": burst}
        path = f"/users/{quote(user)}/override_ratelimit"
        self.admin.call("POST", path, prefix="/_synapse/admin/v1", json=limits)

    def register(
        self, user: str, password: str = "a password", name: str = "", *, is_admin: bool = False
    ) -> Person:
        """Returns a new user who is signed in; a number follows the name, so it may be used again."""
        user = f"{user}-{next(self.numbers)}"
        where = f"{self.url}/_synapse/admin/v1/register"
        nonce = requests.get(where, timeout=REQUEST_SECONDS).json()["nonce"]
        kind = "admin" if is_admin else "notadmin"
        signed = "\x00".join((nonce, user, password, kind)).encode()
        made = requests.post(
            where,
            json={
                "nonce": nonce,
                "username": user,
                "displayname": name or user,
                "password": password,
                "admin": is_admin,
                "mac": hmac.new(SHARED_SECRET.encode(), signed, hashlib.sha1).hexdigest(),
            },
            timeout=REQUEST_SECONDS,
        )
        assert made.status_code == 200, made.text
        return Person(self, made.json()["user_id"], made.json()["access_token"], password)


class Person:
    """A person with a client of their own, at the same homeserver."""

    def __init__(self, synapse: Synapse, user: str, token: str, password: str = "") -> None:
        self.synapse, self.user, self.token, self.password = synapse, user, token, password
        self.transactions = itertools.count(1)

    def call(self, method: str, path: str, *, prefix: str = "/_matrix/client/v3", **options: Any) -> Any:
        """Returns the JSON of a successful request."""
        response = self.request(method, path, prefix=prefix, **options)
        assert response.status_code == 200, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def request(
        self, method: str, path: str, *, prefix: str = "/_matrix/client/v3", **options: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        url = f"{self.synapse.url}{prefix}{path}"
        return requests.request(method, url, headers=headers, timeout=REQUEST_SECONDS, **options)

    def create_room(self, *invited: str, is_direct: bool = False, **more: Any) -> str:
        body = {"invite": list(invited), "is_direct": is_direct, "preset": "trusted_private_chat"} | more
        return str(self.call("POST", "/createRoom", json=body)["room_id"])

    def join(self, room: str) -> None:
        self.call("POST", f"/join/{quote(room)}", json={})

    def send(self, room: str, content: Mapping[str, Any], *, type: str = "m.room.message") -> str:
        """Returns the id of the event."""
        path = f"/rooms/{quote(room)}/send/{type}/person{next(self.transactions)}"
        return str(self.call("PUT", path, json=dict(content))["event_id"])

    def write(self, room: str, body: str, **more: Any) -> str:
        return self.send(room, {"msgtype": "m.text", "body": body, **more})

    def upload(self, content: bytes, content_type: str, filename: str) -> str:
        """Returns the mxc URI."""
        where, headers = f"/upload?filename={quote(filename)}", {"Content-Type": content_type}
        found = self.call("POST", where, prefix="/_matrix/media/v3", headers=headers, data=content)
        return str(found["content_uri"])

    def download(self, uri: str) -> bytes:
        path = f"/media/download/{uri.removeprefix('mxc://')}"
        response = self.request("GET", path, prefix="/_matrix/client/v1")
        assert response.status_code == 200, response.text
        return response.content

    def messages(self, room: str) -> list[dict[str, Any]]:
        """Returns the messages of a room, oldest first, with their stickers, without deleted ones."""
        found = self.call("GET", f"/rooms/{quote(room)}/messages?dir=f&limit=1000")["chunk"]
        kinds = ("m.room.message", "m.sticker")
        return [event for event in found if event["type"] in kinds and event["content"]]

    def bodies(self, room: str, sender: str = "") -> list[str]:
        return [
            event["content"]["body"]
            for event in self.messages(room)
            if not sender or event["sender"] == sender
        ]

    def read(self, room: str, event: str) -> None:
        """Send a receipt: the person has read all up to this event."""
        self.call("POST", f"/rooms/{quote(room)}/receipt/m.read/{quote(event)}", json={})

    def ephemeral(self, room: str) -> list[dict[str, Any]]:
        """Returns who is typing in a room, and the receipts there.

        The time differs from call to call: for two minutes, Synapse responds to the same request from its cache.
        """
        found = self.call("GET", f"/sync?timeout={next(self.transactions)}&full_state=true")
        joined = found["rooms"]["join"]
        return list(joined[room]["ephemeral"]["events"])

    def wait_for_invitation(self, *, seconds: float = WAIT_SECONDS) -> str:
        """Returns the first room that the person is invited to."""
        until = time.monotonic() + seconds
        while True:
            found = self.call("GET", f"/sync?timeout={next(self.transactions)}").get("rooms", {})
            if invited := list(found.get("invite", {})):
                return str(invited[0])
            assert time.monotonic() < until, "The invitation did not come."
            time.sleep(0.1)

    def members(self, room: str) -> list[str]:
        return list(self.call("GET", f"/rooms/{quote(room)}/joined_members")["joined"])

    def wait_for(
        self, room: str, is_there: Callable[[dict[str, Any]], bool], *, seconds: float = WAIT_SECONDS
    ) -> dict[str, Any]:
        """Returns the first message that fits, as soon as there is one."""
        until = time.monotonic() + seconds
        while True:
            found = self.messages(room)
            if (message := next(filter(is_there, found), None)) is not None:
                return message
            assert time.monotonic() < until, f"The message did not come: {found}"
            time.sleep(0.1)
