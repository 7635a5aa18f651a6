"""Wrong settings: variables that settings.py could not read, and values that are not accepted."""

import re
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings

from chatapi.runtime.doctor.findings import Finding, error

MAX_COUNT = 2**32 - 1  # of a rate counter (instances/limits/rate_counters.py)

# Stable ids, for SILENCED_SYSTEM_CHECKS and for searching; a variable without its own id is chatapi.E001.
IDS = {
    "DATA_DIR": "chatapi.E002",
    "PORT": "chatapi.E003",
    "SITE_URL": "chatapi.E004",
    "DATABASE_URL": "chatapi.E005",
    "DATABASE_POOLER_URL": "chatapi.E035",
    "DATABASE_REPLICA_URL": "chatapi.E036",
    "EMAIL_URL": "chatapi.E006",
    "HOOKS_ALLOW_NETWORKS": "chatapi.E007",
    "LOG_LEVEL": "chatapi.E008",
    "LOG_FORMAT": "chatapi.E009",
    "API_RATE": "chatapi.E010",
    "SIGNUP": "chatapi.E020",
    "METRICS_TOKEN": "chatapi.E011",
    "HOOKS_CA_FILE": "chatapi.E012",
    "MEDIA_S3_BUCKET": "chatapi.E013",
    "MEDIA_S3_ENDPOINT": "chatapi.E014",
    "MEDIA_S3_ACCESS_KEY": "chatapi.E015",
    "TRUSTED_PROXIES": "chatapi.E016",
    "SECRETS_KEY": "chatapi.E021",
    "ALLOWED_HOSTS": "chatapi.E017",
    "RUN_AS_USER": "chatapi.E030",
}
HINTS = {
    "RUN_AS_USER": "RUN_AS_USER=chatapi (to create it: useradd --system chatapi); unset: chatapi, created when needed.",
    "DATA_DIR": "Use a folder that the user who runs this can write to: DATA_DIR=/your/folder.",
    "PORT": "Use a number from 1 to 65535: PORT=8000.",
    "SITE_URL": "Use the URL at which users and messengers reach the site: SITE_URL=https://chat.example.com.",
    "DATABASE_URL": "DATABASE_URL=postgresql://user:password@host:5432/database; unset: the embedded database.",
    "DATABASE_POOLER_URL": "DATABASE_POOLER_URL=postgresql://user:password@host:6432/database; unset: no pooler.",
    "DATABASE_REPLICA_URL": "DATABASE_REPLICA_URL=postgresql://user:password@host:5433/database; unset: no replica.",
    "EMAIL_URL": "EMAIL_URL=submission://user:password@host:587; unset: no mail, on a laptop it is printed.",
    "HOOKS_ALLOW_NETWORKS": "A comma-separated list of networks: HOOKS_ALLOW_NETWORKS=10.0.0.0/8,192.168.1.7/32.",
    "LOG_LEVEL": "One of DEBUG, INFO, WARNING, ERROR.",
    "LOG_FORMAT": "One of text, json.",
    "API_RATE": "A number and a period: API_RATE=6000/min (s, min, hour, day).",
    "METRICS_TOKEN": "16 characters or more, without spaces (`openssl rand -hex 24`); unset: loopback only.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "The URL of a collector: OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318; unset: "
    "no traces.",
    "SENTRY_DSN": "SENTRY_DSN=https://key@sentry.example.com/1, as Sentry shows it for a project; unset: no reports.",
    "HOOKS_CA_FILE": "A file of PEM certificates: HOOKS_CA_FILE=/etc/ssl/certs/ours.pem; unset: Mozilla's.",
    "ALLOWED_HOSTS": "Names without scheme and port: ALLOWED_HOSTS=chat.example.com,.example.org,192.168.1.7.",
    "MEDIA_S3_BUCKET": "The bucket's name: MEDIA_S3_BUCKET=chat-media; unset: files are kept in DATA_DIR/media.",
    "MEDIA_S3_ENDPOINT": "The store's URL: MEDIA_S3_ENDPOINT=https://s3.example.com; unset: Amazon's.",
    "TRUSTED_PROXIES": "A comma-separated list of addresses or networks: TRUSTED_PROXIES=127.0.0.1,10.0.0.0/28.",
    "MEDIA_S3_ACCESS_KEY": "Set both MEDIA_S3_ACCESS_KEY and MEDIA_S3_SECRET_KEY; both unset: the machine's role.",
    "SECRETS_KEY": "32 random characters or more each, newest first: SECRETS_KEY=$(openssl rand -hex 32); unset: "
    "the file secrets_key in DATA_DIR.",
    "WAHA_SERVERS": "URLs, each with its API key: WAHA_SERVERS=http://waha-1:3000=KEY,http://waha-2:3000=KEY.",
    "SIGNUP": "One of open, invited, closed; unset: open with the embedded database, invited with DATABASE_URL.",
}


def wrong(variable: str, problem: str) -> Finding:
    """Returns the finding of a wrong variable. `problem` must not contain a secret value."""
    return error(
        f"{variable}: {problem.rstrip('.')}.",
        HINTS.get(variable, "docs/settings.md lists the accepted values; unset it for the default."),
        id=IDS.get(variable, "chatapi.E001"),
    )


def find_wrong_settings() -> Iterator[Finding]:
    for variable, problem in settings.SETTINGS_ERRORS:
        yield wrong(variable, problem)
    for variable, find_error in ERROR_FINDERS.items():
        if said := find_error(getattr(settings, variable)):
            yield wrong(variable, said)
    yield from find_half_configured_store()


def find_half_configured_store() -> Iterator[Finding]:
    """Finds settings of the media store that must be set together."""
    names = (
        "MEDIA_S3_ENDPOINT",
        "MEDIA_S3_REGION",
        "MEDIA_S3_PREFIX",
        "MEDIA_S3_ACCESS_KEY",
        "MEDIA_S3_SECRET_KEY",
    )
    if not settings.MEDIA_S3_BUCKET:
        if unused := [name for name in names if getattr(settings, name)]:
            yield wrong("MEDIA_S3_BUCKET", f"it is unset, so {unused[0]} has no effect")
    elif bool(settings.MEDIA_S3_ACCESS_KEY) != bool(settings.MEDIA_S3_SECRET_KEY):
        yield wrong("MEDIA_S3_ACCESS_KEY", "one of the two keys is unset")


# Each returns what is wrong with a value, or None.


def port_error(value: int) -> str | None:
    return None if 1 <= value <= 65535 else f"{value} is not a port number"


def url_error(value: str) -> str | None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        if parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment:
            return None
    except ValueError:
        pass
    return f"{value!r} is not a URL that starts with http:// or https://"


def waha_error(value: dict[str, str]) -> str | None:
    """The sentence contains no key."""
    for url, key in value.items():
        if problem := url_error(url):
            return problem
        if len(key) < 8:
            return f"the API key of {url} has fewer than 8 characters"
    return None


def bucket_error(value: str) -> str | None:
    if not value or re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", value, re.IGNORECASE):
        return None
    return f"{value!r} is not a bucket name"


def hosts_error(value: list[str]) -> str | None:
    from django.http.request import split_domain_port

    for host in value:
        domain, port = split_domain_port(host.removeprefix("."))
        if host != "*" and (not domain or port):
            return f"{host!r} is not a host name"
    return None


def networks_error(value: list[str]) -> str | None:
    from ipaddress import ip_network

    for text in value:
        try:
            ip_network(text)
        except ValueError as problem:
            return str(problem)
    return None


def proxies_error(value: list[str]) -> str | None:
    if problem := networks_error(value):
        return problem
    for text in value:
        if text.endswith("/0"):
            return f"{text} contains every client, so any of them could forge its address"
    return None


def ip_address_error(value: str) -> str | None:
    from ipaddress import ip_address

    try:
        if value:
            ip_address(value)
        return None
    except ValueError as problem:
        return str(problem)


def less_than(smallest: int) -> Callable[[int], str | None]:
    return lambda value: None if value >= smallest else f"{value} is less than {smallest}"


def between(smallest: int, largest: int) -> Callable[[int], str | None]:
    return lambda value: (
        None if smallest <= value <= largest else f"{value} is not from {smallest} to {largest}"
    )


def not_one_of(*known: str) -> Callable[[str], str | None]:
    return lambda value: None if value in known else f"{value!r} is not one of {', '.join(known)}"


def rate_error(value: str) -> str | None:
    if re.fullmatch(r"[1-9]\d*/(s|sec|second|m|min|minute|h|hour|d|day)", value):
        return None
    return f"{value!r} is not a number and a period"


def token_error(value: str) -> str | None:
    if not value or re.fullmatch(r"[!-~]{16,}", value):
        return None
    # without the value, which is a secret
    return "it is too short, or contains spaces or other characters that a header cannot contain"


def sentry_error(value: str) -> str | None:
    if not value:
        return None
    from chatapi.monitoring.error_reports import dsn_error  # loads Sentry's SDK

    return dsn_error(value)


def secrets_keys_error(value: tuple[str, ...]) -> str | None:
    # without the values
    if any(len(key) < 32 for key in value):
        return "a key has fewer than 32 characters"
    return "it contains a key twice" if len(set(value)) < len(value) else None


def certificates_error(value: str) -> str | None:
    """Loads the file with OpenSSL: with a file that it cannot read, every https delivery would fail."""
    if not value:
        return None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=value)
    except ssl.SSLError:
        return f"{value} contains no PEM certificate"
    except OSError as problem:
        return f"{value} cannot be read: {problem.strerror}"
    return None if context.cert_store_stats()["x509"] else f"{value} contains no PEM certificate"


def user_error(value: str) -> str | None:
    from chatapi.runtime.postgres.system_user import find_account

    return None if not value or find_account(value) else f"this machine has no user {value!r}"


ERROR_FINDERS: dict[str, Callable[[Any], str | None]] = {
    "PORT": port_error,
    "RUN_AS_USER": user_error,
    "SITE_URL": url_error,
    "ALLOWED_HOSTS": hosts_error,
    "HOOKS_ALLOW_NETWORKS": networks_error,
    "HOOKS_CA_FILE": certificates_error,
    "TRUSTED_PROXIES": proxies_error,
    "MEDIA_S3_BUCKET": bucket_error,
    "MEDIA_S3_ENDPOINT": lambda value: url_error(value) if value else None,
    "SANDBOX_MESSENGER_URL": url_error,
    "WHATSAPP_URL": url_error,
    "TELEGRAM_URL": url_error,
    "WAHA_SERVERS": waha_error,
    "HOOKS_DISPATCHERS": less_than(1),
    "RECEIVERS": less_than(1),
    "SENDERS": less_than(1),
    "HOOKS_WINDOW": less_than(1),
    "HOOKS_KEEP_DAYS": less_than(1),
    "HOOKS_KEEP_BODIES_DAYS": less_than(1),
    "HOOKS_KEEP_SKIPPED_DAYS": less_than(1),
    "TRIAL_DAYS": less_than(0),
    "STAFF_SESSION_HOURS": less_than(1),
    "WEB_PROCESSES": less_than(1),
    "REQUEST_MAX_BYTES": less_than(1),
    "LOG_LEVEL": not_one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "LOG_FORMAT": not_one_of("text", "json"),
    "API_RATE": rate_error,
    "SIGNUP": not_one_of("open", "invited", "closed"),
    "DISK_MIN_FREE_BYTES": less_than(0),
    "DISK_MIN_FREE_PERCENT": between(0, 90),
    "QUOTA_INSTANCES": less_than(1),
    "QUOTA_FILE_BYTES": less_than(0),
    "QUOTA_CAPTURE_BYTES": less_than(1024 * 1024),
    "BIN_BYTES_PER_MINUTE": between(1024 * 1024, MAX_COUNT),
    "BIN_ADDRESS_BYTES_PER_MINUTE": between(1024 * 1024, MAX_COUNT),
    "QUOTA_INVITATIONS_PER_DAY": less_than(0),
    "METRICS_TOKEN": token_error,
    "SENTRY_DSN": sentry_error,
    "OTEL_EXPORTER_OTLP_ENDPOINT": lambda value: url_error(value) if value else None,
    "SECRETS_KEY": secrets_keys_error,
    "CONTRACT_CALLS_PER_MINUTE": less_than(1),
    "CONTRACT_ACCOUNT_CALLS_PER_MINUTE": less_than(1),
    "CONTRACT_WRONG_TOKENS_PER_MINUTE": less_than(1),
    "OUTPUT_IP": ip_address_error,
}
