"""What the search shows: groups of rows. Apps above this one register what else it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django.http import HttpRequest

from chatapi.ui.states import Look
from instances.models import Instance

SHOWN = 8  # results of each kind


class Row(NamedTuple):
    """One result. An instance shows its state, a hook and an issue their `look`."""

    title: str
    text: str
    url: str
    icon: str
    instance: Instance | None = None
    look: Look | None = None
    is_code: bool = False


class Group(NamedTuple):
    """The results of one kind; `more_url` leads to a page with the others, if there are more than SHOWN."""

    title: str
    rows: list[Row]
    more_url: str = ""


# Returns what the request's user may see and the text, at most SEARCH_MAX_LENGTH characters, matches.
Source = Callable[[HttpRequest, str], Group]

_sources: list[Source] = []


def register_source(source: Source) -> None:
    """Add a source; its group is shown before those of the account."""
    _sources.append(source)


def registered_groups(request: HttpRequest, query: str) -> list[Group]:
    return [source(request, query) for source in _sources]
