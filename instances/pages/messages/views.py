"""The messages of an instance: the list of its chats, one chat with its bubbles, and a reply."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages as said
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe

from chatapi.ui.numbers import parse_digits
from chatapi.ui.requests import HtmxRequest
from instances import chat_ids
from instances.actions.chats.chats import Denied
from instances.actions.sending.accept import QueueFull, TooLong, send_message
from instances.channels.base import CannotDo
from instances.commands import ReadChat
from instances.models import Chat, Instance
from instances.pages import access
from instances.pages.access import visible_instance
from instances.pages.messages import conversations
from instances.sending import channel_commands
from instances.tool_links import tool_url

PAGE = "instances/pages/messages/messages.html"


class ReplyForm(forms.Form):
    """A reply to the chat."""

    text = forms.CharField(
        max_length=10_000, error_messages={"required": "The message is empty. Write something."}
    )


def chat_of(instance: Instance, chat_id: str) -> Chat:
    """Raises Http404 for a chat that the instance does not have."""
    chat = Chat.objects.filter(instance=instance, chat_id=chat_id.replace("\0", "")).first()
    if chat is None:
        raise Http404("This instance has no such chat.")
    return chat


def words_asked(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:100]


def before_asked(request: HttpRequest) -> tuple[datetime, int] | None:
    """`chats=<time>,<key>` of the last chat of the page before; None for what can be none."""
    at, _, key = request.GET.get("chats", "").rpartition(",")
    try:
        moment = parse_datetime(at)
    except ValueError:
        return None
    number = parse_digits(key)
    return (moment, number) if moment and moment.tzinfo and number is not None else None


def list_context(request: HttpRequest, instance: Instance, open_chat: str) -> dict[str, Any]:
    q, before = words_asked(request), before_asked(request)
    page = conversations.chats_of(instance, q=q, before=before)
    return {
        "instance": instance,
        "q": q,
        "chats": page,
        "chats_before": request.GET.get("chats", "") if before else "",
        "phone_url": tool_url("phone", instance.number),
        "open_chat": open_chat,
    }


def chat_context(request: HttpRequest, instance: Instance, chat: Chat) -> dict[str, Any]:
    before = parse_digits(request.GET.get("before", ""))
    bubbles, more = conversations.bubbles_of(chat, before=before)
    waiting = [] if before else conversations.waiting_in(instance, chat.chat_id)
    newest = bubbles[-1].message.number if bubbles else 0
    return {
        "chat": chat,
        "chat_name": conversations.name_of(chat),
        "bubbles": bubbles,
        "more": more,
        "before": before,
        "waiting": waiting,
        "after": newest,
        "cursor": conversations.ticks_up_to(chat, newest, waiting).cursor,
        "form": ReplyForm(),
    }


@require_safe
@login_required
def messages(request: HtmxRequest, number: int, chat_id: str = "") -> HttpResponse:
    """The page; `?q=` searches the chats, `?before=` shows what was written before a messageNumber."""
    instance = visible_instance(request, number)
    context = {"tab": "messages"} | list_context(request, instance, chat_id)
    if chat_id:
        context |= chat_context(request, instance, chat_of(instance, chat_id))
    if request.htmx and "before" in request.GET:
        return render(request, "instances/pages/messages/bubbles.html", context)
    return render(request, PAGE, context)


@require_safe
@login_required
def chat_list(request: HttpRequest, number: int) -> HttpResponse:
    """The list of chats, when it is not the one that the page shows already (`?seen=`); else 204."""
    instance = visible_instance(request, number)
    context = list_context(request, instance, request.GET.get("open", ""))
    if request.GET.get("seen") == context["chats"].cursor:
        return HttpResponse(status=204)
    return render(request, "instances/pages/messages/list.html", context)


@require_safe
@login_required
def news(request: HttpRequest, number: int, chat_id: str) -> HttpResponse:
    """What came behind `?after=`, a messageNumber, and ticks that are not those of `?seen=`; 204 when nothing has."""
    instance = visible_instance(request, number)
    chat = chat_of(instance, chat_id)
    after = parse_digits(request.GET.get("after", "")) or 0
    waiting = conversations.waiting_in(instance, chat_id)
    bubbles, _ = conversations.bubbles_of(chat, after=after, most=conversations.NEWS_AT_ONCE)
    newest = bubbles[-1].message.number if bubbles else after
    ticks = conversations.ticks_up_to(chat, newest, waiting)
    if not bubbles and ticks.cursor == request.GET.get("seen"):
        return HttpResponse(status=204)
    context = {
        "instance": instance,
        "chat": chat,
        "bubbles": bubbles,
        "waiting": waiting,
        "ticks": ticks,
        "after": newest,
        "cursor": ticks.cursor,
        "new": {bubble.message.number for bubble in bubbles},
    }
    return render(request, "instances/pages/messages/news.html", context)


@require_POST
@login_required
def reply(request: HtmxRequest, number: int, chat_id: str) -> HttpResponse:
    """Writes into the chat, as sendMessage of the API does it. 422 with what is wrong, and the text kept."""
    instance = access.changeable_instance(request, number)
    chat = chat_of(instance, chat_id)
    form = ReplyForm(request.POST)
    if form.is_valid() and not instance.is_paid:
        form.add_error("text", "This instance is not paid: messages, hooks and simulations are stopped.")
    if form.is_valid():
        try:
            send_message(instance, chat_id=chat.chat_id, body=form.cleaned_data["text"])
        except (TooLong, QueueFull, chat_ids.BadChatId) as refusal:
            form.add_error("text", str(refusal))
    context = {"instance": instance, "chat": chat, "form": ReplyForm() if form.is_valid() else form}
    if request.htmx:
        answer = render(
            request, "instances/pages/messages/reply.html", context, status=200 if form.is_valid() else 422
        )
        answer["HX-Trigger-After-Settle"] = "replied"  # the poll asks at once
        return answer
    if form.is_valid():
        return redirect("instances:chat", number, chat_id)
    whole = {"tab": "messages"} | list_context(request, instance, chat_id)
    whole |= chat_context(request, instance, chat) | context
    return render(request, PAGE, whole, status=422)


@require_POST
@login_required
def read(request: HttpRequest, number: int, chat_id: str) -> HttpResponse:
    """Marks the chat as read, at the messenger too; while the phone is not linked that waits in its queue."""
    instance = access.changeable_instance(request, number)
    chat = chat_of(instance, chat_id)
    try:
        done = channel_commands.perform_or_enqueue(instance, ReadChat(chat.chat_id))
    except (Denied, CannotDo) as refusal:
        said.error(request, str(refusal))
    else:
        if done.is_queued:
            said.info(request, "It is marked as read as soon as the phone is linked.")
    return redirect("instances:chat", number, chat_id)
