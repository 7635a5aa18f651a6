"""What a channel may offer besides instances/channels/base.py: how the messenger's events reach this product.

A messenger pushes (Pushing), or it is asked by a resident receiver (Receiving). A channel has what fits; the sandbox
has neither, and one whose messenger pushes and may lose events has both: `receive` reads what was missed. Both turn
what they get into instances.received_events, and never write to the database.

tests/instances/channels/receiving_conformance.py checks every such channel; CONTRIBUTING.md has the recipe.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Protocol, runtime_checkable

from hooks.http import Response
from instances.channels.open_streams import OpenStream
from instances.channels.requests import Link, Request
from instances.channels.responses import LARGE_BYTES, json_value
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


@dataclass(slots=True)
class Look:
    """A look at the account's status, which the messenger also reports by callbacks, with a time that a look lacks.

    The receiver sets `is_left_out` if a callback may say more: nothing of the batch is recorded, so look again soon.
    """

    began_at: datetime  # before the request
    is_left_out: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What came at once. `cursor` is how far the events are received then; it is saved in their transaction.

    Without events it says that the messenger has responded: yield one after each empty poll, and once when a stream is
    open, so that people see the connection is healthy. With `stream`, messages are sent on this connection from now on
    (open_streams.py), as long as `receive` lasts. With `look`, the events are what it saw.
    """

    cursor: str
    events: Sequence[ReceivedEvent] = ()
    stream: OpenStream | None = None
    look: Look | None = None


class ReceiveFailed(Exception):
    """The messenger cannot be received from now. The text is a sentence for people, without credentials.

    Tried again after `seconds`, which the messenger asks for, or after the receiver's back-off.
    """

    def __init__(self, sentence: str, *, seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.seconds = seconds


NOT_JSON = (
    "The response is not one of the messenger's server: a proxy or a portal may have responded in its place."
)


def object_in(response: Response) -> dict[str, Any]:
    """Returns the JSON object of a success. Raises ReceiveFailed if it is none: it says nothing about what is new."""
    found = value_in(response)
    if not isinstance(found, dict):
        raise ReceiveFailed(NOT_JSON)
    return found


def objects_in(response: Response) -> list[dict[str, Any]]:
    """Returns the objects of the JSON array of a success. Raises ReceiveFailed if it is none."""
    found = value_in(response)
    if not isinstance(found, list):
        raise ReceiveFailed(NOT_JSON)
    return [each for each in found if isinstance(each, dict)]


def value_in(response: Response) -> object:
    try:
        return json_value(response)
    except (ValueError, RecursionError):
        raise ReceiveFailed(NOT_JSON) from None


# Of a response, which its channel reads in the event loop. People link servers of their own, which may respond with
# anything. A longer one is read in a thread (large_responses.py).
MAX_RESPONSE_BYTES = LARGE_BYTES
MAX_LIST_BYTES = 2 * 1024 * 1024  # … with a list of which a person may have many, such as sessions
MAX_EVENTS_BYTES = 16 * 1024 * 1024  # … of a poll or a history; a first synchronisation may be large


class ResponseTooLarge(ReceiveFailed):
    """The response is longer than a receiver reads: ask for less."""


class LinkLost(ReceiveFailed):
    """The credentials or the session are no longer valid: the instance has to be linked again."""


class SessionTaken(ReceiveFailed):
    """Another client has taken over the session: the instance waits, `loading` by a conflict, for Button.TAKEOVER."""


class Network(Protocol):
    """How a receiver reaches messengers: with the address policy, deadlines, and limits of size.

    Its methods raise ReceiveFailed if the messenger cannot be reached.
    """

    async def send(self, request: Request, *, seconds: float, max_bytes: int | None = None) -> Response:
        """Returns the complete response, of any status, within `seconds`.

        Raises ResponseTooLarge if the body of a 200 is longer than `max_bytes`, by default MAX_RESPONSE_BYTES, which is
        the limit of any other.
        """
        ...

    async def download(
        self, request: Request, *, seconds: float, max_bytes: int | None = None
    ) -> tuple[Response, IO[bytes]]:
        """As `send`, with the body of a 200 in a temporary file, which the caller closes; other bodies in the response.

        Raises FileUnavailable if the file is longer than `max_bytes`, by default MEDIA_MAX_BYTES, and OSError if it
        cannot be written.
        """
        ...

    async def connect(
        self, host: str, port: int, *, has_tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Returns a connection for a stream. The caller closes it."""
        ...


@runtime_checkable
class Receiving(Protocol):
    """The messenger is polled, or a stream to it is kept open, by a receiver with thousands of such connections."""

    # A poll that succeeds ends the failures in a row. A server may accept each stream and then close it, so a stream
    # has to last for that.
    keeps_stream: bool

    def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        """An asynchronous generator that yields what comes after `cursor`, "" for a new link, as long as it can.

        It continues after `yield` when the batch is recorded and its cursor is saved: what tells the messenger that
        the events have arrived belongs there, or in the next poll. It is closed at any `yield` or `await`, and started
        again with the last saved cursor; the messenger's ids of messages make repeated events harmless. No query, and
        nothing that blocks: the event loop serves thousands of instances.

        Raises:
            LinkLost: the instance has to be linked again.
            ReceiveFailed: as any other exception, the receiver connects again later.
        """
        ...


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


@dataclass(frozen=True, slots=True)
class GroupLookup:
    """A question to the messenger about a group, or about one person in it. Each is asked once in a receiver's life.

    `is_repeated`: it is asked again, because of what has happened.
    """

    chat_id: str
    person: str = ""
    is_repeated: bool = field(default=False, compare=False)


@runtime_checkable
class LooksUpGroups(Protocol):
    """The messenger's events do not tell all of its groups, but it may be asked.

    instances/receiving/group_lookups.py does so.
    """

    def lookups(self, events: Sequence[ReceivedEvent]) -> Sequence[GroupLookup]:
        """Returns what these events leave open. Pure, as reading them."""
        ...

    async def look_up(self, link: Link, lookup: GroupLookup, network: Network) -> Sequence[ReceivedEvent]:
        """Returns what the messenger responds, as events; none if it refuses. Raises ReceiveFailed: tried again."""
        ...


@runtime_checkable
class PushingOrReceiving(Pushing, Receiving, Protocol):
    """The messenger pushes to sites that it can reach, and is received from by others.

    When it changes, the messenger keeps the events that were not received, so that none is lost.
    """

    def is_pushed(self) -> bool:
        """Returns whether it pushes to this site: one rule, of the settings alone. Called often."""
        ...
