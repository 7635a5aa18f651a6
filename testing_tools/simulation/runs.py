"""Several simulated hooks by one press of Send: planned as rows, sent a slice at a time, cancelled at any moment.

Whoever looks at the run's page sends its next hooks: one, and more while SLICE seconds have not passed. So a run of
fifty with an endpoint that takes ten seconds each holds one web thread for ten seconds at a time, as a single
simulation does; and a run that nobody looks at stands still.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from chatapi.ui.json_text import compact, parse, pretty
from hooks import webhook_urls
from hooks.actions.simulation import SIMULATION_LEASE, simulate, simulate_again
from hooks.models import Attempt, Hook, Kind, new_public_id
from instances.models import Ack, Instance
from instances.pages.log.attempts import Verdict, verdict_of
from testing_tools.simulation.drafts import about, the_item
from testing_tools.simulation.kinds import What, family, kind_of
from testing_tools.simulation.models import Plan, RunState, SimulationRun, SimulationStep

MOST = 50  # hooks of one run
LONGEST_PAUSE = 10.0  # seconds between two
SLICE = 1.0  # seconds after which a step of a run begins no other hook
KEPT = 20  # runs of an instance; older ones go when a new one is made, their hooks stay in the log
IN_A_ROW = 3  # messages of a run that is out of order


class BadRun(ValueError):
    """It can't be run; str() is a sentence for people."""


class Planned(NamedTuple):
    label: str
    body: bytes


def plans_of(what: str) -> tuple[Plan, ...]:
    """Which plans make sense for this kind: ticks have a sequence, messages and ticks an order."""
    match family(what):
        case "ack":
            return tuple(Plan)
        case "messages":
            return (Plan.ONCE, Plan.REPEAT, Plan.BACKWARDS, Plan.DUPLICATES)
    return (Plan.ONCE, Plan.REPEAT, Plan.DUPLICATES)


def read_count(text: str) -> int:
    """How often, out of the form. Raises BadRun."""
    if not text.strip().isdecimal() or not 2 <= int(text.strip()[:6]) <= MOST:
        raise BadRun(f"How often takes a whole number from 2 to {MOST}.")
    return int(text)


def read_pause(text: str) -> float:
    """Seconds between two, out of the form. Raises BadRun."""
    try:
        pause = float(text.strip().replace(",", ".") or 0)
    except ValueError:
        pause = -1.0
    if not 0 <= pause <= LONGEST_PAUSE:
        raise BadRun(f"The pause takes seconds, from 0 to {LONGEST_PAUSE:.0f}.")
    return pause


def steps_of(what: str, plan: Plan, body: bytes, count: int) -> list[Planned]:
    """What is sent, in its order. Raises BadRun where the JSON has nothing that could have an order."""
    if plan == Plan.DUPLICATES:
        return [Planned("The hook" if at == 0 else "The same again", body) for at in range(count)]
    value = parse(body.decode())
    if plan in (Plan.SEQUENCE, Plan.BACKWARDS) and the_item(what, value) is None:
        raise BadRun("The JSON holds nothing that could be put in an order. Put the example back first.")
    if family(what) == "ack" and plan in (Plan.SEQUENCE, Plan.BACKWARDS):
        names = {Ack.SENT: What.SENT, Ack.DELIVERED: What.DELIVERED, Ack.VIEWED: What.VIEWED}
        order = list(Ack) if plan == Plan.SEQUENCE else list(Ack)[::-1]
        return [Planned(f"Tick: {names[ack].label}", with_status(what, body, ack)) for ack in order]
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
    """The same message `at` messages later, with an id and a number of its own; anything else as it stands."""
    value = parse(body.decode())
    item = the_item(what, value) if family(what) == "messages" else None
    if item is None:
        return f"Number {at + 1}", body
    number = item.get("messageNumber")
    if at:
        parts = item["id"].split("_") if isinstance(item.get("id"), str) else []
        if len(parts) > 2:  # the same digits counted on, so that it is plain which follows which
            parts[2] = later(parts[2], at)
            item["id"] = "_".join(parts)
        if isinstance(number, int) and not isinstance(number, bool):
            item["messageNumber"] = number + at
        body = compact(pretty(value))
    shown = item.get("messageNumber")
    return f"Message {shown}" if isinstance(shown, int) else f"Message, number {at + 1}", body


def later(digits: str, by: int) -> str:
    """A message's hexadecimal digits, raised; as many of them, and the 3EB0 in front stays."""
    try:
        return f"{(int(digits, 16) + by) % 16 ** len(digits):0{len(digits)}X}"
    except ValueError:
        return f"{digits}{by}"


@transaction.atomic
def plan_run(
    instance: Instance,
    *,
    what: str,
    plan: Plan,
    body: bytes,
    to_url: str,
    count: int,
    pause: float,
    acting_user: Any,
) -> SimulationRun:
    """Writes the run; advance() sends it. Raises BadRun and addresses.BadAddress."""
    if plan not in plans_of(what) or plan == Plan.ONCE:
        raise BadRun("This order makes no sense for this kind of hook.")
    to_url = webhook_urls.check(to_url)
    planned = steps_of(what, plan, body, count)
    old = SimulationRun.objects.filter(instance=instance).order_by("-pk").values_list("pk", flat=True)
    SimulationRun.objects.filter(pk__in=list(old[KEPT - 1 :])).delete()
    run = SimulationRun.objects.create(
        instance=instance, made_by=acting_user, plan=plan, to_url=to_url, pause=pause
    )
    SimulationStep.objects.bulk_create(
        [
            SimulationStep(
                run=run,
                number=number,
                label=step.label,
                kind=kind_of(what),
                body=step.body,
                attempt=number if plan == Plan.DUPLICATES else 1,
            )
            for number, step in enumerate(planned, 1)
        ]
    )
    return run


def advance(run: SimulationRun, instance: Instance, *, acting_user: Any, seconds: float = SLICE) -> bool:
    """Sends the next hooks of a run, if they are due, for so many seconds; whether it sent any.

    One of them may take 10 s. Two that do it at once do not send the same hook twice, nor two at a time.
    """
    ends, sent = time.monotonic() + seconds, False
    while step := take_next(run):
        send_step(step, instance, to_url=run.to_url, acting_user=acting_user)
        put_down(run)
        sent = True
        if time.monotonic() + run.pause > ends:  # the next one is a later request's
            break
        time.sleep(run.pause)
    return sent


@transaction.atomic
def take_next(run: SimulationRun) -> SimulationStep | None:
    """The next step, now this request's to send; None when none is due, or another request is sending."""
    row = SimulationRun.objects.select_for_update().get(pk=run.pk)
    now = timezone.now()
    if row.state != RunState.RUNNING or row.next_at > now or (row.busy_until and row.busy_until > now):
        return None
    step = row.steps.filter(hook=None).first()
    if step is None:  # whoever sent the last one died before it could say so
        row.state = RunState.FINISHED
        row.save(update_fields=["state"])
        return None
    first = row.steps.exclude(hook=None).first() if row.plan == Plan.DUPLICATES else None
    step.hook = first.hook if first else new_public_id()
    step.save(update_fields=["hook"])
    row.busy_until = now + SIMULATION_LEASE
    row.save(update_fields=["busy_until"])
    return step


def send_step(step: SimulationStep, instance: Instance, *, to_url: str, acting_user: Any) -> None:
    body = bytes(step.body)
    if step.attempt > 1 and step.hook is not None:
        before = Hook.objects.filter(public_id=step.hook).first()
        if before is not None:
            simulate_again(before, acting_user=acting_user)
        return
    simulate(
        instance.endpoint,
        kind=Kind(step.kind),
        body=body,
        to_url=to_url,
        public_id=step.hook,
        acting_user=acting_user,
        **about(body),
    )


@transaction.atomic
def put_down(run: SimulationRun) -> None:
    """The step that was taken has been sent: the next may go after the pause, or the run is over."""
    row = SimulationRun.objects.select_for_update().get(pk=run.pk)
    row.busy_until = None
    row.next_at = timezone.now() + timedelta(seconds=row.pause)
    if row.state == RunState.RUNNING and not row.steps.filter(hook=None).exists():
        row.state = RunState.FINISHED
    row.save(update_fields=["busy_until", "next_at", "state"])


@transaction.atomic
def cancel(run: SimulationRun, *, acting_user: Any) -> SimulationRun:
    """Send no more of it; what is under way at this moment still goes."""
    row = SimulationRun.objects.select_for_update().get(pk=run.pk)
    if row.state == RunState.RUNNING:
        row.state = RunState.CANCELLED
        row.save(update_fields=["state"])
    return row


class ShownStep(NamedTuple):
    """`verdict` None: not sent yet, or being sent (`busy`), or its sending was lost with its process."""

    step: SimulationStep
    attempt: Attempt | None
    verdict: Verdict | None
    busy: bool


class ShownRun(NamedTuple):
    """A run as its page shows it: `counts` as [(verdict, how many)], `cursor` changes whenever anything does."""

    run: SimulationRun
    steps: list[ShownStep]
    done: int
    counts: list[tuple[Verdict, int]]
    is_busy: bool
    cursor: str
    wait: int  # milliseconds until the next one is due

    @property
    def is_open(self) -> bool:
        """Is there anything more to come, on this page?"""
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


def unfinished(instance: Instance) -> SimulationRun | None:
    """The newest run of an instance, where it stands still half-way."""
    newest = SimulationRun.objects.filter(instance=instance).order_by("-pk").first()
    return newest if newest is not None and newest.state == RunState.RUNNING else None
