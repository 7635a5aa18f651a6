"""With DATABASE_URL: a PostgreSQL of one's own, of this version or an older one, is backed up and restored."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from chatapi.runtime.backup.client_programs import program_of
from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import NAME, socket_folder
from tests.chatapi.runtime.backup.sites import back_up, restore, rows
from tests.chatapi.runtime.test_database_upgrade import create_data_16
from tests.product import manage, product_environment

pytestmark = pytest.mark.timeout(600)

HOOKS = 500


@pytest.fixture(params=[16, 18])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Path]:
    """The folder of a running server; it has three databases without tables."""
    path = folder / "server" / "pg"
    path.parent.mkdir(mode=0o755)
    if request.param == 16:
        create_data_16(path)
    running = postgres_server.start(path, thrown_away=True, major=request.param)
    try:
        with psycopg.connect(
            host=str(socket_folder(path)), user=NAME, dbname=NAME, autocommit=True
        ) as session:
            for name in ("first", "second", "third"):
                session.execute(f"CREATE DATABASE {name}")
        yield path
    finally:
        postgres_server.stop(running)


def url_of(server: Path, name: str) -> str:
    """Returns a DATABASE_URL of two hosts, as of a cluster; the first one does not exist."""
    hosts = ",".join(
        f"{quote(str(folder), safe='')}:5432" for folder in (server / "lost", socket_folder(server))
    )
    return f"postgresql://{NAME}@{hosts}/{name}"


def test_from_one_server_to_another_and_to_the_embedded_postgresql(server: Path, folder: Path) -> None:
    first = {"DATABASE_URL": url_of(server, "first"), "HOOKS_ALLOW_NETWORKS": "127.0.0.0/8"}
    own = product_environment(folder / "first", **first)
    for words in (
        ("migrate", "--verbosity=0"),
        ("hooks", "load", "--count", str(HOOKS), "--instances", "2", "--url", "http://127.0.0.1:9/"),
    ):
        assert manage(*words, environment=own).returncode == 0
    with psycopg.connect(host=str(socket_folder(server)), user=NAME, dbname="first") as session:
        session.execute("CREATE EXTENSION vector")  # the operator's own

    done = back_up(folder / "first", folder / "backup.tar", "--verify", **first)
    assert done.returncode == 0, done.stderr
    assert "hooks check: 2 instances checked, 0 wrong." in done.stdout
    with tarfile.open(folder / "backup.tar") as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest
        about = json.load(manifest)
    assert about["pg_dump"] == about["postgresql"]

    second = first | {"DATABASE_URL": url_of(server, "second")}
    done = restore(folder / "second", folder / "backup.tar", "--pause", **second)
    assert done.returncode == 0, done.stderr
    assert "hooks check: 2 instances checked, 0 wrong." in done.stdout
    assert "2 instances stopped." in done.stdout
    assert (folder / "second" / "secrets_key").read_text() == (folder / "first" / "secrets_key").read_text()
    assert not (folder / "second" / "pg").exists()
    done = restore(folder / "other", folder / "backup.tar", **second)
    assert done.returncode == 1
    assert "The database of DATABASE_URL has tables already." in done.stderr

    done = restore(folder / "embedded", folder / "backup.tar")
    assert done.returncode == 0, done.stderr
    assert rows(folder / "embedded", "SELECT count(*) FROM hooks_hook") == [(HOOKS,)]


def test_which_programs_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatapi.runtime.backup.client_programs.system_programs", lambda name: [])
    assert "pginstall/" in str(program_of("pg_dump", 14))
    assert "pginstall/" in str(program_of("pg_dump", 16))
    assert "pginstall18/" in str(program_of("pg_dump", 17))
    assert "pginstall18/" in str(program_of("pg_restore", 18, dump=16))
    with pytest.raises(BackupError, match=r"No pg_dump for PostgreSQL 19 was found. .*postgresql-client-19"):
        program_of("pg_dump", 19)
    with pytest.raises(BackupError, match=r"that can use TLS was found"):
        program_of("pg_dump", 18, tls=True)
    with pytest.raises(BackupError, match=r"made with pg_dump 18, and the server is PostgreSQL 16"):
        program_of("pg_restore", 16, dump=18)
    monkeypatch.setattr(
        "chatapi.runtime.backup.client_programs.system_programs",
        lambda name: [(19, Path("/usr/bin/pg_dump"))],
    )
    assert program_of("pg_dump", 19, tls=True) == Path("/usr/bin/pg_dump")
