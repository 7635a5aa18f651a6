"""Accounts at a real Synapse. The people of an account are rooms of one user, who writes in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

from instances import chat_ids
from tests.hooks.dispatch.dispatching import wait_until
from tests.servers.synapse import Synapse


class MatrixAccount:
    """Implements Account."""

    def __init__(self, synapse: Synapse, people: int) -> None:
        self.account, self.person = synapse.register("shop"), synapse.register("person", name="Ann")
        self.homeserver = synapse.url
        self.rooms = [self.person.create_room(self.account.user, is_direct=True) for _ in range(people)]

    @property
    def chat_ids(self) -> list[str]:
        return [chat_ids.of_native("matrix", room, is_group=False) for room in self.rooms]

    @property
    def link_values(self) -> Mapping[str, str]:
        account = self.account
        return {"user": account.user, "password": account.password, "homeserver": self.homeserver}

    def is_linked(self, callback_url: str) -> None:
        for room in self.rooms:
            wait_until(
                lambda room=room: self.account.user in self.person.members(room),  # type: ignore[misc]
                "the instance accepts the invitation",
                120,
            )

    def write(self, person: int, body: str, *, key: str) -> None:
        self.person.write(self.rooms[person], body)

    def texts(self, person: int) -> list[str]:
        return self.person.bodies(self.rooms[person], sender=self.account.user)


class MatrixService:
    """Implements Service. Synapse is started by the first account."""

    def __init__(self, synapse: Callable[[], Synapse]) -> None:
        self.synapse = synapse

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def add_account(self, people: int) -> MatrixAccount:
        return MatrixAccount(self.synapse(), people)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
