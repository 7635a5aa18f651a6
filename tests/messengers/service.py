"""What a test of the whole product needs from a messenger: accounts that instances are linked to, and their people.

A new channel implements both classes in a module of its own and adds it to SERVICES (services.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self


class Account(Protocol):
    """One account at the messenger. Its people are numbered from 0; each has a chat of their own with the account."""

    @property
    def chat_ids(self) -> Sequence[str]:
        """The chat id of each person."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The name of each person."""
        ...

    @property
    def link_values(self) -> Mapping[str, str]:
        """What a user enters to link an instance to the account."""
        ...

    def is_linked(self, callback_url: str) -> None:
        """Do what a user does at the messenger after linking; return when the people can be written to."""
        ...

    def write(self, person: int, body: str, *, key: str) -> None:
        """Write to the account; `key` is unique. Returns when the messenger has the message and will report it.

        A messenger that pushes repeats its callback until it gets 200. Called from several threads.
        """
        ...

    def texts(self, person: int) -> list[str]:
        """Returns the texts that the person has got from the account, in order, with repeated ones."""
        ...

    def types(self, person: int) -> list[str]:
        """Returns the types (MessageType) of all messages that the person has got, in order, with repeated ones."""
        ...


class FallibleAccount(Account, Protocol):
    """An account that can lose what the product relies on."""

    def revoke(self) -> None:
        """Make the credentials invalid that were entered."""
        ...

    def restore(self) -> None:
        """Make link_values valid again; they may be others than before."""
        ...

    def write_lost_file(self, person: int, *, key: str) -> None:
        """Send a picture whose content the messenger does not have any more."""
        ...

    def read(self, person: int) -> None:
        """Read all messages as a person; the messenger reports it. Called for READING_SERVICES only (services.py)."""
        ...


class Service(Protocol, AbstractContextManager[Any]):
    """A messenger. Entering its context starts a double; a real server may be started by the first account."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of a product that reaches it."""
        ...

    def add_account(self, people: int) -> Account: ...

    def __enter__(self) -> Self: ...


class HttpService(Service, Protocol):
    """A messenger that is reached by HTTP, so that a proxy can be put before it (tests/faults/faulty_proxy.py)."""

    seen_at: str  # the URL at which the product reaches it, set before the settings are read; empty: its own
    send_path: str  # part of the first line of a request that sends a text
    poll_path: str  # … and of one that asks for what has happened; empty if the messenger pushes

    @property
    def url(self) -> str: ...

    def add_account(self, people: int) -> FallibleAccount: ...
