"""Views of the instance's own phone: its events, its battery, and the reset of the sandbox."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from instances.actions.session import take_over
from instances.channels.sandbox.actions.phone import apply_phone_event, change_phone
from instances.channels.sandbox.actions.reset import reset_sandbox
from instances.models import Instance
from testing_tools.phone.conversation import Conversation
from testing_tools.phone.forms import BatteryForm
from testing_tools.phone.phone_state import EVENT_BUTTONS, describe_phone
from testing_tools.phone.responses import (
    INCOMPLETE_FORM,
    Refused,
    phone_action,
    redirect_to_conversation,
    require_sandbox,
    require_valid,
)


@phone_action
def change(request: HtmxRequest, instance: Instance, conversation: Conversation) -> str:
    """Applies `event` (a key of EVENT_BUTTONS) to the phone, or sets its `battery`."""
    acting_user = current_user(request)
    if "battery" in request.POST:
        percent = require_valid(BatteryForm(request.POST))["battery"]
        change_phone(instance, battery=percent, acting_user=acting_user)
        return f"The battery is at {percent} %."
    event = request.POST.get("event", "")
    if event not in EVENT_BUTTONS:
        raise Refused(INCOMPLETE_FORM)
    if event == "take_back":
        take_over(instance, acting_user=acting_user)
    else:
        apply_phone_event(instance, event=event, acting_user=acting_user)
    return f"{EVENT_BUTTONS[event].result} Now: {describe_phone(instance).word.lower()}."


@require_POST
@login_required
def reset(request: HtmxRequest) -> HttpResponse:
    """Resets the sandbox of the instance."""
    instance = require_sandbox(request)
    reset_sandbox(instance, acting_user=current_user(request))
    messages.success(
        request, "Sandbox reset: contacts, chats and messages are deleted; the phone is linked and charged."
    )
    return redirect_to_conversation(instance, "")
