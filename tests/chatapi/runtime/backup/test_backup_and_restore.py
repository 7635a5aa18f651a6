"""A running site is backed up under load, restored elsewhere, and is the same site there."""

import json
import shutil
import stat
import tarfile
from pathlib import Path

import pytest
import requests

from chatapi.runtime.backup import exchange
from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import NAME, ROLE, socket_folder
from tests.chatapi.runtime.backup.sites import (
    PASSPHRASE,
    Load,
    back_up,
    execute,
    files_of,
    lost_files,
    partial_files,
    restore,
    rows,
    send,
    trial_folders,
)
from tests.instances.media.test_media_s3 import Store
from tests.product import Product
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(600)


def test_backup_under_load_is_one_moment_of_the_site(site: Product, folder: Path) -> None:
    with Load(site) as load:
        done = back_up(site.data_dir, folder / "backup.tar")
    assert done.returncode == 0, done.stderr
    assert load.errors == []
    assert "hooks check: 1 instances checked, 0 wrong." in done.stdout
    assert "messages check: 1 instances checked, 0 wrong." in done.stdout
    assert "It is NOT encrypted, and contains the keys" in done.stdout
    assert trial_folders(site.data_dir) == []
    restored = restore(folder / "new", folder / "backup.tar")
    assert restored.returncode == 0, restored.stderr
    assert lost_files(folder / "new") == []
    files = {path.name for path in (folder / "new" / "media").rglob("*") if path.is_file()}
    assert (
        len(files) == rows(folder / "new", "SELECT count(*) FROM instances_storedfile WHERE is_stored")[0][0]
    )


def test_restored_site_starts_and_has_the_tokens_and_files_of_the_first(
    site: Product, encrypted: Path, folder: Path
) -> None:
    done = restore(folder / "new", encrypted, BACKUP_PASSPHRASE=PASSPHRASE)
    assert done.returncode == 0, done.stderr
    assert "before-restore" not in done.stdout
    with Product(folder / "new") as copy:
        assert copy.demo["instances"][0]["token"] == site.demo["instances"][0]["token"]
        assert send(copy, "sendMessage", body="from the copy")["sent"]
        headers = {"Authorization": f"Bearer {copy.demo['uid']}"}
        answer = requests.get(f"{copy.url}/api/v1/hooks/", headers=headers, timeout=60)
        assert len(answer.json()["results"]) >= 20
        checked = copy.manage("hooks", "check")
        assert checked.returncode == 0, checked.stdout
    assert lost_files(folder / "new") == []


def test_a_backup_says_what_it_contains(site: Product, plain: Path) -> None:
    assert stat.S_IMODE(plain.stat().st_mode) == 0o600
    with tarfile.open(plain) as archive:
        names = archive.getnames()
        readme = archive.extractfile("README.txt")
        manifest = archive.extractfile("manifest.json")
        key = archive.extractfile("keys/secrets_key")
        assert readme and manifest and key
        assert "the keys that decrypt it" in readme.read().decode()
        about = json.load(manifest)
        assert key.read().decode() == (site.data_dir / "secrets_key").read_text()
    assert names[0] == "README.txt"
    assert names[-2:] == ["manifest.json", "manifest.sha256"]
    assert about["migrations"] and about["version"]
    assert about["parts"]["media"]["members"] == sum(name.startswith("media/") for name in names)


def test_a_backup_without_keys_needs_those_of_the_environment(site: Product, folder: Path) -> None:
    done = back_up(site.data_dir, folder / "backup.tar", "--no-verify", "--without-keys", "--without-media")
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / "backup.tar") as archive:
        assert {name.split("/")[0] for name in archive.getnames()} == {
            "README.txt", "database", "manifest.json", "manifest.sha256",
        }  # fmt: skip
    done = restore(folder / "new", folder / "backup.tar")
    assert done.returncode == 1
    assert (
        "SECRETS_KEY: the backup has secrets that were encrypted with a key that is not in it" in done.stderr
    )
    assert [path.name for path in (folder / "new").iterdir()] == ["up.lock"]
    done = restore(
        folder / "new", folder / "backup.tar", SECRETS_KEY=(site.data_dir / "secrets_key").read_text()
    )
    assert done.returncode == 0, done.stderr


def test_a_folder_gets_a_file_named_by_the_time(site: Product, folder: Path) -> None:
    secret = folder / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    done = back_up(site.data_dir, folder, "--no-verify", "--passphrase-file", str(secret))
    assert done.returncode == 0, done.stderr
    [written] = folder.glob("chatapi-*.tar.age")
    assert written.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert str(written) in done.stdout
    assert partial_files(folder) == []
    # the line feed at the end of the file is not part of it
    assert restore(folder / "new", written, BACKUP_PASSPHRASE=PASSPHRASE).returncode == 0


def test_a_file_that_exists_is_not_overwritten(site: Product, folder: Path) -> None:
    (folder / "mine").write_text("mine")
    done = back_up(site.data_dir, folder / "mine", "--no-verify")
    assert done.returncode == 1
    assert f"{folder}/mine exists already" in done.stderr
    assert (folder / "mine").read_text() == "mine"


def test_restore_refuses_a_running_site_by_any_name(site: Product, plain: Path, folder: Path) -> None:
    (folder / "link").symlink_to(site.data_dir)
    for name in (site.data_dir, folder / "link"):
        done = restore(name, plain, "--replace")
        assert done.returncode == 1
        assert f"`manage.py up` is already running on {site.data_dir}" in done.stderr
    site.wait_for_ready()


def test_restore_refuses_a_running_postgresql_by_any_name(
    plain: Path, folder: Path, restored_copy: Path
) -> None:
    """One that a killed command has left. 0.1.0 started it by the name in DATA_DIR, which may be a symbolic link."""
    (folder / "link").symlink_to(restored_copy)
    server = postgres_server.start(folder / "link" / "pg")
    try:
        for name in ("site", "link"):
            done = restore(folder / name, plain, "--replace")
            assert done.returncode == 1
            assert f"PostgreSQL (process {server.pid}) runs on {restored_copy}" in done.stderr
    finally:
        postgres_server.stop(server)


def test_restore_refuses_data_unless_told_and_then_keeps_it(plain: Path, restored_copy: Path) -> None:
    site = restored_copy
    execute(site, "CREATE TABLE mine AS SELECT 7 AS seven")
    before = files_of(site)
    done = restore(site, plain)
    assert done.returncode == 1
    assert f"{site} has data already (data, media)" in done.stderr
    assert files_of(site) == before
    done = restore(site, plain, "--replace")
    assert done.returncode == 0, done.stderr
    assert rows(site, "SELECT to_regclass('mine')") == [(None,)]
    [aside] = site.glob("before-restore-*")
    assert f"What was there is in {aside}" in done.stdout
    assert {path.name for path in aside.iterdir()} >= {"pg", "media", "secret_key", "secrets_key"}
    assert rows(aside, "SELECT seven FROM mine") == [(7,)]


def test_the_statements_of_a_backup_are_not_executed_by_the_superuser(
    folder: Path, restored_copy: Path
) -> None:
    """A backup may have been changed: a materialized view in it runs a query while it is restored."""
    execute(
        restored_copy,
        f"SET ROLE {ROLE}; CREATE MATERIALIZED VIEW restored_by AS SELECT session_user::text AS name",
    )
    assert rows(restored_copy, "SELECT name FROM restored_by") == [(NAME,)]
    done = back_up(restored_copy, folder / "backup.tar", "--no-verify")
    assert done.returncode == 0, done.stderr
    done = restore(folder / "new", folder / "backup.tar")
    assert done.returncode == 0, done.stderr
    assert rows(folder / "new", "SELECT name FROM restored_by") == [(ROLE,)]


def test_other_keys_in_the_environment_are_reported(plain: Path, folder: Path) -> None:
    """They take precedence, and the site would not start with them."""
    done = restore(folder / "new", plain, SECRETS_KEY="0" * 40)
    assert done.returncode == 0, done.stderr
    assert (
        f"Warning: SECRETS_KEY is set, and is not the one of the backup, which is in {folder}" in done.stdout
    )


def test_a_path_too_long_for_a_socket(plain: Path, folder: Path) -> None:
    target = folder / ("x" * 100)
    sockets = socket_folder(target / exchange.NEW / "pg")
    assert sockets.parent == Path("/tmp")
    done = restore(target, plain)
    assert done.returncode == 0, done.stderr
    assert not sockets.exists()


def test_files_in_a_bucket(plain: Path, folder: Path) -> None:
    assert restore(folder / "site", plain).returncode == 0
    media = folder / "site" / "media"
    files = {
        f"files/{path.relative_to(media)}": path.read_bytes() for path in media.rglob("*") if path.is_file()
    }
    shutil.rmtree(media)
    for new, content in (("site", files), ("new", {})):
        store = Store()
        store.files = dict(content)
        with Receiver(store) as server:
            bucket = {
                "MEDIA_S3_BUCKET": "bucket", "MEDIA_S3_ENDPOINT": server.url.removesuffix("/hook"),
                "MEDIA_S3_REGION": "eu-1", "MEDIA_S3_PREFIX": "files",
                "MEDIA_S3_ACCESS_KEY": "key", "MEDIA_S3_SECRET_KEY": "secret",
            }  # fmt: skip
            if new == "site":
                done = back_up(folder / "site", folder / "backup.tar", "--no-verify", **bucket)
            else:
                done = restore(folder / "new", folder / "backup.tar", **bucket)
            assert done.returncode == 0, done.stderr
        assert store.files == files
    assert not (folder / "new" / "media").exists()
