"""A site for the tests of this folder, running, and its backups, plain and encrypted."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chatapi.runtime.backup.sites import PASSPHRASE, back_up, restore, send, send_file
from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that everyone may enter, as PostgreSQL's user must; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="chatapi-backup-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def site(open_folder: Path) -> Iterator[Product]:
    """A running site with delivered and waiting hooks, messages and files."""
    with Product(open_folder / "site") as product, Receiver() as receiver:
        rest = Rest(product)
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url, "ackNotificationsOn": True})
        for number in range(20):
            send(product, "sendMessage", body=f"hello {number}")
            send_file(product, b"content %d" % number * 100)
        receiver.wait_for(20, 60)
        yield product


@pytest.fixture(scope="session")
def plain(site: Product, open_folder: Path) -> Path:
    """A backup without a passphrase."""
    done = back_up(site.data_dir, open_folder / "plain.tar", "--no-verify")
    assert done.returncode == 0, done.stderr
    return open_folder / "plain.tar"


@pytest.fixture(scope="session")
def encrypted(site: Product, open_folder: Path) -> Path:
    """A backup with PASSPHRASE."""
    done = back_up(
        site.data_dir, open_folder / "encrypted.tar.age", "--no-verify", BACKUP_PASSPHRASE=PASSPHRASE
    )
    assert done.returncode == 0, done.stderr
    return open_folder / "encrypted.tar.age"


@pytest.fixture(scope="session")
def restored(plain: Path, open_folder: Path) -> Path:
    """A DATA_DIR into which the backup was restored, stopped. Tests use copies."""
    done = restore(open_folder / "restored", plain)
    assert done.returncode == 0, done.stderr
    return open_folder / "restored"


@pytest.fixture
def restored_copy(restored: Path, folder: Path) -> Path:
    """The test's own copy of it: `folder`/site."""
    subprocess.run(["cp", "--archive", restored, folder / "site"], check=True)
    return folder / "site"


@pytest.fixture
def folder(open_folder: Path) -> Iterator[Path]:
    """An empty folder of this test."""
    with tempfile.TemporaryDirectory(dir=open_folder) as path:
        os.chmod(path, 0o755)
        yield Path(path)
