"""A PostgreSQL server of a test's own, which it may stop and start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.databases import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path)
    yield made
    made.stop()
