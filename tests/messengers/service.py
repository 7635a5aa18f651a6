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


class Service(Protocol, AbstractContextManager[Any]):
    """A messenger. Entering its context starts a double; a real server may be started by the first account."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of a product that reaches it."""
        ...

    def add_account(self, people: int) -> Account: ...

    def __enter__(self) -> Self: ...
