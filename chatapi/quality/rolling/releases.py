"""released.json: the last migration of each app in each release, oldest release first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from django.db.migrations.loader import MigrationLoader

RECORD = Path(__file__).with_name("released.json")

Last = Mapping[str, str]  # the last migration of each app


def last_released() -> Last:
    """Returns the last migrations of the newest release in released.json."""
    releases: dict[str, dict[str, str]] = json.loads(RECORD.read_text())
    return list(releases.values())[-1]


def released_apps() -> set[str]:
    """Returns the apps with migrations of all releases so far, also of those that were removed since."""
    return {app for last in json.loads(RECORD.read_text()).values() for app in last}


def record_release(version: str, loader: MigrationLoader) -> None:
    """Write the last migrations of now into released.json, as those of this release."""
    releases = json.loads(RECORD.read_text())
    releases.pop(version, None)
    releases[version] = dict(sorted(loader.graph.leaf_nodes()))
    RECORD.write_text(json.dumps(releases, indent=2) + "\n")
