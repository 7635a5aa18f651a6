"""The links of templates/chatapi/ui/share_links.html, which let anyone read something."""

from __future__ import annotations

from typing import Any, NamedTuple


class ShownLink(NamedTuple):
    """A valid link with its words and the URL that revokes it."""

    share: Any
    what: str
    revoke_url: str
