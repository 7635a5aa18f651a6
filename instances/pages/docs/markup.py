"""Docstrings and code as HTML: backticks become code, and code gets its colours on the server."""

import re
from functools import lru_cache
from html import escape

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

OURS = '<em class="ours" title="What the original does here is unknown; this is our choice.">ours</em>'


def marked(text: str) -> SafeString:
    """Text with `code` and *ours* as they are meant; line breaks within a paragraph mean nothing."""
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return mark_safe(html.replace("*ours*", OURS))  # escaped above


def paragraphs(text: str) -> list[SafeString]:
    return [marked(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]


@lru_cache(maxsize=512)  # of all methods and receivers, and of some instances
def coloured(text: str, language: str) -> SafeString:
    """Code with a class on each token (static/css/docs.css); pygments escapes it. Kept: it is always the same."""
    lexer = get_lexer_by_name(language, ensurenl=False, stripnl=False)
    return mark_safe(highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="t-")))
