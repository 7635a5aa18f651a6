"""Opens a file that a caller gave as a form upload, a `data:` URI or a URL.

A long file is kept in a temporary file, so that a hundred simultaneous ones need no memory.
"""

import base64
import binascii
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from instances.media.kinds import WrongFile

MAX_IN_MEMORY = 1_000_000  # bytes; a longer file goes to disk
HTTP_URL = re.compile(r"https?://", re.IGNORECASE)
# Parameters may contain commas: browsers record data:video/webm;codecs=vp8,opus;base64,…
DATA_URI = re.compile(r"data:(?P<kind>[^;,]{0,100})(?:;[^\r\n]{0,400}?)?; ?base64,", re.IGNORECASE)
EXPECTED = (
    "it must be the URL of a file (https://…), data:image/jpeg;base64,…, or a file of a multipart form."
)


class Content(NamedTuple):
    """An open file, positioned at its start. `content_type` is what the sender declared; it can be empty."""

    file: IO[bytes]
    size: int
    content_type: str


def is_http_url(given: Any) -> bool:
    return isinstance(given, str) and HTTP_URL.match(given.strip()) is not None


def name_in_url(url: Any) -> str:
    """The last part of an HTTP URL's path if it has an extension, else empty."""
    if not is_http_url(url):
        return ""
    try:
        name = unquote(urlsplit(str(url)).path.rpartition("/")[2])
    except ValueError:  # "http://[", for example
        return ""
    return name if "." in name else ""


@contextmanager
def open_content(given: UploadedFile | str) -> Iterator[Content]:
    """Returns the content of an upload, a data URI or a URL. Raises WrongFile."""
    if isinstance(given, UploadedFile):
        yield open_upload(given)
    elif is_http_url(given):
        with fetch_url(given.strip()) as content:
            yield content
    elif given[:5].lower() == "data:":
        with open_data_uri(given) as content:
            yield content
    else:
        raise WrongFile(EXPECTED)


def open_upload(upload: UploadedFile) -> Content:
    size = upload.size or 0
    if size > settings.MEDIA_MAX_BYTES:
        raise WrongFile(f"the file is larger than {settings.MEDIA_MAX_BYTES // 1024 // 1024} MB.")
    upload.seek(0)
    return Content(upload, size, upload.content_type or "")


@contextmanager
def fetch_url(url: str) -> Iterator[Content]:
    from instances.media.fetch import FetchFailed, fetch  # it loads requests; see store_given_media()

    try:
        with (
            tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY) as file,
            fetch(url, max_bytes=settings.MEDIA_MAX_BYTES) as fetched,
        ):
            for block in fetched.blocks:
                file.write(block)
            size = file.tell()
            file.seek(0)
            yield Content(file, size, fetched.content_type)
    except FetchFailed as error:
        raise WrongFile(str(error)) from error


@contextmanager
def open_data_uri(text: str) -> Iterator[Content]:
    """Returns the content of `data:image/jpeg;base64,…`.

    Line breaks are ignored, and a space is read as "+": form encoding turns one into the other.
    """
    prefix = DATA_URI.match(text)
    if not prefix:
        raise WrongFile("the data: URI is not valid; it must begin with data:image/jpeg;base64,…")
    raw = decode_base64(text, prefix.end())
    with tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY) as file:
        file.write(raw)
        size = len(raw)
        del raw
        file.seek(0)
        yield Content(file, size, prefix["kind"])


def decode_base64(text: str, start: int = 0) -> bytes:
    """Returns the bytes of the base64 text from `start` on. Raises WrongFile."""
    limit = settings.MEDIA_DATA_URI_MAX_BYTES
    if (len(text) - start) * 3 // 4 > limit + 1000:
        raise WrongFile(
            f"a base64 file may have at most {limit // 1024 // 1024} MB;"
            " send a larger one as a URL or a multipart form."
        )
    code = (
        text[start:].replace("\n", "").replace("\r", "").replace(" ", "+").replace("-", "+").replace("_", "/")
    )
    code = code.rstrip("=")
    try:
        return base64.b64decode(code + "=" * (-len(code) % 4), validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters outside ASCII
        raise WrongFile("the base64 is not valid.") from None
