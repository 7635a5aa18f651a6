"""The results of the search: hooks and messages by id, and what contains the words of the query."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from chatapi.ui.states import HOOK_STATES, look
from hooks.models import Hook, parse_issue_id, parse_webhook_id
from instances.models import Instance, Message, OutgoingMessage
from instances.pages.frame import InstanceFrame
from instances.pages.query_parameters import SEARCH_MAX_LENGTH
from instances.pages.search import destinations
from instances.pages.search.account import account
from instances.pages.search.conversations import chats, message_url, texts
from instances.pages.search.deliveries import endpoints, issues
from instances.pages.search.destinations import Destination
from instances.pages.search.result_groups import SHOWN, Group, Row, registered_groups

FIRST_INSTANCES = 5  # before the user has entered anything
SHORTEST_MESSAGE_ID = 8  # characters; a shorter text is looked up in no table of messages


def find_groups(request: HttpRequest, query: str) -> list[Group]:
    """Returns what the user may see and `query` matches, without empty groups. About twenty queries, each with a limit.

    An empty query returns the first instances and the pages. A message is found by all of the query, which may be as
    long as an id of a group of Matrix; everything else by its first SEARCH_MAX_LENGTH characters. Chats, settings and
    the texts of messages are those of the chosen instance.
    """
    instance = InstanceFrame.of(request).instance
    pages = destinations.menu_pages(request)
    if not query:
        found = [instances(request, "", FIRST_INSTANCES), Group("Pages", [row_of(page) for page in pages])]
        return [group for group in found if group.rows]
    of_instance = destinations.instance_pages(instance) if instance else []
    settings = destinations.settings_of(instance) if instance else []
    if parse_webhook_id(query) or parse_issue_id(query):
        found = [Group("Hooks", hooks(request, query)), issues(request, query)]
        return [group for group in found if group.rows]
    words = query[:SEARCH_MAX_LENGTH]
    found = [
        Group("Messages", messages(request, query)),
        instances(request, words, SHOWN),
        by_words("Pages", [*pages, *of_instance, *destinations.other_pages()], words),
        by_words(f"Settings of {instance}", settings, words),
        *([chats(instance, words)] if instance else []),
        endpoints(request, words),
        *registered_groups(request, words),
        issues(request, words),
        account(request, words),
        by_words("API docs", destinations.docs(), words),
        *([texts(instance, words)] if instance else []),
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
    if len(query) < SHORTEST_MESSAGE_ID or " " in query:
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
    done = "Sent" if message.from_me else "Received"
    url = message_url(message, instance)
    return Row(message.message_id, f"{done} by {instance}", url, "message-circle", is_code=True)
