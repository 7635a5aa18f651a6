"""What a channel may offer besides base.py: messages by templates that the messenger has approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from instances.channels.receiving import Network
from instances.channels.requests import Link


@dataclass(frozen=True, slots=True)
class Template:
    """A template in one language. `components` are the messenger's own objects."""

    name: str
    language: str
    status: str = "APPROVED"
    category: str = ""
    components: Sequence[Mapping[str, Any]] = ()


@runtime_checkable
class HasTemplates(Protocol):
    """`prepare` sends the template in `metadata["template"]`: {"name", "language": {"code"}, "components"}."""

    async def templates(self, link: Link, network: Network) -> Sequence[Template]:
        """Returns the templates of the account. No query, and nothing that blocks.

        Raises:
            CannotDo: the link lacks what is needed to ask; the text is a sentence for the caller.
            ReceiveFailed: the messenger cannot be reached, or refuses.
        """
        ...
