"""A captured body for display: JSON indented and coloured, text unchanged, bytes not shown.

Only the white space between tokens changes: numbers, escapes and repeated keys are shown as they were sent, because
those are what a developer of a receiver has to see.
"""

import re
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import JsonLexer

from testing_tools.verification.reading.recognition import parse

# bytes; colouring takes 12 ms per 10 KB. A longer text is shown plain, and is cut after SHOWN.
MAX_COLOURED = 64 * 1024
SHOWN = 256 * 1024
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
# Levels of indentation: 100 000 brackets would otherwise become gigabytes of spaces.
MAX_DEPTH = 40


class Shown(NamedTuple):
    """`html` is safe to render; `text` is its text, for the copy button; `cut`: only the start is shown."""

    kind: str  # json, text, bytes, empty
    html: SafeString | str
    text: str
    cut: bool


def show(body: bytes) -> Shown:
    """Returns how a body is shown. It accepts any bytes."""
    if not body:
        return Shown("empty", "", "", False)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Shown("bytes", "", "", False)
    if "\x00" in text:
        return Shown("bytes", "", "", False)
    cut = len(text) > SHOWN
    if parse(body) is None:
        return Shown("text", text[:SHOWN], text[:SHOWN], cut)
    if len(text) > MAX_COLOURED:
        return Shown("json", text[:SHOWN], text[:SHOWN], cut)
    text = indented(text)
    return Shown("json", coloured(text), text, False)


def indented(text: str) -> str:
    """Returns valid JSON indented by two spaces a level."""
    parts: list[str] = []
    depth, previous = 0, ""

    def new_line() -> None:
        parts.append("\n" + "  " * min(depth, MAX_DEPTH))

    for token in TOKEN.findall(text):
        if token in "]}":
            depth -= 1
            if previous not in "[{":
                new_line()
        elif previous and previous in "[{,":
            new_line()
        parts.append(": " if token == ":" else token)
        if token in "[{":
            depth += 1
        previous = token
    return "".join(parts)


def coloured(text: str) -> SafeString:
    """Returns JSON as HTML with a class on each token (static/css/capture.css); pygments escapes it."""
    return mark_safe(highlight(text, JsonLexer(ensurenl=False), HtmlFormatter(nowrap=True, classprefix="t-")))
