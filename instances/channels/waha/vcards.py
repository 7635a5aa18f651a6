"""The vCards of one message: the contract has them in one text, and WAHA in a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

CARD = re.compile(r"BEGIN:VCARD.*?END:VCARD", re.DOTALL | re.IGNORECASE)
MAX_CARDS = 257  # of one message


def split(body: str) -> list[str]:
    """Returns the cards in a text; the text itself if it has none."""
    return CARD.findall(body)[:MAX_CARDS] or [body]


def join(cards: Sequence[object]) -> str:
    return "\n".join(card for card in cards if isinstance(card, str))
