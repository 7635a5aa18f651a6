"""A wrong passphrase, a changed byte and a missing end are found before anything is changed."""

import random
from pathlib import Path

import pytest

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
def test_damage_is_found(request: pytest.FixtureRequest, folder: Path, kind: str, damage: str) -> None:
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
    done = restore(folder / "new", folder / "backup", BACKUP_PASSPHRASE=PASSPHRASE)
    assert done.returncode == 1
    assert "The backup is damaged: " in done.stderr
    assert_nothing_restored(folder / "new")


def test_a_file_that_is_missing(folder: Path) -> None:
    done = restore(folder / "new", folder / "backup")
    assert done.returncode == 1
    assert f"{folder}/backup: No such file or directory." in done.stderr
