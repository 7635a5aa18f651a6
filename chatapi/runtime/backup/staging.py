"""A DATA_DIR beside the real one, in which a backup is restored: for good, or to verify it.

It has a PostgreSQL of its own, which ends with this process, and commands of manage.py run in it as in any other.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from chatapi.runtime.backup.dump import Target
from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import NAME, ROLE, postmaster, socket_folder
from chatapi.runtime.processes import PARENT

KEYS = ("secret_key", "secrets_key")
DATABASES = ("DATABASE_URL", "DATABASE_POOLER_URL", "DATABASE_REPLICA_URL")
# The first error that Django's system checks print, and its hint.
SYSTEM_CHECK = re.compile(r"^\?: \([\w.]+\) (.*)(?:\n\tHINT: (.*))?", re.MULTILINE)


@contextmanager
def running_in(folder: Path, *, thrown_away: bool = False) -> Iterator[None]:
    """Runs a PostgreSQL in folder/pg during the block. Raises PostgresError."""
    path = folder / "pg"
    postgres_server.folder_with_owner(path)
    with postgres_server.in_use(path):
        server = postgres_server.start(path, thrown_away=thrown_away)
        try:
            yield
        finally:
            postgres_server.stop(server)
            remove_socket_folder(path)


def remove_socket_folder(path: Path) -> None:
    """Removes the folder in /tmp that a long path has; one beside the data moves with it."""
    folder = socket_folder(path)
    if folder.parent != path:
        shutil.rmtree(folder, ignore_errors=True)


def superuser_of(folder: Path) -> Target:
    return Target({"host": str(socket_folder(folder / "pg")), "user": NAME, "dbname": NAME})


def application_of(folder: Path) -> Target:
    """The database as the product uses it: by the role that owns it, and that is no superuser."""
    return Target({"host": str(socket_folder(folder / "pg")), "user": ROLE, "dbname": NAME})


def environment_of(folder: Path, *, embedded: bool = True) -> dict[str, str]:
    """The environment of a command with this DATA_DIR and the keys in it; those it lacks are the settings'."""
    environment = dict(os.environ)
    hidden = [*(name.upper() for name in KEYS), "DATA_DIR", *(DATABASES if embedded else [])]
    for name in hidden:
        environment.pop(name, None)
        environment.pop(f"{name}_FILE", None)
    environment |= {"DATA_DIR": str(folder), PARENT: str(os.getpid())}
    if not (folder / "secret_key").exists():
        environment["SECRET_KEY"] = settings.SECRET_KEY
    if not (folder / "secrets_key").exists():
        environment["SECRETS_KEY"] = ",".join(settings.SECRETS_KEY)
    return environment


def manage(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command of manage.py."""
    return subprocess.run(
        [sys.executable, "-m", "chatapi", *words],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=settings.BASE_DIR,
    )  # fmt: skip


def run(environment: dict[str, str], *words: str) -> list[str]:
    """Runs a command that must succeed; returns the lines that it printed. Raises BackupError."""
    done = manage(environment, *words)
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or "no message"
        found = SYSTEM_CHECK.search(said)
        sentence = " ".join(filter(None, found.groups())) if found else said.splitlines()[-1]
        raise BackupError(f"`manage.py {' '.join(words)}` failed: {sentence}")
    return done.stdout.splitlines()


def migrate_and_check(environment: dict[str, str]) -> None:
    """Applies the migrations of this version, and checks that SECRETS_KEY decrypts what is in the database."""
    run(environment, "migrate", "--no-input", "--verbosity=0")
    run(environment, "check", "--tag=database", "--database=default")


def lost_rows(environment: dict[str, str]) -> tuple[list[str], bool]:
    """Runs `hooks check` and `messages check`; returns what they say in the end, and whether nothing was lost."""
    lines, is_right = [], True
    for what in ("hooks", "messages"):
        done = manage(environment, what, "check")
        said = done.stdout.splitlines() or done.stderr.splitlines()
        lines += [f"  {line.strip()}" for line in said if "WRONG" in line][:10]
        lines.append(f"{what} check: {said[-1] if said else 'it said nothing.'}")
        is_right = is_right and done.returncode == 0
    return lines, is_right


@contextmanager
def staging_folder(name: str, *, keep_if: str = "") -> Iterator[Path]:
    """Creates the folder in DATA_DIR, without what a killed process has left there, and removes it at the end.

    `keep_if` is the name of a file in it that says that it is still needed.
    """
    folder = settings.DATA_DIR / name
    remove_staging(folder)
    folder.mkdir(mode=0o700)
    if os.getuid() == 0:
        folder.chmod(0o711)  # PostgreSQL runs as another user, whose folder is below
    try:
        yield folder
    finally:
        if not keep_if or not (settings.DATA_DIR / name / keep_if).exists():
            remove_staging(folder)


def remove_staging(folder: Path) -> None:
    """Removes the folder, after its PostgreSQL has ended: it ends with the process that started it."""
    wait_for_end(folder / "pg")
    remove_socket_folder(folder / "pg")
    if folder.is_dir():
        shutil.rmtree(folder)


def wait_for_end(path: Path) -> int | None:
    """Waits for a PostgreSQL that is stopping; returns the pid of one that runs on."""
    until = time.monotonic() + postgres_server.STOP_SECONDS
    while pid := postmaster(path):
        if time.monotonic() > until:
            return pid
        time.sleep(0.1)
    return None


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """A staging folder of this process alone; those that killed processes have left are removed."""
    for old in settings.DATA_DIR.glob(f"{name}-*"):
        remove_if_unused(old)
    with staging_folder(f"{name}-{os.getpid()}") as folder:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield folder
        finally:
            os.close(handle)


def remove_if_unused(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_staging(folder)
    except OSError:  # in use, or being removed by another backup
        return
    finally:
        os.close(handle)
