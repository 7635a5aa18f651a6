"""What a channel may offer besides base.py: messages by templates that the messenger has approved."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class HasTemplates(Protocol):
    """`prepare` sends the template in `metadata["template"]`: {"name", "language": {"code"}, "components"}."""

    has_templates: bool
