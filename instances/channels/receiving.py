"""What a channel may offer besides instances/channels/base.py: how the messenger's events reach this product.

A messenger pushes (Pushing), or it is asked by a resident receiver (Receiving). A channel has what fits; the sandbox
has neither. Both turn what they get into instances.received_events, and never write to the database.

tests/instances/channels/receiving_conformance.py checks every such channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from instances.channels.requests import Link
from instances.received_events import ReceivedEvent

KEY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A request of a messenger. `headers` are in the order received."""

    method: str  # GET or POST
    query: str  # as in the URL, without "?"
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Returns the first header of that name, in any case; "" without one."""
        wanted = name.lower()
        return next((value for given, value in self.headers if given.lower() == wanted), "")

    def digest(self) -> str:
        """Returns a key for messengers that number no callbacks: of the same content, the same key."""
        content = b"\n".join((self.method.encode(), self.query.encode(), self.body))
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """A response to the messenger."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Store:
    """The request is authentic: store it and respond with `reply`.

    `key` is the messenger's id of the callback, up to KEY_LENGTH characters: a repeated one is stored once. Without a
    key, the digest of its content is.
    """

    key: str = ""
    reply: Reply = field(default_factory=Reply)


@runtime_checkable
class Pushing(Protocol):
    """The messenger sends its events to `/channels/<channel>/<secret>`. Both methods are pure functions."""

    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        """Store, or the Reply to what is not stored: a verification handshake, or a wrong signature (401 or 403).

        The request has all its headers here. Those with credentials are masked before it is stored, so signatures are
        checked here and not in read_callback.
        """
        ...

    def read_callback(self, link: Link, request: CallbackRequest) -> Sequence[ReceivedEvent]:
        """Returns the events of a stored request, in order. What is of no interest gives no event.

        An exception is retried, and shown to users and staff with the stored request.
        """
        ...
