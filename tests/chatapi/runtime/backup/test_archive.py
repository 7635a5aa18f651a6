"""The file format: every changed byte that matters is found; age's own program reads what is encrypted."""

import io
import json
import os
import pty
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.runtime.backup import age
from chatapi.runtime.backup.age import CHUNK, AgeReader, AgeWriter, WrongPassphrase
from chatapi.runtime.backup.archive import ArchiveReader, ArchiveWriter, verify
from chatapi.runtime.backup.errors import BackupError, DamagedBackup
from tests.requirements import cannot_run


def archive(**about: object) -> bytes:
    raw = io.BytesIO()
    writer = ArchiveWriter(raw)
    writer.add("README.txt", b"a backup")
    writer.add("keys/secret_key", b"secret")
    writer.add_stream("database", io.BytesIO(b"0123456789" * 1_000_000))
    writer.add("media/account-1/file", b"content")
    writer.finish(version="0.1.0", migrations=[], **about)
    return raw.getvalue()


def contents(raw: bytes) -> dict[str, bytes]:
    found = {}
    reader = ArchiveReader(io.BytesIO(raw))
    for member in reader:
        parts = []
        while data := member.content.read(1000):
            parts.append(data)
        found[member.name] = b"".join(parts)
    assert reader.manifest["version"] == "0.1.0"
    return found


def test_what_is_written_is_read() -> None:
    found = contents(archive())
    assert list(found) == [
        "README.txt", "keys/secret_key", *(f"database/{n:06}" for n in range(3)), "media/account-1/file",
    ]  # fmt: skip
    assert b"".join(data for name, data in found.items() if name.startswith("database/")) == (
        b"0123456789" * 1_000_000
    )


WHOLE = archive()


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_is_found_unless_nothing_depends_on_it(at: int, bit: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= 1 << bit
    try:
        assert contents(bytes(changed)) == contents(WHOLE)  # in the filling between members
    except DamagedBackup:
        pass


@given(st.integers(0, len(WHOLE) - 3 * 512))
@settings(max_examples=40, deadline=None)
def test_a_missing_end_is_found(length: int) -> None:
    with pytest.raises(DamagedBackup):
        contents(WHOLE[: min(length, WHOLE.index(b"manifest.sha256"))])


def test_a_format_of_the_future_is_refused(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        text = json.dumps({"format": 2, "version": "3.0.0", "parts": {}}).encode()
        for name, data in (
            ("manifest.json", text),
            ("manifest.sha256", f"{sha256(text).hexdigest()}  manifest.json\n".encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (tmp_path / "backup").write_bytes(raw.getvalue())
    with pytest.raises(BackupError, match=r"made by a newer version \(3\.0\.0\)"):
        verify(tmp_path / "backup", None)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_age_of_any_length(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "WORK_FACTOR", 4)  # for speed
    content, raw = bytes(n % 251 for n in range(size)), io.BytesIO()
    writer = AgeWriter(raw, "secret")
    for begin in range(0, size, 10_000):
        writer.write(content[begin : begin + 10_000])
    writer.close()
    assert AgeReader(io.BytesIO(raw.getvalue()), "secret").read() == content
    with pytest.raises(WrongPassphrase):
        AgeReader(io.BytesIO(raw.getvalue()), "Secret")
    for changed in (raw.getvalue()[:-1], raw.getvalue()[: -CHUNK - 16], raw.getvalue() + b"x"):
        with pytest.raises(DamagedBackup):
            AgeReader(io.BytesIO(changed), "secret").read()


def with_terminal(command: list[str], passphrase: str, answers: int) -> None:
    """Runs age, which reads passphrases from its terminal only."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    said = b""
    for _ in range(answers):
        while not said.rstrip().endswith(b":"):
            said += os.read(terminal, 1000)
        os.write(terminal, f"{passphrase}\n".encode())
        said = b""
    try:
        while os.read(terminal, 1000):
            pass
    except OSError:  # the end of the process
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)


@pytest.mark.parametrize("size", [5, CHUNK, 2 * CHUNK + 1])
def test_the_program_age_decrypts_ours_and_we_decrypt_its(tmp_path: Path, size: int) -> None:
    if not shutil.which("age"):
        cannot_run("age is missing (Debian: apt-get install age)")
    content = bytes(n % 251 for n in range(size))
    with open(tmp_path / "ours.age", "wb") as file:
        writer = AgeWriter(file, "correct horse")
        writer.write(content)
        writer.close()
    with_terminal(["age", "-d", "-o", f"{tmp_path}/ours", f"{tmp_path}/ours.age"], "correct horse", 1)
    assert (tmp_path / "ours").read_bytes() == content
    (tmp_path / "theirs").write_bytes(content)
    with_terminal(["age", "-p", "-o", f"{tmp_path}/theirs.age", f"{tmp_path}/theirs"], "correct horse", 2)
    with open(tmp_path / "theirs.age", "rb") as file:
        assert AgeReader(file, "correct horse").read() == content
