"""What a channel must do: the way from an instance to its messenger, one module each in this folder.

A channel never writes by itself: what its messenger reports it hands to instances.actions (receive_message,
record_ack, type_on_phone, change_status), which write and emit. No transaction is open while one of these methods
runs, so it may take its time with the network, but no more than DEADLINE: then another sender takes the work over.
What it can't do it says in `cannot`, and raises CannotDo when it is asked to all the same.

tests/instances/channels/conformance.py holds every channel to this file; CONTRIBUTING.md has the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from django.db import models

from accounts.models import User
from instances.models import Ack, Instance, OutgoingMessage, QueuedAction

DEADLINE = 10.0  # seconds


class Can(models.TextChoices):
    """What a channel may be unable to do; a message type, an action or a button that it lacks has its own word."""

    DELIVERED = "delivered", "tell when a message was delivered"
    VIEWED = "viewed", "tell when a message was read"
    HAS_ACCOUNT = "has account", "tell whether a phone number uses the messenger"
    QUOTE = "quote", "send a message that quotes another"
    DELETE = "delete", "delete a message that was sent"
    SCAN = "scan", "be linked by a QR code"


class Button(models.TextChoices):
    """What the wire contract's methods of these names ask of the messenger (contract.md, sections 2 and 4)."""

    LOGOUT = "logout", "end the session"
    EXPIRY = "expiry", "make a new QR code in place of one that has expired"
    TAKEOVER = "takeover", "take the session back from another browser"
    RETRY = "retry", "synchronise once more"
    REBOOT = "reboot", "start the messenger anew"


class CannotDo(Exception):
    """Never, says the messenger: it has no such thing (the sentence of `cannot`), or not for this one.

    The text is a sentence for the caller. What raised it leaves its queue.
    """


class Channel(Protocol):
    """One kind of link. It has no state of its own: all of it stands in rows, so that any process can go on."""

    # What it can't do → a sentence for people. The keys are words of Can, Button, MessageType and ActionType.
    cannot: Mapping[str, str]

    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        """Hands one message to the messenger and returns the ticks that it has at once, in order, SENT first.

        `outgoing.deletes`, if not empty, asks for the deletion of that message instead. May be called again for
        the same message if the process dies before the answer was recorded: pass `outgoing.message_id` on as the
        messenger's idempotency key where it has one. Raises CannotDo; any other exception is tried again after
        DEADLINE, with the queue waiting behind it.
        """
        ...

    def perform(self, instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
        """Carries out one action on a chat or a group, which may be unsaved, and returns what the messenger said.

        `{"chatId": "…@g.us"}` for a new group; `{"chatId", "name", "image", "members": [(chat id, is it an admin)]}`
        for one that was joined by its `code`; `{}` for all others. Raises CannotDo, as `deliver` does, and
        actions.Denied with a sentence for the caller where the messenger refuses.
        """
        ...

    def has_account(self, instance: Instance, phone: str) -> bool:
        """Does this number (digits, or its chat id) use the messenger? Raises CannotDo."""
        ...

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        """Asks the messenger for it; what becomes of it is reported by instances.actions (log_out, renew_code, …).

        The caller has checked whether the button applies. `acting_user` is the user who pressed it, None for a
        program. Raises CannotDo.
        """
        ...

    def qr_text(self, instance: Instance) -> str:
        """What the QR code says by which the phone is linked; with no secret of ours in it. Raises CannotDo."""
        ...

    def work(self, now: datetime) -> int:
        """One short pass over what the messenger holds for us: polling, receipts that are due, of any instances.

        Returns how much was done; it is called again until that is 0, in turn with the sending. A messenger that
        pushes has a view for that, and 0 here.
        """
        ...

    def next_work(self, now: datetime) -> datetime | None:
        """When `work` has something to do again, perhaps in the past; None: nothing is known to be due."""
        ...
