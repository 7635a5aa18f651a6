"""Root starts the product, another user runs it: `manage.py up`, `worker` and `dispatch` replace themselves.

The user is RUN_AS_USER; if that is unset, the owner of DATA_DIR/pg, or with DATABASE_URL `chatapi`, who is created.
First, what root owns in DATA_DIR is given to that user, so that a DATA_DIR of version 0.1.0 keeps working. A user who
cannot enter a folder above the program or above DATA_DIR (a clone below /root) gets the capability to read all files,
and a warning says so: unlike root, the user can neither write other files nor end other processes.
"""

import os
import pwd
import stat
import sys
from pathlib import Path
from typing import NoReturn

from django.conf import settings

from chatapi.runtime.postgres.system_user import (
    READING,
    PostgresError,
    find_account,
    folder_with_owner,
    prefix,
    system_account,
    user_name,
)

PRIVILEGED_PORTS = 1024  # below it, a server needs a capability


def leave_root() -> None:
    """Replace this process by itself as the user of the product. Returns if root did not start it, or has to run it.

    Raises:
        PostgresError: the database of DATA_DIR/pg cannot run as this user; str() is one sentence.
    """
    if os.getuid() != 0 or settings.RUN_AS_USER == "root":
        return
    wanted = find_account(settings.RUN_AS_USER)
    if settings.RUN_AS_USER and wanted is None:
        return  # a system check reports it
    if settings.EMBEDDED_POSTGRES:
        folder = settings.DATA_DIR / "pg"
        account = folder_with_owner(folder, wanted)
        assert account  # None is for other users than root
        if wanted and account.pw_uid != wanted.pw_uid:
            raise PostgresError(
                f"{folder} belongs to {user_name(account.pw_uid)}, and RUN_AS_USER is {wanted.pw_name}; stop the "
                f"product and run: chown -R {wanted.pw_name} {folder}."
            )
        words = command_prefix(account)
    else:
        try:
            account = wanted or system_account()
            words = command_prefix(account)
        except PostgresError as error:
            warn(f"the product runs as root. {error}")
            return
    give_data_dir(settings.DATA_DIR, account)
    if f"+{READING}" in ",".join(words).split(","):
        warn(
            f"the user {account.pw_name} cannot open the program or DATA_DIR, so it runs with the capability to read "
            "all files. Move them to folders that other users may enter, for example /opt/chatapi and /var/lib/chatapi."
        )
    run_as(account, words)


def become_owner() -> None:
    """Replace this process by itself as the user who owns the files of the product, if root started it.

    Creates and changes nothing. Returns if root is that user, or if that user cannot open the program.
    """
    if os.getuid() != 0 or settings.RUN_AS_USER == "root":
        return
    own = [settings.DATA_DIR / name for name in ("pg", "secrets_key", "secret_key")]
    owners = [path.stat().st_uid for path in own if path.exists()]
    try:
        account = pwd.getpwuid(owners[0]) if owners else None
        words = command_prefix(account) if account and account.pw_uid else None
    except (KeyError, PostgresError):
        return
    if account and words:
        run_as(account, words)


def run_as(account: pwd.struct_passwd, words: list[str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    environment = os.environ | {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    os.execve(words[0], [*words, sys.executable, *sys.orig_argv[1:]], environment)


def command_prefix(account: pwd.struct_passwd) -> list[str]:
    reach = [Path(sys.executable), settings.BASE_DIR, settings.DATA_DIR]
    capabilities = ("net_bind_service",) if settings.PORT < PRIVILEGED_PORTS else ()
    return prefix(account, reach, False, subject="The product", capabilities=capabilities)


def warn(sentence: str) -> None:
    print(f"Warning: {sentence}", file=sys.stderr)


def give_data_dir(folder: Path, account: pwd.struct_passwd) -> None:
    """Change the owner of what root owns in DATA_DIR. PostgreSQL's folder has its owner already.

    DATA_DIR itself too, unless all users may write to it, such as /tmp. A large media folder is read only once: its own
    owner changes last.
    """
    info = folder.stat()
    if info.st_uid == 0 and not info.st_mode & stat.S_IWOTH:
        os.chown(folder, account.pw_uid, account.pw_gid)
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name != "pg" and not entry.is_symlink()]
    for entry in found:
        if entry.is_file() and is_roots(entry.stat(follow_symlinks=False)):
            os.chown(entry.path, account.pw_uid, account.pw_gid, follow_symlinks=False)
        elif entry.is_dir() and (entry.name == "static" or entry.stat().st_uid == 0):
            give_tree(entry.path, account)


def is_roots(info: os.stat_result) -> bool:
    """Whether root owns it. A file with several links may be one of another folder, put here by another user."""
    return info.st_uid == 0 and (stat.S_ISDIR(info.st_mode) or info.st_nlink == 1)


def give_tree(folder: str, account: pwd.struct_passwd) -> None:
    """Change the owner of what root owns below this folder, the folder itself last. Follows no symbolic links."""
    for _, folders, files, handle in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in [*files, *folders]:
            info = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if is_roots(info) and not stat.S_ISLNK(info.st_mode):
                os.chown(name, account.pw_uid, account.pw_gid, dir_fd=handle, follow_symlinks=False)
    os.chown(folder, account.pw_uid, account.pw_gid, follow_symlinks=False)
