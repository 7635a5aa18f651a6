"""Ids of the sandbox's groups."""

import time

from instances import chat_ids
from instances.models import Chat, Instance


def free_group_id(instance: Instance, *, creator: str) -> str:
    """Returns an id that the instance does not use: creator's number and unix seconds (contract.md §3).

    `creator` is a phone number or chat id. If the current second is taken, the next free one is used.
    """
    second = int(time.time())
    while Chat.objects.filter(instance=instance, chat_id=group_id(creator, second)).exists():
        second += 1
    return group_id(creator, second)


def group_id(creator: str, second: int) -> str:
    """Returns `{phone number}-{unix seconds}@g.us`."""
    return f"{chat_ids.bare_id(creator)}-{second}{chat_ids.GROUP}"
