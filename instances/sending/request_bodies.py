"""The body of a request with a file: the file alone, or within other bytes. The file is read while it is sent."""

from __future__ import annotations

import io
import os
from base64 import b64encode
from typing import IO

from instances.actions.media import storage
from instances.channels.requests import Request


class FileInForm(io.RawIOBase):
    """The bytes before a file, the file, and those after it, as one stream. Only `seek(0)` and to the end."""

    def __init__(self, before: bytes, file: IO[bytes], after: bytes) -> None:
        super().__init__()
        self.before, self.file, self.after = before, file, after
        self.parts: list[IO[bytes]] = []
        self.seek(0)

    def seek(self, offset: int, origin: int = os.SEEK_SET) -> int:
        """Returns the new position: 0, or the length of the stream."""
        if offset:
            raise io.UnsupportedOperation("only seek(0)")
        if origin == os.SEEK_END:
            self.parts = []
            return len(self.before) + self.file.seek(0, os.SEEK_END) + len(self.after)
        self.file.seek(0)
        self.parts = [io.BytesIO(self.before), self.file, io.BytesIO(self.after)]
        return 0

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` bytes; fewer only at the end of a part, none only at the end of the stream."""
        if size < 0:
            return b"".join(part.read() for part in self.parts)
        while self.parts:
            if found := self.parts[0].read(size):
                return found
            del self.parts[0]
        return b""

    def close(self) -> None:
        self.file.close()
        super().close()


BLOCK = 48 * 1024  # bytes of a file that are encoded at once; divisible by 3, so that blocks can be joined


class Base64File(io.RawIOBase):
    """A file in base64. Only `seek(0)` and to the end."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self.file, self.encoded = file, b""

    def seek(self, offset: int, origin: int = os.SEEK_SET) -> int:
        """Returns the new position: 0, or the length in base64."""
        if offset:
            raise io.UnsupportedOperation("only seek(0)")
        self.encoded = b""
        if origin == os.SEEK_END:
            return -(-self.file.seek(0, os.SEEK_END) // 3) * 4
        return self.file.seek(0)

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            found, self.encoded = self.encoded + b64encode(self.file.read()), b""
            return found
        if not self.encoded:
            self.encoded = b64encode(self.file.read(BLOCK))
        found, self.encoded = self.encoded[:size], self.encoded[size:]
        return found

    def close(self) -> None:
        self.file.close()
        super().close()


def open_body(request: Request) -> IO[bytes]:
    """Returns the body of a request that has a file."""
    file: IO[bytes] = storage().open(request.body_path)
    if request.is_base64:
        file = Base64File(file)  # type: ignore[assignment]  # RawIOBase is a stream
    if not (request.body or request.body_end):
        return file
    return FileInForm(request.body, file, request.body_end)  # type: ignore[return-value]  # RawIOBase is a stream
