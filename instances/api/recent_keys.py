"""Remembers whose account keys this process has found right, so that a call can be counted before its key is checked.

A key that is remembered may have been revoked since: who relies on it checks the key in the statement that writes.
"""

from __future__ import annotations

from instances.limits import login_throttle

MAX_REMEMBERED = 10_000
_owners: dict[int, int] = {}  # by the hash of the key


def remember(key: str, owner_id: int) -> None:
    """Remember the user who owns the account of this key."""
    if len(_owners) >= MAX_REMEMBERED:
        _owners.clear()
    _owners[hash(key)] = owner_id


def owner_of(key: str) -> int | None:
    """Returns the user's primary key; None if the key must be looked up, or its sender could be locked out."""
    return _owners.get(hash(key)) if login_throttle.accepted_before(key) else None
