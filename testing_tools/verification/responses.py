"""Validates the configured response of a bin.

A bin has the same origin as this site, so a browser must never run a response, or apply its headers to this site: only
the listed headers and only data types are accepted, and views/receive.py adds a sandbox policy.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from testing_tools.verification import echo
from testing_tools.verification.models import DEFAULT_BODY, MAX_DELAY, Bin, default_response_headers

MAX_BODY = 64 * 1024  # bytes
MAX_HEADERS = 20
MAX_FAILURES = 500
FAILURE_STATUS = 500
LIMITS = {"status": (200, 599), "fail_first": (0, MAX_FAILURES)}  # smallest and largest value
# The note of a response beyond the limits of delays.py.
TOO_MANY_DELAYED = "no delay: too many delayed responses were waiting"

NAMED_HEADERS = {
    "content-type", "content-language", "retry-after", "etag", "last-modified", "allow", "vary",
}  # fmt: skip
# headers that a browser, or a proxy in front of this site, would apply
FORBIDDEN_X = re.compile(
    r"x-(accel-.*|sendfile.*|lighttpd-.*|litespeed-.*|reproxy-.*|content-type-options|frame-options)"
)
TYPES = re.compile(
    r"(application/(json|xml|octet-stream|x-www-form-urlencoded|([a-z0-9.-]+\+json))|text/(plain|csv|xml))"
    r"(\s*;\s*charset=[a-z0-9-]+)?",
    re.IGNORECASE,
)
XML = re.compile(r"(application|text)/(xml|[a-z0-9.-]+\+xml)\b", re.IGNORECASE)
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


JSON_HEADERS = tuple((name, value) for name, value in default_response_headers())


class InvalidResponse(ValueError):
    """The form's response is not valid; `field` is the form's field, str() the message for the user."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class ConfiguredResponse(NamedTuple):
    """The configured response of a bin; `delay` in seconds. The next `fail_first` requests get 500.

    `body` may have placeholders for arguments of the query (echo.py). With `cors`, scripts of any site may call the
    bin.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    body: str = DEFAULT_BODY
    delay: float = 0
    fail_first: int = 0
    cors: bool = False

    @classmethod
    def of(cls, bin: Bin) -> "ConfiguredResponse":
        pairs = tuple((name, value) for name, value in bin.answer_headers)
        return cls(
            bin.answer_status, pairs, bin.answer_body, bin.answer_delay, bin.fail_first, bin.answer_cors
        )


class Preset(NamedTuple):
    """A predefined response: its name and its purpose. It leaves `cors` as it is."""

    name: str
    about: str
    response: ConfiguredResponse


PRESETS = {
    "ok": Preset("Always 200", "Responds 200 immediately.", ConfiguredResponse()),
    "fail": Preset(
        "Always 500",
        "A broken server: shows the retries, with guaranteedHooks all 20 attempts.",
        ConfiguredResponse(status=500, body='{"ok": false}'),
    ),
    "recover": Preset(
        "Fail first 3, then 200", "A server that recovers: shows the retry.", ConfiguredResponse(fail_first=3)
    ),
    "slow": Preset(
        "Slow, 20 s",
        "Longer than a hook's timeout: the attempt ends after 10 seconds.",
        ConfiguredResponse(delay=20),
    ),
    "challenge": Preset(
        "Echo hub.challenge",
        "Confirms a webhook URL at Meta: responds with that query argument.",
        ConfiguredResponse(headers=(("Content-Type", "text/plain"),), body="{{hub.challenge}}"),
    ),
}


def read(form: Mapping[str, Any]) -> ConfiguredResponse:
    """Returns the response of a form: status, headers (one "Name: value" per line), body, delay, fail_first, cors.

    Raises:
        InvalidResponse: with the invalid field.
    """
    return checked(
        ConfiguredResponse(
            status=read_number(form, "status", "The status"),
            headers=tuple(read_headers(str(form.get("headers", "")))),
            body=str(form.get("body", "")),
            delay=read_delay(str(form.get("delay", ""))),
            fail_first=read_number(form, "fail_first", "The number of failures"),
            cors=bool(form.get("cors")),
        )
    )


def checked(response: ConfiguredResponse) -> ConfiguredResponse:
    """Returns the response if its body, and the number and content of its headers, are allowed.

    Raises:
        InvalidResponse: with the invalid field.
    """
    body = response.body
    if "\x00" in body or any("\ud800" <= letter <= "\udfff" for letter in body):
        raise InvalidResponse("body", "The body contains an invalid character.")
    if len(body.encode()) > MAX_BODY:
        raise InvalidResponse("body", f"The body is longer than {MAX_BODY // 1024} KB.")
    placeholders = echo.count_placeholders(body)
    if placeholders > echo.MAX_PLACEHOLDERS:
        raise InvalidResponse(
            "body", f"The body has {placeholders} placeholders: the limit is {echo.MAX_PLACEHOLDERS}."
        )
    check_count(len(response.headers))
    for number, (name, value) in enumerate(response.headers, 1):
        check_header(f"Header {number}", name, value)
    return response


def read_number(form: Mapping[str, Any], field: str, label: str) -> int:
    minimum, maximum = LIMITS[field]
    text = str(form.get(field, "")).strip() or "0"
    if not re.fullmatch(r"[0-9]{1,6}", text) or not minimum <= int(text) <= maximum:
        raise InvalidResponse(field, f"{label} must be a number from {minimum} to {maximum}.")
    return int(text)


def read_delay(text: str) -> float:
    text = text.strip().replace(",", ".") or "0"
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or float(text) > MAX_DELAY:
        raise InvalidResponse("delay", f"The delay must be from 0 to {MAX_DELAY} seconds.")
    return float(text)


def read_headers(text: str) -> Iterator[tuple[str, str]]:
    """Yields the headers of a text, one per line. Raises InvalidResponse with the number of the line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    check_count(len(lines))
    for number, line in enumerate(lines, 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            raise InvalidResponse("headers", f"Line {number} is not a header: use “Name: value”.")
        check_header(f"Line {number}", name, value)
        yield name, value


def check_count(headers: int) -> None:
    """Raises InvalidResponse if there are too many headers."""
    if headers > MAX_HEADERS:
        raise InvalidResponse("headers", f"{headers} headers are too many: the limit is {MAX_HEADERS}.")


def check_header(where: str, name: str, value: str) -> None:
    """Raises InvalidResponse if a bin may not send this header. `where` begins the sentence: "Line 2"."""
    if not HEADER_NAME.fullmatch(name):
        raise InvalidResponse("headers", f"{where} is not a header: use “Name: value”.")
    if len(value) > 1000 or not re.fullmatch(r"[\t\x20-\x7e]*", value):
        raise InvalidResponse("headers", f"{where}: a value must be ASCII, up to 1000 characters.")
    if not is_allowed(name.lower()):
        raise InvalidResponse(
            "headers",
            f"{where}: a bin cannot send {name}, because browsers and proxies would apply it to this site. "
            f"Allowed: {', '.join(sorted(NAMED_HEADERS))}, access-control-…, webhook-…, x-….",
        )
    if name.lower() == "content-type" and not TYPES.fullmatch(value):
        raise InvalidResponse(
            "headers",
            f"{where}: a bin sends data only: JSON, XML, CSV, plain text, forms or octets.",
        )


def is_allowed(name: str) -> bool:
    """Returns whether a bin may send this header (in lower case)."""
    if name.startswith("x-"):
        return not FORBIDDEN_X.fullmatch(name)
    if name.startswith("access-control-"):
        return name != "access-control-allow-credentials"
    return name in NAMED_HEADERS or name.startswith("webhook-")


def status_in_path(path: str) -> int | None:
    """Returns the status of a path such as `/503` in `/bin/{key}/503`; None for any other path."""
    match = re.fullmatch(r"/([2-5][0-9]{2})/?", path)
    return int(match[1]) if match else None


def describe_response(bin: Bin) -> str:
    """Returns the response in words: "200 immediately", "500 2 more times, then 200, immediately", "200 after 20 s"."""
    when = f"after {bin.answer_delay:g} s" if bin.answer_delay else "immediately"
    if bin.fails_left:
        times = "1 more time" if bin.fails_left == 1 else f"{bin.fails_left} more times"
        return f"{FAILURE_STATUS} {times}, then {bin.answer_status}, {when}"
    return f"{bin.answer_status} {when}"
