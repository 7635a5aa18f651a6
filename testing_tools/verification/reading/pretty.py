"""A captured body for display: JSON and XML indented, coloured and foldable, other text unchanged, bytes not shown.

It is unpacked and decoded first as its headers say; the tab Hex and the download have its bytes.

Only the white space between tokens changes: numbers, escapes and repeated keys are shown as they were sent, because
those are what a developer of a receiver has to see.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import JsonLexer, XmlLexer

from chatapi.ui.body_reading import readable
from chatapi.ui.header_fields import combined
from chatapi.ui.json_text import indented, is_json
from chatapi.ui.xml_text import XmlLine, indented_lines
from testing_tools.verification.reading.folding import folded

# bytes; colouring takes 12 ms per 10 KB. A longer text is shown plain, and is cut after SHOWN.
MAX_COLOURED = 64 * 1024
MAX_LINES = 4000  # of a text that is coloured; 64 KB of "[1,1,…]" have 32 000 lines, and became 2 MB of HTML
SHOWN = 256 * 1024


class Shown(NamedTuple):
    """`html` is safe to render; `text` is its text, for the copy button; `cut`: only the start is shown.

    `is_foldable`: `html` has the lines as nested <details>. `decoded_from` and `note` are those of
    chatapi.ui.body_reading.
    """

    kind: str  # json, xml, text, bytes, empty
    html: SafeString | str
    text: str
    cut: bool
    is_foldable: bool = False
    decoded_from: str = ""
    note: str = ""


def show(body: bytes, headers: Iterable[Sequence[str]] = ()) -> Shown:
    """Returns how a body with these headers is shown. It accepts any bytes."""
    if not body:
        return Shown("empty", "", "", False)
    read = readable(body, headers)
    how: dict[str, Any] = {"decoded_from": read.decoded_from, "note": read.note}
    if not read.is_text:
        return Shown("bytes", "", "", False, **how)
    text = read.text
    if is_json(text):
        return show_json(text, how)
    lines = xml_lines(text, headers)
    if lines is not None:
        indented_text = "\n".join(line.text for line in lines)
        return show_lines("xml", text, indented_text, XmlLexer, [line.depth for line in lines], how)
    return Shown("text", text[:SHOWN], text[:SHOWN], len(text) > SHOWN, **how)


def show_json(text: str, how: dict[str, Any]) -> Shown:
    if len(text) > MAX_COLOURED:
        return Shown("json", text[:SHOWN], text[:SHOWN], len(text) > SHOWN, **how)
    indented_text = indented(text)
    depths = [(len(line) - len(line.lstrip(" "))) // 2 for line in indented_text.split("\n")]
    return show_lines("json", text, indented_text, JsonLexer, depths, how)


def show_lines(
    kind: str, text: str, indented_text: str, lexer: type[Any], depths: Sequence[int], how: dict[str, Any]
) -> Shown:
    """Returns the indented text, coloured and foldable unless it has too many lines; as sent if it is too long."""
    if len(indented_text) > SHOWN:  # thousands of lines, deeply nested
        return Shown(kind, text, text, False, **how)
    if len(depths) > MAX_LINES:
        return Shown(kind, indented_text, indented_text, False, **how)
    return Shown(kind, coloured(indented_text, lexer, depths), indented_text, False, True, **how)


def xml_lines(text: str, headers: Iterable[Sequence[str]]) -> list[XmlLine] | None:
    """Returns the lines of an XML document; None for other texts, HTML and long ones."""
    is_html = "html" in combined(headers).get("content-type", "").lower()
    if is_html or len(text) > MAX_COLOURED or not text.lstrip("\ufeff \t\r\n").startswith("<"):
        return None
    return indented_lines(text)


def coloured(text: str, lexer: type[Any], depths: Sequence[int]) -> SafeString:
    """Returns the text as foldable HTML with a class on each token (static/css/capture.css); pygments escapes it.

    `depths` are the levels of its lines.
    """
    formatter = HtmlFormatter(nowrap=True, classprefix="t-")
    html = highlight(text, lexer(ensurenl=False, stripnl=False), formatter)
    return folded([mark_safe(line) for line in html.removesuffix("\n").split("\n")], depths)
