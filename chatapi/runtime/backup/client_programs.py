"""Where pg_dump and pg_restore are: the wheel has those of two versions of PostgreSQL, and the system may have others.

A dump can be read by the programs of its version and newer ones. A server accepts the statements of a newer pg_restore
unless that is 17 or newer and the server is older: then it does not know a setting. So a server up to 16 is dumped and
restored with the programs of 16.
"""

import re
import shutil
import subprocess
from pathlib import Path

from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.postgres.data_folder import FOLDERS, programs
from chatapi.runtime.postgres.system_user import PostgresError

LAST_OF_OLD_SETTINGS = 16
SYSTEM_FOLDERS = "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"  # Debian's and Red Hat's


def program_of(name: str, server: int, *, dump: int = 0, tls: bool = False) -> Path:
    """Returns the path of `name` for a server of this major version, and for a dump of that version of pg_dump.

    `tls`: the connection may need it, and the wheel's programs have none.

    Raises:
        BackupError: there is no such program; the sentence says what to install.
    """
    usable = [
        (major, path)
        for major, path in ([] if tls else wheel_programs(name)) + system_programs(name)
        if major >= max(server, dump) and (server > LAST_OF_OLD_SETTINGS or major <= LAST_OF_OLD_SETTINGS)
    ]
    if usable:
        return min(usable, key=lambda each: each[0])[1]
    if dump > LAST_OF_OLD_SETTINGS >= server:
        raise BackupError(
            f"The backup was made with pg_dump {dump}, and the server is PostgreSQL {server}. "
            f"Use a server of version {dump} or newer."
        )
    needed = max(server, dump)
    what = f"{name} for PostgreSQL {needed}{' that can use TLS' if tls else ''}"
    raise BackupError(
        f"No {what} was found. Install the client programs of PostgreSQL {needed} (Debian: "
        f"apt-get install postgresql-client-{needed}), and run this again."
    )


def wheel_programs(name: str) -> list[tuple[int, Path]]:
    found = []
    for major in FOLDERS:
        try:
            found.append((major, programs(major) / name))
        except PostgresError:
            continue
    return found


def system_programs(name: str) -> list[tuple[int, Path]]:
    """Those in PATH and in the folders of distributions, asked for their version."""
    paths = [Path(found)] if (found := shutil.which(name)) else []
    for pattern in SYSTEM_FOLDERS:
        paths += sorted(Path("/").glob(f"{pattern[1:]}/{name}"))
    versions = [(major_of(path), path) for path in paths]
    return [(major, path) for major, path in versions if major]


def major_of(path: Path) -> int:
    """Returns the major version of a program; 0 if it does not run."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        return 0
    number = re.search(r"\b(\d+)\.\d+", said.stdout)
    return int(number[1]) if number else 0
