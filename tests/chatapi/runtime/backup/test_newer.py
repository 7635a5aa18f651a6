"""A backup is of a newer program if it has a migration that this one does not know, or a newer format."""

from typing import Any

import pytest
from django.db.migrations.loader import MigrationLoader

from chatapi import __version__
from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.restore import raise_if_newer


def manifest(*more: str, version: str = __version__) -> dict[str, Any]:
    applied = [f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations]
    return {"version": version, "migrations": [*applied, *more]}


@pytest.mark.parametrize("version", ["0.1.0", __version__, "99.0.0"])
def test_the_version_alone_does_not_matter(version: str) -> None:
    """A later version without a new migration has the same tables."""
    raise_if_newer(manifest(version=version))


def test_a_database_without_tables_is_not_newer() -> None:
    raise_if_newer({"version": __version__, "migrations": []})


@pytest.mark.parametrize("name", ["hooks.9999_future", "new_app.0001_initial"])
@pytest.mark.parametrize("version", [__version__, "99.0.0"])
def test_a_migration_that_is_not_known_is_newer(name: str, version: str) -> None:
    with pytest.raises(BackupError) as refused:
        raise_if_newer(manifest(name, version=version))
    assert str(refused.value) == (
        f"The backup was made by a newer version ({version}) of this program, {__version__} does not know its "
        f"migration {name}. Install that version, and run this again."
    )
