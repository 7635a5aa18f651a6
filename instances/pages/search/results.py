"""The results of the search: hooks and messages by id, instances, pages, settings and docs."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from chatapi.ui.states import HOOK_STATES, Look, look
from hooks.models import Hook, parse_webhook_id
from instances.models import Instance, Message, OutgoingMessage
from instances.pages.frame import InstanceFrame
from instances.pages.query_parameters import SEARCH_MAX_LENGTH
from instances.pages.search import destinations
from instances.pages.search.destinations import Destination

SHOWN = 8  # results of each kind
FIRST_INSTANCES = 5  # before the user has entered anything
SHORTEST_MESSAGE_ID = 8  # characters; a shorter text is looked up in no table of messages


class Row(NamedTuple):
    """One result. An instance shows its state, a hook its `look`."""

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


def find_groups(request: HttpRequest, query: str) -> list[Group]:
    """Returns what the user may see and `query` matches, without empty groups. At most five queries.

    An empty query returns the first instances and the pages. A message is found by all of the query, which may be as
    long as an id of a group of Matrix; everything else by its first SEARCH_MAX_LENGTH characters.
    """
    instance = InstanceFrame.of(request).instance
    pages = destinations.menu_pages(request)
    if not query:
        found = [instances(request, "", FIRST_INSTANCES), Group("Pages", [row_of(page) for page in pages])]
        return [group for group in found if group.rows]
    of_instance = destinations.instance_pages(instance) if instance else []
    settings = destinations.settings_of(instance) if instance else []
    words = query[:SEARCH_MAX_LENGTH]
    found = [
        Group("Hooks", hooks(request, query)),
        Group("Messages", messages(request, query)),
        instances(request, words, SHOWN),
        by_words("Pages", [*pages, *of_instance, *destinations.other_pages()], words),
        by_words(f"Settings of {instance}", settings, words),
        by_words("API docs", destinations.docs(), words),
    ]
    return [group for group in found if group.rows]


def docs_group(query: str) -> Group:
    """Returns links to the searches of the docs."""
    return Group("More", [row_of(one) for one in destinations.docs_searches(query)])


def by_words(title: str, candidates: list[Destination], query: str) -> Group:
    return Group(title, [row_of(one) for one in destinations.find(candidates, query)[:SHOWN]])


def row_of(destination: Destination) -> Row:
    return Row(
        destination.title, destination.text, destination.url, destination.icon, is_code=destination.is_code
    )


def instances(request: HttpRequest, query: str, shown: int) -> Group:
    """Returns the instances whose name, number, phone or webhook URL has every word. One query."""
    frame = InstanceFrame.of(request)
    found = frame.search(query) if query else frame.instances
    rows = [
        Row(
            str(one),
            owner_words(one, frame.user.pk),
            one.get_absolute_url(),
            "device-mobile",
            instance=one,
        )
        for one in found[:shown]
    ]
    more = reverse("instances:list", query={"q": query} if query else None) if len(found) > shown else ""
    return Group("Instances", rows, more)


def owner_words(instance: Instance, user_pk: int) -> str:
    """Returns the number of a named instance, and the account if it is not the user's own."""
    number = str(instance.number) if instance.name else ""
    account = f"in the account of {instance.owner}" if instance.owner.owner_id != user_pk else ""
    return ", ".join(words for words in (number, account) if words)


def hooks(request: HttpRequest, query: str) -> list[Row]:
    """Returns the hook with this id, `hook_…` or a UUID. One query, none for another text."""
    public_id = parse_webhook_id(query)
    if public_id is None:
        return []
    visible = Hook.objects.of_instances(Instance.objects.visible_to(InstanceFrame.of(request).user))
    found = visible.show_sending().defer("body").select_related("endpoint__instance")
    return [
        Row(
            hook.webhook_id,
            f"{hook.get_kind_display()} of {hook.endpoint.instance}",
            reverse("log:hook", args=[hook.public_id]),
            "list-details",
            look=look(HOOK_STATES, hook.state),
            is_code=True,
        )
        for hook in found.filter(public_id=public_id)
    ]


def messages(request: HttpRequest, query: str) -> list[Row]:
    """Returns the messages with this id: received, sent, waiting or failed. Three queries, none for a short text.

    The instances are read first: each is then one look-up in the index of its messages' ids.
    """
    if len(query) < SHORTEST_MESSAGE_ID or " " in query or parse_webhook_id(query):
        return []
    visible = {one.pk: one for one in Instance.objects.visible_to(InstanceFrame.of(request).user)}
    wanted = Q(instance__in=list(visible), message_id=query)
    stored = Message.objects.filter(wanted).select_related("chat").order_by("pk")[:SHOWN]
    waiting = OutgoingMessage.objects.filter(wanted).order_by("pk")[:SHOWN]
    return [
        *(message_row(one, visible[one.instance_id]) for one in stored),
        *(
            Row(
                one.message_id,
                f"{one.get_state_display()} at {visible[one.instance_id]}",
                reverse("instances:message", args=[visible[one.instance_id].number, one.message_id]),
                "inbox",
                is_code=True,
            )
            for one in waiting
        ),
    ]


def message_row(message: Message, instance: Instance) -> Row:
    """Leads to the page of a received message, of one that the API sent, or to the chat of any other."""
    if not message.from_me:
        url = reverse("instances:turn", args=[instance.number, message.message_id])
    elif message.queue_number is not None:
        url = reverse("instances:message", args=[instance.number, message.message_id])
    else:
        url = reverse("instances:chat", args=[instance.number, message.chat.chat_id])
    done = "Sent" if message.from_me else "Received"
    return Row(message.message_id, f"{done} by {instance}", url, "message-circle", is_code=True)
