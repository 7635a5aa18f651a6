"""Removes from a report what must not be in a bug report: secrets, hosts, addresses and folders of this site.

The sentences of checks contain none of a user's data. Texts of errors may quote a host, a name or a path, so every text
is redacted in the same way: by the values of this site's settings, then by their form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

SECRETS = (
    "SECRET_KEY", "METRICS_TOKEN", "EMAIL_HOST_PASSWORD", "EMAIL_HOST_USER", "MEDIA_S3_ACCESS_KEY",
    "MEDIA_S3_SECRET_KEY", "MEDIA_S3_BUCKET", "DATABASE_URL", "DATABASE_POOLER_URL",
    "DATABASE_REPLICA_URL", "EMAIL_URL", "SENTRY_DSN",
)  # fmt: skip
URLS = ("SITE_URL", "MEDIA_S3_ENDPOINT", "SANDBOX_MESSENGER_URL", "OTEL_EXPORTER_OTLP_ENDPOINT")
SHORTEST = 4  # characters; a shorter value would also be found in other words
# Names and addresses of a machine itself say nothing about the site.
COMMON = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "[::1]", "*", "chatapi", "postgres", "public"}
URL = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s\"'<>,;)]+")
FORMS = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<e-mail address>"),
    (re.compile(r"\b(?!127\.)(?!0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?\b"), "<IP address>"),
    (re.compile(r"(?i)(?<![\w:.])(?=[0-9a-f]*:[0-9a-f:]*:)(?!::1\b)[0-9a-f:]{4,}(?:/\d{1,3})?"), "<IP address>"),
    (re.compile(r"\bhost(?: name)? \"[^\"]*\"|\bhost '[^']*'"), "host <host>"),
    (re.compile(r"\b(?:user|role|database) (?:\"[^\"]*\"|'[^']*')"), "<name>"),
    (re.compile(r"/(?:home|root|Users)/[^\s/:;,]+"), "<home>"),
)  # fmt: skip


def redact(text: str) -> str:
    """Returns what a check found, redacted."""
    return URL.sub("<URL>", redact_next_step(text))


def redact_next_step(text: str) -> str:
    """Returns a next step, redacted: the URLs in it are examples, with the form of what to write."""
    for value, shown in values():
        # not within a word: the database may be called "chat"
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", shown, text)
    for form, shown in FORMS:
        text = form.sub(shown, text)
    return text


def values() -> list[tuple[str, str]]:
    """Returns the values of this site with what is shown instead, the longest first."""
    found = {
        value: shown for value, shown in known_values() if len(value) >= SHORTEST and value not in COMMON
    }
    return sorted(found.items(), key=lambda one: -len(one[0]))


def known_values() -> Iterator[tuple[str, str]]:
    for name in SECRETS:
        yield str(getattr(settings, name, "") or ""), f"<{name}>"
    for key in settings.SECRETS_KEY:
        yield key, "<SECRETS_KEY>"
    for name in URLS:
        yield host_of(getattr(settings, name, "")), f"<host of {name}>"
    for host in settings.ALLOWED_HOSTS:
        yield host.lstrip("."), "<host>"
    databases: tuple[dict[str, Any], ...] = (
        connection.settings_dict, settings.POOLED_DATABASE, settings.REPLICA_DATABASE
    )  # fmt: skip
    for database in databases:
        for name in ("PASSWORD", "USER", "NAME"):
            yield str(database.get(name) or ""), f"<database {name.lower()}>"
        for host in str(database.get("HOST") or "").split(","):
            yield host, "<database host>"
    yield str(getattr(settings, "EMAIL_HOST", "") or ""), "<mail host>"
    yield str(settings.DATA_DIR), "DATA_DIR"
    yield str(settings.BASE_DIR), "<program>"
    yield os.uname().nodename, "<this machine>"


def host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return url
