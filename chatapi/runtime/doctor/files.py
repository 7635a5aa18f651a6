"""Files of the site: secrets that others can read, certificates, time zones, static files, and the store of media."""

from __future__ import annotations

import os
import secrets
import ssl
import stat
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import certifi
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from chatapi.runtime import static_files
from chatapi.runtime.doctor.findings import Finding, NotCarriedOut, error, warning

# In DATA_DIR, created with mode 600; and folders, created with mode 700.
OWN_FILES = ("secret_key", "secrets_key", "demo.json", "pg.log", "pg.log.1")
OWN_FOLDERS = ("pg", "media", "dispatch")
# Variables whose X_FILE is the path of a file with a secret.
IN_FILES = (
    "SECRET_KEY", "SECRETS_KEY", "DATABASE_URL", "DATABASE_POOLER_URL", "DATABASE_REPLICA_URL", "EMAIL_URL",
    "METRICS_TOKEN", "MEDIA_S3_ACCESS_KEY", "MEDIA_S3_SECRET_KEY", "SENTRY_DSN", "BACKUP_PASSPHRASE",
)  # fmt: skip
MOUNTED_SECRETS = "/run/secrets/"  # container engines mount them readable for all users of the container
OTHERS = stat.S_IRWXG | stat.S_IRWXO
SHORTEST_KEY = 32  # characters
EXPIRES_SOON_DAYS = 21


def find_readable_secrets() -> Iterator[Finding]:
    """Secrets that other users of this machine can read. A group may read X_FILE: that is how it is shared."""
    for name in OWN_FILES:
        yield from find_mode(settings.DATA_DIR / name, OTHERS, "600")
    for name in OWN_FOLDERS:
        yield from find_mode(settings.DATA_DIR / name, OTHERS, "700")
    for variable in IN_FILES:
        path = os.environ.get(f"{variable}_FILE", "")
        if path and not path.startswith(MOUNTED_SECRETS):
            yield from find_mode(Path(path), stat.S_IRWXO, "640")


def find_mode(path: Path, forbidden: int, mode: str) -> Iterator[Finding]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as fault:
        raise NotCarriedOut(f"{path} cannot be read ({fault.strerror})") from None
    if found.st_mode & forbidden:
        yield error(
            f"Other users of this machine can open {path} (mode {stat.S_IMODE(found.st_mode):o}).",
            f"chmod {mode} {path}. If others may have read it, replace the keys in it (docs/running/secrets.md).",
        )


def find_writable_data() -> Iterator[Finding]:
    """A user who may write to DATA_DIR can replace its keys. A folder with the sticky bit, such as /tmp, is as safe."""
    try:
        mode = settings.DATA_DIR.stat().st_mode
    except OSError as fault:
        raise NotCarriedOut(f"DATA_DIR cannot be read ({fault.strerror})") from None
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        yield error(
            f"Every user of this machine can write to DATA_DIR ({settings.DATA_DIR}), and replace the keys in it.",
            f"chmod o-w {settings.DATA_DIR}.",
        )


def find_weak_keys() -> Iterator[Finding]:
    key = str(settings.SECRET_KEY)
    if len(key) < SHORTEST_KEY:
        yield error(
            f"SECRET_KEY: it has fewer than {SHORTEST_KEY} characters, so links and sessions can be forged.",
            "Set SECRET_KEY=$(openssl rand -hex 32), or unset it: the first start creates one in DATA_DIR.",
        )
    elif key in settings.SECRETS_KEY:
        yield warning(
            "SECRETS_KEY: it is the same as SECRET_KEY, so one leak opens both sessions and the database.",
            "Give SECRETS_KEY a new first key and run `manage.py rotate_secrets` (docs/running/secrets.md).",
        )


def find_old_certificates() -> Iterator[Finding]:
    """The file of trusted certificates: its own checks say whether it can be read; here, whether it is still valid."""
    path = settings.HOOKS_CA_FILE or certifi.where()
    name = "HOOKS_CA_FILE" if settings.HOOKS_CA_FILE else "The file of trusted certificates"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError):
        if not settings.HOOKS_CA_FILE:  # else the check of the settings reports it
            yield error(
                f"{name} of the package certifi cannot be read, so no https hook can be sent.",
                "Install the packages again (`make run` does), or set HOOKS_CA_FILE.",
                path,
            )
        return
    ends = [
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        for certificate in context.get_ca_certs()
    ]
    days = [(end - datetime.now(UTC)).days for end in ends]
    if days and max(days) < 0:
        yield error(
            f"{name}: all of its certificates have expired, so no https hook can be sent.",
            f"Replace {path} with current certificates.",
        )
    elif settings.HOOKS_CA_FILE and days and min(days) < EXPIRES_SOON_DAYS:
        yield warning(
            f"{name}: a certificate in it expires in {max(min(days), 0)} days, and hooks that rely on it fail then.",
            f"Add its successor to {path} before.",
        )


def find_no_time_zones() -> Iterator[Finding]:
    try:
        zoneinfo.ZoneInfo.no_cache(settings.TIME_ZONE)
        zoneinfo.ZoneInfo.no_cache("Europe/Berlin")  # UTC alone may be built in
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        yield warning(
            "This machine has no time zone data: pages and tasks may fail.",
            "Install it (Debian: apt-get install tzdata), or run: pip install tzdata.",
        )


def find_old_static_files() -> Iterator[Finding]:
    """Pages link to files by the manifest that `collectstatic` writes; without it, each page is an error."""
    if "Manifest" not in settings.STORAGES["staticfiles"]["BACKEND"]:
        return
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    if not manifest.is_file():
        yield error(
            "Static files are not collected: every page responds with an error.",
            "Run `manage.py collectstatic`, and restart the web server; `manage.py up` does it when it starts.",
        )
        return
    mark = settings.DATA_DIR / "static.digest"
    with suppress(OSError):
        if mark.read_text() != static_files.sources_digest():
            yield warning(
                "Static files are those of another version: pages may look broken.",
                "Restart `manage.py up`, which collects them, or run `manage.py collectstatic`.",
            )


def find_read_only_media() -> Iterator[Finding]:
    """Writes, reads and deletes a small file in the store of media."""
    storage, content = storages["media"], secrets.token_bytes(16)
    step = (
        "Check MEDIA_S3_BUCKET, MEDIA_S3_ENDPOINT and the rights of the key: it must read, write and delete."
        if settings.MEDIA_S3_BUCKET
        else f"Give {settings.DATA_DIR / 'media'} to the user who runs the product, and make it writable."
    )
    try:
        name = storage.save(f"doctor-{secrets.token_hex(8)}", ContentFile(content))
        try:
            with storage.open(name) as file:
                found = file.read()
        finally:
            storage.delete(name)
    except Exception as fault:  # noqa: BLE001 - of the file system, or one of the many of the S3 library
        yield error("The store of media cannot be written: files of messages are refused.", step, str(fault))
        return
    if found != content:
        yield error("The store of media returns other bytes than were written.", step)
