"""Shared by the views of the phones' actions: the chosen conversation, and the response after an action.

The response to htmx is the result in one line, with status 422 if the action was refused; the page's poll then lists
the hooks. Without htmx, the result is a message on the page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from chatapi.ui.requests import HtmxRequest
from instances import chat_ids
from instances.actions.bans import Banned
from instances.actions.chats.chats import Denied
from instances.actions.message_lookup import UnknownMessage
from instances.channels.sandbox.actions.preconditions import NotLinked, NotPossible
from instances.media.kinds import WrongFile
from instances.models import Channel, Instance
from instances.pages.chosen_instance import require_changeable_instance
from testing_tools.phone.conversation import (
    DEFAULT_CONTACT,
    Conversation,
    ConversationChoice,
    find_conversation,
)
from testing_tools.phone.created_hooks import hooks_created_since, newest_hook_key
from testing_tools.phone.forms import describe_errors

INCOMPLETE_FORM = "The form is incomplete. Reload the page and try again."


class Refused(Exception):
    """The action is not possible. The text is a sentence for the user."""


# Exceptions of the actions whose text is a sentence for the user.
REFUSALS = (NotLinked, NotPossible, Banned, Denied, UnknownMessage, chat_ids.BadChatId, WrongFile, Refused)


def require_sandbox(request: HttpRequest) -> Instance:
    """Returns the chosen instance, which the user may change; 404 if it is not of the sandbox."""
    instance = require_changeable_instance(request)
    if instance.channel != Channel.SANDBOX:
        raise Http404("Only instances of the sandbox have a sandbox phone.")
    return instance


def chosen_conversation(
    request: HttpRequest, instance: Instance, default: str = DEFAULT_CONTACT
) -> Conversation:
    """Returns the conversation of `?chat=`; in a group, `?as=` is the member. 404 if `?chat=` is not a chat id."""
    try:
        return find_conversation(instance, request.GET.get("chat") or default, request.GET.get("as", ""))
    except chat_ids.BadChatId as error:
        raise Http404(str(error)) from None


def choose_conversation(
    request: HttpRequest, instance: Instance, choices: list[ConversationChoice]
) -> Conversation:
    """Returns the conversation of `?chat=`, by default the first choice; adds it to the choices if it is missing."""
    conversation = chosen_conversation(request, instance, choices[0].chat_id if choices else DEFAULT_CONTACT)
    if not any(choice.chat_id == conversation.chat_id for choice in choices):
        choices.insert(0, ConversationChoice(conversation.chat_id, conversation.name, conversation.is_group))
    return conversation


def query_string(instance: Instance, conversation: Conversation) -> str:
    """Returns the query of all URLs of the page: the instance, the chat, and in a group the member."""
    query = {"instance": instance.number, "chat": conversation.chat_id}
    if conversation.is_group:
        query["as"] = conversation.contact.chat_id
    return urlencode(query)


def require_valid(form: forms.Form) -> dict[str, Any]:
    """Returns the cleaned data. Raises Refused."""
    if not form.is_valid():
        raise Refused(describe_errors(form))
    return form.cleaned_data


PhoneAction = Callable[[HtmxRequest, Instance, Conversation], str]


def phone_action(action: PhoneAction) -> Callable[[HtmxRequest], HttpResponse]:
    """Makes a POST view of an action in the chosen conversation; the action returns a sentence about what it did.

    The view responds with the sentence, or with why the action was refused (REFUSALS).
    """

    @require_POST
    @login_required
    @wraps(action)
    def view(request: HtmxRequest) -> HttpResponse:
        instance = require_sandbox(request)
        conversation = chosen_conversation(request, instance)
        return run_action(request, instance, conversation, action)

    return view


def run_action(
    request: HtmxRequest, instance: Instance, conversation: Conversation, action: PhoneAction
) -> HttpResponse:
    """Runs the action and responds as the module's docstring says."""
    since, is_refused = newest_hook_key(instance), False
    try:
        sentence = action(request, instance, conversation)
    except REFUSALS as refusal:
        is_refused, sentence = True, str(refusal)
    if not request.htmx:
        (messages.error if is_refused else messages.success)(request, sentence)
        return redirect(f"{reverse('testing:phone')}?{query_string(instance, conversation)}&since={since}")
    context = {
        "instance": instance,
        "created": hooks_created_since(instance, since),
        "since": since,
        "sentence": sentence,
        "is_refused": is_refused,
        "is_done": not is_refused,
    }
    response = render(
        request, "testing_tools/phone/action_result.html", context, status=422 if is_refused else 200
    )
    if not is_refused:
        response["HX-Trigger-After-Settle"] = "phone-action"  # the page polls immediately
    return response


def redirect_to_conversation(instance: Instance, chat_id: str) -> HttpResponse:
    """Returns a redirect to the page with this chat, or with its default chat if the id is empty."""
    url = f"{reverse('testing:phone')}?instance={instance.number}"
    return redirect(f"{url}&chat={chat_id}" if chat_id else url)
