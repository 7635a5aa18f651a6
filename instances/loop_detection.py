"""Refuses calls of the wire contract and of REST that are hooks of this site, with a sentence that names the instance.

The contract also recognizes a hook's body, for forwarders that leave out its headers. REST needs no such check: none
of its operations accepts a hook's body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from hooks import own_hooks
from instances.models import Instance
from instances.value_parsing import parse_text

HOOK_FAMILIES = ("messages", "ack")  # the keys of those hooks that a call can cause


def find_loop(request: HttpRequest) -> str:
    """Returns the error for a request with the `webhook-id` of a hook of this site; "" for any other request.

    One query for a request with that header, none without it.
    """
    webhook_id = request.META.get("HTTP_WEBHOOK_ID")
    if not webhook_id:
        return ""
    lane = own_hooks.lane_of_hook(webhook_id)
    if lane is None:
        return ""
    return loop_error(Instance.objects.filter(endpoints=lane).values_list("number", flat=True).first())


def find_loop_in_body(body: Mapping[str, Any]) -> str:
    """Returns the error for a body that is a hook's of this site; "" for any other body. Keys are in lower case."""
    family = next((name for name in HOOK_FAMILIES if body.keys() == {name, "instanceid"}), "")
    items = body.get(family)
    number = parse_digits(str(body.get("instanceid")), max_digits=INSTANCE_NUMBER_DIGITS)
    if not isinstance(items, list) or not items or not isinstance(items[0], dict) or number is None:
        return ""
    try:
        message_id = parse_text(items[0].get("id"))
    except ValueError:
        return ""
    key = Instance.objects.filter(number=number).values_list("pk", flat=True).first()
    if key is None or not own_hooks.is_hook_of_message(key, message_id):
        return ""
    return loop_error(number)


def loop_error(number: int | None) -> str:
    name = f"instance {number}" if number is not None else "a deleted instance"
    whose = f"the webhook URL of {name}" if number is not None else "its webhook URL"
    return (
        f"{own_hooks.LOOP_DETECTED} {name} of this site, and would cause further hooks. "
        f"Set {whose} to your own server, or to a bin to see the hooks."
    )
