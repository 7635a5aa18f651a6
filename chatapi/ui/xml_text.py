"""XML as indented lines, without a parser: entities are not expanded, and only white space between tags changes."""

from __future__ import annotations

import re
from typing import NamedTuple

from chatapi.ui.json_text import BOM, MAX_DEPTH

# `++`: a name is not tried again in shorter parts, which took quadratic time for one that never ends.
TOKEN = re.compile(
    r"""(?P<other><!--.*?--> | <!\[CDATA\[.*?\]\]> | <\?.*?\?> | <![A-Z][^\[<>]*(?:\[[^\]]*\]\s*)?>)
    | </(?P<end>[^\s<>/]+)\s*>
    | <(?P<start>[^\s<>/!?=]++)(?P<attributes>[^<>"']*(?:(?:"[^"<]*"|'[^'<]*')[^<>"']*)*)>
    | (?P<text>[^<]+)""",
    re.DOTALL | re.VERBOSE,
)


class XmlLine(NamedTuple):
    """A line and its level. Further lines of a comment or a text are as they were sent, on the level of the first."""

    depth: int
    text: str


class Element:
    """Where an element ends in the list of tokens, and whether its content can be put on lines of its own."""

    def __init__(self, name: str, *, is_as_sent: bool) -> None:
        self.name = name
        self.end = 0
        self.has_children = False
        self.is_as_sent = is_as_sent  # it has text of its own, or asks to keep white space


def indented_lines(text: str) -> list[XmlLine] | None:
    """Returns the lines of a well-formed document; None for any other text.

    An element with text stays as it was sent, with everything in it, because white space in it may matter.
    """
    tokens = tokens_of(text.removeprefix(BOM))
    elements = matched_elements(tokens) if tokens else None
    if tokens is None or elements is None:
        return None
    lines: list[XmlLine] = []
    depth = at = 0
    while at < len(tokens):
        token, element = tokens[at], elements.get(at)
        whole = token[0]
        if element and (element.is_as_sent or not element.has_children):
            whole = "".join(found[0] for found in tokens[at : element.end + 1])
            at = element.end
        if token["end"]:
            depth -= 1
        if whole.strip():
            lines += lines_of(whole.strip(), depth)
        if element and whole == token[0] and element.end != at:
            depth += 1
        at += 1
    return lines


def tokens_of(text: str) -> list[re.Match[str]] | None:
    """Returns the tokens; None as soon as there is none: a search for the next one would take quadratic time."""
    tokens: list[re.Match[str]] = []
    at = 0
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None:
            return None
        tokens.append(token)
        at = token.end()
    return tokens


def lines_of(text: str, depth: int) -> list[XmlLine]:
    first, *further = text.splitlines()
    depth = min(depth, MAX_DEPTH)
    return [XmlLine(depth, "  " * depth + first), *(XmlLine(depth, line) for line in further)]


def matched_elements(tokens: list[re.Match[str]]) -> dict[int, Element] | None:
    """Returns {index of the start tag: element}; None if tags do not match, or there is not one root."""
    found: dict[int, Element] = {}
    open_elements: list[Element] = []
    roots = 0
    for at, token in enumerate(tokens):
        parent = open_elements[-1] if open_elements else None
        if token["start"]:
            attributes = token["attributes"]
            element = found[at] = Element(token["start"], is_as_sent="xml:space" in attributes)
            element.end = at
            roots += parent is None
            if not attributes.endswith("/"):
                open_elements.append(element)
        elif token["end"]:
            if parent is None or parent.name != token["end"]:
                return None
            open_elements.pop().end = at
            continue
        elif token["text"] and token["text"].strip():
            if parent is None:
                return None
            parent.is_as_sent = True
            continue
        elif token["other"] and token["other"].startswith("<![CDATA["):
            if parent is None:
                return None
            parent.is_as_sent = True
        if parent and not token["text"]:
            parent.has_children = True
    return found if roots == 1 and not open_elements else None
