"""The first-run checklist of an instance."""

from __future__ import annotations

from typing import NamedTuple

from django.urls import reverse

from hooks.models import Hook, Kind, State, Tally
from instances.actions.lifecycle import complete_first_steps
from instances.models import Channel, Instance
from instances.tool_links import tool_url

# An instance with more hooks than this is past its first steps, even if it skipped some of them.
HOOKS_MAX = 500


class Step(NamedTuple):
    """One step of the checklist, with the URL of the page where it is done."""

    title: str
    text: str
    url: str
    done: bool
    needs_acks: bool = (
        False  # ackNotificationsOn is off, and the step needs it: the page offers to turn it on
    )


def first_steps(instance: Instance) -> list[Step]:
    """Link, set the webhook URL, simulate, send, see the ack; empty for viewers, and for good once all are done.

    A step is done when it is true, whether it was done on a page, with the API or the wire contract. Two queries, and
    one more when all are done for the first time.
    """
    if not instance.may_change or instance.first_steps_done_at is not None:
        return []
    # Without this check, every page of a busy instance would read its newest 501 hooks. Those of the last five minutes
    # are not in the tally yet.
    emitted = Tally.objects.filter(pk=instance.pk).values_list("emitted", flat=True).first()
    if (emitted or 0) > HOOKS_MAX:
        return []
    hooks = list(
        Hook.objects.of_first_endpoint(instance.pk)
        .order_by("-id")
        .values_list("simulated", "kind", "state")[:HOOKS_MAX]
    )
    has_delivered = any(state == State.DELIVERED and not simulated for simulated, _, state in hooks)
    is_sandbox = instance.channel == Channel.SANDBOX
    page, query = instance.get_absolute_url(), f"?instance={instance.number}"
    steps = [
        Step(
            "Link the instance",
            "Scan its code with the sandbox phone."
            if is_sandbox
            else "Enter the credentials of the account.",
            f"{page}#{'status' if is_sandbox else 'account'}",
            # an instance with messages was linked, even if the phone is logged out now
            instance.is_authenticated or instance.last_message_number > 0,
        ),
        Step(
            "Set the webhook URL",
            "Where your server receives hooks. No server yet? Webhook Verification gives you a URL.",
            f"{page}#webhook",
            bool(instance.endpoint.url) or has_delivered,
        ),
        Step(
            "Simulate a hook",
            "Send one test hook immediately, and see how your server responds.",
            tool_url("simulation", instance.number),
            any(simulated for simulated, _, _ in hooks),
        ),
        Step(
            "Send a message",
            "To any number. The sandbox contact receives it immediately."
            if is_sandbox
            else "To a person who uses the messenger.",
            tool_url("sending", instance.number),
            instance.last_queue_number > 0,
        ),
        Step(
            "See the ack arrive",
            "Send another message, and find “delivered” in the log.",
            reverse("log:list") + f"{query}&kind=ack",
            any(
                kind == Kind.ACK and state == State.DELIVERED and not simulated
                for simulated, kind, state in hooks
            ),
            needs_acks=not instance.ack_notifications_on,
        ),
    ]
    if not all(step.done for step in steps):
        return steps
    complete_first_steps(instance)
    return []
