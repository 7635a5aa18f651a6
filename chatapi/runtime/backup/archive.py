"""The file format of a backup: a tar archive, read and written from beginning to end, with sums of everything in it.

    README.txt          what the file contains, and how to restore it
    keys/…              the keys that are in use, and the demo login
    database/000000 …   the output of `pg_dump --format=custom`, in pieces: its length is known only at the end
    media/…             the files of messages
    manifest.json       version, migrations, sizes; for each part the number of members, their bytes and SHA-256
    manifest.sha256     the SHA-256 of the manifest; an archive without it is incomplete

A part's SHA-256 is that of the name, the size (each followed by a line feed) and the content of each member, in order.
Nothing is held in memory but one piece. An encrypted backup is such an archive in the age format (age.py).
"""

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from chatapi.runtime.backup.age import MAGIC, AgeReader
from chatapi.runtime.backup.errors import BackupError, DamagedBackup

FORMAT = 1
PIECE = 4 * 1024 * 1024  # bytes of the database in one member
BLOCK = 1024 * 1024
MANIFEST, MANIFEST_SUM = "manifest.json", "manifest.sha256"
MAX_MANIFEST = 16 * 1024 * 1024
MAX_HEADER = 64 * 1024  # bytes of a pax header; it is read into memory
# What `restore` needs of the manifest.
NEEDED = {
    "version": str, "created": str, "migrations": list, "pg_dump": int, "database_bytes": int, "has_keys": bool,
}  # fmt: skip


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


@dataclass
class Part:
    """The members whose names begin alike: `database/…`, `media/…`, `keys/…`, `README.txt`."""

    members: int = 0
    bytes: int = 0
    sum: Any = field(default_factory=hashlib.sha256)

    def begin(self, name: str, size: int) -> None:
        self.members += 1
        self.bytes += size
        self.sum.update(f"{name}\n{size}\n".encode())

    def as_dict(self) -> dict[str, Any]:
        return {"members": self.members, "bytes": self.bytes, "sha256": self.sum.hexdigest()}


class Parts(dict[str, Part]):
    """The parts by name, created on demand."""

    def of(self, name: str) -> Part:
        return self.setdefault(name.partition("/")[0], Part())

    def as_dict(self) -> dict[str, dict[str, Any]]:
        return {name: part.as_dict() for name, part in self.items()}


class SummedSource:
    """Reads a member's content and adds it to the sum of its part."""

    def __init__(self, source: Readable, part: Part) -> None:
        self.source = source
        self.part = part

    def read(self, size: int = -1) -> bytes:
        data = self.source.read(size)
        self.part.sum.update(data)
        return data


class Header(tarfile.TarInfo):
    """A header as the writer makes it: that of a file, or a pax header for a long name.

    Links, devices and sparse files, whose content takes no space in the archive however long it is, are refused before
    anything of them is read.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Header":
        found = super().frombuf(buf, encoding, errors)
        if found.type not in (tarfile.REGTYPE, tarfile.XHDTYPE):
            raise DamagedBackup(f"{found.name!r} is not a file")
        if found.size < 0 or (found.type == tarfile.XHDTYPE and found.size > MAX_HEADER):
            raise DamagedBackup(f"the size of {found.name!r} is wrong")
        return found


class TarContent:
    """The content of a member while the archive is read."""

    def __init__(self, content: IO[bytes]) -> None:
        self.content = content

    def read(self, size: int = -1) -> bytes:
        try:
            return self.content.read(size)
        except tarfile.TarError:
            raise DamagedBackup("its end is missing") from None


class ArchiveWriter:
    """Writes members one after another. The archive is complete after finish()."""

    def __init__(self, raw: Writable) -> None:
        self.tar = tarfile.open(fileobj=raw, mode="w|", format=tarfile.PAX_FORMAT, bufsize=BLOCK)  # type: ignore[call-overload]  # noqa: SIM115
        self.parts = Parts()
        self.at = int(time.time())

    def add(self, name: str, content: bytes) -> None:
        self.add_file(name, io.BytesIO(content), len(content))

    def add_file(self, name: str, source: Readable, size: int) -> None:
        """Raises OSError if the source has less than `size` bytes."""
        part = self.parts.of(name)
        part.begin(name, size)
        self.write(name, SummedSource(source, part), size)

    def add_stream(self, folder: str, source: Readable) -> None:
        """Adds everything that can be read from the source, in pieces."""
        number = 0
        while piece := read_fully(source, PIECE):
            self.add(f"{folder}/{number:06}", piece)
            number += 1

    def finish(self, **about: Any) -> dict[str, Any]:
        """Adds the manifest, which is returned."""
        manifest = {"format": FORMAT, **about, "parts": self.parts.as_dict()}
        text = (json.dumps(manifest, indent=1) + "\n").encode()
        self.write(MANIFEST, io.BytesIO(text), len(text))
        line = f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode()
        self.write(MANIFEST_SUM, io.BytesIO(line), len(line))
        self.tar.close()
        return manifest

    def write(self, name: str, source: Any, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, self.at
        self.tar.addfile(member, source)
        self.tar.members.clear()  # else it holds an object for each file of the backup


def read_fully(source: Readable, size: int) -> bytes:
    """Reads `size` bytes; less only at the end. A pipe returns what there is."""
    parts = []
    while size and (data := source.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


@dataclass
class Member:
    name: str
    size: int
    content: Readable


class ArchiveReader:
    """Iterates over the members, and raises DamagedBackup if anything is not as it was written.

    A member's content can be read until the next one is asked for. `manifest` is set when the iteration has ended: only
    then is everything that was read known to be right.
    """

    def __init__(self, raw: Readable) -> None:
        self.raw = raw
        self.parts = Parts()
        self.manifest: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Member]:
        text = b""
        for name, size, content in self.tar_members():
            if name == MANIFEST:
                if text:
                    raise DamagedBackup("it has two manifests")
                text = content.read(MAX_MANIFEST)
            elif name == MANIFEST_SUM:
                self.check(text, content.read(BLOCK))
                while self.raw.read(BLOCK):  # an encrypted backup knows its own end
                    pass
                return
            else:
                part = self.parts.of(name)
                part.begin(name, size)
                member = Member(name, size, SummedSource(content, part))
                yield member
                while member.content.read(BLOCK):
                    pass
        raise DamagedBackup("its end is missing")

    def tar_members(self) -> Iterator[tuple[str, int, Readable]]:
        try:
            tar = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115
                fileobj=self.raw, mode="r|", bufsize=BLOCK, tarinfo=Header, errors="strict"
            )
            while (member := tar.next()) is not None:
                tar.members.clear()
                content = tar.extractfile(member)
                if content is None or member.issparse() or member.size < 0:  # as its pax header says
                    raise DamagedBackup(f"{member.name!r} is not a file")
                yield member.name, member.size, TarContent(content)
        except (tarfile.TarError, UnicodeError, ValueError, EOFError, RecursionError) as error:
            raise DamagedBackup(str(error) or "it is no archive") from None

    def check(self, text: bytes, line: bytes) -> None:
        if line.split()[:1] != [hashlib.sha256(text).hexdigest().encode()]:
            raise DamagedBackup("the sum of its manifest is wrong")
        try:
            manifest = json.loads(text)
            is_newer, expected = manifest["format"] > FORMAT, dict(manifest["parts"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DamagedBackup("its manifest is not complete") from None
        if is_newer:
            raise BackupError(
                f"The backup was made by a newer version ({manifest.get('version', 'unknown')}) of this program, in a "
                "format that this one does not know. Install that version, and run this again."
            )
        for name in sorted(expected.keys() | self.parts.keys()):
            if name not in self.parts or self.parts[name].as_dict() != expected.get(name):
                raise DamagedBackup(f"the sum of its part {name} is wrong")
        self.manifest = manifest


def open_archive(file: IO[bytes], passphrase: str | None) -> ArchiveReader:
    """Returns a reader of the opened backup.

    Raises:
        BackupError: it is encrypted, and the passphrase is missing or wrong; or it is damaged.
    """
    begin = file.read(len(MAGIC))
    file.seek(0)
    if begin != MAGIC:
        return ArchiveReader(file)
    if passphrase is None:
        raise BackupError(
            "The backup is encrypted. Give its passphrase by --passphrase-file, or in the environment by "
            "BACKUP_PASSPHRASE or BACKUP_PASSPHRASE_FILE."
        )
    return ArchiveReader(AgeReader(file, passphrase))


def verify(source: Path, passphrase: str | None) -> dict[str, Any]:
    """Reads the whole backup, and returns its manifest. Raises BackupError."""
    with open(source, "rb") as file:
        reader = open_archive(file, passphrase)
        for _ in reader:
            pass
    if not all(isinstance(reader.manifest.get(name), kind) for name, kind in NEEDED.items()):
        raise DamagedBackup("its manifest is not complete")
    return reader.manifest
