"""A wrong passphrase, a changed byte and a missing end are found before anything is changed."""

import random
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from chatapi.runtime.backup.errors import DamagedBackup
from chatapi.runtime.backup.restore import Options
from chatapi.runtime.backup.restore import restore as restore_in_this_process
from tests.chatapi.runtime.backup.sites import PASSPHRASE, restore

pytestmark = pytest.mark.timeout(600)


def assert_nothing_restored(data_dir: Path) -> None:
    assert [path.name for path in data_dir.iterdir()] == ["up.lock"]


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "The backup is encrypted. Give its passphrase by --passphrase-file"),
        ({"BACKUP_PASSPHRASE": "wrong"}, "The passphrase is not that of this backup."),
        ({"BACKUP_PASSPHRASE": ""}, "The passphrase is empty."),
        ({"BACKUP_PASSPHRASE_FILE": "/nowhere"}, "The passphrase cannot be read from /nowhere"),
    ],
)
def test_without_the_passphrase(
    encrypted: Path, folder: Path, environment: dict[str, str], sentence: str
) -> None:
    done = restore(folder / "new", encrypted, **environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (folder / "new" / "pg").exists()


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "something else"])
def test_damage_is_found(
    request: pytest.FixtureRequest, folder: Path, settings: Settings, kind: str, damage: str
) -> None:
    content = bytearray(request.getfixturevalue(kind).read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "truncated":
        del content[-len(content) // 3 :]
    elif damage == "empty":
        content.clear()
    else:
        content[:] = random.Random(7).randbytes(100_000)
    (folder / "backup").write_bytes(content)
    settings.DATA_DIR, settings.EMBEDDED_POSTGRES = folder / "new", True
    with pytest.raises(DamagedBackup, match="The backup is damaged: "):
        restore_in_this_process(folder / "backup", Options(PASSPHRASE), lambda line: None)
    assert_nothing_restored(folder / "new")


def test_the_command_says_that_a_backup_is_damaged(plain: Path, folder: Path) -> None:
    (folder / "backup").write_bytes(plain.read_bytes()[:-20_000])
    done = restore(folder / "new", folder / "backup")
    assert done.returncode == 1
    assert "The backup is damaged: " in done.stderr
    assert_nothing_restored(folder / "new")


def test_a_file_that_is_missing(folder: Path) -> None:
    done = restore(folder / "new", folder / "backup")
    assert done.returncode == 1
    assert f"{folder}/backup: No such file or directory." in done.stderr
