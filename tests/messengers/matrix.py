"""Accounts at a real Synapse. The people of an account are rooms, in each of which one of a few users writes.

The product accepts up to 30 invitations of one user in an hour, and 300 for one account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from instances import chat_ids
from tests.hooks.dispatch.dispatching import wait_until
from tests.servers.synapse import Synapse

NAME = "Ann"
ROOMS_OF_USER = 25
TYPES = {"m.text": "chat", "m.image": "image", "m.file": "document", "m.location": "location"}


class MatrixAccount:
    """Implements FallibleAccount."""

    def __init__(self, synapse: Synapse, people: int, seen_at: str) -> None:
        self.account, self.homeserver = synapse.register("shop"), seen_at
        users = [synapse.register("person", name=NAME) for _ in range(0, max(people, 1), ROOMS_OF_USER)]
        self.person = users[0]
        self.users = [users[number // ROOMS_OF_USER] for number in range(people)]  # who writes in each room
        self.rooms = [user.create_room(self.account.user, is_direct=True) for user in self.users]

    @property
    def chat_ids(self) -> list[str]:
        return [chat_ids.of_native("matrix", room, is_group=False) for room in self.rooms]

    @property
    def names(self) -> list[str]:
        return [NAME] * len(self.rooms)

    @property
    def link_values(self) -> Mapping[str, str]:
        account = self.account
        return {"user": account.user, "password": account.password, "homeserver": self.homeserver}

    def is_linked(self, callback_url: str) -> None:
        for user, room in zip(self.users, self.rooms, strict=True):
            wait_until(
                lambda user=user, room=room: self.account.user in user.members(room),  # type: ignore[misc]
                "the instance accepts the invitation",
                120,
            )

    def write(self, person: int, body: str, *, key: str) -> None:
        self.users[person].write(self.rooms[person], body)

    def texts(self, person: int) -> list[str]:
        return [content["body"] for content in self.got(person) if content["msgtype"] == "m.text"]

    def types(self, person: int) -> list[str]:
        return [TYPES[content["msgtype"]] for content in self.got(person)]

    def revoke(self) -> None:
        """Change the password and end all sessions, as a user does."""
        new = f"{self.account.password}, a new one"
        auth = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.account.user},
            "password": self.account.password,
        }
        self.account.call("POST", "/account/password", json={"new_password": new, "auth": auth})
        self.account.call("POST", "/logout/all", json={})
        self.account.password = new

    def restore(self) -> None:
        pass  # the new password is valid

    def write_lost_file(self, person: int, *, key: str) -> None:
        uri = f"mxc://{self.account.user.partition(':')[2]}/a-file-that-is-gone"
        content = {"msgtype": "m.image", "body": f"{key}.png", "url": uri, "info": {"mimetype": "image/png"}}
        self.users[person].send(self.rooms[person], content)

    def read(self, person: int) -> None:
        user, room = self.users[person], self.rooms[person]
        user.read(room, user.messages(room)[-1]["event_id"])

    def got(self, person: int) -> list[dict[str, Any]]:
        found = self.users[person].messages(self.rooms[person])
        return [event["content"] for event in found if event["sender"] == self.account.user]


class MatrixService:
    """Implements HttpService. Synapse is started by the first account."""

    send_path, poll_path = "/send/m.room.message/", "/sync"

    def __init__(self, synapse: Callable[[], Synapse]) -> None:
        self.synapse = synapse
        self.seen_at = ""

    @property
    def url(self) -> str:
        return self.synapse().url

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def add_account(self, people: int) -> MatrixAccount:
        return MatrixAccount(self.synapse(), people, self.seen_at or self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
