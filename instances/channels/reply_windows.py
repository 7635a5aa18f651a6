"""What a channel may offer besides base.py: it takes free messages only for a time after a person has written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ReplyWindow:
    """`open` and `closed` are sentences for people; a time follows that of `open`, such as "in 5 h"."""

    length: timedelta
    open: str
    closed: str


@runtime_checkable
class HasReplyWindow(Protocol):
    reply_window: ReplyWindow
