"""The playground: a contact writes, and the same screen shows the hook, the response to it and the bot's reply."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from instances.models import Channel, Instance
from instances.pages.chosen_instance import chosen_instance
from testing_tools.phone.bubbles import phone_bubbles
from testing_tools.phone.conversation import Conversation, list_choices
from testing_tools.phone.message_kinds import MessageKind
from testing_tools.phone.polling import chat_context, news_response, seen
from testing_tools.phone.responses import choose_conversation
from testing_tools.playground.last_turn import last_turn

PAGE = "testing_tools/playground/playground.html"


def live_context(
    request: HttpRequest, instance: Instance, conversation: Conversation, after: int
) -> dict[str, Any]:
    """Returns the parts of the page that a poll can update, without new messages."""
    context = chat_context(instance, conversation, after)
    turn = last_turn(instance, conversation)
    context["digests"]["turn"] = turn.cursor if turn else "none"
    return context | {"turn": turn}


@require_safe
@login_required
def playground(request: HttpRequest) -> HttpResponse:
    """Shows the page, with the contact of `?chat=`."""
    instance = chosen_instance(request)
    if instance is None or instance.channel != Channel.SANDBOX:
        return render(request, PAGE, {"instance": instance, "no_phone": True})
    choices = [choice for choice in list_choices(instance) if not choice.is_group]
    conversation = choose_conversation(request, instance, choices)
    bubbles = phone_bubbles(conversation)
    after = bubbles[-1].bubble.message.number if bubbles else 0
    context = live_context(request, instance, conversation, after)
    context |= {
        "seen": seen(context),
        "choices": choices,
        "bubbles": bubbles,
        "after": after,
        "contact_kinds": list(MessageKind),
    }
    return render(request, PAGE, context)


@require_safe
@login_required
def news(request: HttpRequest) -> HttpResponse:
    """The page's poll."""
    return news_response(request, "testing_tools/playground/news.html", live_context)
