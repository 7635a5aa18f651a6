"""What is in front of this site: a request that `manage.py doctor` makes through SITE_URL, as the site received it.

/healthz/front tells its client what arrived: the host, the scheme, the client's address. It responds to requests with a
proof that only this site's SECRET_KEY can make, and that is valid for a minute; to all others it does not exist.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.crypto import constant_time_compare, salted_hmac

from chatapi.database.pooler import is_pooled
from chatapi.runtime.client_address import FORWARDED_FOR, PEER, REMOVED
from testing_tools.verification.reading.request_as_sent import RAW_HEADERS

PATH = "/healthz/front"
PROOF_HEADER = "X-Chatapi-Proof"
VALID_SECONDS = 60
# What pages, API clients and messengers send, and a proxy may remove: keys, sessions, origins of forms, signatures.
PROBED_HEADERS = (
    "Authorization", "Cookie", "Origin", "Referer", "X-CSRFToken", "HX-Request", "Webhook-Signature",
    "X-Hub-Signature-256", "X-Telegram-Bot-Api-Secret-Token", "X-Webhook-Hmac",
)  # fmt: skip


def make_proof(now: float | None = None) -> str:
    """Returns the header's value: the time, and a digest of it with SECRET_KEY."""
    moment = str(int(time.time() if now is None else now))
    return f"{moment}.{salted_hmac('chatapi.doctor.front', moment, algorithm='sha256').hexdigest()}"


def is_proven(value: str) -> bool:
    moment = value.partition(".")[0]
    if not moment.isascii() or not moment.isdigit() or len(moment) > 12:
        return False
    return abs(time.time() - int(moment)) <= VALID_SECONDS and constant_time_compare(
        value, make_proof(int(moment))
    )


def seen(meta: dict[str, Any], scheme: str) -> dict[str, Any]:
    """Returns what arrived, for the check that sent it (site.py)."""
    return {
        "number": secrets.token_hex(8),  # of this response: one that comes twice was stored on its way
        "host": meta.get("HTTP_HOST", ""),
        "scheme": scheme,
        "client": meta.get("REMOTE_ADDR", ""),
        "peer": meta.get(PEER, ""),
        "forwarded_for": meta.get(FORWARDED_FOR, ""),
        "removed": sorted(meta.get(REMOVED, {})),
        "headers": probed_headers(meta),
        "database": database_digest(),
    }


def probed_headers(meta: dict[str, Any]) -> dict[str, str]:
    """Returns PROBED_HEADERS as the web server has read them: META has no cookies here (chatapi/hosts.py)."""
    arrived = {name.lower(): value.decode("latin-1") for name, value in meta.get(RAW_HEADERS, ())}
    return {name: arrived.get(name.lower().encode(), "") for name in PROBED_HEADERS}


def database_digest() -> str:
    """Returns a digest of where the database is: a web server with another DATABASE_URL is another site.

    Keyed, because the proxy reads it too: hosts can be guessed.
    """
    found = settings.DATABASES["default"] if is_pooled(connection) else connection.settings_dict
    text = f"{found.get('HOST')} {found.get('PORT')} {found.get('NAME')}"
    return salted_hmac("chatapi.doctor.database", text, algorithm="sha256").hexdigest()[:16]
