"""A captured body for display: JSON indented and coloured, other text unchanged, bytes not shown.

It is unpacked and decoded first as its headers say; the tab Hex and the download have its bytes.

Only the white space between tokens changes: numbers, escapes and repeated keys are shown as they were sent, because
those are what a developer of a receiver has to see.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import JsonLexer

from chatapi.ui.body_reading import readable
from chatapi.ui.json_text import indented, is_json

# bytes; colouring takes 12 ms per 10 KB. A longer text is shown plain, and is cut after SHOWN.
MAX_COLOURED = 64 * 1024
SHOWN = 256 * 1024


class Shown(NamedTuple):
    """`html` is safe to render; `text` is its text, for the copy button; `cut`: only the start is shown.

    `decoded_from` and `note` are those of chatapi.ui.body_reading.
    """

    kind: str  # json, text, bytes, empty
    html: SafeString | str
    text: str
    cut: bool
    decoded_from: str = ""
    note: str = ""


def show(body: bytes, headers: Iterable[Sequence[str]] = ()) -> Shown:
    """Returns how a body with these headers is shown. It accepts any bytes."""
    if not body:
        return Shown("empty", "", "", False)
    read = readable(body, headers)
    how = (read.decoded_from, read.note)
    if not read.is_text:
        return Shown("bytes", "", "", False, *how)
    text = read.text
    cut = len(text) > SHOWN
    if not is_json(text):
        return Shown("text", text[:SHOWN], text[:SHOWN], cut, *how)
    if len(text) > MAX_COLOURED:
        return Shown("json", text[:SHOWN], text[:SHOWN], cut, *how)
    text = indented(text)
    return Shown("json", coloured(text), text, False, *how)


def coloured(text: str) -> SafeString:
    """Returns JSON as HTML with a class on each token (static/css/capture.css); pygments escapes it."""
    return mark_safe(highlight(text, JsonLexer(ensurenl=False), HtmlFormatter(nowrap=True, classprefix="t-")))
