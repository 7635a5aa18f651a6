"""URLs of the support desk's pages, and webhook URLs as the desk shows them."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.urls import reverse


def customer_url(account_id: int, number: int | None = None) -> str:
    """The page of a customer, with the instance of this number chosen."""
    page = reverse("admin:customer", args=[account_id])
    return page if number is None else f"{page}?instance={number}"


def url_without_secrets(url: str) -> str:
    """A URL without the values that may be secret: user and password, query, and fragment.

    `https://u:p@shop.example/in?key=1` becomes `https://…@shop.example/in?…`. Returns text that is no URL unchanged.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    user, at, host = parts.netloc.rpartition("@")
    hidden = "…@" if at and user else ""
    query = "?…" if parts.query else ""
    fragment = "#…" if parts.fragment else ""
    return f"{parts.scheme}://{hidden}{host}{parts.path}{query}{fragment}" if parts.scheme else url
