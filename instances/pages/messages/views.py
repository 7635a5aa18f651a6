"""The messages of an instance: the list of its chats, one chat with its bubbles, and a reply."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages as django_messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst
from django.views.decorators.http import require_POST, require_safe

from chatapi.database import replica
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
from instances.pages.query_parameters import search_text
from instances.sending import channel_commands
from instances.tool_links import tool_url

PAGE = "instances/pages/messages/messages.html"


class ReplyForm(forms.Form):
    """A reply to the chat."""

    text = forms.CharField(
        max_length=10_000, error_messages={"required": "The message is empty. Enter a text."}
    )


def get_chat(instance: Instance, chat_id: str) -> Chat:
    """Returns the chat. Raises Http404 if the instance does not have it."""
    of_instance = Chat.objects.with_last_message().filter(instance=instance)
    chat = of_instance.filter(chat_id=chat_id.replace("\0", "")).first()
    if chat is None:
        raise Http404("This instance has no such chat.")
    return chat


def parse_page_start(request: HttpRequest) -> tuple[datetime, int] | None:
    """Returns `?chats=<time>,<key>`, the last chat of the previous page; None if it is invalid."""
    at, _, key = request.GET.get("chats", "").rpartition(",")
    try:
        last_time = parse_datetime(at)
    except ValueError:
        return None
    number = parse_digits(key)
    return (last_time, number) if last_time and last_time.tzinfo and number is not None else None


def list_context(request: HttpRequest, instance: Instance, open_chat: str) -> dict[str, Any]:
    q, before = search_text(request), parse_page_start(request)
    page = conversations.list_chats(instance, q=q, before=before)
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
    bubbles, more = conversations.list_bubbles(chat, before=before)
    unsent = [] if before else conversations.list_unsent(instance, chat.chat_id)
    newest = bubbles[-1].message.number if bubbles else 0
    return {
        "chat": chat,
        "chat_name": conversations.chat_name(chat),
        "bubbles": bubbles,
        "more": more,
        "before": before,
        "unsent": unsent,
        "window": None if before else conversations.reply_window(instance, chat),
        "after": newest,
        "cursor": conversations.read_ticks(chat, newest, unsent).cursor,
        "form": ReplyForm(),
    }


@require_safe
@login_required
def messages(request: HtmxRequest, number: int, chat_id: str = "") -> HttpResponse:
    """The page; `?q=` searches the chats, `?before=` shows the messages before a messageNumber.

    Read from a replica if there is one. The polls of the open page read from the primary, and update it.
    """
    instance = visible_instance(request, number)
    chat = get_chat(instance, chat_id) if chat_id else None

    def read() -> dict[str, Any]:
        listed = list_context(request, instance, chat_id)
        return listed | chat_context(request, instance, chat) if chat else listed

    found, as_of = replica.read(read, lambda: [instance.owner_id])
    context = {"tab": "messages", "as_of": as_of} | found
    if request.htmx and "before" in request.GET:
        return render(request, "instances/pages/messages/bubbles.html", context)
    return render(request, PAGE, context)


@require_safe
@login_required
def chat_list(request: HttpRequest, number: int) -> HttpResponse:
    """The list of chats if it differs from the one on the page (`?seen=`), else 204."""
    instance = visible_instance(request, number)
    context = list_context(request, instance, request.GET.get("open", ""))
    if request.GET.get("seen") == context["chats"].cursor:
        return HttpResponse(status=204)
    return render(request, "instances/pages/messages/list.html", context)


@require_safe
@login_required
def news(request: HttpRequest, number: int, chat_id: str) -> HttpResponse:
    """The messages after `?after=`, a messageNumber, and the ticks if not those of `?seen=`; 204 if nothing changed."""
    instance = visible_instance(request, number)
    chat = get_chat(instance, chat_id)
    after = parse_digits(request.GET.get("after", "")) or 0
    unsent = conversations.list_unsent(instance, chat_id)
    bubbles, _ = conversations.list_bubbles(chat, after=after, most=conversations.NEWS_AT_ONCE)
    newest = bubbles[-1].message.number if bubbles else after
    ticks = conversations.read_ticks(chat, newest, unsent)
    if not bubbles and ticks.cursor == request.GET.get("seen"):
        return HttpResponse(status=204)
    context = {
        "instance": instance,
        "chat": chat,
        "bubbles": bubbles,
        "unsent": unsent,
        "ticks": ticks,
        "after": newest,
        "cursor": ticks.cursor,
        "new": {bubble.message.number for bubble in bubbles},
    }
    return render(request, "instances/pages/messages/news.html", context)


@require_POST
@login_required
def reply(request: HtmxRequest, number: int, chat_id: str) -> HttpResponse:
    """Sends a message to the chat, as the API's sendMessage does. If it is refused: 422 with the error and the text."""
    instance = access.changeable_instance(request, number)
    chat = get_chat(instance, chat_id)
    form = ReplyForm(request.POST)
    if form.is_valid() and not instance.is_paid:
        form.add_error(
            "text", f"{capfirst(instance.why_unpaid)}: messages, hooks and simulations are stopped."
        )
    if form.is_valid():
        try:
            send_message(instance, chat_id=chat.chat_id, body=form.cleaned_data["text"])
        except (TooLong, QueueFull, chat_ids.BadChatId) as refusal:
            form.add_error("text", str(refusal))
    context = {"instance": instance, "chat": chat, "form": ReplyForm() if form.is_valid() else form}
    if request.htmx:
        response = render(
            request, "instances/pages/messages/reply.html", context, status=200 if form.is_valid() else 422
        )
        response["HX-Trigger-After-Settle"] = "replied"  # polls immediately
        return response
    if form.is_valid():
        return redirect("instances:chat", number, chat_id)
    page_context = {"tab": "messages"} | list_context(request, instance, chat_id)
    page_context |= chat_context(request, instance, chat) | context
    return render(request, PAGE, page_context, status=422)


@require_POST
@login_required
def read(request: HttpRequest, number: int, chat_id: str) -> HttpResponse:
    """Marks the chat as read, also in the messenger; while the phone is not linked, this waits in the queue."""
    instance = access.changeable_instance(request, number)
    chat = get_chat(instance, chat_id)
    try:
        result = channel_commands.perform_or_enqueue(instance, ReadChat(chat.chat_id))
    except (Denied, CannotDo) as refusal:
        django_messages.error(request, str(refusal))
    else:
        if result.is_queued:
            django_messages.info(request, "The chat will be marked as read when the phone is linked.")
    return redirect("instances:chat", number, chat_id)
