"""The methods of the wire contract as the docs page shows them, from registry.METHODS and their examples."""

import inspect
import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.utils.safestring import SafeString
from django.utils.text import slugify

from chatapi.ui.json_text import pretty
from chatapi.ui.request_snippets import short_curl
from instances.contract.arguments import Argument
from instances.contract.examples import GROUPS, PNG, Example, described
from instances.contract.openapi import describe_argument
from instances.contract.registry import Method
from instances.pages.docs.credentials import NO_KEY, ShownCredentials
from instances.pages.docs.markup import highlight_code, render_inline, render_paragraphs


class ArgumentRow(NamedTuple):
    """One argument: its name and aliases, the values it accepts, and whether it is required."""

    names: tuple[str, ...]
    accepts: SafeString
    required: bool


class Entry(NamedTuple):
    """One method, without the parts that depend on the reader."""

    method: Method
    example: Example
    paragraphs: list[SafeString]
    arguments: list[ArgumentRow]
    reply: str
    reply_html: SafeString
    refusal: str
    haystack: str

    @property
    def name(self) -> str:
        return self.method.name


class Group(NamedTuple):
    name: str
    anchor: str
    entries: list[Entry]


class MethodWithCurl(NamedTuple):
    """A method with the reader's curl line: `curl` is shown with a masked token, `copied` has the complete one."""

    entry: Entry
    curl: str
    copied: str


@cache
def list_groups() -> list[Group]:
    """Returns all methods in their groups. Cached: they do not change while the process runs."""
    entries_by_group: dict[str, list[Entry]] = {name: [] for name in GROUPS}
    for group, method, example in described():
        entries_by_group[group].append(build_entry(method, example))
    return [Group(name, slugify(name), entries) for name, entries in entries_by_group.items()]


def build_entry(method: Method, example: Example) -> Entry:
    text = inspect.cleandoc(method.function.__doc__ or "")
    arguments = [build_argument_row(argument) for argument in method.arguments]
    reply = "" if example.reply == PNG else pretty(example.reply)
    refusal = ""
    if method.failure_key:
        refusal = json.dumps({method.failure_key: method.failure_value, "message": "…"}, ensure_ascii=False)
    names = " ".join(name for row in arguments for name in row.names)
    return Entry(
        method=method,
        example=example,
        paragraphs=render_paragraphs(text),
        arguments=arguments,
        reply=reply,
        reply_html=highlight_code(reply, "json"),
        refusal=refusal,
        haystack=f"{method.name} {' '.join(method.aliases)} {text} {names}".lower(),
    )


def build_argument_row(argument: Argument) -> ArgumentRow:
    return ArgumentRow(
        (argument.wire, *argument.aliases), render_inline(describe_argument(argument)), argument.required
    )


def find_methods(query: str) -> list[Group]:
    """Returns the methods whose name, description or arguments contain all words; no group is empty."""
    words = query.lower().split()
    found = [
        group._replace(entries=[entry for entry in group.entries if contains_all(entry.haystack, words)])
        for group in list_groups()
    ]
    return [group for group in found if group.entries]


def contains_all(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def add_curl(entry: Entry, credentials: ShownCredentials) -> MethodWithCurl:
    return MethodWithCurl(
        entry,
        build_curl_line(entry, credentials, credentials.shown_token),
        build_curl_line(entry, credentials, credentials.copied_token),
    )


def build_curl_line(entry: Entry, credentials: ShownCredentials, token: str) -> str:
    """Returns the example as a command for a POSIX shell."""
    method, given = entry.method, entry.example.given
    by_query = method.verbs[0] == "GET" and not (given and "POST" in method.verbs and not method.by_uid)
    base_url = f"{settings.SITE_URL}/" if method.by_uid else credentials.api_url
    credential = f"uid={NO_KEY}" if method.by_uid else f"token={token}"  # urlencode would escape the mask
    rest = (
        urlencode({name: query_value(value) for name, value in given.items()}, safe="@") if by_query else ""
    )
    url = f"{base_url}{method.name}?{credential}{'&' if rest else ''}{rest}"
    if entry.example.reply == PNG:
        return short_curl(url, output=f"{method.name}.png")
    if by_query:
        return short_curl(url)
    return short_curl(url, method="POST", json=given or None)


def query_value(value: Any) -> str:
    """Returns the value as a query string contains it, before escaping."""
    return json.dumps(value) if isinstance(value, bool) else str(value)
