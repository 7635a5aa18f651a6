"""What a channel must do: the way from an instance to its messenger, one module each in this folder.

A channel never writes by itself: it calls instances.actions when its messenger reports something. No
transaction is open while one of these methods runs, so it may take its time with the network, but
no more than DEADLINE: then another sender takes the message over.
"""

from collections.abc import Sequence
from typing import Protocol

from instances.models import Ack, Instance, OutgoingMessage

DEADLINE = 10.0  # seconds


class Channel(Protocol):
    """One kind of link. It has no state of its own: all of it stands in the instance's row."""

    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        """Hands one message to the messenger and returns the ticks that it has at once, in order.

        May be called again for the same message if the process dies before the answer was recorded.
        """
        ...

    def qr_text(self, instance: Instance) -> str:
        """What the QR code says by which the phone is linked."""
        ...
