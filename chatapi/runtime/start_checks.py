"""What `manage.py up` checks before it changes anything: the settings, their keys, the port, and other `up`s.

Each raises CommandError with one sentence.
"""

import fcntl
import os
import socket

from django.conf import settings
from django.core.checks import WARNING, CheckMessage, Tags, run_checks
from django.core.management.base import CommandError
from django.db import OperationalError, connection

from chatapi.database.read_only import is_read_only_refusal
from chatapi.runtime.doctor.database import explain_in_one_line
from chatapi.runtime.postgres.system_user import refusal_of_folder


def raise_on_wrong_settings() -> list[str]:
    """Returns the warnings about the settings. Raises CommandError if one is wrong."""
    found = [message for message in run_checks() if not message.is_silenced()]
    faults = [in_one_line(message) for message in found if message.is_serious()]
    if faults:
        raise CommandError("\n".join(faults))
    return [in_one_line(message) for message in found if message.level == WARNING]


def in_one_line(message: CheckMessage) -> str:
    return f"{message.msg} {message.hint or ''}".strip()


def raise_on_wrong_database() -> None:
    """Raise CommandError if the database cannot be used: a standby, or one whose advisory locks have no effect.

    See chatapi/runtime/doctor. A database that does not respond is not reported: its users wait for it.
    """
    try:
        connection.ensure_connection()
    except OperationalError as error:
        if is_read_only_refusal(error):
            raise CommandError(explain_in_one_line(error)) from None
    found = run_checks(tags=[Tags.database], databases=["default"])
    if faults := [
        in_one_line(message) for message in found if message.is_serious() and not message.is_silenced()
    ]:
        raise CommandError("\n".join(faults))


def check_port(host: str, port: int) -> None:
    """Raise CommandError if the port is in use, before anything is changed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise CommandError(
                f"Port {port} on {host} cannot be used ({error.strerror}); stop what listens there, "
                "or use another port: PORT=8001 make run."
            ) from None


def lock_data_dir() -> int:
    """Return the file handle that locks this DATA_DIR for one `up`; the kernel releases it when the process ends."""
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        handle = os.open(settings.DATA_DIR / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise refusal_of_folder(settings.DATA_DIR / "pg", error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(handle, 20).decode() or "?"
        os.close(handle)
        raise CommandError(
            f"`manage.py up` is already running on {settings.DATA_DIR} (process {other}); stop it, "
            "or use another folder: DATA_DIR=/your/folder."
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle
