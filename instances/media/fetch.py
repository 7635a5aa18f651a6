"""Fetching a file by its address: one deadline for the name, the connects, all redirects and the content; one cap for
its size; and words for whatever goes wrong."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from hooks import webhook_urls
from instances.media.ssrf_safe_session import Blocked, Session, Watch, guarded_session, under_way

SECONDS = 20.0  # for everything
REDIRECTS = 5
BLOCK = 65_536
# Each holds a thread of the web server, of which there are 40 (chatapi/runtime/web.py).
AT_ONCE = 12
AT_ONCE_PER_INSTANCE = 4


class CannotFetch(Exception):
    """The file was not fetched; the text is a sentence for whoever gave the address."""


class Answer(NamedTuple):
    content_type: str
    blocks: Iterator[bytes]


_seats = threading.BoundedSemaphore(AT_ONCE)
_taken: dict[int, int] = {}
_lock = threading.Lock()


@contextmanager
def seat(instance_id: int) -> Iterator[None]:
    """One of the few fetches that may be under way, so that slow servers can't keep the site busy."""
    with _lock:
        if _taken.get(instance_id, 0) >= AT_ONCE_PER_INSTANCE or not _seats.acquire(blocking=False):
            raise CannotFetch("too many files are being fetched at this moment; try again in some seconds.")
        _taken[instance_id] = _taken.get(instance_id, 0) + 1
    try:
        yield
    finally:
        with _lock:
            _seats.release()
            _taken[instance_id] -= 1
            if not _taken[instance_id]:
                del _taken[instance_id]


@contextmanager
def fetch(url: str, *, most: int) -> Iterator[Answer]:
    """The content at `url`, block by block. Raises CannotFetch, also while the blocks are read."""
    watch = Watch(SECONDS)
    token = under_way.set(watch)
    try:
        with guarded_session() as session:
            with in_words(watch):
                response = follow(session, url)
            with response:
                length = response.headers.get("Content-Length", "")
                if length.isdigit() and int(length) > most:
                    raise CannotFetch(too_long(most))
                yield Answer(response.headers.get("Content-Type", ""), blocks_of(response, watch, most))
    finally:
        under_way.reset(token)
        watch.close()


def follow(session: Session, url: str) -> requests.Response:
    """The answer 200, perhaps behind a few redirects, each of which meets the same rules."""
    for _ in range(REDIRECTS + 1):
        try:
            url = webhook_urls.check(url)
        except webhook_urls.BadAddress as error:
            raise CannotFetch(str(error).replace("/hook", "/photo.jpg")) from None
        response = session.get(url, stream=True)
        if response.status_code == 200:
            if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
                response.close()
                raise CannotFetch("its server compresses the file though it was asked not to.")
            return response
        where = response.headers.get("Location")
        response.close()
        if response.status_code not in (301, 302, 303, 307, 308) or not where:
            raise CannotFetch(f"its server answered {response.status_code} and not 200.")
        try:
            url = urljoin(url, where)
        except ValueError:
            raise CannotFetch("its server redirects to something that is no address.") from None
    raise CannotFetch(f"its server redirects more than {REDIRECTS} times.")


def blocks_of(response: requests.Response, watch: Watch, most: int) -> Iterator[bytes]:
    size = 0
    with in_words(watch):
        for block in response.raw.stream(BLOCK, decode_content=False):
            size += len(block)
            if size > most:
                raise CannotFetch(too_long(most))
            yield block
        if watch.over:  # without a Content-Length the end that we made looks like the file's
            raise TimeoutError


def too_long(most: int) -> str:
    return f"the file is longer than {most // 1024 // 1024} MB."


@contextmanager
def in_words(watch: Watch) -> Iterator[None]:
    """Whatever the network does wrong becomes a CannotFetch."""
    try:
        yield
    except (requests.RequestException, HTTPError, http.client.HTTPException, OSError) as error:
        raise CannotFetch(sentence(error, watch)) from error


def sentence(error: BaseException, watch: Watch) -> str:
    """Why nothing was fetched; the cause that lies deepest is the one that says something."""
    causes: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in causes:
        causes.append(at)
        at = at.__cause__ or at.__context__
    if blocked := next((cause for cause in causes if isinstance(cause, Blocked)), None):
        return f"its address is not allowed ({blocked})."
    if watch.over or any(isinstance(cause, TimeoutError) for cause in causes):
        return "its server took too long."
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "the name of its server was not found."
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "its server's certificate or TLS is wrong."
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "its server refused the connection."
    return "the connection to its server failed or broke off."
