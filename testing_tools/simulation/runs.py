"""Runs of simulated hooks: which plans apply, which hooks a plan sends, and the run for its page.

The writes are in testing_tools/simulation/actions.py.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.utils import timezone

from chatapi.ui.json_text import compact, parse, pretty
from chatapi.ui.numbers import parse_digits
from chatapi.ui.states import Look
from hooks.models import Attempt
from instances.models import Ack, Instance
from instances.pages.log.attempts import verdict_look
from testing_tools.simulation.form_values import first_item
from testing_tools.simulation.kinds import ACKS, body_key
from testing_tools.simulation.models import Plan, RunState, SimulationRun, SimulationStep

MAX_HOOKS = 50  # hooks of one run
MAX_PAUSE = 10.0  # seconds between two
TIME_SLICE = 1.0  # seconds after which one request starts no further hook
MAX_RUN_BYTES = 4 * 1024 * 1024  # of all bodies of a run: 84 MB for the kept runs of an instance
KEPT_RUNS = 20  # runs of an instance; older ones are deleted when one is created, their hooks stay in the log
REORDERED = 3  # hooks of a run that sends messages out of order, or acks in order or out of order


class InvalidRun(ValueError):
    """The run is not possible; str() is the message for the user."""


class PlannedStep(NamedTuple):
    label: str
    body: bytes


def plans_of(kind: str) -> tuple[Plan, ...]:
    """Returns the plans that apply to this kind: only acks have a sequence, only messages and acks an order."""
    match body_key(kind):
        case "ack":
            return tuple(Plan)
        case "messages":
            return (Plan.ONCE, Plan.REPEAT, Plan.BACKWARDS, Plan.DUPLICATES)
    return (Plan.ONCE, Plan.REPEAT, Plan.DUPLICATES)


def read_count(text: str) -> int:
    """Returns the number of hooks from the form. Raises InvalidRun."""
    count = parse_digits(text.strip())
    if count is None or not 2 <= count <= MAX_HOOKS:
        raise InvalidRun(f"Number of hooks must be a whole number from 2 to {MAX_HOOKS}.")
    return count


def read_pause(text: str) -> float:
    """Returns the seconds between two hooks from the form. Raises InvalidRun."""
    try:
        pause = float(text.strip().replace(",", ".") or 0)
    except ValueError:
        pause = -1.0
    if not 0 <= pause <= MAX_PAUSE:
        raise InvalidRun(f"The pause must be from 0 to {MAX_PAUSE:.0f} seconds.")
    return pause


def raise_if_too_long(plan: Plan, body: bytes, count: int) -> None:
    """Raises InvalidRun if the bodies of the run are too long together."""
    bodies = {Plan.DUPLICATES: 1, Plan.REPEAT: count}.get(plan, REORDERED)
    if (size := bodies * len(body)) > MAX_RUN_BYTES:
        raise InvalidRun(
            f"The {bodies} bodies of this run are {size:,} bytes long; the limit is {MAX_RUN_BYTES:,}. Send fewer "
            "hooks or a shorter JSON."
        )


def steps_of(kind: str, plan: Plan, body: bytes, count: int) -> list[PlannedStep]:
    """Returns the hooks of the run in order. Only the first of DUPLICATES has a body: the others resend its hook.

    Raises InvalidRun if the bodies are too long, or the JSON contains no item to order.
    """
    raise_if_too_long(plan, body, count)
    if plan == Plan.DUPLICATES:
        return [PlannedStep("Hook", body), *[PlannedStep("Duplicate", b"")] * (count - 1)]
    value = parse(body.decode())
    if plan in (Plan.SEQUENCE, Plan.BACKWARDS) and first_item(kind, value) is None:
        raise InvalidRun("The JSON contains no items that can be ordered. Restore the example first.")
    if body_key(kind) == "ack" and plan in (Plan.SEQUENCE, Plan.BACKWARDS):
        labels = {ack: kind.label for kind, ack in ACKS.items()}
        order = list(Ack) if plan == Plan.SEQUENCE else list(Ack)[::-1]
        return [PlannedStep(f"Ack: {labels[ack]}", with_status(kind, body, ack)) for ack in order]
    if plan == Plan.BACKWARDS:
        return [PlannedStep(*numbered(kind, body, at)) for at in reversed(range(REORDERED))]
    return [PlannedStep(*numbered(kind, body, at)) for at in range(count)]


def with_status(kind: str, body: bytes, ack: Ack) -> bytes:
    value = parse(body.decode())
    item = first_item(kind, value)
    if item is not None:
        item["status"] = ack.label
    return compact(pretty(value))


def numbered(kind: str, body: bytes, at: int) -> tuple[str, bytes]:
    """Returns a label and the body of the message `at` messages later, with its own id and number.

    Other bodies are returned unchanged.
    """
    value = parse(body.decode())
    item = first_item(kind, value) if body_key(kind) == "messages" else None
    if item is None:
        return f"Hook no. {at + 1}", body
    number = item.get("messageNumber")
    if at:
        parts = item["id"].split("_") if isinstance(item.get("id"), str) else []
        if len(parts) > 2:  # the digits increase, so that the order is visible
            parts[2] = later(parts[2], at)
            item["id"] = "_".join(parts)
        if isinstance(number, int) and not isinstance(number, bool):
            item["messageNumber"] = number + at
        body = compact(pretty(value))
    shown = item.get("messageNumber")
    return f"Message {shown}" if isinstance(shown, int) else f"Message no. {at + 1}", body


def later(digits: str, by: int) -> str:
    """Returns a message's hexadecimal digits plus `by`, with the same length and so the same prefix 3EB0."""
    try:
        return f"{(int(digits, 16) + by) % 16 ** len(digits):0{len(digits)}X}"
    except ValueError:
        return f"{digits}{by}"


class ShownStep(NamedTuple):
    """`verdict` is None if it was not sent yet, is being sent (`is_busy`), or its process died while sending."""

    step: SimulationStep
    attempt: Attempt | None
    verdict: Look | None
    is_busy: bool


class ShownRun(NamedTuple):
    """A run for its page: `counts` as [(verdict, number)]; `cursor` changes with every change of the run."""

    run: SimulationRun
    steps: list[ShownStep]
    done: int
    counts: list[tuple[Look, int]]
    is_busy: bool
    cursor: str
    wait: int  # milliseconds until the next one is due

    @property
    def is_open(self) -> bool:
        """Returns whether the page must continue polling."""
        return self.run.state == RunState.RUNNING or self.is_busy


def show_run(run: SimulationRun) -> ShownRun:
    """Returns the run for its page. Three queries for any number of steps."""
    run.refresh_from_db()
    steps = list(run.steps.defer("body"))
    public_ids = [step.hook for step in steps if step.hook]
    found = Attempt.objects.filter(hook__public_id__in=public_ids).only(
        "hook__public_id", "number", "outcome", "status", "error", "total_ms"
    )
    attempts = {(attempt.hook.public_id, attempt.number): attempt for attempt in found.select_related("hook")}
    is_busy = run.busy_until is not None and run.busy_until > timezone.now()
    shown = []
    for step in steps:
        attempt = attempts.get((step.hook, step.attempt)) if step.hook else None
        verdict = verdict_look(attempt) if attempt else None
        shown.append(ShownStep(step, attempt, verdict, bool(is_busy and step.hook and not attempt)))
    counts = Counter(step.verdict for step in shown if step.verdict)
    done = sum(counts.values())
    wait = int((run.next_at - timezone.now()).total_seconds() * 1000)
    return ShownRun(
        run,
        shown,
        done,
        counts.most_common(),
        is_busy,
        cursor=f"{run.state}:{done}:{int(is_busy)}",
        wait=max(wait, 50),
    )


def unfinished_run(instance: Instance) -> SimulationRun | None:
    """Returns the newest run of the instance if it is still running."""
    newest = SimulationRun.objects.filter(instance=instance).order_by("-pk").first()
    return newest if newest is not None and newest.state == RunState.RUNNING else None
