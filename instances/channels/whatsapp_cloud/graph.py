"""Requests to the Graph API, and the error objects in its responses and callbacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings

from instances.channels.requests import Link, Request
from instances.channels.responses import words

DEFAULT_VERSION = "v23.0"
TOKEN, APP_SECRET, VERIFY_TOKEN = "access_token", "app_secret", "verify_token"
VERSION, BUSINESS_ACCOUNT = "api_version", "business_account_id"


def url_of(link: Link, *path: str) -> str:
    """Returns the URL of an object of the Graph API, such as that of a phone number and its messages."""
    version = link.options.get(VERSION) or DEFAULT_VERSION
    return "/".join([settings.WHATSAPP_URL, version, *(quote(part, safe="") for part in path)])


def authorization(link: Link) -> dict[str, str]:
    return {"Authorization": f"Bearer {link.credentials.get(TOKEN, '')}"}


def get(link: Link, *path: str, **query: str) -> Request:
    """Returns the request for an object; `fields` are those that it is to have."""
    return Request(
        "GET", url_of(link, *path) + (f"?{urlencode(query)}" if query else ""), authorization(link)
    )


def post(link: Link, *path: str, body: Mapping[str, Any] | None = None) -> Request:
    """Returns the request that posts a JSON object."""
    headers = {**authorization(link), "Content-Type": "application/json"}
    return Request(
        "POST", url_of(link, *path), headers, json.dumps(body or {}, separators=(",", ":")).encode()
    )


def delete(link: Link, *path: str) -> Request:
    return Request("DELETE", url_of(link, *path), authorization(link))


def code_of(error: Mapping[str, Any]) -> int | None:
    """Returns the code of an error object; None if it has none."""
    code = error.get("code")
    if isinstance(code, str) and code.isascii() and code.isdigit():
        return int(code[:9])
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def words_of(error: Mapping[str, Any]) -> str:
    """Returns what an error object says, the most exact text first."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    return next(
        filter(None, (words(one) for one in (details, error.get("message"), error.get("title")))),
        "",
    )


def objects(found: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Returns the objects in a list of a JSON object; nothing if there is no list."""
    items = found.get(key)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
