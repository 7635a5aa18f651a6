"""What somebody does on the two phones of the sandbox; each touch goes through the action that REST uses too.

The answer to htmx is the line on the touch, whose hooks the page's poll then lists; a refusal is a sentence with 422,
and what was written stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages as said
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from instances import chat_ids
from instances.actions.bans import Banned
from instances.actions.chats.chats import Denied, read_chat
from instances.actions.message_lookup import UnknownMessage
from instances.actions.session import take_over
from instances.channels.sandbox.actions import phone as phone_actions
from instances.channels.sandbox.actions.contacts import change_contact, write_as_contact
from instances.channels.sandbox.actions.groups import create_group_as_contact
from instances.channels.sandbox.actions.phone import apply_phone_event, change_phone
from instances.channels.sandbox.actions.preconditions import NotLinked, NotPossible
from instances.channels.sandbox.actions.receipts import acknowledge_as_contact
from instances.channels.sandbox.actions.reset import reset_sandbox
from instances.media.kinds import WrongFile
from instances.models import Ack, Channel, Instance
from instances.pages.chosen_instance import require_changeable_instance
from testing_tools.phone import conversation as reads
from testing_tools.phone.forms import BatteryForm, GroupForm, Kind, MindForm, PersonForm, WriteForm, in_words
from testing_tools.phone.views import query_of, scene_asked

REFUSALS = (
    NotLinked,
    NotPossible,
    Banned,
    Denied,
    UnknownMessage,
    chat_ids.BadChatId,
    WrongFile,
)
NO_BODY = "The form did not arrive whole."


class Refused(Exception):
    """The touch can't be; the text is a sentence for the person."""


def valid(form: forms.Form) -> dict[str, Any]:
    """What a form says. Raises Refused."""
    if not form.is_valid():
        raise Refused(in_words(form))
    return form.cleaned_data


def sandbox(request: HtmxRequest) -> Instance:
    """The chosen instance, which this person may change; 404 for one of another messenger."""
    instance = require_changeable_instance(request)
    if instance.channel != Channel.SANDBOX:
        raise Http404("Only the sandbox has such phones.")
    return instance


def touched(
    request: HtmxRequest, instance: Instance, scene: reads.Scene, touch: Callable[[], str]
) -> HttpResponse:
    """Does it, and answers with the line on it: the sentence that `touch` returns, or why it can't be."""
    since, wrong, words = reads.newest_hook(instance), False, ""
    try:
        words = touch()
    except (*REFUSALS, Refused) as refusal:
        wrong, words = True, str(refusal)
    if not request.htmx:
        (said.error if wrong else said.success)(request, words)
        return redirect(f"{reverse('testing:phone')}?{query_of(instance, scene)}&since={since}")
    context = {
        "instance": instance,
        "made": reads.made_since(instance, since),
        "since": since,
        "words": words,
        "wrong": wrong,
        "touched": True,
    }
    answer = render(request, "testing_tools/phone/made.html", context, status=422 if wrong else 200)
    answer["HX-Trigger-After-Settle"] = "refused" if wrong else "touched"  # the page asks at once
    return answer


def what(given: dict[str, Any]) -> str:
    """A message in the words of the line."""
    return "a forwarded message" if given["forward"] else f"“{Kind(given['kind']).label}”"


@require_POST
@login_required
def type_on_sandbox_phone(request: HtmxRequest) -> HttpResponse:
    """Somebody writes on the instance's own phone."""
    instance = sandbox(request)
    scene = scene_asked(request, instance)
    form = WriteForm(request.POST, request.FILES)

    def touch() -> str:
        given = valid(form)
        if given["kind"] == Kind.CALL:
            raise Refused("A missed call comes from a contact.")
        phone_actions.type_on_sandbox_phone(instance, chat_id=scene.chat_id, **form.message(instance))
        return f"Typed by hand: {what(given)} to {scene.name}. Its ticks are no hooks, because the API did not send it."

    return touched(request, instance, scene, touch)


@require_POST
@login_required
def write(request: HtmxRequest) -> HttpResponse:
    """The contact writes."""
    instance = sandbox(request)
    scene = scene_asked(request, instance)
    form = WriteForm(request.POST, request.FILES)

    def touch() -> str:
        given = valid(form)
        if scene.is_group and given["kind"] == Kind.CALL and not given["forward"]:
            raise Refused("A call goes to one person: choose a contact instead of a group.")
        write_as_contact(
            instance,
            sender=scene.who.chat_id,
            chat_id=scene.chat_id if scene.is_group else None,
            **form.message(instance),
        )
        return f"{reads.called(scene.who)} sent {what(given)}{' in ' + scene.name if scene.is_group else ''}."

    return touched(request, instance, scene, touch)


@require_POST
@login_required
def read_there(request: HtmxRequest) -> HttpResponse:
    """The contact opens the chat: all that has arrived is viewed."""
    instance = sandbox(request)
    scene = scene_asked(request, instance)
    contact = scene.who.chat_id if scene.is_group else ""

    def touch() -> str:
        arrived = [
            message
            for message in reads.unread_there(scene).order_by("-number")[: reads.WATCHED]
            if scene.chat is not None and reads.has_arrived(scene.chat, message)
        ]
        with transaction.atomic():
            for message in reversed(arrived):
                acknowledge_as_contact(
                    instance, message_id=message.message_id, ack=Ack.VIEWED, contact=contact
                )
        if not arrived:
            raise Refused(f"{reads.called(scene.who)} has nothing to read.")
        count = len(arrived)
        return f"{reads.called(scene.who)} read {count} message{'s' if count > 1 else ''}."

    return touched(request, instance, scene, touch)


@require_POST
@login_required
def read_here(request: HtmxRequest) -> HttpResponse:
    """The chat is opened on the instance's own phone."""
    instance = sandbox(request)
    scene = scene_asked(request, instance)

    def touch() -> str:
        read_chat(instance, chat_id=scene.chat_id)
        return f"Read on the instance's phone: {scene.name} sees it; there is no hook for it."

    return touched(request, instance, scene, touch)


@require_POST
@login_required
def own(request: HtmxRequest) -> HttpResponse:
    """Something happens to the instance's own phone: `event` (a word of PHONE_EVENTS, or take_back) or `battery`."""
    instance = sandbox(request)
    scene = scene_asked(request, instance)

    def touch() -> str:
        if "battery" in request.POST:
            percent = valid(BatteryForm(request.POST))["battery"]
            change_phone(instance, battery=percent, acting_user=current_user(request))
            return f"The battery is at {percent} %."
        event = request.POST.get("event", "")
        if event == "take_back":
            take_over(instance, acting_user=current_user(request))
        elif event in EVENTS:
            apply_phone_event(instance, event=event, acting_user=current_user(request))
        else:
            raise Refused(NO_BODY)
        return f"{EVENTS[event]} Now: {reads.state_of(instance).word.lower()}."

    return touched(request, instance, scene, touch)


EVENTS = {
    "scan": "The QR code was scanned.",
    "log_out": "Logged out.",
    "disconnect": "The phone lost its network.",
    "connect": "The phone is back on the network.",
    "take_over": "Another computer took the session over.",
    "take_back": "The session is back.",
    "sync": "The phone began to synchronise.",
    "synced": "Synchronising is done.",
}
# Button of the contact's phone: the change, and the sentence on it
SWITCHES: dict[str, tuple[dict[str, Any], str]] = {
    "online": ({"online": True}, "is online and gets what waited"),
    "offline": ({"online": False}, "is offline: what is sent stays at “sent”"),
    "block": ({"blocks": True}, "blocks the account: what is sent never arrives"),
    "unblock": ({"blocks": False}, "does not block the account any more"),
    "leave": ({"has_account": False}, "does not use the messenger any more"),
    "join": ({"has_account": True}, "uses the messenger"),
}


@require_POST
@login_required
def contact(request: HtmxRequest) -> HttpResponse:
    """The contact is another than they were: `switch` (a word of SWITCHES), or their mind in a form."""
    instance = sandbox(request)
    scene = scene_asked(request, instance)

    def touch() -> str:
        if "switch" in request.POST:
            change, words = SWITCHES.get(request.POST["switch"], ({}, ""))
            if not change:
                raise Refused(NO_BODY)
        else:
            change = dict(valid(MindForm(request.POST)))
            gets = seconds("gets messages", change["deliver_after"])
            words = f"{gets} and {seconds('reads them', change['read_after'])}"
        change_contact(instance, phone=scene.who.chat_id, **change)
        return f"{change.get('name') or reads.called(scene.who)} {words}."

    return touched(request, instance, scene, touch)


def seconds(doing: str, after: int | None) -> str:
    """A part of a mind in words."""
    if after is None:
        return f"never {doing}"
    return f"{doing} {f'after {after} s' if after else 'at once'}"


@require_POST
@login_required
def reset(request: HtmxRequest) -> HttpResponse:
    """The sandbox from the start."""
    instance = sandbox(request)
    reset_sandbox(instance, acting_user=current_user(request))
    said.success(
        request,
        "The sandbox starts anew: nobody is there yet, and the phone is linked and charged.",
    )
    return redirect(f"{reverse('testing:phone')}?instance={instance.number}")


@require_POST
@login_required
def person(request: HtmxRequest) -> HttpResponse:
    """Another contact, whose phone is shown then."""
    instance = sandbox(request)
    form, chat_id = PersonForm(request.POST), ""
    try:
        given = valid(form)
        chat_id = given["phone"]
        if given["name"]:
            change_contact(instance, phone=chat_id, name=given["name"])
    except (*REFUSALS, Refused) as refusal:
        said.error(request, str(refusal))
    return redirect(back(instance, chat_id))


@require_POST
@login_required
def group(request: HtmxRequest) -> HttpResponse:
    """The first of the members makes a group with the account in it; then it is shown."""
    instance = sandbox(request)
    form, chat_id = GroupForm(request.POST), ""
    try:
        given = valid(form)
        made = create_group_as_contact(
            instance,
            name=given["name"],
            by=given["members"][0],
            members=given["members"][1:],
        )
        chat_id = made.chat_id
    except (*REFUSALS, Refused) as refusal:
        said.error(request, str(refusal))
    return redirect(back(instance, chat_id))


def back(instance: Instance, chat_id: str) -> str:
    where = f"{reverse('testing:phone')}?instance={instance.number}"
    return f"{where}&chat={chat_id}" if chat_id else where
