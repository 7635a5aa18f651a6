"""Started by root, the product runs as another user, and its role in the embedded PostgreSQL is no superuser."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from chatapi.runtime import unprivileged
from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import NAME, ROLE, socket_folder
from tests.deploy.site import CODE
from tests.faults import victims
from tests.matching import find_value
from tests.product import READY_SECONDS, ROOT, Product, product_environment
from tests.requirements import cannot_run

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)


@pytest.fixture(autouse=True)
def by_root() -> None:
    if os.getuid() != 0:
        cannot_run("Only root can become another user.")


# What the process is once it has left root; 2 is printed first if it returned without doing so.
REPORT = """
import os, socket, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
from chatapi.runtime.unprivileged import leave_root
leave_root()
from django.conf import settings
bound = "none"
if settings.PORT < 1024:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", settings.PORT))
        bound = "bound"
print(os.getuid(), os.getgid(), os.getgroups(), os.environ["HOME"], bound)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everyone may enter (pytest's own are closed to others)."""
    with tempfile.TemporaryDirectory(prefix="chatapi-user-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def daemon() -> pwd.struct_passwd:
    return pwd.getpwnam("daemon")


def report(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", REPORT], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env=product_environment(folder / "data", **environment),
    )  # fmt: skip


# -- the processes


def test_no_process_of_the_product_is_roots(product: Product) -> None:
    long_lived = {victim(product) for victim in (victims.web, victims.cluster, victims.database)}
    seen = set()
    for process in product.processes():
        try:
            uids, gids = process.uids(), process.gids()
            status = Path(f"/proc/{process.pid}/status").read_text()
        except (psutil.NoSuchProcess, OSError):  # a session of PostgreSQL that has ended, or autovacuum
            continue
        seen.add(process)
        assert set(uids) == {(product.data_dir / "pg").stat().st_uid}
        assert 0 not in gids
        effective = int(find_value(r"CapEff:\s*(\w+)", status), 16)
        assert effective & ~(1 << 2) == 0  # at most dac_read_search, if the interpreter lies below /root
    assert seen >= long_lived


def test_the_data_folder_belongs_to_the_user(product: Product) -> None:
    uid = (product.data_dir / "pg").stat().st_uid
    entries = [product.data_dir, *product.data_dir.iterdir(), *(product.data_dir / "static").rglob("*")]

    assert {entry.stat().st_uid for entry in entries} == {uid}
    assert stat.S_IMODE((product.data_dir / "secret_key").stat().st_mode) == 0o600


def test_media_folders_and_files_are_closed_to_others(product: Product) -> None:
    instance = product.demo["instances"][0]
    answer = requests.post(
        f"{product.url}/instance{instance['id']}/sendFile?token={instance['token']}",
        json={"phone": "17680561234", "filename": "a.txt", "body": "data:text/plain;base64,aGk="},
        timeout=60,
    ).json()
    assert answer["sent"] is True, answer

    found = [product.data_dir / "media", *(product.data_dir / "media").rglob("*")]
    assert any(path.is_file() for path in found)
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("command", ["worker", "dispatch"])
def test_the_background_commands_leave_root_too(folder: Path, command: str) -> None:
    """A `setpriv` of our own shows what it is called with, in place of running it."""
    shown = folder / "setpriv"
    shown.write_text('#!/bin/sh\ncase "$*" in *manage.py*) echo "$*"; exit 7;; esac\n')
    shown.chmod(0o755)
    environment = product_environment(folder / "data", DATABASE_URL="postgresql:///none?host=/none")

    done = subprocess.run(
        [sys.executable, "manage.py", command], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env=environment | {"PATH": f"{folder}:{os.environ['PATH']}"},
    )  # fmt: skip

    account = pwd.getpwnam("chatapi")
    assert done.returncode == 7
    assert done.stdout.startswith(f"--reuid {account.pw_uid} --regid {account.pw_gid} --clear-groups")
    assert done.stdout.strip().endswith(f"manage.py {command}")


def test_with_a_database_url_it_is_the_user_chatapi(folder: Path) -> None:
    done = report(folder, DATABASE_URL="postgresql:///none?host=/none")

    account = pwd.getpwnam("chatapi")
    assert done.stdout.split() == [str(account.pw_uid), str(account.pw_gid), "[]", account.pw_dir, "none"]


def test_run_as_user_names_the_user_also_of_postgresql(folder: Path, daemon: pwd.struct_passwd) -> None:
    done = report(folder, RUN_AS_USER="daemon", PORT="443")

    assert done.stdout.split()[0] == str(daemon.pw_uid)
    assert done.stdout.split()[-1] == "bound"  # a port below 1024
    assert (folder / "data" / "pg").stat().st_uid == daemon.pw_uid


def test_the_user_can_read_the_bytecode_that_roots_make_run_writes(folder: Path) -> None:
    """Otherwise each of its processes would compile the product again at each start."""
    code, environment = folder / "code", folder / "environment"
    code.mkdir()
    for name in ("Makefile", "requirements.lock", *CODE):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, code)
    environment.mkdir()
    (environment / "ready").touch()

    done = subprocess.run(
        ["make", "run", f"VENV={environment}", f"PY={sys.executable}"],
        cwd=code, env=product_environment(folder / "data", SITE_URL="wrong"), capture_output=True, text=True,
    )  # fmt: skip

    assert "SITE_URL: 'wrong' is not a URL" in done.stderr, done.stderr  # all pages have been imported
    written = [path for cache in code.rglob("__pycache__") for path in (cache, *cache.iterdir())]
    assert len(written) > 500
    assert not [path for path in written if not path.stat().st_mode & stat.S_IROTH]


def test_run_as_user_root_stays_root(folder: Path) -> None:
    assert report(folder, RUN_AS_USER="root").stdout.split()[0] == "0"


def test_a_folder_of_another_user_is_refused_in_one_sentence(folder: Path, daemon: pwd.struct_passwd) -> None:
    pg = folder / "data" / "pg"
    pg.mkdir(parents=True)
    os.chown(pg, daemon.pw_uid, daemon.pw_gid)

    done = report(folder, RUN_AS_USER="bin")

    assert done.returncode == 1
    assert (
        f"{pg} belongs to daemon, and RUN_AS_USER is bin; stop the product and run: chown -R" in done.stderr
    )


def test_without_setpriv_it_stays_root_and_warns(folder: Path) -> None:
    done = report(folder, DATABASE_URL="postgresql:///none?host=/none", PATH=str(folder))

    assert done.stdout.split()[0] == "0"
    assert done.stderr.startswith("Warning: the product runs as root. ")


# -- DATA_DIR


def test_what_root_owns_in_the_data_folder_is_given_away(folder: Path, daemon: pwd.struct_passwd) -> None:
    other = folder / "other"
    other.write_text("another user's")
    data = folder / "data"
    (data / "media" / "1").mkdir(parents=True)
    (data / "media" / "1" / "a.jpg").write_text("")
    (data / "pg").mkdir()
    (data / "secret_key").write_text("")
    (data / "link").symlink_to(other)
    (data / "media" / "link").symlink_to(other)
    os.link(other, data / "media" / "hard")
    os.link(other, data / "hard")

    unprivileged.give_data_dir(data, daemon)

    given = [data, data / "secret_key", data / "media", data / "media" / "1", data / "media" / "1" / "a.jpg"]
    assert {path.stat().st_uid for path in given} == {daemon.pw_uid}
    assert (data / "pg").stat().st_uid == 0  # PostgreSQL's folder has its own rule
    assert other.stat().st_uid == 0  # neither through a symbolic link nor a hard one


def test_a_folder_that_everyone_may_write_keeps_its_owner(folder: Path, daemon: pwd.struct_passwd) -> None:
    folder.chmod(0o1777)

    unprivileged.give_data_dir(folder, daemon)

    assert folder.stat().st_uid == 0


# -- the role


def test_the_role_of_the_product_is_no_superuser(product: Product) -> None:
    with psycopg.connect(
        host=str(socket_folder(product.data_dir / "pg")), user=ROLE, dbname=NAME
    ) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, False, False, False)
        for forbidden in ("COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('/etc/passwd')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(forbidden)


def test_a_database_of_the_superuser_is_given_to_the_role(folder: Path) -> None:
    """Version 0.1.0 created everything as the superuser."""
    path = folder / "pg"
    server = postgres_server.start(path, thrown_away=True)
    try:
        host = str(socket_folder(path))
        with psycopg.connect(host=host, user=NAME, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {NAME}")
            connection.execute(f"DROP ROLE {ROLE}")
            connection.execute(f"CREATE DATABASE {NAME}")
        with psycopg.connect(host=host, user=NAME, dbname=NAME) as connection:
            connection.execute("""
                CREATE TABLE "Hooks" (id bigint GENERATED BY DEFAULT AS IDENTITY, at date, n serial)
                    PARTITION BY RANGE (at);
                CREATE TABLE hooks_1 PARTITION OF "Hooks" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
                CREATE INDEX ON "Hooks" (at);
                CREATE SEQUENCE own_sequence;
                CREATE VIEW shown AS SELECT id FROM "Hooks";
                CREATE TYPE colour AS ENUM ('red');
                CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * $1';
                INSERT INTO "Hooks" (at) VALUES ('2026-05-01');
            """)

        postgres_server.make_database(path)
        postgres_server.make_database(path)  # at each start

        with psycopg.connect(host=host, user=ROLE, dbname=NAME) as connection:
            connection.execute("""
                ALTER TABLE "Hooks" ADD COLUMN body text;
                INSERT INTO "Hooks" (at) VALUES ('2026-06-01');
                CREATE TABLE hooks_2 PARTITION OF "Hooks" FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
                DROP TABLE hooks_1;
                ALTER SEQUENCE own_sequence RESTART WITH 5;
                DROP VIEW shown;
                ALTER TYPE colour ADD VALUE 'blue';
                DROP FUNCTION twice(integer);
            """)
            left = connection.execute(
                f"SELECT name FROM ({postgres_server.OWNED_BY_SUPERUSER}) AS f (class, oid, name) WHERE oid >= 16384"
            ).fetchall()
            assert left == []
    finally:
        postgres_server.stop(server)
