"""The sandbox phone: the instance's own phone and a contact's side by side, in the same chat, updated by a poll."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatapi.ui.numbers import parse_digits
from instances.models import Channel, Instance
from instances.pages.chosen_instance import chosen_instance, require_instance
from instances.pages.messages import conversations
from testing_tools.phone.bubbles import message_states, phone_bubbles
from testing_tools.phone.conversation import (
    DEFAULT_CONTACT,
    Conversation,
    ConversationChoice,
    display_name,
    list_choices,
)
from testing_tools.phone.created_hooks import hooks_created_since, newest_hook_key
from testing_tools.phone.message_kinds import MessageKind
from testing_tools.phone.phone_state import describe_phone
from testing_tools.phone.responses import chosen_conversation, query_string

PAGE = "testing_tools/phone/phone.html"
MAX_MESSAGE_NUMBER = 2**31 - 1


def parse_number(request: HttpRequest, name: str, default: int = 0) -> int:
    """Returns a query parameter as a number, or the default."""
    number = parse_digits(request.GET.get(name))
    return default if number is None else number


def live_context(instance: Instance, conversation: Conversation, *, after: int, since: int) -> dict[str, Any]:
    """Returns the parts of the page that a poll can update, without new messages; `seen` has a digest of each."""
    states = message_states(conversation.chat, after)
    state = describe_phone(instance)
    created = hooks_created_since(instance, since)
    contact = conversation.contact
    behaviour = [
        contact.name,
        contact.online,
        contact.blocks,
        contact.has_account,
        contact.deliver_after,
        contact.read_after,
    ]
    digests = {
        "ticks": conversations.digest(states),
        "own": conversations.digest([state, instance.shown_status, instance.battery, instance.is_stopped]),
        "contact": conversations.digest(behaviour),
        "hooks": created.digest,
    }
    return {
        "instance": instance,
        "conversation": conversation,
        "contact": contact,
        "contact_name": display_name(contact),
        "query": query_string(instance, conversation),
        "state": state,
        "created": created,
        "since": since,
        "states": states,
        "digests": digests,
        "seen": ".".join(digests.values()),
    }


@require_safe
@login_required
def phone(request: HttpRequest) -> HttpResponse:
    """Shows the page. Without htmx, `?since=` is the newest hook before the last action, whose hooks are listed."""
    instance = chosen_instance(request)
    if instance is None or instance.channel != Channel.SANDBOX:
        return render(request, PAGE, {"instance": instance, "no_phone": True})
    choices = list_choices(instance)
    default = choices[0].chat_id if choices else DEFAULT_CONTACT
    conversation = chosen_conversation(request, instance, default)
    bubbles = phone_bubbles(conversation)
    after = bubbles[-1].bubble.message.number if bubbles else 0
    since = parse_number(request, "since", -1)
    if since < 0:
        since = newest_hook_key(instance)
    if not any(choice.chat_id == conversation.chat_id for choice in choices):
        choices.insert(0, ConversationChoice(conversation.chat_id, conversation.name, conversation.is_group))
    context = live_context(instance, conversation, after=after, since=since) | {
        "choices": choices,
        "bubbles": bubbles,
        "after": after,
        "own_kinds": [kind for kind in MessageKind if kind != MessageKind.CALL],
        "contact_kinds": [
            kind for kind in MessageKind if kind != MessageKind.CALL or not conversation.is_group
        ],
        "visible_side": "contact" if request.GET.get("phone") == "contact" else "own",
    }
    return render(request, PAGE, context)


@require_safe
@login_required
def news(request: HttpRequest) -> HttpResponse:
    """Shows the messages after `?after=`, and each part that differs from `?seen=`; 204 if nothing is new."""
    instance = require_instance(request)
    conversation = chosen_conversation(request, instance)
    after = min(parse_number(request, "after"), MAX_MESSAGE_NUMBER)
    bubbles = phone_bubbles(conversation, after=after)
    newest = bubbles[-1].bubble.message.number if bubbles else after
    context = live_context(instance, conversation, after=newest, since=parse_number(request, "since"))
    seen = request.GET.get("seen", "")
    if not bubbles and seen == context["seen"]:
        return HttpResponse(status=204)
    known = dict(zip(context["digests"], seen.split("."), strict=False))
    context |= {
        "bubbles": bubbles,
        "after": newest,
        "states_json": json.dumps(context["states"]),
        "changed": {name for name, digest in context["digests"].items() if known.get(name) != digest},
    }
    return render(request, "testing_tools/phone/news.html", context)
