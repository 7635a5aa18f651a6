"""Docstrings and code as HTML: backticks become <code>, and code is highlighted on the server."""

import re
from functools import lru_cache
from html import escape

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

OURS = (
    '<em class="extension-mark" title="What the original does here is unknown; this is our choice.">ours</em>'
)


def render_inline(text: str) -> SafeString:
    """Returns the text as HTML, with `code` and *ours* as elements. Line breaks are kept as spaces."""
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return mark_safe(html.replace("*ours*", OURS))  # escaped above


def render_paragraphs(text: str) -> list[SafeString]:
    return [render_inline(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]


@lru_cache(maxsize=512)  # fits all methods and receivers, and the hooks of some instances
def highlight_code(text: str, language: str) -> SafeString:
    """Returns the code as HTML with a class on each token (static/css/docs.css). Pygments escapes the text."""
    lexer = get_lexer_by_name(language, ensurenl=False, stripnl=False)
    return mark_safe(highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="t-")))
