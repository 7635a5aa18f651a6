"""The body of a request with a file: the file alone, or within a form. The file is read while it is sent."""

from __future__ import annotations

import io
import os
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


def open_body(request: Request) -> IO[bytes]:
    """Returns the body of a request that has a file."""
    file = storage().open(request.body_path)
    if not (request.body or request.body_end):
        return file
    return FileInForm(request.body, file, request.body_end)  # type: ignore[return-value]  # RawIOBase is a stream
