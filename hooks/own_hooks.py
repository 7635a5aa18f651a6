"""Recognizes requests to this site that are its own hooks: they would cause further hooks in an endless loop.

A hook is recognized by its `webhook-id`, also through another host name, a redirect, a proxy or a forwarder. The id is
unguessable and looked up, so requests with another sender's id are accepted.
"""

from __future__ import annotations

from hooks.models import Hook, parse_webhook_id

STATUS = 508  # Loop Detected (RFC 5842 §7.2)
# The error of such a response starts with this; failure_causes.py finds it in the log.
LOOP_DETECTED = "Loop detected: this call is a hook of"


def lane_of_hook(webhook_id: str) -> int | None:
    """Returns the key of the endpoint whose hook has this `webhook-id`; None if no hook of this site has it."""
    public_id = parse_webhook_id(webhook_id)
    if public_id is None:
        return None
    return Hook.objects.filter(public_id=public_id).values_list("endpoint_id", flat=True).first()


def is_hook_of_message(instance_id: int, message_id: str) -> bool:
    """Returns whether the instance has a hook about this message."""
    return Hook.objects.filter(endpoint__instance=instance_id, message=message_id).exists()
