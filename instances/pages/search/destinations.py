"""What the search finds without the database: pages, settings and docs, each by its words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from accounts.account_pages import ACCOUNT_PAGES
from chatapi.ui import menu
from chatapi.ui.frame import user_of
from instances.contract.registry import METHODS
from instances.models import Instance
from instances.pages.docs.receivers import RECEIVERS
from instances.pages.frame import menu_query
from instances.pages.settings.advanced_settings import GROUPS
from instances.pages.settings.flag_texts import FLAGS


class Destination(NamedTuple):
    """A link that is found by its words: those of `title`, `text` and `also`, which is not shown."""

    title: str
    text: str
    url: str
    icon: str
    also: str = ""
    is_code: bool = False  # whether the title is a name of the API


# Title, icon, URL name, and words by which it is found, too.
INSTANCE_PAGES = (
    ("Overview", "device-mobile", "instances:detail", "status qr token webhook url secret"),
    ("Messages", "messages", "instances:messages", "chats contacts"),
    ("Received messages", "message-circle", "instances:received", "bot response turn"),
    ("Queue", "inbox", "instances:queue", "waiting failed sent messages"),
    ("Status history", "history", "instances:history", "offline"),
    ("More settings", "settings", "instances:settings", "name delete channel"),
    ("Endpoints", "webhook", "instances:endpoints", "webhook url filters"),
)
OTHER_PAGES = (
    ("Create instance", "plus", "instances:new", "new link account"),
    ("Statistics", "chart-bar", "statistics:overview", "chart counts durations percentiles"),
    ("Redeliveries", "repeat", "log:redeliveries", "resend jobs"),
    ("Alert webhook", "webhook", "account-alerts:alerts", "alerts issues notifications"),
)


def matches(destination: Destination, words: Iterable[str]) -> bool:
    text = f"{destination.title} {destination.text} {destination.also}".lower()
    return all(word in text for word in words)


def find(destinations: Iterable[Destination], query: str) -> list[Destination]:
    """Returns those with all words of the query; those whose title begins with it come first."""
    wanted = query.lower()
    found = [one for one in destinations if matches(one, wanted.split())]
    return sorted(
        found, key=lambda one: (not one.title.lower().startswith(wanted), wanted not in one.title.lower())
    )


def menu_pages(request: HttpRequest) -> list[Destination]:
    """Returns the entries of the user's menu, with the links that the menu has."""
    user = user_of(request)
    entries = [
        e
        for e in menu.entries()
        if e.url_name != "search" and e.is_shown(is_signed_in=True, is_staff=user.is_staff)
    ]
    return [
        Destination(
            entry.title, entry.block, entry.url(lambda name: menu_query(request, name)), entry.icon, "page"
        )
        for entry in entries
    ]


def other_pages() -> list[Destination]:
    return [
        *(Destination(title, "", reverse(name), icon, also) for title, icon, name, also in OTHER_PAGES),
        *(
            Destination(page.title, page.text, reverse(page.url_name), page.icon, "account")
            for page in ACCOUNT_PAGES
        ),
    ]


def instance_pages(instance: Instance) -> list[Destination]:
    return [
        Destination(title, f"of {instance}", reverse(name, args=[instance.number]), icon, also)
        for title, icon, name, also in INSTANCE_PAGES
    ]


def settings_of(instance: Instance) -> list[Destination]:
    """Returns the settings of the instance, each with a link to its field."""
    overview = reverse("instances:detail", args=[instance.number])
    more = reverse("instances:settings", args=[instance.number])
    flags = [(flag.name, flag.sentence, f"{overview}#flag-{flag.name}") for flag in FLAGS]
    others = [(one.name, one.sentence, f"{more}#set-{one.name}") for _, group in GROUPS for one in group]
    return [
        Destination(name, sentence, url, "adjustments", f"setting {instance}", is_code=True)
        for name, sentence, url in [*flags, *others]
    ]


def docs() -> list[Destination]:
    """Returns the methods of the wire contract, and the receivers. REST has a search of its own."""
    contract = reverse("docs:contract")
    return [
        *(
            Destination(name, "Method of the wire contract", f"{contract}#{name}", "book", is_code=True)
            for name in sorted(METHODS)
        ),
        *(
            Destination(
                f"Receiver in {one.name}",
                "",
                reverse("docs:receiver", args=[one.key]),
                "webhook",
                "example code",
            )
            for one in RECEIVERS
        ),
    ]


def docs_searches(query: str) -> list[Destination]:
    """Returns links to the searches of the two references, which look at every description and field."""
    return [
        Destination(f"Search {name} for “{query}”", "", reverse(url_name, query={"q": query}), "list-search")
        for name, url_name in (("the wire contract", "docs:contract"), ("REST", "docs:rest"))
    ]
