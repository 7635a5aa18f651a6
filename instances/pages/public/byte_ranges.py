"""Parts of a file by the `Range` header (RFC 9110, section 14). Audio and video players request only such parts."""

import re
from typing import IO, NamedTuple

from django.http import HttpRequest
from django.utils.http import parse_http_date_safe

# A position may be longer than any file's size. int() refuses more than 4300 digits.
RANGE = re.compile(r"bytes=\s*([0-9]{0,4000})-([0-9]{0,4000})\s*", re.IGNORECASE)


class ByteRange(NamedTuple):
    """The bytes from `start` to `end`, both included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1


class NotSatisfiable(Exception):
    """The range begins after the end of the file, or is empty."""


def requested_range(request: HttpRequest, *, size: int, etag: str, last_modified: int) -> ByteRange | None:
    """Returns the part of a file of `size` bytes that the request asks for; None if it gets the whole file.

    It gets the whole file without a range, by another method than GET, with several ranges, with a header that is not
    valid, or if its `If-Range` names another version of the file.

    Raises:
        NotSatisfiable: the response is 416.
    """
    match = RANGE.fullmatch(request.headers.get("Range", "").strip())
    if request.method != "GET" or not match or match[1] == match[2] == "":
        return None
    condition = request.headers.get("If-Range", "").strip()
    if condition and condition != etag and parse_http_date_safe(condition) != last_modified:
        return None
    first, last = match[1], match[2]
    if not first:  # the last bytes: "-500"
        start, end = max(size - int(last), 0), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None  # not valid, so it is ignored
    if start >= size or not size:
        raise NotSatisfiable
    return ByteRange(start, end)


class PartOfFile:
    """An open file that is read from `start` on and ends after `length` bytes."""

    def __init__(self, file: IO[bytes], part: ByteRange) -> None:
        file.seek(part.start)
        self.file, self.remaining = file, part.length

    def read(self, size: int = -1) -> bytes:
        block = self.file.read(self.remaining if size < 0 else min(size, self.remaining))
        self.remaining -= len(block)
        return block

    def close(self) -> None:
        self.file.close()
