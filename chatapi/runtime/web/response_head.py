"""The status line and headers of a response."""

import json
import time
from email.utils import formatdate
from http import HTTPStatus

_reasons = {status.value: status.phrase for status in HTTPStatus} | {413: "Content Too Large"}
_date = (0, b"")


def date_header() -> bytes:
    """`Date: …`, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _date[1]


def head(
    status: str, headers: list[tuple[str, str]], *, close: bool, length: int | None, chunked: bool
) -> bytes:
    """The head of a response. `length` is set if the application has set none and the whole body is known."""
    lines = [f"HTTP/1.1 {status}\r\n"]
    has_length = has_date = False
    for name, value in headers:
        lower = name.lower()
        if lower == "connection":
            continue
        has_length = has_length or lower == "content-length"
        has_date = has_date or lower == "date"
        lines.append(f"{name}: {value}\r\n")
    if length is not None and not has_length:
        lines.append(f"Content-Length: {length}\r\n")
    if chunked:
        lines.append("Transfer-Encoding: chunked\r\n")
    if close:
        lines.append("Connection: close\r\n")
    return "".join(lines).encode("latin-1", "replace") + (b"" if has_date else date_header()) + b"\r\n"


def refusal(status: int, sentence: str, *more: tuple[str, str]) -> bytes:
    """A whole response that ends the connection: `{"error": sentence}`."""
    body = json.dumps({"error": sentence}).encode()
    headers = [("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "*"), *more]
    status_line = f"{status} {_reasons[status]}"
    return head(status_line, headers, close=True, length=len(body), chunked=False) + body
