"""What a page with phones shows of a chat, and its poll: new messages, and each part whose digest has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from chatapi.ui.numbers import parse_digits
from instances.models import Instance
from instances.pages.chosen_instance import require_instance
from instances.pages.messages import conversations
from testing_tools.phone.bubbles import message_states, phone_bubbles
from testing_tools.phone.conversation import Conversation, display_name
from testing_tools.phone.responses import chosen_conversation, query_string

MAX_MESSAGE_NUMBER = 2**31 - 1

# Returns the context of the parts that a poll can update, up to this message number.
LiveContext = Callable[[HttpRequest, Instance, Conversation, int], dict[str, Any]]


def parse_number(request: HttpRequest, name: str, default: int = 0) -> int:
    """Returns a query parameter as a number, or the default."""
    number = parse_digits(request.GET.get(name))
    return default if number is None else number


def chat_context(instance: Instance, conversation: Conversation, after: int) -> dict[str, Any]:
    """Returns the contact's phone and the ticks, without messages; `digests` has a digest of each part."""
    states = message_states(conversation.chat, after)
    contact = conversation.contact
    behaviour = [
        contact.name,
        contact.online,
        contact.blocks,
        contact.has_account,
        contact.deliver_after,
        contact.read_after,
    ]
    return {
        "instance": instance,
        "conversation": conversation,
        "contact": contact,
        "contact_name": display_name(contact),
        "query": query_string(instance, conversation),
        "states": states,
        "digests": {"ticks": conversations.digest(states), "contact": conversations.digest(behaviour)},
    }


def seen(context: dict[str, Any]) -> str:
    """Returns what the page sends with its next poll."""
    return ".".join(context["digests"].values())


def news_response(request: HttpRequest, template: str, live_context: LiveContext) -> HttpResponse:
    """Shows the messages after `?after=`, and each part that differs from `?seen=`; 204 if nothing is new."""
    instance = require_instance(request)
    conversation = chosen_conversation(request, instance)
    after = min(parse_number(request, "after"), MAX_MESSAGE_NUMBER)
    bubbles = phone_bubbles(conversation, after=after)
    newest = bubbles[-1].bubble.message.number if bubbles else after
    context = live_context(request, instance, conversation, newest)
    known_digests = request.GET.get("seen", "")
    if not bubbles and known_digests == seen(context):
        return HttpResponse(status=204)
    known = dict(zip(context["digests"], known_digests.split("."), strict=False))
    context |= {
        "bubbles": bubbles,
        "after": newest,
        "seen": seen(context),
        "states_json": json.dumps(context["states"]),
        "changed": {name for name, digest in context["digests"].items() if known.get(name) != digest},
    }
    return render(request, template, context)
