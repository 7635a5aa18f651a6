"""The environment: every variable documented, files for secrets, no traceback from a wrong value."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.product import ROOT, product_environment

SHOW = """
import json
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in __import__("sys").argv[1:]}, default=str))
"""


def settings(folder: Path, *names: str, **environment: str) -> dict[str, Any]:
    """These settings as a process with this environment sees them."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *names], cwd=ROOT, capture_output=True, text=True, check=True,
        env=product_environment(folder, DJANGO_SETTINGS_MODULE="chatapi.settings", **environment),
    )  # fmt: skip
    return json.loads(done.stdout)


def test_every_variable_stands_in_the_documentation_and_no_other() -> None:
    read = set(re.findall(r'\bread\(env\.\w+, "(\w+)"', (ROOT / "chatapi" / "settings.py").read_text()))
    told = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))
    assert told == read
    assert len(read) >= 20


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-file\n")
    assert settings(tmp_path, "SECRET_KEY", SECRET_KEY_FILE=str(tmp_path / "key")) == {
        "SECRET_KEY": "of-the-file"
    }


def test_the_secret_key_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    first = settings(tmp_path / "data", "SECRET_KEY")
    assert settings(tmp_path / "data", "SECRET_KEY") == first
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"), ("DATABASE_URL", "mysql://root@host/db"), ("DATABASE_URL", "postgresql://h:port/db"),
        ("SITE_URL", "http://["), ("DEBUG", "perhaps"), ("EMAIL_URL", "pigeon://roof"), ("LOG_LEVEL", "LOUD"),
        ("SECRET_KEY_FILE", "/no/such/file"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_kept_for_the_checks_and_raises_nothing(
    tmp_path: Path, variable: str, value: str
) -> None:
    found = settings(tmp_path, "SETTINGS_ERRORS", "LOGGING", **{variable: value})["SETTINGS_ERRORS"]
    by_checks = {"SITE_URL", "LOG_LEVEL"}  # these are read, and judged by chatapi/checks.py
    assert [name for name, _ in found] == ([] if variable in by_checks else [variable.removesuffix("_FILE")])


def test_a_database_url_is_taken_apart(tmp_path: Path) -> None:
    given = "postgresql://ann:p%40ss@db.example.com:6432/chat?sslmode=require"
    [database] = settings(tmp_path, "DATABASES", DATABASE_URL=given)["DATABASES"].values()
    assert {key: database[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")} == {
        "NAME": "chat",
        "USER": "ann",
        "PASSWORD": "p@ss",
        "HOST": "db.example.com",
        "PORT": "6432",
        "OPTIONS": {"connect_timeout": 10, "sslmode": "require"},
    }
