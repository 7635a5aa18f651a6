"""Folders on small disks, databases with a fault, and sites with a front."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from chatapi.runtime.postgres.discovery import Server
from tests.faults.databases import superuser
from tests.requirements import cannot_run

PointedAt = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system in memory with these options, such as "size=1m,nr_inodes=20"; returns its folder."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            cannot_run(f"a file system cannot be mounted: {done.stderr}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def admin(database_server: Server) -> Iterator[psycopg.Connection[Any]]:
    """A session of the superuser on the server of the tests."""
    with psycopg.connect(superuser(database_server.path), autocommit=True) as session:
        yield session


@pytest.fixture
def pointed_at(django_db_blocker: Any, database_server: Server) -> PointedAt:
    """`with pointed_at(NAME=…, USER=…):` the checks use another database, user or server."""

    @contextmanager
    def changed(**parameters: Any) -> Iterator[None]:
        before = dict(connection.settings_dict)
        with django_db_blocker.unblock():
            connection.close()
            connection.settings_dict.update(parameters)
            try:
                yield
            finally:
                connection.close()
                connection.settings_dict.clear()
                connection.settings_dict.update(before)

    return changed
