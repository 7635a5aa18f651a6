"""What a channel must do: it connects an instance to its messenger. One folder per messenger in this folder.

A message is sent by two pure functions (requests.py): `prepare` makes a request of it, `read` says what the response
means. The sender makes the request itself, thousands at once, and observes `limits`. A channel without a network, such
as the sandbox in this process, has Local prepared and carries it out.

The other methods are called one at a time, without an open transaction, so they may use the network, but for no longer
than DEADLINE: then another process takes the work over. A channel does not write to the database itself. It reports
what happens at the messenger through instances.actions (receive_message, record_ack, type_on_phone, change_status),
which write rows and create hooks. `cannot` lists what the messenger has no function for: `prepare` refuses it, the
other methods raise CannotDo.

tests/instances/channels/conformance.py checks every channel against this file; CONTRIBUTING.md has the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from django.db import models

from accounts.models import User
from hooks.http import Response
from instances.channels.requests import (
    Limits,
    Link,
    MessageToSend,
    Prepared,
    Refused,
    Request,
    Result,
    Sent,
)
from instances.commands import Command, MessengerGroup
from instances.models import DELIVERY_DEADLINE, Instance, OutgoingMessage

DEADLINE = DELIVERY_DEADLINE.total_seconds()


class Can(models.TextChoices):
    """Functions that a channel may lack, besides message types, commands and buttons."""

    DELIVERED = "delivered", "report when a message was delivered"
    VIEWED = "viewed", "report when a message was read"
    HAS_ACCOUNT = "has account", "find out whether a phone number uses the messenger"
    QUOTE = "quote", "send a message that quotes another"
    DELETE = "delete", "delete a message that was sent"
    SCAN = "scan", "be linked by a QR code"
    TYPED = "typed", "report what the user writes on the phone or in another client"


class Button(models.TextChoices):
    """The wire contract's methods of these names (contract.md, sections 2 and 4)."""

    LOGOUT = "logout", "end the session"
    EXPIRY = "expiry", "replace an expired QR code"
    TAKEOVER = "takeover", "take the session back from another browser"
    RETRY = "retry", "synchronise again"
    REBOOT = "reboot", "restart the messenger"


class CannotDo(Exception):
    """The messenger has no such function (the sentence of `cannot`), or refuses it for this command.

    The text is a sentence for the caller. The command is removed from its queue.
    """


class Channel(Protocol):
    """One kind of link. Its state is in the database, so that any process can continue its work."""

    # Missing function → a sentence for people. The keys are values of Can, Button, MessageType and ActionType.
    cannot: Mapping[str, str]

    # Rates and requests at once that the messenger allows; it may still respond that one was exceeded (Wait).
    limits: Limits

    # Whether the messenger itself decides who may change a group, so that what it has done is a fact. Otherwise the
    # rules of actions.chats.groups apply when a command is recorded.
    decides_on_groups: bool

    def link(self, instance: Instance) -> Link:
        """Returns who sends, with the credentials. At most one query; the sender calls it once per claim."""
        ...

    def is_idempotent(self, link: Link) -> bool:
        """Whether the messenger sends a message once, however often it gets a request with the same message_id.

        If not, a message whose request had no result may have been sent twice, and says so.
        """
        ...

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        """Returns the request that sends, or deletes, the message. Pure: no query, no socket, no clock, no chance.

        Returns Refused for what is in `cannot`, and Wait while a connection that it needs is not open. If a file must
        be uploaded first, returns that request (`is_upload`), and then the message's own with `uploaded`, the value
        that `read` found. Credentials are in headers or in the URL, which are masked wherever a request is stored
        (masking.py); never in the body.
        """
        ...

    def read(self, request: Request, response: Response) -> Result:
        """Returns what the response to a prepared request means. Pure, and never raises, whatever the response is.

        The sender calls it for every complete response; Response.body is its first 8 KB. A request without a complete
        response is a failure of the network, which the sender reads itself.
        """
        ...

    def carry_out(self, taken: Sequence[tuple[Instance, OutgoingMessage]]) -> list[Sent | Refused]:
        """Send, or delete, messages in this process and return their results in order. Only for a channel of Local.

        Must not use the network: the recorder calls it, perhaps in its transaction. May be called again for the same
        message if the process died before the result was recorded.
        """
        ...

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        """Carry out a command on a chat or a group.

        Returns the group for CreateGroup (only `chat_id` is needed) and JoinGroup, None for other commands.

        Raises:
            CannotDo: the command is removed from its queue.
            actions.chats.chats.Denied: the messenger refuses; the text is a sentence for the caller.
        """
        ...

    def has_account(self, instance: Instance, phone: str) -> bool:
        """Whether this phone number (digits, or a chat id) uses the messenger. Raises CannotDo."""
        ...

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        """Ask the messenger for it; the result is reported through instances.actions.session (log_out, renew_code, …).

        The caller has checked that the button applies. `acting_user` is the user who pressed it, None for a program.
        Raises CannotDo.
        """
        ...

    def qr_text(self, instance: Instance) -> str:
        """The text of the QR code that links the phone, without secrets of this site. Raises CannotDo."""
        ...

    def work(self, now: datetime) -> int:
        """One short pass over the channel's background work, such as polling and acks that are due, for all instances.

        Returns how much was done; it is called again until it returns 0, alternating with sending. A messenger that
        pushes has a view instead, and returns 0 here.
        """
        ...

    def next_work(self, now: datetime) -> datetime | None:
        """When `work` has something to do next, possibly in the past; None if nothing is known to be due."""
        ...
