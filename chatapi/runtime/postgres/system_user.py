"""Which system user runs the embedded PostgreSQL, and the words put before its programs to become that user.

PostgreSQL refuses to run as root. Then it runs as the user who owns DATA_DIR/pg, and that folder alone is given
to that user: no other user's folder is ever changed. If the user cannot pass a folder above (a clone below
/root, a `mktemp -d` of mode 700), PostgreSQL gets the one capability to pass and read (dac_read_search) instead.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

# The first of these that exists runs it; if none does, the first is made.
ACCOUNTS = ("chatapi", "postgres")


class PostgresError(Exception):
    """Why the database cannot be had: one sentence for a person, which says what to do."""


def refusal_of_folder(path: Path, error: OSError) -> PostgresError:
    """The sentence for a data folder that cannot be made, entered or written."""
    return PostgresError(
        f"DATA_DIR {path.parent} cannot be used ({error.strerror or error}); give it to the user who runs this, "
        "or use another folder: DATA_DIR=/your/folder."
    )


def folder_with_owner(path: Path) -> pwd.struct_passwd | None:
    """Makes `path` (mode 700) if it is missing; the user PostgreSQL must become, or None to stay who we are."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink():
            raise PostgresError(
                f"{path} is a link to another folder; make DATA_DIR itself such a link instead."
            )
        owner = path.stat().st_uid
        if os.getuid() != 0:
            if owner != os.getuid():
                raise PostgresError(
                    f"{path} belongs to another user ({user_name(owner)}); start this as that user or as root, "
                    "or use another folder: DATA_DIR=/your/folder."
                )
            return None
        if owner == 0:
            if any(path.iterdir()):
                raise PostgresError(
                    f"{path} belongs to root and is not empty, and PostgreSQL does not run as root; "
                    "move it away, or use another folder: DATA_DIR=/your/folder."
                )
            account = system_account()
            os.chown(path, account.pw_uid, account.pw_gid)
            path.chmod(0o700)
            return account
        return pwd.getpwuid(owner)
    except KeyError:
        raise PostgresError(
            f"{path} belongs to the user id {owner}, which has no name on this machine; "
            "give it to a user who exists, or use another folder: DATA_DIR=/your/folder."
        ) from None
    except OSError as error:
        raise refusal_of_folder(path, error) from None


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"id {uid}"


def system_account() -> pwd.struct_passwd:
    """The unprivileged user for a new data folder under root."""
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        ACCOUNTS[0],
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return pwd.getpwnam(ACCOUNTS[0])
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise PostgresError(
            "PostgreSQL does not run as root, and no user could be made for it; start this as another user, "
            f"or make one: {' '.join(command)}."
        ) from None


def prefix(account: pwd.struct_passwd | None, reach: list[Path], die_with_parent: bool) -> list[str]:
    """The words before initdb and postgres: they make it the account's process, and end it with its parent.

    `reach` are files and folders the account must be able to open.
    """
    setpriv = shutil.which("setpriv")
    leash = ["--pdeathsig", "INT"] if die_with_parent else []  # INT is PostgreSQL's fast shutdown
    if account is None:
        # Without setpriv (not Linux) a killed `up` leaves PostgreSQL behind; the next start takes it over.
        return [setpriv, *leash, "--"] if setpriv and leash else []
    if not setpriv:
        raise PostgresError(
            "PostgreSQL does not run as root, and `setpriv` (of util-linux) is missing; install it or use another user."
        )
    become = [setpriv, "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
    # no_setuid_fixup: without it access(2), by which PostgreSQL looks for its own programs, ignores the capability.
    reading = ["--securebits", "+no_setuid_fixup", "--inh-caps", "-all,+dac_read_search"]
    reading += ["--ambient-caps", "+dac_read_search"]
    for extra in ([], reading):
        if all(reaches([*become, *extra, "--"], path) for path in reach):
            return [*become, *extra, *leash, "--"]
    raise PostgresError(
        f"PostgreSQL runs as the user {account.pw_name} here, who cannot open "
        f"{next(path for path in reach if not reaches([*become, '--'], path))}; "
        "choose a DATA_DIR, and a place for this program, that others may enter, for example DATA_DIR=/var/lib/chatapi."
    )


def reaches(words: list[str], path: Path) -> bool:
    """Asked of the system itself, as that user: modes, ACLs and capabilities are all its business."""
    command = [*words, "test", "-r", str(path), "-a", "-x", str(path)]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, cwd="/").returncode == 0
