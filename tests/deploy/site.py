"""A site that is installed on a machine of the tests, as docs/install.md says."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from pathlib import Path

from tests.deploy.machine import interpreter
from tests.product import ROOT

CODE = (
    "accounts",
    "chatapi",
    "deploy",
    "hooks",
    "instances",
    "static",
    "templates",
    "testing_tools",
    "manage.py",
)
DOCUMENTS = ("docs/openapi.yaml", "docs/receivers")


def clone(folder: Path) -> dict[str, Path]:
    """Puts what `git clone` and `make install` would install into a folder; returns the mounts of a machine with it.

    The packages and the interpreter are those of the tests.
    """
    for name in (*CODE, *DOCUMENTS):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    environment = folder / ".venv"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = environment / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(f"/opt/python/bin/{version}")
    (environment / "pyvenv.cfg").write_text("home = /opt/python/bin\n")
    inside = packages.relative_to(folder)
    return {
        "/opt/python": interpreter(),
        "/opt/chatapi": folder,
        f"/opt/chatapi/{inside}": Path(sysconfig.get_path("purelib")).resolve(),
    }


def commands(page: str, after: str) -> list[str]:
    """Returns the lines of the first block of code after this text on a page of docs."""
    text = (ROOT / page).read_text()
    assert after in text
    [block] = re.findall(r"\A.*?\n\n((?:    [^\n]*\n)+)", text[text.index(after) :], re.DOTALL)
    return [line.strip() for line in block.splitlines()]
