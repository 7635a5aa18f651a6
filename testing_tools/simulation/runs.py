"""Runs of simulated hooks: which plans apply, which hooks a plan sends, and the run as its page shows it.

The writes are in testing_tools/simulation/actions.py.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.utils import timezone

from chatapi.ui.json_text import compact, parse, pretty
from hooks.models import Attempt
from instances.models import Ack, Instance
from instances.pages.log.attempts import Verdict, verdict_of
from testing_tools.simulation.drafts import the_item
from testing_tools.simulation.kinds import What, family
from testing_tools.simulation.models import Plan, RunState, SimulationRun, SimulationStep

MAX_HOOKS = 50  # hooks of one run
MAX_PAUSE = 10.0  # seconds between two
SLICE = 1.0  # seconds after which one request starts no further hook
KEPT = 20  # runs of an instance; older ones are deleted when one is created, their hooks stay in the log
IN_A_ROW = 3  # messages of a run that is out of order


class BadRun(ValueError):
    """The run is not possible; str() is the message for the user."""


class Planned(NamedTuple):
    label: str
    body: bytes


def plans_of(what: str) -> tuple[Plan, ...]:
    """Returns the plans that apply to this kind: acks have a sequence, messages and acks an order."""
    match family(what):
        case "ack":
            return tuple(Plan)
        case "messages":
            return (Plan.ONCE, Plan.REPEAT, Plan.BACKWARDS, Plan.DUPLICATES)
    return (Plan.ONCE, Plan.REPEAT, Plan.DUPLICATES)


def read_count(text: str) -> int:
    """Returns the number of hooks from the form. Raises BadRun."""
    if not text.strip().isdecimal() or not 2 <= int(text.strip()[:6]) <= MAX_HOOKS:
        raise BadRun(f"Number of hooks must be a whole number from 2 to {MAX_HOOKS}.")
    return int(text)


def read_pause(text: str) -> float:
    """Returns the seconds between two hooks from the form. Raises BadRun."""
    try:
        pause = float(text.strip().replace(",", ".") or 0)
    except ValueError:
        pause = -1.0
    if not 0 <= pause <= MAX_PAUSE:
        raise BadRun(f"The pause must be from 0 to {MAX_PAUSE:.0f} seconds.")
    return pause


def steps_of(what: str, plan: Plan, body: bytes, count: int) -> list[Planned]:
    """Returns the hooks of the run in order. Raises BadRun if the JSON has nothing to order."""
    if plan == Plan.DUPLICATES:
        return [Planned("The hook" if at == 0 else "The same again", body) for at in range(count)]
    value = parse(body.decode())
    if plan in (Plan.SEQUENCE, Plan.BACKWARDS) and the_item(what, value) is None:
        raise BadRun("The JSON contains nothing that can be ordered. Restore the example first.")
    if family(what) == "ack" and plan in (Plan.SEQUENCE, Plan.BACKWARDS):
        names = {Ack.SENT: What.SENT, Ack.DELIVERED: What.DELIVERED, Ack.VIEWED: What.VIEWED}
        order = list(Ack) if plan == Plan.SEQUENCE else list(Ack)[::-1]
        return [Planned(f"Ack: {names[ack].label}", with_status(what, body, ack)) for ack in order]
    if plan == Plan.BACKWARDS:
        return [Planned(*numbered(what, body, at)) for at in reversed(range(IN_A_ROW))]
    return [Planned(*numbered(what, body, at)) for at in range(count)]


def with_status(what: str, body: bytes, ack: Ack) -> bytes:
    value = parse(body.decode())
    item = the_item(what, value)
    if item is not None:
        item["status"] = ack.label
    return compact(pretty(value))


def numbered(what: str, body: bytes, at: int) -> tuple[str, bytes]:
    """Returns the message `at` messages later, with its own id and number; any other body unchanged."""
    value = parse(body.decode())
    item = the_item(what, value) if family(what) == "messages" else None
    if item is None:
        return f"Number {at + 1}", body
    number = item.get("messageNumber")
    if at:
        parts = item["id"].split("_") if isinstance(item.get("id"), str) else []
        if len(parts) > 2:  # digits that count up, so that the order is visible
            parts[2] = later(parts[2], at)
            item["id"] = "_".join(parts)
        if isinstance(number, int) and not isinstance(number, bool):
            item["messageNumber"] = number + at
        body = compact(pretty(value))
    shown = item.get("messageNumber")
    return f"Message {shown}" if isinstance(shown, int) else f"Message, number {at + 1}", body


def later(digits: str, by: int) -> str:
    """Returns a message's hexadecimal digits plus `by`, with the same length; the 3EB0 in front stays."""
    try:
        return f"{(int(digits, 16) + by) % 16 ** len(digits):0{len(digits)}X}"
    except ValueError:
        return f"{digits}{by}"


class ShownStep(NamedTuple):
    """`verdict` None: not sent yet, or being sent (`busy`), or its process died while sending."""

    step: SimulationStep
    attempt: Attempt | None
    verdict: Verdict | None
    busy: bool


class ShownRun(NamedTuple):
    """A run as its page shows it: `counts` as [(verdict, number)]; `cursor` changes whenever anything changes."""

    run: SimulationRun
    steps: list[ShownStep]
    done: int
    counts: list[tuple[Verdict, int]]
    is_busy: bool
    cursor: str
    wait: int  # milliseconds until the next one is due

    @property
    def is_open(self) -> bool:
        """Whether the page has to poll for more."""
        return self.run.state == RunState.RUNNING or self.is_busy


def show_run(run: SimulationRun) -> ShownRun:
    """Three queries, however many steps."""
    run.refresh_from_db()
    steps = list(run.steps.defer("body"))
    wanted = [step.hook for step in steps if step.hook]
    found = Attempt.objects.filter(hook__public_id__in=wanted).only(
        "hook__public_id", "number", "outcome", "status", "error", "total_ms"
    )
    attempts = {(attempt.hook.public_id, attempt.number): attempt for attempt in found.select_related("hook")}
    is_busy = run.busy_until is not None and run.busy_until > timezone.now()
    shown = []
    for step in steps:
        attempt = attempts.get((step.hook, step.attempt)) if step.hook else None
        verdict = verdict_of(attempt) if attempt else None
        shown.append(ShownStep(step, attempt, verdict, bool(is_busy and step.hook and not attempt)))
    counts = Counter(one.verdict for one in shown if one.verdict)
    done = sum(counts.values())
    until = int((run.next_at - timezone.now()).total_seconds() * 1000)
    return ShownRun(
        run,
        shown,
        done,
        counts.most_common(),
        is_busy,
        cursor=f"{run.state}:{done}:{int(is_busy)}",
        wait=max(until, 50),
    )


def unfinished_run(instance: Instance) -> SimulationRun | None:
    """Returns the newest run of the instance if it is still running."""
    newest = SimulationRun.objects.filter(instance=instance).order_by("-pk").first()
    return newest if newest is not None and newest.state == RunState.RUNNING else None
