"""What a channel must do: it connects an instance to its messenger. One folder per messenger in this folder.

A channel does not write to the database itself. It reports what happens at the messenger through instances.actions
(receive_message, record_ack, type_on_phone, change_status), which write rows and create hooks. No transaction is open
while one of these methods runs, so it may use the network, but for no longer than DEADLINE: then another sender takes
the work over. `cannot` lists what the messenger has no function for; calling it raises CannotDo.

tests/instances/channels/conformance.py checks every channel against this file; CONTRIBUTING.md has the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from django.db import models

from accounts.models import User
from instances.commands import Command, MessengerGroup
from instances.models import DELIVERY_DEADLINE, Ack, Instance, OutgoingMessage

DEADLINE = DELIVERY_DEADLINE.total_seconds()


class Can(models.TextChoices):
    """Functions that a channel may lack, besides message types, commands and buttons."""

    DELIVERED = "delivered", "report when a message was delivered"
    VIEWED = "viewed", "report when a message was read"
    HAS_ACCOUNT = "has account", "find out whether a phone number uses the messenger"
    QUOTE = "quote", "send a message that quotes another"
    DELETE = "delete", "delete a message that was sent"
    SCAN = "scan", "be linked by a QR code"


class Button(models.TextChoices):
    """The wire contract's methods of these names (contract.md, sections 2 and 4)."""

    LOGOUT = "logout", "end the session"
    EXPIRY = "expiry", "replace an expired QR code"
    TAKEOVER = "takeover", "take the session back from another browser"
    RETRY = "retry", "synchronise again"
    REBOOT = "reboot", "restart the messenger"


class CannotDo(Exception):
    """The messenger has no such function (the sentence of `cannot`), or refuses it for this message or command.

    The text is a sentence for the caller. The message or command is removed from its queue.
    """


class Channel(Protocol):
    """One kind of link. Its state is in the database, so that any process can continue its work."""

    # Missing function → a sentence for people. The keys are values of Can, Button, MessageType and ActionType.
    cannot: Mapping[str, str]

    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        """Send one message and return the acks that it has immediately, in order, SENT first.

        If `outgoing.deletes` is not empty, delete the message with that id instead. May be called again for the same
        message if the process died before the result was recorded: pass `outgoing.message_id` as the messenger's
        idempotency key if it has one.

        Raises:
            CannotDo: the message is removed from the queue.
            Exception: any other is retried after DEADLINE; the queue waits.
        """
        ...

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        """Carry out a command on a chat or a group.

        Returns the group for CreateGroup (only `chat_id` is needed) and JoinGroup, None for other commands.

        Raises:
            CannotDo: as `deliver`.
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
