"""Views of the contacts: change a contact's behaviour, add a contact, create a group as a contact."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from chatapi.ui.durations import in_largest_unit
from chatapi.ui.requests import HtmxRequest
from instances.channels.sandbox.actions.contacts import ContactChanges, change_contact
from instances.channels.sandbox.actions.groups import create_group_as_contact
from instances.models import Instance
from testing_tools.phone.conversation import Conversation, display_name
from testing_tools.phone.forms import ContactBehaviourForm, ContactForm, GroupForm
from testing_tools.phone.responses import (
    INCOMPLETE_FORM,
    REFUSALS,
    Refused,
    phone_action,
    redirect_to_conversation,
    require_sandbox,
    require_valid,
)

# Button on the contact's phone → the change, and the end of the sentence that reports it.
SWITCHES: dict[str, tuple[ContactChanges, str]] = {
    "online": ({"online": True}, "is online and receives waiting messages"),
    "offline": ({"online": False}, "is offline: messages stay at “sent”"),
    "block": ({"blocks": True}, "blocks the account: messages never arrive"),
    "unblock": ({"blocks": False}, "no longer blocks the account"),
    "leave": ({"has_account": False}, "no longer uses the messenger"),
    "join": ({"has_account": True}, "uses the messenger"),
}


@phone_action
def change(request: HtmxRequest, instance: Instance, conversation: Conversation) -> str:
    """Changes the contact: by `switch` (a key of SWITCHES), or by a ContactBehaviourForm."""
    contact = conversation.contact
    changes: ContactChanges
    if "switch" in request.POST:
        if request.POST["switch"] not in SWITCHES:
            raise Refused(INCOMPLETE_FORM)
        changes, sentence = SWITCHES[request.POST["switch"]]
    else:
        cleaned = require_valid(ContactBehaviourForm(request.POST))
        changes = {
            "name": cleaned["name"],
            "deliver_after": cleaned["deliver_after"],
            "read_after": cleaned["read_after"],
        }
        receives = describe_delay("receives messages", cleaned["deliver_after"])
        sentence = f"{receives} and {describe_delay('reads them', cleaned['read_after'])}"
    change_contact(instance, phone=contact.chat_id, **changes)
    return f"{changes.get('name') or display_name(contact)} {sentence}."


def describe_delay(verb: str, seconds: int | None) -> str:
    if seconds is None:
        return f"never {verb}"
    delay = in_largest_unit(timedelta(seconds=seconds))
    return f"{verb} after {delay}" if seconds else f"{verb} {delay}"


@require_POST
@login_required
def add(request: HtmxRequest) -> HttpResponse:
    """Adds a contact and shows their phone. Without a name no row is created: every number is a contact."""
    instance = require_sandbox(request)
    chat_id = ""
    try:
        cleaned = require_valid(ContactForm(request.POST))
        chat_id = cleaned["phone"]
        if cleaned["name"]:
            change_contact(instance, phone=chat_id, name=cleaned["name"])
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    return redirect_to_conversation(instance, chat_id)


@require_POST
@login_required
def create_group(request: HtmxRequest) -> HttpResponse:
    """Creates a group as the first of the contacts, with the others and the account; shows it."""
    instance = require_sandbox(request)
    chat_id = ""
    try:
        cleaned = require_valid(GroupForm(request.POST))
        creator, *members = cleaned["members"]
        group = create_group_as_contact(instance, name=cleaned["name"], by=creator, members=members)
        chat_id = group.chat_id
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    return redirect_to_conversation(instance, chat_id)
