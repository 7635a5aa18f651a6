"""The system user who runs the embedded PostgreSQL, and the command prefix that switches to that user.

PostgreSQL refuses to run as root. Under root, it runs as the owner of DATA_DIR/pg. Only that folder changes its owner;
no other folder is modified. If that user cannot enter a parent folder (a clone below /root, a `mktemp -d` of mode 700),
PostgreSQL gets the capability dac_read_search, which allows to enter and read folders.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

ACCOUNT = "chatapi"  # created if it is missing
FALLBACK = "postgres"  # used if no user can be created
READING = "dac_read_search"  # the capability to read all files


class PostgresError(Exception):
    """The database cannot be started; str() is one sentence that says what to do."""


def refusal_of_folder(path: Path, error: OSError) -> PostgresError:
    """The error for a data folder that cannot be created, entered or written."""
    return PostgresError(
        f"DATA_DIR {path.parent} cannot be used ({error.strerror or error}); give it to the user who runs this, "
        "or use another folder: DATA_DIR=/your/folder."
    )


def folder_with_owner(path: Path, wanted: pwd.struct_passwd | None = None) -> pwd.struct_passwd | None:
    """Create `path` (mode 700) if it is missing. Returns the user to run PostgreSQL as; None: the current user.

    Under root, a new folder gets the owner `wanted`, by default the user `chatapi`.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink():
            raise PostgresError(f"{path} is a symbolic link; make DATA_DIR itself the link instead.")
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
            account = wanted or system_account()
            os.chown(path, account.pw_uid, account.pw_gid)
            path.chmod(0o700)
            return account
        return pwd.getpwuid(owner)
    except KeyError:
        raise PostgresError(
            f"{path} belongs to the user id {owner}, which has no name on this machine; "
            "change its owner to an existing user, or use another folder: DATA_DIR=/your/folder."
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
    if found := find_account(ACCOUNT):
        return found
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        ACCOUNT,
    ]
    try:
        subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        pass
    # Also after a failure: another process may have created the user at the same time.
    if found := find_account(ACCOUNT) or find_account(FALLBACK):
        return found
    raise PostgresError(
        "PostgreSQL does not run as root, and no user could be created for it; start this as another user, "
        f"or create one: {' '.join(command)}."
    )


def find_account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def prefix(
    account: pwd.struct_passwd | None,
    reach: list[Path],
    die_with_parent: bool,
    *,
    subject: str = "PostgreSQL",
    capabilities: tuple[str, ...] = (),
) -> list[str]:
    """The command prefix that switches to the account's user, and ends the process with its parent.

    `reach` are files and folders that the account must be able to open. `capabilities` are kept, and READING if the
    account can open them only with it. `subject` is what runs so, for the error.

    Raises:
        PostgresError: setpriv is missing, or the account cannot open one of them.
    """
    setpriv = shutil.which("setpriv")
    parent_death = ["--pdeathsig", "INT"] if die_with_parent else []  # INT is PostgreSQL's fast shutdown
    if account is None:
        # Without setpriv (not Linux), PostgreSQL survives a killed `up`; the next start uses it.
        return [setpriv, *parent_death, "--"] if setpriv and parent_death else []
    if not setpriv:
        raise PostgresError(
            f"{subject} does not run as root, and `setpriv` (util-linux) is missing; install it or use another user."
        )
    become = [setpriv, "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
    for kept in (capabilities, (*capabilities, READING)):
        extra = keep(kept)
        if all(can_open([*become, *extra, "--"], path) for path in reach):
            return [*become, *extra, *parent_death, "--"]
    raise PostgresError(
        f"{subject} runs as the user {account.pw_name}, who cannot open "
        f"{next(path for path in reach if not can_open([*become, '--'], path))}; "
        "move DATA_DIR and this program to folders that other users may enter, for example DATA_DIR=/var/lib/chatapi."
    )


def keep(capabilities: tuple[str, ...]) -> list[str]:
    """The options of setpriv that keep these capabilities."""
    if not capabilities:
        return []
    names = ",".join(f"+{name}" for name in capabilities)
    # Without no_setuid_fixup, access(2) ignores the capability; PostgreSQL finds its own programs with it.
    return ["--securebits", "+no_setuid_fixup", "--inh-caps", f"-all,{names}", "--ambient-caps", names]


def can_open(prefix_words: list[str], path: Path) -> bool:
    """Tested with a command run as that user, because modes, ACLs and capabilities all matter."""
    command = [*prefix_words, "test", "-r", str(path), "-a", "-x", str(path)]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, cwd="/").returncode == 0
