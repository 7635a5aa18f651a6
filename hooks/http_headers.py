"""Formats the request target and headers of http.py, for libcurl and for the log."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit


def headers_as_sent(url: str, headers: dict[str, str], body: bytes) -> list[list[str]]:
    """Returns the headers as they are sent, in order: the given ones between Host and Content-Length."""
    return [
        ["Host", host_header(url)],
        *[[name, value] for name, value in headers.items()],
        ["Content-Length", str(len(body))],
    ]


def header_lines(headers: Iterable[tuple[str, str]]) -> list[bytes]:
    """Returns header lines for libcurl. Headers that libcurl would add are suppressed unless they are given.

    A header without a value ends in ";": libcurl does not send a header that ends in ":". Values are sent as UTF-8.
    """
    given = list(headers)
    names = {name.lower() for name, _ in given}
    suppressed = [
        f"{name}:" for name in ("Expect", "Accept", "Content-Type", "User-Agent") if name.lower() not in names
    ]
    lines = [*[f"{name}: {value}" if value else f"{name};" for name, value in given], *suppressed]
    return [line.encode(errors="replace") for line in lines]


@lru_cache(maxsize=2000)
def host_header(url: str) -> str:
    """Returns the value of the Host header: the host, and the port unless it is the scheme's default."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if parts.port and (parts.scheme, parts.port) not in (("http", 80), ("https", 443)):
        host += f":{parts.port}"
    return host


@lru_cache(maxsize=2000)
def request_target(url: str) -> str:
    """Returns the path and query for the request line."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
