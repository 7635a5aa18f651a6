"""Free space on the disk of DATA_DIR. When it is low, nothing large is stored, so that hooks and the database continue.

A full disk stops PostgreSQL, and with it every hook. Messages, hooks and small captures are still stored: they need
little, and retention deletes them. Reading the free space is one system call of about 1 µs, so nothing is cached.
"""

import os
from typing import NamedTuple

from django.conf import settings

from accounts.blocking import support_contact
from chatapi.ui import sizes


class DiskSpace(NamedTuple):
    """Bytes of the disk: those that this process may use, all, and those that must stay free."""

    free: int
    total: int
    required: int

    @property
    def is_low(self) -> bool:
        return self.free < self.required

    @property
    def percent_free(self) -> int:
        return self.free * 100 // self.total if self.total else 0

    def in_words(self) -> str:
        return (
            f"{sizes.in_words(self.free)} of {sizes.in_words(self.total)} are free ({self.percent_free} %), "
            f"and {sizes.in_words(self.required)} must stay free"
        )


STATUS = 507  # Insufficient Storage (RFC 4918 §11.5)


def refusal(what: str) -> str:
    """Returns the end of a sentence for users whose file or request is not stored: what happened, and what to do."""
    return (
        f"the disk of this site is almost full, and {what} at the moment. Text messages and hooks are not affected. "
        f"Try again later, or tell {support_contact()}."
    )


def read_disk_space() -> DiskSpace | None:
    """Returns the space of the disk of DATA_DIR; None if it cannot be read."""
    try:
        found = os.statvfs(settings.DATA_DIR)
    except OSError:
        return None
    total = found.f_blocks * found.f_frsize
    required = max(settings.DISK_MIN_FREE_BYTES, total * settings.DISK_MIN_FREE_PERCENT // 100)
    return DiskSpace(found.f_bavail * found.f_frsize, total, required)


def is_low() -> bool:
    space = read_disk_space()
    return space is not None and space.is_low


def warning() -> str:
    """Returns the sentence for operators if the space is low, else an empty text."""
    space = read_disk_space()
    if space is None or not space.is_low:
        return ""
    return (
        f"The disk of DATA_DIR is almost full: {space.in_words()}. Files and large captures are refused until there is "
        "more space; hooks are still sent."
    )
