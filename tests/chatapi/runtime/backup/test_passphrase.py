"""Where the passphrase of a backup comes from, and which ones are refused."""

from pathlib import Path

import pytest

from chatapi.runtime.backup.errors import BackupError
from chatapi.runtime.backup.passphrase import read_passphrase


def test_it_is_read_from_the_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_passphrase(None) is None
    monkeypatch.setenv("BACKUP_PASSPHRASE", "from the environment")
    assert read_passphrase(None) == "from the environment"
    (tmp_path / "passphrase").write_text(" from the file \r\n")
    assert read_passphrase(str(tmp_path / "passphrase")) == " from the file "
    monkeypatch.setenv("BACKUP_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    assert read_passphrase(None) == " from the file "


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (b"", "The passphrase is empty."),
        (b" \n", "The passphrase is empty."),
        (b"caf\xe9", "BACKUP_PASSPHRASE is not UTF-8."),
    ],
)
def test_what_is_no_passphrase_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: bytes, sentence: str
) -> None:
    monkeypatch.setenv("BACKUP_PASSPHRASE", value.decode(errors="surrogateescape"))
    with pytest.raises(BackupError, match=sentence):
        read_passphrase(None)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_bytes(b"caf\xe9")
    with pytest.raises(BackupError, match=r"The passphrase cannot be read from .*passphrase"):
        read_passphrase(str(tmp_path / "passphrase"))
