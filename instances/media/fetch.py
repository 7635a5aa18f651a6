"""Fetches a file from a URL that a user gave: with one deadline for all of it, a size limit, and errors as sentences.

The deadline covers the DNS lookup, the connections, all redirects and the content.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from chatapi.ui.numbers import parse_digits
from hooks.urls import webhook_urls
from instances.limits import waiting_threads
from instances.media.deadline import Deadline
from instances.media.ssrf_safe_session import AddressRefused, SsrfSafeSession, ssrf_safe_session

FETCH_SECONDS = 20.0
MAX_REDIRECTS = 5
BLOCK_SIZE = 65_536  # bytes
# The content codings of HTTP (IANA's registry). Servers also send words that are none, such as "aws-chunked", "UTF-8"
# and "binary"; a file with such a word is not encoded.
CONTENT_CODINGS = frozenset({
    "aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "x-compress", "x-gzip",
    "zstd",
})  # fmt: skip


class FetchFailed(Exception):
    """The file was not fetched. The text is a sentence for the user who gave the URL."""


class FetchedFile(NamedTuple):
    content_type: str
    blocks: Iterator[bytes]


@contextmanager
def fetch_slot(account_id: int) -> Iterator[None]:
    """Holds a thread of the budget for waiting (limits/waiting_threads.py).

    Raises:
        FetchFailed: the budget, or the account's share of it, is used up.
    """
    with waiting_threads.slots.hold(account_id) as is_free:
        if not is_free:
            raise FetchFailed("too many files are being fetched now; try again in a few seconds.")
        yield


@contextmanager
def fetch(url: str, *, max_bytes: int) -> Iterator[FetchedFile]:
    """Returns the file at `url`; its content is read block by block.

    Raises:
        FetchFailed: also while the blocks are read.
    """
    deadline = Deadline(FETCH_SECONDS)
    try:
        with ssrf_safe_session(deadline) as session:
            with network_errors_as_sentences(deadline):
                response = get_after_redirects(session, url)
            with response:
                length = parse_digits(response.headers.get("Content-Length"))
                if length is not None and length > max_bytes:
                    raise FetchFailed(too_large_message(max_bytes))
                yield FetchedFile(
                    response.headers.get("Content-Type", ""), read_blocks(response, deadline, max_bytes)
                )
    finally:
        deadline.close()


def get_after_redirects(session: SsrfSafeSession, url: str) -> requests.Response:
    """Returns the 200 response of `url`, after at most MAX_REDIRECTS redirects. Each URL meets the same rules."""
    for _ in range(MAX_REDIRECTS + 1):
        try:
            url = webhook_urls.check(url)
        except webhook_urls.InvalidUrl as error:
            raise FetchFailed(str(error).replace("/hook", "/photo.jpg")) from None
        response = session.get(url, stream=True)
        if response.status_code == 200:
            if is_encoded(response.headers.get("Content-Encoding", "")):
                response.close()
                raise FetchFailed("the server compressed the file, which the request asked it not to do.")
            return response
        location = response.headers.get("Location")
        response.close()
        if response.status_code not in (301, 302, 303, 307, 308) or not location:
            raise FetchFailed(f"the server responded with {response.status_code}, not 200.")
        try:
            url = urljoin(url, location)
        except ValueError:
            raise FetchFailed("the server redirects to an invalid URL.") from None
    raise FetchFailed(f"the server redirects more than {MAX_REDIRECTS} times.")


def is_encoded(content_encoding: str) -> bool:
    """Whether one of the codings of this header is a real one, so that the body is not the file itself."""
    return any(coding.strip().lower() in CONTENT_CODINGS for coding in content_encoding.split(","))


def read_blocks(response: requests.Response, deadline: Deadline, max_bytes: int) -> Iterator[bytes]:
    """Returns the body in blocks of at most BLOCK_SIZE bytes. Raises FetchFailed."""
    size = 0
    with network_errors_as_sentences(deadline):
        for block in response.raw.stream(BLOCK_SIZE, decode_content=False):
            size += len(block)
            if size > max_bytes:
                raise FetchFailed(too_large_message(max_bytes))
            yield block
        # Without a Content-Length, a connection that the deadline shut down looks like the end of the file.
        if deadline.has_expired:
            raise TimeoutError


def too_large_message(max_bytes: int) -> str:
    return f"the file is larger than {max_bytes // 1024 // 1024} MB."


@contextmanager
def network_errors_as_sentences(deadline: Deadline) -> Iterator[None]:
    """Turns errors of requests, urllib3, http.client and sockets into FetchFailed."""
    try:
        yield
    except (requests.RequestException, HTTPError, http.client.HTTPException, OSError) as error:
        raise FetchFailed(describe_network_error(error, deadline)) from error


def describe_network_error(error: BaseException, deadline: Deadline) -> str:
    """Returns why the fetch failed, as a sentence. requests and urllib3 wrap the cause, so the whole chain is read."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if refused := next((each for each in causes if isinstance(each, AddressRefused)), None):
        return f"the server's address is not allowed ({refused})."
    if deadline.has_expired or any(isinstance(each, TimeoutError) for each in causes):
        return "the server took too long."
    if any(isinstance(each, socket.gaierror) for each in causes):
        return "the server's host name was not found."
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return "the server's TLS certificate is not valid, or TLS failed."
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return "the server refused the connection."
    return "the connection to the server failed or was closed early."
