"""The first-run checklist of an instance."""

from __future__ import annotations

from typing import NamedTuple

from django.urls import reverse

from hooks.models import Hook, Kind, State, Tally
from instances.models import Instance
from instances.tool_links import tool_url

# An instance with more hooks than this is past its first steps, even if it skipped some of them.
HOOKS_MAX = 500


class Step(NamedTuple):
    """One step of the checklist, with the URL of the page where it is done."""

    title: str
    text: str
    url: str
    done: bool


def first_steps(instance: Instance) -> list[Step]:
    """Link, set the webhook URL, simulate, send, see the ack; empty once all are done, and for viewers. Two queries.

    A step is done when it is true, whether it was done on a page, with the API or the wire contract.
    """
    if not instance.may_change:
        return []
    # Without this check, every page of a busy instance would read its newest 501 hooks.
    emitted = Tally.objects.filter(pk=instance.pk).values_list("emitted", flat=True).first()
    if (emitted or 0) > HOOKS_MAX:
        return []
    hooks = list(
        Hook.objects.filter(endpoint_id=instance.pk)
        .order_by("-id")
        .values_list("simulated", "kind", "state")[:HOOKS_MAX]
    )
    page, query = instance.get_absolute_url(), f"?instance={instance.number}"
    steps = [
        Step(
            "Link the instance",
            "Scan its code with the sandbox phone. A real messenger is linked in the same way.",
            f"{page}#status",
            instance.is_authenticated,
        ),
        Step(
            "Set the webhook URL",
            "Where your server receives hooks. No server yet? Webhook Verification gives you a URL.",
            f"{page}#webhook",
            bool(instance.endpoint.url),
        ),
        Step(
            "Simulate a hook",
            "Send one test hook immediately, and see how your server responds.",
            tool_url("simulation", instance.number),
            any(simulated for simulated, _, _ in hooks),
        ),
        Step(
            "Send a message",
            "To any number. The sandbox contact receives it immediately.",
            tool_url("sending", instance.number),
            instance.last_queue_number > 0,
        ),
        Step(
            "See the ack arrive",
            "Turn on ackNotificationsOn, send another message, and find “delivered” in the log.",
            reverse("log:list") + f"{query}&kind=ack",
            any(
                kind == Kind.ACK and state == State.DELIVERED and not simulated
                for simulated, kind, state in hooks
            ),
        ),
    ]
    return [] if all(step.done for step in steps) else steps
