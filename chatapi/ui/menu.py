"""The menu at the left. Each app registers its own entries in AppConfig.ready; chatapi.ui names no URL of theirs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from django.http import HttpRequest
from django.urls import ResolverMatch, reverse

MAX_COUNT = 99  # a larger number of an entry is shown as `99+`


class Audience(Enum):
    EVERYONE = "everyone"
    SIGNED_IN = "signed in"
    SIGNED_OUT = "signed out"
    STAFF = "staff"


@dataclass(frozen=True)
class MenuEntry:
    """One link of the menu.

    `order` sorts the entries; those with the same hundreds form a block, under the heading `block` if it is set.
    `views` are prefixes of the view names ("log:") on whose pages the entry is marked as current. `matches`, if set,
    must also hold; entries that have it are tried first. `keeps_instance` adds the query of the chosen instance.
    `count` returns a number that is shown beside the title unless it is 0, with `count_word` for screen readers.
    With `only_on_phones`, wider windows hide it: they have the link elsewhere.
    """

    order: int
    title: str
    url_name: str
    icon: str
    views: tuple[str, ...] = ()
    block: str = ""
    audience: Audience = Audience.SIGNED_IN
    keeps_instance: bool = False
    matches: Callable[[HttpRequest, ResolverMatch], bool] | None = None
    count: Callable[[HttpRequest], int] | None = None
    count_word: str = ""
    only_on_phones: bool = False

    def is_shown(self, *, is_signed_in: bool, is_staff: bool) -> bool:
        return {
            Audience.EVERYONE: True,
            Audience.SIGNED_IN: is_signed_in,
            Audience.SIGNED_OUT: not is_signed_in,
            Audience.STAFF: is_staff,
        }[self.audience]

    def url(self, query: Callable[[str], str] | None) -> str:
        """The link's URL. `query` returns what is added to it if it keeps the instance."""
        added = query(self.url_name) if query and self.keeps_instance else ""
        return reverse(self.url_name) + added


@dataclass(frozen=True)
class MenuLink:
    """An entry as the template needs it."""

    title: str
    url: str
    icon: str
    is_current: bool
    count: str = ""
    count_word: str = ""
    only_on_phones: bool = False


@dataclass(frozen=True)
class MenuBlock:
    heading: str
    links: list[MenuLink]


_entries: dict[str, MenuEntry] = {}


def register(*entries: MenuEntry) -> None:
    """Add `entries` to the menu. Registering a URL name again replaces its entry."""
    _entries.update({entry.url_name: entry for entry in entries})


def entries() -> list[MenuEntry]:
    return sorted(_entries.values(), key=lambda entry: entry.order)


def shown_count(number: int) -> str:
    """Returns the number as the menu shows it: empty for 0, `99+` for more than 99."""
    return "" if not number else str(number) if number <= MAX_COUNT else f"{MAX_COUNT}+"


def current_entry(request: HttpRequest) -> MenuEntry | None:
    """The entry of the page that `request` asks for."""
    match = request.resolver_match
    if match is None:
        return None
    found = [entry for entry in entries() if entry.views and match.view_name.startswith(entry.views)]
    for entry in sorted(found, key=lambda entry: entry.matches is None):
        if entry.matches is None or entry.matches(request, match):
            return entry
    return None


def blocks(
    request: HttpRequest, *, is_signed_in: bool, is_staff: bool, query: Callable[[str], str] | None
) -> Iterator[MenuBlock]:
    """The menu for this request. `query` returns what is added to the link of an entry with `keeps_instance`."""
    current = current_entry(request)
    shown = [e for e in entries() if e.is_shown(is_signed_in=is_signed_in, is_staff=is_staff)]
    for _, group in groupby(shown, key=lambda entry: entry.order // 100):
        members = list(group)
        links = [
            MenuLink(
                entry.title,
                entry.url(query),
                entry.icon,
                entry == current,
                shown_count(entry.count(request) if entry.count else 0),
                entry.count_word,
                entry.only_on_phones,
            )
            for entry in members
        ]
        yield MenuBlock(members[0].block, links)
