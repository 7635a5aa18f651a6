"""Where a file comes from: a form's upload, a `data:` URI, or an address; each becomes a Content that can be read.

What is long waits in a temporary file, so that a hundred of them at once take no memory.
"""

import base64
import binascii
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from instances.media.fetch import CannotFetch, fetch
from instances.media.kinds import WrongFile

IN_MEMORY = 1_000_000  # bytes
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
DATA_URI = re.compile(r"data:(?P<kind>[^;,]{0,100})(?P<parameters>(?:;[^;,]{0,100}){0,5}),", re.IGNORECASE)
TAKES = "it takes the address of a file (https://…), data:image/jpeg;base64,…, or a file of a multipart form."


class Content(NamedTuple):
    """A file to be stored, at its beginning; `content_type` is what its sender says, perhaps nothing."""

    file: IO[bytes]
    size: int
    content_type: str


def is_address(given: Any) -> bool:
    return isinstance(given, str) and ADDRESS.match(given.strip()) is not None


@contextmanager
def opened(given: UploadedFile | str) -> Iterator[Content]:
    """The content of an upload, a data URI or an address. Raises WrongFile with a sentence."""
    if isinstance(given, UploadedFile):
        yield of_upload(given)
    elif is_address(given):
        with of_address(given.strip()) as content:
            yield content
    elif given[:5].lower() == "data:":
        with of_data_uri(given) as content:
            yield content
    else:
        raise WrongFile(TAKES)


def of_upload(upload: UploadedFile) -> Content:
    size = upload.size or 0
    if size > settings.MEDIA_MAX_BYTES:
        raise WrongFile(f"the file is longer than {settings.MEDIA_MAX_BYTES // 1024 // 1024} MB.")
    upload.seek(0)
    return Content(upload, size, upload.content_type or "")


@contextmanager
def of_address(url: str) -> Iterator[Content]:
    try:
        with (
            tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file,
            fetch(url, most=settings.MEDIA_MAX_BYTES) as answer,
        ):
            for block in answer.blocks:
                file.write(block)
            size = file.tell()
            file.seek(0)
            yield Content(file, size, answer.content_type)
    except CannotFetch as error:
        raise WrongFile(str(error)) from error


@contextmanager
def of_data_uri(text: str) -> Iterator[Content]:
    """`data:image/jpeg;base64,…`; line breaks in it do no harm, nor a "+" that a form turned into a space."""
    begin = DATA_URI.match(text)
    if not begin or not begin["parameters"].lower().endswith(";base64"):
        raise WrongFile("its data: URI can't be read; it takes data:image/jpeg;base64,…")
    raw = decode(text, begin.end())
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        file.write(raw)
        size = len(raw)
        del raw
        file.seek(0)
        yield Content(file, size, begin["kind"])


def decode(text: str, start: int = 0) -> bytes:
    """The bytes that base64, from `start` on, stands for. Raises WrongFile."""
    most = settings.MEDIA_DATA_URI_MAX_BYTES
    if (len(text) - start) * 3 // 4 > most + 1000:
        raise WrongFile(
            f"as base64 a file may have {most // 1024 // 1024} MB;"
            " send a longer one by its address or as a multipart form."
        )
    code = (
        text[start:].replace("\n", "").replace("\r", "").replace(" ", "+").replace("-", "+").replace("_", "/")
    )
    code = code.rstrip("=")
    try:
        return base64.b64decode(code + "=" * (-len(code) % 4), validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
        raise WrongFile("its base64 can't be read.") from None
