"""The sandbox phone: the instance's own phone and a contact's side by side, in the same chat, updated by a poll."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from instances.models import Channel, Instance
from instances.pages.chosen_instance import chosen_instance
from instances.pages.messages import conversations
from testing_tools.phone.bubbles import phone_bubbles
from testing_tools.phone.conversation import Conversation, list_choices
from testing_tools.phone.created_hooks import hooks_created_since, newest_hook_key
from testing_tools.phone.message_kinds import MessageKind
from testing_tools.phone.phone_state import describe_phone
from testing_tools.phone.polling import chat_context, news_response, parse_number, seen
from testing_tools.phone.responses import choose_conversation

PAGE = "testing_tools/phone/phone.html"


def live_context(
    request: HttpRequest, instance: Instance, conversation: Conversation, after: int
) -> dict[str, Any]:
    """Returns the parts of the page that a poll can update, without new messages."""
    context = chat_context(instance, conversation, after)
    state = describe_phone(instance)
    since = parse_number(request, "since", -1)
    if since < 0:
        since = newest_hook_key(instance)
    created = hooks_created_since(instance, since)
    context["digests"] |= {
        "own": conversations.digest([state, instance.shown_status, instance.battery, instance.is_stopped]),
        "hooks": created.digest,
    }
    return context | {"state": state, "created": created, "since": since}


@require_safe
@login_required
def phone(request: HttpRequest) -> HttpResponse:
    """Shows the page. Without htmx, `?since=` is the newest hook before the last action, whose hooks are listed."""
    instance = chosen_instance(request)
    if instance is None or instance.channel != Channel.SANDBOX:
        return render(request, PAGE, {"instance": instance, "no_phone": True})
    choices = list_choices(instance)
    conversation = choose_conversation(request, instance, choices)
    bubbles = phone_bubbles(conversation)
    after = bubbles[-1].bubble.message.number if bubbles else 0
    context = live_context(request, instance, conversation, after)
    context |= {
        "seen": seen(context),
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
    """The page's poll."""
    return news_response(request, "testing_tools/phone/news.html", live_context)
