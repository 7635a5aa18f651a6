"""Puts what was restored in the place of what was there, so that an interruption at any moment leaves one or the other.

What is new is complete in DATA_DIR/restored. With the file `restore.json` the exchange is decided: each name is
renamed, and the next `restore` continues after a kill. Until then nothing has changed. PostgreSQL does not start while
the file exists (postgres/data_folder.py).
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from chatapi.runtime.postgres.data_folder import EXCHANGE

NEW = "restored"
# `dispatch` has results of attempts that belong to the database that was there.
NAMES = ("pg", "media", "secret_key", "secrets_key", "demo.json", "dispatch")


def exchange(folder: Path, aside: str) -> Path | None:
    """Moves what is in folder/NEW into the folder, and what was there to folder/`aside`; see finish()."""
    plan = {"aside": aside, "old": [name for name in NAMES if (folder / name).exists()]}
    draft = folder / f"{EXCHANGE}.new"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(plan, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / EXCHANGE)
    sync(folder)
    return finish(folder)


def is_interrupted(folder: Path) -> bool:
    return (folder / EXCHANGE).exists()


def finish(folder: Path) -> Path | None:
    """Completes an exchange that has begun; returns the folder with what was there before, None if nothing was.

    Repeatable: what was there is moved once, before the new one takes its place.
    """
    plan: dict[str, Any] = json.loads((folder / EXCHANGE).read_text())
    aside = folder / plan["aside"]
    aside.mkdir(mode=0o700, exist_ok=True)
    for name in plan["old"]:
        if (folder / name).exists() and not (aside / name).exists():
            (folder / name).rename(aside / name)
    for name in NAMES:
        if (folder / NEW / name).exists():
            remove_created(folder / name)
            (folder / NEW / name).rename(folder / name)
    sync(aside)
    sync(folder)
    (folder / EXCHANGE).unlink()
    sync(folder)
    shutil.rmtree(folder / NEW, ignore_errors=True)
    try:
        aside.rmdir()
    except OSError:
        return aside
    return None


def remove_created(path: Path) -> None:
    """Removes what the start of a command creates if it is missing: a key, and the empty folder of PostgreSQL."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
