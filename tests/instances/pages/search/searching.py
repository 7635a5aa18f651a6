"""What the search finds."""

from __future__ import annotations

import html
import re

from django.test import Client


def found(client: Client, query: str, **headers: str) -> list[tuple[str, str]]:
    """(title, URL) of each result, in order."""
    page = client.get("/search/", {"q": query}, headers=headers).text
    rows = re.findall(r'<a\s+class="found-row".*?href="([^"]+)".*?<b[^>]*>(.*?)</b>', page, re.DOTALL)
    return [(html.unescape(title), html.unescape(url)) for url, title in rows]
