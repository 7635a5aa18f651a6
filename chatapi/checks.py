"""System checks of the settings: each names the variable, the fault, and what to do."""

import re
import ssl
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

# Stable ids, for SILENCED_SYSTEM_CHECKS and for searching; a variable without its own id is chatapi.E001.
IDS = {
    "DATA_DIR": "chatapi.E002",
    "PORT": "chatapi.E003",
    "SITE_URL": "chatapi.E004",
    "DATABASE_URL": "chatapi.E005",
    "EMAIL_URL": "chatapi.E006",
    "HOOKS_ALLOW_NETWORKS": "chatapi.E007",
    "LOG_LEVEL": "chatapi.E008",
    "LOG_FORMAT": "chatapi.E009",
    "API_RATE": "chatapi.E010",
    "METRICS_TOKEN": "chatapi.E011",
    "HOOKS_CA_FILE": "chatapi.E012",
    "MEDIA_S3_BUCKET": "chatapi.E013",
    "MEDIA_S3_ENDPOINT": "chatapi.E014",
    "MEDIA_S3_ACCESS_KEY": "chatapi.E015",
}
HINTS = {
    "DATA_DIR": "Choose a folder that the user who runs this may write: DATA_DIR=/your/folder.",
    "PORT": "Take a number from 1 to 65535: PORT=8000.",
    "SITE_URL": "Give the address under which people and messengers reach the site: SITE_URL=https://chat.example.com.",
    "DATABASE_URL": "DATABASE_URL=postgresql://user:password@host:5432/database, or unset it for the embedded one.",
    "EMAIL_URL": "EMAIL_URL=submission://user:password@host:587, or unset it: mail then goes to the terminal.",
    "HOOKS_ALLOW_NETWORKS": "A comma list of networks: HOOKS_ALLOW_NETWORKS=10.0.0.0/8,192.168.1.7/32.",
    "LOG_LEVEL": "One of DEBUG, INFO, WARNING, ERROR.",
    "LOG_FORMAT": "One of text, json.",
    "API_RATE": "A number and a period: API_RATE=6000/min (s, min, hour, day).",
    "METRICS_TOKEN": "16 characters or more, without spaces (`openssl rand -hex 24`); unset: loopback only.",
    "HOOKS_CA_FILE": "A file of certificates in PEM: HOOKS_CA_FILE=/etc/ssl/certs/ours.pem; unset: Mozilla's.",
    "MEDIA_S3_BUCKET": "The bucket's name: MEDIA_S3_BUCKET=chat-media; unset: files are kept in DATA_DIR/media.",
    "MEDIA_S3_ENDPOINT": "The store's URL: MEDIA_S3_ENDPOINT=https://s3.example.com; unset: Amazon's.",
    "MEDIA_S3_ACCESS_KEY": "Give both, MEDIA_S3_ACCESS_KEY and MEDIA_S3_SECRET_KEY, or neither: the machine's role.",
}


def error(variable: str, fault: str) -> Error:
    """The check message of one wrong variable. `fault` must not contain a secret value."""
    return Error(
        f"{variable}: {fault.rstrip('.')}.",
        hint=HINTS.get(variable, "docs/settings.md says what it takes; unset it for the default."),
        id=IDS.get(variable, "chatapi.E001"),
    )


@register("settings")
def wrong_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Variables that settings.py could not read, and values that are out of range."""
    found: list[CheckMessage] = [error(variable, fault) for variable, fault in settings.SETTINGS_ERRORS]
    for variable, test in TESTS.items():
        if fault := test(getattr(settings, variable)):
            found.append(error(variable, fault))
    return [*found, *wrong_store()]


def wrong_store() -> list[CheckMessage]:
    """Settings of the media store that must be set together."""
    names = (
        "MEDIA_S3_ENDPOINT",
        "MEDIA_S3_REGION",
        "MEDIA_S3_PREFIX",
        "MEDIA_S3_ACCESS_KEY",
        "MEDIA_S3_SECRET_KEY",
    )
    if not settings.MEDIA_S3_BUCKET:
        useless = [name for name in names if getattr(settings, name)]
        return [error("MEDIA_S3_BUCKET", f"it is unset, so {useless[0]} has no effect")] if useless else []
    if bool(settings.MEDIA_S3_ACCESS_KEY) != bool(settings.MEDIA_S3_SECRET_KEY):
        return [error("MEDIA_S3_ACCESS_KEY", "of the two keys one is unset")]
    return []


@register(deploy=True)
def open_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """`check --deploy`: every host name is served unless ALLOWED_HOSTS is set."""
    if settings.ALLOWED_HOSTS == ["*"]:
        return [
            Warning(
                "ALLOWED_HOSTS: every host name is served.",
                hint="ALLOWED_HOSTS=chat.example.com",
                id="chatapi.W001",
            )
        ]
    return []


def port(value: int) -> str | None:
    return None if 1 <= value <= 65535 else f"{value} is not a port"


def site_url(value: str) -> str | None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        if parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment:
            return None
    except ValueError:
        pass
    return f"{value!r} is not an address that starts with http:// or https://"


def bucket(value: str) -> str | None:
    if not value or re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", value, re.IGNORECASE):
        return None
    return f"{value!r} is no bucket's name"


def networks(value: list[str]) -> str | None:
    from ipaddress import ip_network

    for text in value:
        try:
            ip_network(text)
        except ValueError as fault:
            return str(fault)
    return None


def ip_address(value: str) -> str | None:
    from ipaddress import ip_address

    try:
        if value:
            ip_address(value)
        return None
    except ValueError as fault:
        return str(fault)


def at_least(smallest: int) -> Callable[[int], str | None]:
    return lambda value: None if value >= smallest else f"{value} is less than {smallest}"


def one_of(*known: str) -> Callable[[str], str | None]:
    return lambda value: None if value in known else f"{value!r} is none of {', '.join(known)}"


def rate(value: str) -> str | None:
    if re.fullmatch(r"[1-9]\d*/(s|sec|second|m|min|minute|h|hour|d|day)", value):
        return None
    return f"{value!r} is not a number and a period"


def token(value: str) -> str | None:
    if not value or re.fullmatch(r"[!-~]{16,}", value):
        return None
    return (
        "it is too short or holds spaces or other characters that no header carries"  # never the value itself
    )


def certificates(value: str) -> str | None:
    """Loads the file with OpenSSL: a file that it can't read would fail every https delivery."""
    if not value:
        return None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=value)
    except ssl.SSLError:
        return f"{value} holds no certificate in PEM"
    except OSError as fault:
        return f"{value} can't be read: {fault.strerror}"
    return None if context.cert_store_stats()["x509"] else f"{value} holds no certificate in PEM"


TESTS: dict[str, Callable[[Any], str | None]] = {
    "PORT": port,
    "SITE_URL": site_url,
    "HOOKS_ALLOW_NETWORKS": networks,
    "HOOKS_CA_FILE": certificates,
    "MEDIA_QUOTA_BYTES": at_least(1),
    "MEDIA_S3_BUCKET": bucket,
    "MEDIA_S3_ENDPOINT": lambda value: site_url(value) if value else None,
    "HOOKS_DISPATCHERS": at_least(1),
    "HOOKS_WINDOW": at_least(1),
    "HOOKS_KEEP_DAYS": at_least(1),
    "HOOKS_KEEP_BODIES_DAYS": at_least(1),
    "HOOKS_KEEP_SKIPPED_DAYS": at_least(1),
    "TRIAL_DAYS": at_least(0),
    "WEB_PROCESSES": at_least(1),
    "REQUEST_MAX_BYTES": at_least(1),
    "LOG_LEVEL": one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "LOG_FORMAT": one_of("text", "json"),
    "API_RATE": rate,
    "METRICS_TOKEN": token,
    "CONTRACT_CALLS_PER_MINUTE": at_least(1),
    "CONTRACT_ACCOUNT_CALLS_PER_MINUTE": at_least(1),
    "CONTRACT_WRONG_TOKENS_PER_MINUTE": at_least(1),
    "OUTPUT_IP": ip_address,
}
