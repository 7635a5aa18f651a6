"""The methods of the wire contract as its page shows them, out of registry.METHODS and their examples."""

import inspect
import json
import shlex
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.utils.safestring import SafeString
from django.utils.text import slugify

from chatapi.ui.json_text import pretty
from instances.contract.arguments import Argument
from instances.contract.examples import GROUPS, PNG, Example, described
from instances.contract.openapi import describe_argument
from instances.contract.registry import Method
from instances.pages.docs.credentials import NO_KEY, Opener
from instances.pages.docs.markup import coloured, marked, paragraphs


class ArgumentRow(NamedTuple):
    """One argument: all the names it goes by, what it takes, and whether it must come."""

    names: tuple[str, ...]
    takes: SafeString
    required: bool


class Entry(NamedTuple):
    """One method, without what differs from reader to reader."""

    method: Method
    example: Example
    words: list[SafeString]
    arguments: list[ArgumentRow]
    reply: str
    reply_html: SafeString
    refused: str
    haystack: str

    @property
    def name(self) -> str:
        return self.method.name


class Group(NamedTuple):
    name: str
    anchor: str
    entries: list[Entry]


class Shown(NamedTuple):
    """A method with the reader's own curl line: `curl` as it is shown, `copied` with the whole token."""

    entry: Entry
    curl: str
    copied: str


@cache
def groups() -> list[Group]:
    """All methods in their groups. Made once: nothing of it changes while the process lives."""
    made: dict[str, list[Entry]] = {name: [] for name in GROUPS}
    for group, method, example in described():
        made[group].append(entry_of(method, example))
    return [Group(name, slugify(name), entries) for name, entries in made.items()]


def entry_of(method: Method, example: Example) -> Entry:
    text = inspect.cleandoc(method.function.__doc__ or "")
    arguments = [row_of(argument) for argument in method.arguments]
    reply = "" if example.reply == PNG else pretty(example.reply)
    refused = ""
    if method.failure_key:
        refused = json.dumps({method.failure_key: method.failure_value, "message": "…"}, ensure_ascii=False)
    names = " ".join(name for row in arguments for name in row.names)
    return Entry(
        method=method,
        example=example,
        words=paragraphs(text),
        arguments=arguments,
        reply=reply,
        reply_html=coloured(reply, "json"),
        refused=refused,
        haystack=f"{method.name} {' '.join(method.aliases)} {text} {names}".lower(),
    )


def row_of(argument: Argument) -> ArgumentRow:
    return ArgumentRow(
        (argument.wire, *argument.aliases), marked(describe_argument(argument)), argument.required
    )


def find(query: str) -> list[Group]:
    """The groups with the methods that have all words of the query, in name, words or arguments; none are empty."""
    words = query.lower().split()
    found = [
        group._replace(entries=[entry for entry in group.entries if fits(entry.haystack, words)])
        for group in groups()
    ]
    return [group for group in found if group.entries]


def fits(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def shown(entry: Entry, opener: Opener) -> Shown:
    return Shown(
        entry, curl_line(entry, opener, opener.shown_token), curl_line(entry, opener, opener.copied_token)
    )


def curl_line(entry: Entry, opener: Opener, token: str) -> str:
    """The example as a line for a POSIX shell."""
    method, given = entry.method, entry.example.given
    by_query = method.verbs[0] == "GET" and not (given and "POST" in method.verbs and not method.by_uid)
    address = f"{settings.SITE_URL}/" if method.by_uid else opener.api_url
    opening = f"uid={NO_KEY}" if method.by_uid else f"token={token}"  # the mask is not to be escaped
    rest = urlencode({name: word(value) for name, value in given.items()}, safe="@") if by_query else ""
    url = f"{address}{method.name}?{opening}{'&' if rest else ''}{rest}"
    if entry.example.reply == PNG:
        return f"curl -o {method.name}.png {shlex.quote(url)}"
    if by_query:
        return f"curl {shlex.quote(url)}"
    if not given:
        return f"curl -X POST {shlex.quote(url)}"
    body = shlex.quote(json.dumps(given, ensure_ascii=False))
    return f"curl -X POST {shlex.quote(url)} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"


def word(value: Any) -> str:
    """As a query has it."""
    return json.dumps(value) if isinstance(value, bool) else str(value)
