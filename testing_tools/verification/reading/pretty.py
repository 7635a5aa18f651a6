"""A captured body for the eye: JSON indented and coloured, text as it is, bytes not at all.

Nothing of the body is changed but the white space between its tokens: numbers, escapes and doubled keys stay
as they were sent, for whoever debugs a receiver needs to see exactly those.
"""

import re
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import JsonLexer

from testing_tools.verification.reading.recognition import parse

# Colouring takes 12 ms per 10 KB; beyond this the text is shown plain, and beyond SHOWN it is cut.
COLOURED = 64 * 1024
SHOWN = 256 * 1024
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
# Deeper than this the indentation stays: 100 000 brackets would otherwise make gigabytes of spaces.
DEEPEST = 40


class Shown(NamedTuple):
    """`html` is safe to print; `text` is what it shows, for the copy button; `cut` when there is more."""

    kind: str  # json, text, bytes, empty
    html: SafeString | str
    text: str
    cut: bool


def show(body: bytes) -> Shown:
    """How a body is shown; any bytes are taken."""
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
    if len(text) > COLOURED:
        return Shown("json", text[:SHOWN], text[:SHOWN], cut)
    text = indented(text)
    return Shown("json", coloured(text), text, False)


def indented(text: str) -> str:
    """Valid JSON with two spaces a level."""
    parts: list[str] = []
    depth, before = 0, ""

    def new_line() -> None:
        parts.append("\n" + "  " * min(depth, DEEPEST))

    for token in TOKEN.findall(text):
        if token in "]}":
            depth -= 1
            if before not in "[{":
                new_line()
        elif before and before in "[{,":
            new_line()
        parts.append(": " if token == ":" else token)
        if token in "[{":
            depth += 1
        before = token
    return "".join(parts)


def coloured(text: str) -> SafeString:
    """JSON with a class on each token (static/css/capture.css); pygments escapes what it prints."""
    return mark_safe(highlight(text, JsonLexer(ensurenl=False), HtmlFormatter(nowrap=True, classprefix="t-")))
