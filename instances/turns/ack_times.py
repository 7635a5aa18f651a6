"""When each ack of sent messages arrived."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chatapi.ui.json_text import BadJson, parse
from hooks.models import Hook, Kind
from instances.models import Instance


def ack_times(instance: Instance, message_ids: Sequence[str]) -> dict[tuple[str, str], datetime]:
    """Returns the time of each ack: {(message id, status): time}.

    It is the time of the ack's hook, which is created even if it is skipped.
    """
    acks = (
        Hook.objects.of_instance(instance)
        .filter(message__in=list(message_ids), kind=Kind.ACK, simulated=False)
        .values_list("message", "body", "created_at")
    )
    times = {}
    for message, body, at in acks:
        try:
            status = parse(bytes(body).decode())["ack"][0]["status"]
        except (BadJson, KeyError, IndexError, TypeError, UnicodeDecodeError):
            continue  # bodies are dropped after 7 days
        times[message, status] = at
    return times
