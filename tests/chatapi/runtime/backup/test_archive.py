"""The file format: every changed byte that matters is found; age's own program reads what is encrypted."""

import io
import json
import os
import pty
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.runtime.backup import age
from chatapi.runtime.backup.age import CHUNK, AgeReader, AgeWriter, WrongPassphrase
from chatapi.runtime.backup.archive import ArchiveReader, ArchiveWriter, Parts, verify
from chatapi.runtime.backup.errors import BackupError, DamagedBackup
from chatapi.runtime.backup.load import Destination, load
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
@settings(max_examples=60)
def test_a_flipped_bit_is_found_unless_nothing_depends_on_it(at: int, bit: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= 1 << bit
    try:
        assert contents(bytes(changed)) == contents(WHOLE)  # in the filling between members
    except DamagedBackup:
        pass


@given(st.integers(0, len(WHOLE) - 3 * 512))
@settings(max_examples=40)
def test_a_missing_end_is_found(length: int) -> None:
    with pytest.raises(DamagedBackup):
        contents(WHOLE[: min(length, WHOLE.index(b"manifest.sha256"))])


def forged(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of these members, as anyone can write it, whose sums are right."""
    raw, parts = io.BytesIO(), Parts()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:

        def add(member: tarfile.TarInfo, data: bytes) -> None:
            tar.addfile(member, io.BytesIO(data))
            tar.fileobj.seek(tar.offset)

        for member, data in members:
            part = parts.of(member.name)
            part.begin(member.name, member.size)
            part.sum.update(data)
            add(member, data)
        about = {
            "format": 1, "version": "0.2.0", "created": "", "migrations": [], "pg_dump": 18, "database_bytes": 0,
            "has_keys": True, "parts": parts.as_dict(),
        }  # fmt: skip
        text = json.dumps(about).encode()
        add(header("manifest.json", len(text)), text)
        line = sha256(text).hexdigest().encode()
        add(header("manifest.sha256", len(line)), line)
    return raw.getvalue()


def header(name: str, size: int = 0, **more: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    for attribute, value in more.items():
        setattr(member, attribute, value)
    return member


def load_forged(tmp_path: Path, raw: bytes) -> dict[str, str]:
    """Loads it as `restore` does, without its database; returns the files that were written, also elsewhere."""
    (tmp_path / "backup").write_bytes(raw)
    (tmp_path / "new").mkdir()
    verify(tmp_path / "backup", None)
    try:
        load(tmp_path / "backup", None, Destination(tmp_path / "new", None), dump=18)
    finally:
        written = [path for path in tmp_path.rglob("*") if path.name != "backup" and path.is_file()]
        assert all(path.is_relative_to(tmp_path / "new") for path in written)
    return {str(path.relative_to(tmp_path / "new")): path.read_text() for path in written}


def test_an_archive_of_another_program_with_the_right_sums_is_read(tmp_path: Path) -> None:
    raw = forged((header("keys/secret_key", 3), b"key"), (header("media/a/b", 4), b"file"))
    assert load_forged(tmp_path, raw) == {"secret_key": "key", "media/a/b": "file"}


LARGE = 1 << 60  # bytes


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (header("media/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is not a file"),
        (header("media/link", type=tarfile.LNKTYPE, linkname="media/other"), "is not a file"),
        (header("media/device", type=tarfile.CHRTYPE, devmajor=1, devminor=5), "is not a file"),
        (header("media/pipe", type=tarfile.FIFOTYPE), "is not a file"),
        (header("media/folder", type=tarfile.DIRTYPE), "is not a file"),
        (header("media/zeros", LARGE, type=tarfile.GNUTYPE_SPARSE), "is not a file"),
        (header("media/name", LARGE, type=tarfile.GNUTYPE_LONGNAME), "is not a file"),
        (header("media/huge", LARGE), "its end is missing"),
        (header("media/pax", LARGE, type=tarfile.XHDTYPE), "the size of 'media/pax' is wrong"),
        (header("media/negative", -512), "the size of 'media/negative' is wrong"),
    ],
    ids=lambda value: value.name if isinstance(value, tarfile.TarInfo) else None,
)
def test_what_is_no_file_or_has_no_such_size_is_refused(
    tmp_path: Path, member: tarfile.TarInfo, reason: str
) -> None:
    raw = forged((header("keys/secret_key", 3), b"key"))
    begin = member.tobuf(tarfile.GNU_FORMAT)
    for whole in (begin + raw, forged((header("media/first", 1), b"1"))[:1024] + begin + raw):
        (tmp_path / "backup").write_bytes(whole)
        with pytest.raises(DamagedBackup, match=reason):
            verify(tmp_path / "backup", None)


@pytest.mark.parametrize(
    "headers", [{"GNU.sparse.size": "9"}, {"size": "-512"}, {"size": "many"}, {"path": "a\udcff"}]
)
def test_a_pax_header_does_not_change_what_a_member_is(tmp_path: Path, headers: dict[str, str]) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        member = header(
            "media/file", 3, pax_headers={"GNU.sparse.major": "0", "GNU.sparse.minor": "1"} | headers
        )
        tar.addfile(member, io.BytesIO(b"abc"))
    (tmp_path / "backup").write_bytes(raw.getvalue())
    with pytest.raises(DamagedBackup):
        verify(tmp_path / "backup", None)


def test_pax_headers_without_a_member_are_refused(tmp_path: Path) -> None:
    """tarfile reads the header that follows a pax header by recursion."""
    (tmp_path / "backup").write_bytes(header("media/pax", type=tarfile.XHDTYPE).tobuf() * 5000)
    with pytest.raises(DamagedBackup):
        verify(tmp_path / "backup", None)


@pytest.mark.parametrize(
    "name", ["media/../../secret", "media//etc/secret", "media/../secret", "media/a/../../../b"]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DamagedBackup, match="is not the name of a file in it"):
        load_forged(tmp_path, forged((header(name, 1), b"1")))


@pytest.mark.parametrize("name", ["../secret", "/etc/secret", "keys/../../secret", "keys/other"])
def test_a_name_that_is_not_known_is_left_out(tmp_path: Path, name: str) -> None:
    assert load_forged(tmp_path, forged((header(name, 1), b"1"))) == {}


@pytest.mark.parametrize("name", ["keys/secret_key", "media/a/b"])
def test_two_members_of_one_name_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DamagedBackup, match=f"'{name}' is in it twice"):
        load_forged(tmp_path, forged((header(name, 1), b"1"), (header(name, 1), b"2")))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "7", '{"format": "1", "parts": {}}', '{"format": 1, "parts": {}}', "[" * 9999],
    ids=["nothing", "list", "empty", "number", "text as format", "no version", "deep"],
)
def test_a_manifest_that_says_too_little_is_refused(tmp_path: Path, text: str) -> None:
    raw, line = io.BytesIO(), sha256(text.encode()).hexdigest()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in (("manifest.json", text.encode()), ("manifest.sha256", line.encode())):
            tar.addfile(header(name, len(data)), io.BytesIO(data))
    (tmp_path / "backup").write_bytes(raw.getvalue())
    with pytest.raises(DamagedBackup, match="its manifest is not complete"):
        verify(tmp_path / "backup", None)


def test_two_manifests_are_refused(tmp_path: Path) -> None:
    text = b'{"format": 1, "parts": {}}'
    (tmp_path / "backup").write_bytes(forged((header("manifest.json", len(text)), text)))
    with pytest.raises(DamagedBackup, match="it has two manifests"):
        verify(tmp_path / "backup", None)


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
