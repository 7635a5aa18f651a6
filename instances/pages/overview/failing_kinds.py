"""Finds the one kind of hooks that an endpoint always fails, while it receives all others.

Many receivers read `messages` of every hook and respond 500 to an ack; some respond to no hook of their own messages.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from hooks.models import Hook, Kind, State
from instances.models import Instance

NEWEST = 200  # hooks that are read
LEAST = 3  # failures that make a rule

# Kind → its name in a sentence, its flag, and what the flag switches off.
NAMES = {
    Kind.ACK.value: ("ack hook", "ackNotificationsOn", "acks"),
    Kind.STATUS.value: ("status hook", "statusNotificationsOn", "status notifications"),
    Kind.CHAT.value: ("chat change hook", "chatUpdateOn", "chat changes"),
    "sent": ("hook of your own messages (`fromMe` is true)", "", ""),
    "received": ("hook of received messages", "", ""),
}


class FailingKind(NamedTuple):
    """A kind of hooks that always fails. `flag` and `flag_name` are empty if it cannot be switched off."""

    name: str
    failed: int
    flag: str
    flag_name: str
    query: str  # of the log, for its hooks


def find_failing_kind(instance: Instance) -> FailingKind | None:
    """Returns the kind that failed at least LEAST times and was never delivered, if no hook of another kind failed.

    Only the newest NEWEST hooks count. None as well if nothing was delivered: then the endpoint fails altogether. One
    query, by the index of the log.
    """
    rows = (
        Hook.objects.of_first_endpoint(instance.pk)
        .order_by("-id")
        .values_list("kind", "state", "message", "simulated")[:NEWEST]
    )
    delivered: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for kind, state, message, simulated in rows:
        if simulated:
            continue
        if kind == Kind.MESSAGE:
            kind = "sent" if message.startswith("true_") else "received"
        if state == State.DELIVERED:
            delivered[kind] += 1
        elif state in (State.FAILED, State.RETRYING):
            failed[kind] += 1
    if len(failed) != 1 or not delivered:
        return None
    [(kind, count)] = failed.items()
    if count < LEAST or delivered[kind]:
        return None
    name, flag, flag_name = NAMES[kind]
    in_log = kind if kind in Kind.values else Kind.MESSAGE.value
    return FailingKind(name, count, flag, flag_name, f"?instance={instance.number}&kind={in_log}")
