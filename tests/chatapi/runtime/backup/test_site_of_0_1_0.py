"""A DATA_DIR that version 0.1.0 has written goes through backup, upgrade of PostgreSQL, and restore.

`site_of_0_1_0` is one of its demo site: 9 sent messages, one with a file, and 3 received ones whose hooks are retried.
"""

import gzip
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.data_folder import programs
from chatapi.runtime.postgres.discovery import NAME, ROLE, socket_folder
from tests.chatapi.runtime.backup.sites import back_up, restore, rows, send
from tests.chatapi.runtime.test_database_upgrade import create_data_16, upgrade
from tests.product import Product, manage, product_environment

pytestmark = pytest.mark.timeout(900)

STORED = Path(__file__).parent / "site_of_0_1_0"
MESSAGES = 9


def write_site(data_dir: Path, major: int) -> None:
    """Writes the DATA_DIR. Its database belongs to the superuser: 0.1.0 had no other role."""
    data_dir.mkdir(mode=0o755)
    for name in ("secret_key", "demo.json"):
        shutil.copy(STORED / name, data_dir / name)
    shutil.copytree(STORED / "media", data_dir / "media")
    if major == 16:
        create_data_16(data_dir / "pg")
    server = postgres_server.start(data_dir / "pg", major=major, thrown_away=True)
    try:
        host = str(socket_folder(data_dir / "pg"))
        with psycopg.connect(host=host, user=NAME, dbname="postgres", autocommit=True) as session:
            session.execute(f"DROP DATABASE {NAME}")
            session.execute(f"DROP ROLE {ROLE}")
            session.execute(f"CREATE DATABASE {NAME}")
        statements = gzip.decompress((STORED / "database.sql.gz").read_bytes())
        if major == 16:
            statements = statements.replace(b"SET transaction_timeout = 0;\n", b"")
        subprocess.run(
            [programs() / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--host={host}",
             f"--username={NAME}", NAME],
            input=statements, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        with psycopg.connect(host=host, user=NAME, dbname=NAME) as session:  # retention deletes old files
            session.execute("UPDATE instances_media SET expires_at = now() + interval '9 days'")
    finally:
        postgres_server.stop(server)


def assert_is_the_site(data_dir: Path) -> None:
    with Product(data_dir) as product:
        assert product.demo["instances"][0]["token"] in (STORED / "demo.json").read_text()
        assert send(product, "sendMessage", body="hello from this version")["sent"]
        for what in ("hooks", "messages"):
            checked = product.manage(what, "check")
            assert checked.returncode == 0, checked.stdout
    assert_has_the_rows(data_dir)


def assert_has_the_rows(data_dir: Path) -> None:
    [(sent,)] = rows(data_dir, "SELECT count(*) FROM instances_message WHERE from_me")
    assert sent >= MESSAGES
    [(path, file)] = rows(data_dir, "SELECT path, file_id FROM instances_media")
    assert (data_dir / "media" / path).read_bytes() == b"hello"
    assert file is None


def test_it_is_backed_up_as_it_is_and_restored_in_this_version(folder: Path) -> None:
    write_site(folder / "old", 18)
    done = back_up(folder / "old", folder / "backup.tar")
    assert done.returncode == 0, done.stderr
    assert "Files of messages: 1, 5 B." in done.stdout
    assert "hooks check: 1 instances checked, 0 wrong." in done.stdout
    # the backup has changed nothing: 0.1.0 could continue
    [(migrations,)] = rows(folder / "old", "SELECT count(*) FROM django_migrations")
    done = restore(folder / "new", folder / "backup.tar")
    assert done.returncode == 0, done.stderr
    assert rows(folder / "new", "SELECT count(*) FROM django_migrations") > [(migrations,)]
    assert_has_the_rows(folder / "new")
    for what in ("hooks", "messages"):
        checked = manage(what, "check", environment=product_environment(folder / "new"))
        assert checked.returncode == 0, checked.stdout


def test_it_is_upgraded_from_16_backed_up_and_restored(folder: Path) -> None:
    """Its DATA_DIR, and that of the new site, which starts, are symbolic links."""
    for name in ("old", "new"):
        (folder / name).symlink_to(folder / f"{name}-disk")
    write_site(folder / "old-disk", 16)
    done = upgrade(folder / "old")
    assert done.returncode == 0, done.stderr
    assert "hooks check: 1 instances checked, 0 wrong." in done.stdout
    done = back_up(folder / "old", folder / "backup.tar", "--no-verify")
    assert done.returncode == 0, done.stderr
    done = restore(folder / "new", folder / "backup.tar")
    assert done.returncode == 0, done.stderr
    assert_is_the_site(folder / "new")
