"""Whether an id of a message is one of this messenger: after a move to another channel, ids from before are not.

A quote of such a message is left out, so that the messenger does not refuse the message for it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

LEFT_OUT = (
    "The message that it quotes is from before the instance was moved to this channel, whose messenger does not have "
    "it: the quote is left out."
)


@runtime_checkable
class RecognisesIds(Protocol):
    """Optional for a channel: the ids of its messenger have a form of their own."""

    def is_own_id(self, messenger_id: str) -> bool:
        """Whether the messenger may have given this id to a message. Pure."""
        ...


def own_id(channel: object, messenger_id: str) -> str:
    """Returns the id; empty if the channel sees that it is another messenger's."""
    is_foreign = isinstance(channel, RecognisesIds) and not channel.is_own_id(messenger_id)
    return "" if is_foreign else messenger_id
