"""Accounts at a real Prosody. Each person has an account of their own, and slixmpp as the client."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

from instances import chat_ids
from tests.servers.prosody import Prosody
from tests.servers.xmpp_client import Client, Received


class XmppAccount:
    """Implements Account."""

    def __init__(self, prosody: Prosody, people: list[Client]) -> None:
        self.prosody, self.account, self.people = prosody, prosody.register("shop"), people
        self.locks = [threading.Lock() for _ in people]  # a client is used by one thread at a time

    @property
    def jid(self) -> str:
        return self.account.jid

    @property
    def chat_ids(self) -> list[str]:
        return [chat_ids.of_native("xmpp", person.jid, is_group=False) for person in self.people]

    @property
    def names(self) -> list[str]:
        return [person.account.user for person in self.people]

    @property
    def link_values(self) -> Mapping[str, str]:
        return {
            "jid": self.jid,
            "password": self.account.password,
            "host": "127.0.0.1",
            "port": str(self.prosody.port),
        }

    def is_linked(self, callback_url: str) -> None:
        pass

    def write(self, person: int, body: str, *, key: str) -> None:
        with self.locks[person]:
            self.people[person].deliver(self.jid, body)

    def texts(self, person: int) -> list[str]:
        return [message.body for message in self.got(person) if type_of(message) == "chat"]

    def types(self, person: int) -> list[str]:
        return [type_of(message) for message in self.got(person)]

    def got(self, person: int) -> list[Received]:
        """Returns the person's archive: it also has what came while the server or the client was away."""
        client = self.people[person]
        with self.locks[person]:
            if not client.is_connected:
                client.connect()
            return [message for message in client.archive() if message.sender.startswith(f"{self.jid}/")]


def type_of(message: Received) -> str:
    if message.url:
        return (mimetypes.guess_type(message.url)[0] or "").partition("/")[0]
    return "location" if message.has_place else "chat"


class XmppService:
    """Implements Service. Prosody is started by the first account."""

    def __init__(self, prosody: Callable[[], Prosody]) -> None:
        self.prosody = prosody
        self.clients = ExitStack()

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def add_account(self, people: int) -> XmppAccount:
        prosody = self.prosody()
        clients = [Client(prosody.register(f"person{number}")) for number in range(people)]
        return XmppAccount(prosody, [self.clients.enter_context(client) for client in clients])

    def restart(self) -> None:
        """Kill the server, and start it again."""
        prosody = self.prosody()
        prosody.kill()
        prosody.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.clients.close()
