"""What a bin answers: what its owner has ordered, checked, and how many slow answers may wait at once.

A bin lives on this very site, so an answer must never be something that a browser would run or obey with the
site's rights: only headers of a list are taken, only types that are data, and views/bin_address.py puts a sandbox
around all of it.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from testing_tools.verification.models import ANSWER_BODY, LONGEST_DELAY, Bin, answer_headers

MOST_BODY = 64 * 1024  # bytes
MOST_HEADERS = 20
MOST_FAILS = 500
FAILS_WITH = 500
# A slow answer holds one of the web server's 40 threads (runtime/web.py). So many wait at once in a process, and
# so many of one bin; what comes beyond that is answered at once, and its row says so.
MOST_SLOW = 10
MOST_SLOW_OF_ONE = 4
TOO_MANY_SLOW = "at once: too many slow answers were waiting"

NAMED_HEADERS = {
    "content-type", "content-language", "retry-after", "etag", "last-modified", "allow", "vary",
}  # fmt: skip
# what a proxy in front would obey, or a browser
FORBIDDEN_X = re.compile(
    r"x-(accel-.*|sendfile.*|lighttpd-.*|litespeed-.*|reproxy-.*|content-type-options|frame-options)"
)
TYPES = re.compile(
    r"(application/(json|xml|octet-stream|x-www-form-urlencoded|([a-z0-9.-]+\+json))|text/(plain|csv|xml))"
    r"(\s*;\s*charset=[a-z0-9-]+)?",
    re.IGNORECASE,
)
XML = re.compile(r"(application|text)/(xml|[a-z0-9.-]+\+xml)\b", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


JSON_HEADERS = tuple((name, value) for name, value in answer_headers())


class BadOrder(ValueError):
    """No answer can be ordered like this: `field` of the form and a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class Order(NamedTuple):
    """What a bin is to answer; `delay` in seconds. The first `fail_first` requests from now on get 500."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    body: str = ANSWER_BODY
    delay: float = 0
    fail_first: int = 0

    @classmethod
    def of(cls, bin: Bin) -> "Order":
        pairs = tuple((name, value) for name, value in bin.answer_headers)
        return cls(bin.answer_status, pairs, bin.answer_body, bin.answer_delay, bin.fail_first)


class Preset(NamedTuple):
    """A ready order: its name, and what it is good for."""

    name: str
    about: str
    order: Order


PRESETS = {
    "ok": Preset("Always 200", "All is well, at once.", Order()),
    "fail": Preset(
        "Always 500",
        "The server is broken: see the attempts, with guaranteedHooks all 20 of them.",
        Order(status=500, body='{"ok": false}'),
    ),
    "recover": Preset(
        "Fail first 3, then 200", "The server comes back: see the retry arrive.", Order(fail_first=3)
    ),
    "slow": Preset(
        "Slow, 20 s", "Longer than a hook waits: see the attempt end after 10 seconds.", Order(delay=20)
    ),
}


def read(form: Mapping[str, Any]) -> Order:
    """The order of a form: status, headers (one "Name: value" a line), body, delay, fail_first. Raises BadOrder."""
    body = str(form.get("body", ""))
    if "\x00" in body or any("\ud800" <= letter <= "\udfff" for letter in body):
        raise BadOrder("body", "The body holds a character that does not exist.")
    if len(body.encode()) > MOST_BODY:
        raise BadOrder("body", f"The body is longer than {MOST_BODY // 1024} KB.")
    return Order(
        status=whole(form, "status", "The status", 200, 599),
        headers=tuple(read_headers(str(form.get("headers", "")))),
        body=body,
        delay=read_delay(str(form.get("delay", ""))),
        fail_first=whole(form, "fail_first", "The number of failures", 0, MOST_FAILS),
    )


def whole(form: Mapping[str, Any], field: str, what: str, least: int, most: int) -> int:
    text = str(form.get(field, "")).strip() or "0"
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise BadOrder(field, f"{what} must be a number from {least} to {most}.")
    return int(text)


def read_delay(text: str) -> float:
    text = text.strip().replace(",", ".") or "0"
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or float(text) > LONGEST_DELAY:
        raise BadOrder("delay", f"The delay must be from 0 to {LONGEST_DELAY} seconds.")
    return float(text)


def read_headers(text: str) -> Iterator[tuple[str, str]]:
    """The headers of a text, a line each. Raises BadOrder with the line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_HEADERS:
        raise BadOrder("headers", f"These are {len(lines)} headers; at most {MOST_HEADERS} are sent.")
    for number, line in enumerate(lines, 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not NAME.fullmatch(name):
            raise BadOrder("headers", f"Line {number} is no header: it takes “Name: value”.")
        if len(value) > 1000 or not re.fullmatch(r"[\t\x20-\x7e]*", value):
            raise BadOrder("headers", f"Line {number}: a value takes up to 1000 characters of plain ASCII.")
        if not is_harmless(name.lower()):
            raise BadOrder(
                "headers",
                f"Line {number}: a bin does not answer with {name}, for it is a part of this site, and browsers and "
                f"proxies would obey. It takes {', '.join(sorted(NAMED_HEADERS))}, access-control-…, webhook-…, x-….",
            )
        if name.lower() == "content-type" and not TYPES.fullmatch(value):
            raise BadOrder(
                "headers",
                f"Line {number}: a bin answers with data alone: JSON, XML, CSV, plain text, forms or octets.",
            )
        yield name, value


def is_harmless(name: str) -> bool:
    if name.startswith("x-"):
        return not FORBIDDEN_X.fullmatch(name)
    if name.startswith("access-control-"):
        return name != "access-control-allow-credentials"
    return name in NAMED_HEADERS or name.startswith("webhook-")


def asked_by_address(path: str) -> int | None:
    """The status that `/bin/{key}/503` asks for; None where the path behind the key is another."""
    match = re.fullmatch(r"/([2-5][0-9]{2})/?", path)
    return int(match[1]) if match else None


def words(bin: Bin) -> str:
    """What it answers now: "200 at once", "fails 2 more times, then 200", "200 after 20 s"."""
    when = f"after {bin.answer_delay:g} s" if bin.answer_delay else "at once"
    if bin.fails_left:
        times = "once more" if bin.fails_left == 1 else f"{bin.fails_left} more times"
        return f"{FAILS_WITH} {times}, then {bin.answer_status}, {when}"
    return f"{bin.answer_status} {when}"


_waiting: Counter[int] = Counter()
_lock = threading.Lock()


@contextmanager
def place_to_wait(bin_id: int) -> Iterator[bool]:
    """May one more answer of this bin wait now? A place that was given is given back at the end."""
    with _lock:
        free = _waiting.total() < MOST_SLOW and _waiting[bin_id] < MOST_SLOW_OF_ONE
        if free:
            _waiting[bin_id] += 1
    try:
        yield free
    finally:
        if free:
            with _lock:
                _waiting[bin_id] -= 1
                if not _waiting[bin_id]:
                    del _waiting[bin_id]
