"""Puts arguments of a request's query into the configured body of a bin: `{{hub.challenge}}`.

The values come from any client, and a bin has the same origin as this site. They are escaped as the body's type needs,
so a value never becomes a part of the structure; headers take none. See responses.py for why a browser never runs a
body.
"""

import json
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, quote_plus
from xml.sax.saxutils import escape

PLACEHOLDER = re.compile(r"\{\{ ?([A-Za-z0-9_.-]{1,64}) ?\}\}")
# Together they bound a response: 64 KB that a user configured, and 20 values of 4 KB.
MAX_PLACEHOLDERS = 20
MAX_VALUE = 4096  # characters
MAX_ARGUMENTS = 200
# characters that XML 1.0 does not allow, even escaped
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def count_placeholders(body: str) -> int:
    """Returns how many placeholders the body has."""
    return len(PLACEHOLDER.findall(body))


def fill_in(body: str, query: str, content_type: str) -> str:
    """Returns the body with the arguments of `query` in place of its first MAX_PLACEHOLDERS placeholders.

    The first argument of a name counts. A missing one is empty, as are all of a query with more than MAX_ARGUMENTS; a
    value is cut after MAX_VALUE characters.
    """
    if not PLACEHOLDER.search(body):
        return body
    values = read_arguments(query)
    escaped = escape_function(content_type)
    return PLACEHOLDER.sub(
        lambda found: escaped(values.get(found[1], "")[:MAX_VALUE]), body, count=MAX_PLACEHOLDERS
    )


def read_arguments(query: str) -> dict[str, str]:
    """Returns {name: first value}."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_ARGUMENTS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def escape_function(content_type: str) -> Callable[[str], str]:
    """Returns the function that escapes a value for a body of this type."""
    type = content_type.partition(";")[0].strip().lower()
    if type.endswith(("/json", "+json")):
        return lambda value: json.dumps(value, ensure_ascii=False)[1:-1]
    if type.endswith(("/xml", "+xml")):
        return lambda value: escape(NOT_XML.sub("\ufffd", value), {'"': "&quot;", "'": "&apos;"})
    if type == "application/x-www-form-urlencoded":
        return quote_plus
    return str
