"""The age format (age-encryption.org/v1) with a passphrase: `age -d` decrypts a backup without this program.

The key of a file is random and is encrypted by a key that scrypt derives from the passphrase. The content follows in
chunks of 64 KiB, each encrypted and authenticated by ChaCha20-Poly1305 with its number, so that a changed, moved or
missing chunk is found when it is read.
"""

import os
import re
from base64 import b64decode, b64encode
from typing import IO

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from chatapi.runtime.backup.errors import BackupError, DamagedBackup

MAGIC = b"age-encryption.org/v1\n"
CHUNK = 64 * 1024  # bytes of content; an encrypted chunk is TAG longer
TAG = 16
WORK_FACTOR = 17  # scrypt's N is 2^17: 128 MB of memory, half a second
MAX_WORK_FACTOR = 20  # 1 GB; a forged header could ask for more than the machine has
MAX_HEADER = 1024  # bytes; ours has about 150
STANZA = re.compile(
    rb"-> scrypt ([A-Za-z0-9+/]{22}) ([0-9]{1,2})\n([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n"
)
NOT_OURS = "The backup is encrypted for a key, not with a passphrase; decrypt it with `age -d` first."


class WrongPassphrase(BackupError):
    """The passphrase does not open the file."""


def wrapping_key(passphrase: str, salt: bytes, work_factor: int) -> ChaCha20Poly1305:
    kdf = Scrypt(salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=2**work_factor, r=8, p=1)
    return ChaCha20Poly1305(kdf.derive(passphrase.encode()))


def derive(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(file_key)


def header_mac(file_key: bytes, header: bytes) -> HMAC:
    mac = HMAC(derive(file_key, b"", b"header"), SHA256())
    mac.update(header)
    return mac


def encode(data: bytes) -> bytes:
    return b64encode(data).rstrip(b"=")


def decode(text: bytes) -> bytes:
    return b64decode(text + b"=" * (-len(text) % 4))


def nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


class AgeWriter:
    """Encrypts what is written to it into `raw`. Complete only after close(), which leaves `raw` open."""

    def __init__(self, raw: IO[bytes], passphrase: str) -> None:
        self.raw = raw
        file_key, salt, payload_nonce = os.urandom(16), os.urandom(16), os.urandom(16)
        wrapped = wrapping_key(passphrase, salt, WORK_FACTOR).encrypt(bytes(12), file_key, None)
        header = MAGIC + b"-> scrypt %s %d\n%s\n---" % (encode(salt), WORK_FACTOR, encode(wrapped))
        raw.write(header + b" " + encode(header_mac(file_key, header).finalize()) + b"\n" + payload_nonce)
        self.cipher = ChaCha20Poly1305(derive(file_key, payload_nonce, b"payload"))
        self.pending = bytearray()
        self.number = 0

    def write(self, data: bytes) -> int:
        self.pending += data
        begin = 0
        # The last chunk is marked, so one that is full waits until it is certain that another follows.
        while len(self.pending) - begin > CHUNK:
            self.write_chunk(bytes(self.pending[begin : begin + CHUNK]), is_last=False)
            begin += CHUNK
        del self.pending[:begin]
        return len(data)

    def write_chunk(self, chunk: bytes, *, is_last: bool) -> None:
        self.raw.write(self.cipher.encrypt(nonce(self.number, is_last), chunk, None))
        self.number += 1

    def close(self) -> None:
        self.write_chunk(bytes(self.pending), is_last=True)


class AgeReader:
    """Decrypts `raw`, which is read from its beginning.

    Raises:
        WrongPassphrase: at once, if the passphrase is not that of the file.
        DamagedBackup: at once or in read(), before any byte of a changed chunk is returned.
    """

    def __init__(self, raw: IO[bytes], passphrase: str) -> None:
        self.raw = raw
        head = raw.read(MAX_HEADER)
        found = STANZA.match(head, len(MAGIC)) if head.startswith(MAGIC) else None
        if found is None:
            if head.startswith(MAGIC) and not head[len(MAGIC) :].startswith(b"-> scrypt "):
                raise BackupError(NOT_OURS)
            raise DamagedBackup("its header is not complete")
        salt, work_factor, wrapped, mac = found.groups()
        if not 1 <= int(work_factor) <= MAX_WORK_FACTOR:
            raise DamagedBackup("its header asks for too much memory")
        try:
            file_key = wrapping_key(passphrase, decode(salt), int(work_factor)).decrypt(
                bytes(12), decode(wrapped), None
            )
        except InvalidTag:
            raise WrongPassphrase("The passphrase is not that of this backup.") from None
        try:
            header_mac(file_key, head[: found.end(3) + 4]).verify(decode(mac))
        except InvalidSignature:
            raise DamagedBackup("its header was changed") from None
        raw.seek(found.end())
        self.cipher = ChaCha20Poly1305(derive(file_key, raw.read(16), b"payload"))
        self.number = 0
        self.ready = b""
        self.following = raw.read(CHUNK + TAG)
        self.has_ended = False

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` bytes; less than that only at the end."""
        parts, left = [], size
        while left and self.fill():
            part = self.ready if left < 0 else self.ready[:left]
            self.ready = self.ready[len(part) :]
            parts.append(part)
            left -= len(part) if left > 0 else 0
        return b"".join(parts)

    def fill(self) -> bool:
        """Decrypts the next chunk if nothing is ready; returns False at the end."""
        if self.ready or self.has_ended:
            return bool(self.ready)
        chunk, self.following = self.following, self.raw.read(CHUNK + TAG)
        self.has_ended = not self.following
        try:
            self.ready = self.cipher.decrypt(nonce(self.number, self.has_ended), chunk, None)
        except InvalidTag:
            what = "it ends too early, or its last bytes were" if self.has_ended else "some bytes were"
            raise DamagedBackup(f"{what} changed") from None
        self.number += 1
        return bool(self.ready)
