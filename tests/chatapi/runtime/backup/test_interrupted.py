"""kill -9 and a full disk leave a complete backup or none, and a DATA_DIR as it was or as restored."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatapi.runtime.backup import exchange
from tests.chatapi.runtime.backup.sites import (
    back_up,
    execute,
    files_of,
    lost_files,
    partial_files,
    restore,
    rows,
    trial_folders,
)
from tests.product import ROOT, Product, product_environment
from tests.requirements import cannot_run

pytestmark = pytest.mark.timeout(900)

KILLS = 6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150k,mode=755", "tmpfs", folder])
    if mounted.returncode:
        cannot_run("a small file system cannot be mounted")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def killed(seconds: float, data_dir: Path, *words: str) -> None:
    """Runs a command of manage.py, and kills it with its children after this time."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=product_environment(data_dir),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_killed_backup_leaves_no_file_that_could_be_taken_for_one(site: Product, folder: Path) -> None:
    began = time.monotonic()
    assert back_up(site.data_dir, folder / "first.tar").returncode == 0
    whole = time.monotonic() - began
    for part in range(1, KILLS):
        target = folder / f"{part}.tar"
        killed(whole * part / KILLS, site.data_dir, "backup", str(target))
        if target.exists():
            assert restore(folder / f"{part}", target).returncode == 0
    done = back_up(site.data_dir, folder / "last.tar")
    assert done.returncode == 0, done.stderr
    assert partial_files(folder) == []
    assert trial_folders(site.data_dir) == []


def test_a_killed_restore_leaves_the_old_site_or_the_new_one(plain: Path, folder: Path) -> None:
    site = folder / "site"
    began = time.monotonic()
    assert restore(site, plain).returncode == 0
    whole = time.monotonic() - began
    execute(site, "CREATE TABLE mine ()")
    before = files_of(site / "media")
    for part in range(1, KILLS):
        killed(whole * part / KILLS, site, "restore", str(plain), "--replace")
        if (site / "restore.json").exists():  # killed during the exchange, which takes a moment
            assert "An interrupted restore was completed." in restore(site, plain).stdout
        is_new = rows(site, "SELECT to_regclass('mine')") == [(None,)]
        assert files_of(site / "media") == before
        if is_new:
            execute(site, "CREATE TABLE mine ()")
    done = restore(site, plain, "--replace")
    assert done.returncode == 0, done.stderr
    assert rows(site, "SELECT to_regclass('mine')") == [(None,)]
    assert lost_files(site) == []
    assert trial_folders(site) == []


class Killed(Exception):
    """In the place of kill -9, between two renames."""


@pytest.mark.parametrize("renames", range(8))
def test_an_exchange_continues_wherever_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    write(tmp_path / "pg" / "data" / "version", "old")
    write(tmp_path / "media" / "file", "old")
    write(tmp_path / "secrets_key", "old")
    write(tmp_path / "dispatch" / "1.results", "old")
    for name in ("pg/data/version", "media/file", "secrets_key", "demo.json"):
        write(tmp_path / exchange.NEW / name, "new")
    done = 0
    rename = Path.rename

    def counted(self: Path, target: Path) -> Path:
        nonlocal done
        if done == renames:
            raise Killed
        done += 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", counted)
    with pytest.raises(Killed):
        exchange.exchange(tmp_path, "before")
    monkeypatch.undo()
    if not exchange.is_interrupted(tmp_path):
        assert (tmp_path / "pg" / "data" / "version").read_text() == "old"
        assert (tmp_path / "dispatch" / "1.results").read_text() == "old"
        exchange.exchange(tmp_path, "before")
    else:
        if not (tmp_path / "secrets_key").exists():
            (tmp_path / "secrets_key").write_text("created by the start of a command")
        (tmp_path / "pg").mkdir(exist_ok=True)
        assert exchange.finish(tmp_path) == tmp_path / "before"
    restored = {
        path: (tmp_path / path).read_text() for path in ("pg/data/version", "media/file", "secrets_key")
    }
    assert set(restored.values()) == {"new"}
    assert (tmp_path / "demo.json").read_text() == "new"
    aside = {
        str(path.relative_to(tmp_path / "before")): path.read_text() for path in found(tmp_path / "before")
    }
    assert aside == dict.fromkeys(
        ("pg/data/version", "media/file", "secrets_key", "dispatch/1.results"), "old"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "before", "demo.json", "media", "pg", "secrets_key",
    ]  # fmt: skip


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_postgresql_does_not_start_during_an_exchange(plain: Path, folder: Path, restored_copy: Path) -> None:
    (restored_copy / "restore.json").write_text('{"aside": "before", "old": []}')
    done = back_up(restored_copy, folder / "backup.tar")
    assert done.returncode == 1
    assert "was interrupted; run `manage.py restore` again, which completes it." in done.stderr
    done = restore(restored_copy, plain)
    assert done.returncode == 0, done.stderr
    assert "An interrupted restore was completed." in done.stdout
    assert lost_files(restored_copy) == []


def test_a_full_disk_leaves_no_file(site: Product, small_disk: Path) -> None:
    done = back_up(site.data_dir, small_disk / "backup.tar")
    assert done.returncode == 1
    assert f"The disk of {small_disk} is full" in done.stderr
    assert list(small_disk.iterdir()) == []


def test_a_restore_that_does_not_fit_changes_nothing(plain: Path, small_disk: Path) -> None:
    done = restore(small_disk / "new", plain)
    assert done.returncode == 1
    assert f"are needed in {small_disk / 'new'}, and" in done.stderr
    assert [path.name for path in (small_disk / "new").iterdir()] == ["up.lock"]


def test_a_backup_that_cannot_be_restored_is_kept_as_unverified(folder: Path, restored_copy: Path) -> None:
    """Rows are missing, as `hooks check` finds: the backup may still be the best that there is."""
    execute(restored_copy, "UPDATE hooks_tally SET emitted = emitted + 1")
    done = back_up(restored_copy, folder / "backup.tar")
    assert done.returncode == 1
    assert "hooks check: 1 instances checked, 1 wrong." in done.stderr
    assert not (folder / "backup.tar").exists()
    assert (folder / "backup.tar.unverified").exists()
