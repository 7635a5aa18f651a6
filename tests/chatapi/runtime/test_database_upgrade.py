"""The embedded PostgreSQL goes from 16 to 18 with its data, back again, and survives kill -9 at any moment."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.data_folder import environment, programs
from chatapi.runtime.postgres.discovery import NAME, ROLE, socket_folder
from chatapi.runtime.postgres.system_user import folder_with_owner, prefix
from tests.faults.databases import url_of
from tests.product import ROOT, Product, manage, product_environment
from tests.requirements import cannot_run

pytestmark = pytest.mark.timeout(900)

HOOKS = 3000


@pytest.fixture(scope="module")
def old_site() -> Iterator[Path]:
    """A DATA_DIR whose database is PostgreSQL 16, with instances and hooks. Tests use copies."""
    with tempfile.TemporaryDirectory(prefix="chatapi-upgrade-") as name:
        os.chmod(name, 0o755)
        folder = Path(name) / "old"
        folder.mkdir(mode=0o755)
        create_data_16(folder / "pg")
        server = postgres_server.start(folder / "pg", major=16, thrown_away=True)
        try:
            assert ask(folder, "SELECT current_setting('server_version_num')::int / 10000") == 16
            own = product_environment(
                folder, DATABASE_URL=url_of(folder / "pg").replace(f"user={NAME}", f"user={ROLE}")
            )
            url = "http://127.0.0.1:9/"
            for words in (
                ("migrate", "--verbosity=0"),
                ("hooks", "load", "--count", str(HOOKS), "--instances", "7", "--url", url),
            ):
                done = manage(*words, environment=own | {"HOOKS_ALLOW_NETWORKS": "127.0.0.0/8"})
                assert done.returncode == 0, done.stderr
        finally:
            postgres_server.stop(server)
        yield folder


def create_data_16(path: Path) -> None:
    account = folder_with_owner(path)
    folder = programs(16)
    words = prefix(account, [folder / "postgres", path], False)
    subprocess.run(
        [*words, folder / "initdb", "--pgdata", path / "data", "--username", NAME, "--auth", "trust",
         "--encoding", "UTF8", "--locale", "C", "--no-sync"],
        check=True, capture_output=True, cwd="/", env=environment(),
    )  # fmt: skip


@pytest.fixture
def data_dir(old_site: Path) -> Iterator[Path]:
    folder = old_site.with_name(f"copy-{time.monotonic_ns()}")
    subprocess.run(["cp", "--archive", old_site, folder], check=True)
    yield folder
    shutil.rmtree(folder)


def upgrade(data_dir: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return manage("upgrade-database", *words, environment=product_environment(data_dir))


def ask(data_dir: Path, query: str) -> object:
    host = str(socket_folder(data_dir / "pg"))
    with psycopg.connect(host=host, user=NAME, dbname=NAME) as session:
        row = session.execute(query).fetchone()
        assert row
        return row[0]


def version(folder: Path) -> str:
    return (folder / "PG_VERSION").read_text().strip()


def assert_upgraded(data_dir: Path) -> None:
    assert version(data_dir / "pg" / "data") == "18"
    assert not (data_dir / "upgraded").exists()
    with postgres_server.running(data_dir / "pg"):
        assert ask(data_dir, "SELECT count(*) FROM hooks_hook") == HOOKS
        assert ask(data_dir, "SELECT current_setting('data_checksums')") == "on"
        assert ask(data_dir, "SELECT datcollate FROM pg_database WHERE datname = 'chatapi'") == "C"
        assert ask(data_dir, "SELECT tableowner FROM pg_tables WHERE tablename = 'hooks_hook'") == ROLE
        assert ask(data_dir, "SELECT count(*) FROM pg_stats WHERE tablename = 'hooks_hook'") != 0
    done = manage("hooks", "check", environment=product_environment(data_dir))
    assert done.returncode == 0, done.stdout


def test_from_16_to_18_and_back(data_dir: Path) -> None:
    refused = manage("hooks", "check", environment=product_environment(data_dir))
    assert refused.returncode == 1
    assert "run `manage.py upgrade-database`, which keeps the old data" in refused.stderr
    done = upgrade(data_dir)
    assert done.returncode == 0, done.stderr
    assert "hooks check: 7 instances checked, 0 wrong." in done.stdout
    assert "messages check: 7 instances checked, 0 wrong." in done.stdout
    assert f"The old data is kept in {data_dir}/pg/data-16" in done.stdout
    assert_upgraded(data_dir)
    assert "The database is PostgreSQL 18 already." in upgrade(data_dir).stdout

    done = upgrade(data_dir, "--roll-back")
    assert done.returncode == 0, done.stderr
    assert version(data_dir / "pg" / "data") == "16"
    server = postgres_server.start(data_dir / "pg", major=16)
    assert ask(data_dir, "SELECT count(*) FROM hooks_hook") == HOOKS
    postgres_server.stop(server)

    assert upgrade(data_dir).returncode == 0
    done = upgrade(data_dir, "--confirm")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (data_dir / "pg").glob("data*")) == ["data"]
    assert "There is no old data to return to." in upgrade(data_dir, "--roll-back").stderr
    with Product(data_dir) as product:
        assert product.manage("hooks", "check").returncode == 0


def test_it_refuses_a_running_database(data_dir: Path) -> None:
    server = postgres_server.start(data_dir / "pg", major=16, thrown_away=True)
    try:
        done = upgrade(data_dir)
        assert done.returncode == 1
        assert f"PostgreSQL (process {server.pid}) runs on {data_dir}" in done.stderr
        assert ask(data_dir, "SELECT 1") == 1
    finally:
        postgres_server.stop(server)


def test_it_continues_or_starts_over_after_kill_9(data_dir: Path) -> None:
    """Killed after 1/9, 2/9 … of the time that an upgrade takes here; then without a kill."""
    began = time.monotonic()
    rehearsal = data_dir.with_name(f"{data_dir.name}-rehearsal")
    subprocess.run(["cp", "--archive", data_dir, rehearsal], check=True)
    assert upgrade(rehearsal).returncode == 0
    whole = time.monotonic() - began
    shutil.rmtree(rehearsal)
    for part in range(1, 9):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "upgrade-database"], cwd=ROOT, env=product_environment(data_dir),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        time.sleep(whole * part / 9)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        # between the two renames, pg/data does not exist
        found = next(
            path for path in (data_dir / "pg" / "data", data_dir / "pg" / "data-16") if path.exists()
        )
        assert version(found) in ("16", "18")
    done = upgrade(data_dir)
    assert done.returncode == 0, done.stderr
    assert_upgraded(data_dir)
    assert version(data_dir / "pg" / "data-16") == "16"


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_interrupted_between_its_renames_it_continues(data_dir: Path, renamed: int) -> None:
    """What a kill leaves once the new data is complete: no name, one or both names are changed."""
    assert upgrade(data_dir).returncode == 0
    pg, new = data_dir / "pg", data_dir / "upgraded"
    (new / "pg").mkdir(parents=True)
    (new / "complete").touch()
    if renamed < 2:
        (pg / "data").rename(new / "pg" / "data")
    if renamed < 1:
        (pg / "data-16").rename(pg / "data")
    if renamed == 1:
        refused = manage("hooks", "check", environment=product_environment(data_dir))
        assert "An upgrade of the database" in refused.stderr
        assert "was interrupted; run `manage.py upgrade-database`" in refused.stderr
    done = upgrade(data_dir)
    assert done.returncode == 0, done.stderr
    assert "An interrupted upgrade was completed." in done.stdout
    assert_upgraded(data_dir)
    assert version(pg / "data-16") == "16"


def test_an_interrupted_roll_back_continues(data_dir: Path) -> None:
    (data_dir / "pg" / "data").rename(data_dir / "pg" / "data-16")
    done = upgrade(data_dir)
    assert done.returncode == 0, done.stderr
    assert "The database is PostgreSQL 16 again." in done.stdout
    assert version(data_dir / "pg" / "data") == "16"


def test_a_full_disk_changes_nothing(old_site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", folder])
    if mounted.returncode:
        cannot_run("a small file system cannot be mounted")
    try:
        subprocess.run(["cp", "--archive", old_site, folder / "site"], check=True)
        done = upgrade(folder / "site")
        assert done.returncode == 1
        assert "are needed in" in done.stderr or "No space left" in done.stderr
        assert "The old data is as it was." in done.stderr
        assert not (folder / "site" / "upgraded").exists()
        server = postgres_server.start(folder / "site" / "pg", major=16)
        assert ask(folder / "site", "SELECT count(*) FROM hooks_hook") == HOOKS
        postgres_server.stop(server)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
