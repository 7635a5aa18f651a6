"""What the channels share that reach their messenger by requests, for an account that was linked by values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from accounts.models import User
from instances.channels.base import Button, Can, CannotDo
from instances.channels.links import link_of_instance
from instances.channels.requests import Link, Refused, Sent
from instances.models import Instance, OutgoingMessage


class RemoteChannel:
    """The methods of channels.base.Channel for a messenger without a phone, buttons and background work.

    `cannot` names what such a messenger lacks.
    """

    cannot: Mapping[str, str]
    decides_on_groups = True

    def link(self, instance: Instance) -> Link:
        """Returns the account with its credentials. One query. Raises UnreadableSecret."""
        return link_of_instance(instance)

    def carry_out(self, taken: Sequence[tuple[Instance, OutgoingMessage]]) -> list[Sent | Refused]:
        """Never called, because no Local is prepared. Raises NotImplementedError, so that no message is lost."""
        raise NotImplementedError("this channel prepares requests")

    def has_account(self, instance: Instance, phone: str) -> bool:
        raise CannotDo(self.cannot[Can.HAS_ACCOUNT])

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        raise CannotDo(self.cannot[button])

    def qr_text(self, instance: Instance) -> str:
        raise CannotDo(self.cannot[Can.SCAN])

    def work(self, now: datetime) -> int:
        """Returns 0: a receiver or a callback brings what happens."""
        return 0

    def next_work(self, now: datetime) -> datetime | None:
        return None
