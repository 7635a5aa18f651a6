"""Writes of simulations: send one hook now; create, send step by step and cancel a run of several.

Each request of the page that shows a run sends the next hook, and more until TIME_SLICE seconds have passed. So a run
of fifty hooks to an endpoint that takes ten seconds each holds a web thread for ten seconds at a time, like a single
simulation. A run stops when its page is closed. The audit log has one entry per run, not per hook.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from hooks.actions.simulation import SIMULATION_LEASE, create_simulated, send, simulate, simulate_again
from hooks.models import Endpoint, Hook, Kind, new_public_id
from hooks.urls import webhook_urls
from instances.limits import manual_request_limit
from instances.models import Instance
from testing_tools.simulation.drafts import subject_of
from testing_tools.simulation.kinds import hook_kind
from testing_tools.simulation.models import Plan, RunState, SimulationRun, SimulationStep
from testing_tools.simulation.runs import KEPT_RUNS, TIME_SLICE, InvalidRun, plans_of, steps_of


class NotSent(ValueError):
    """The hook was not sent; str() is the message for the user."""


def why_blocked(instance: Instance) -> str:
    """Returns why no hook of the instance can be simulated; "" if one can."""
    if instance.is_stopped:
        return "this instance is stopped"
    return "" if instance.is_paid else instance.why_unpaid


def raise_if_blocked(instance: Instance) -> None:
    """Raises NotSent if no hook of the instance can be simulated."""
    if reason := why_blocked(instance):
        raise NotSent(f"You cannot simulate hooks: {reason}.")


def send_now(instance: Instance, *, kind: Kind, body: bytes, to_url: str, acting_user: User) -> Hook:
    """Send these bytes as one simulated hook; returns it finished, with its attempt. Takes at most 10 s.

    Raises:
        NotSent: the instance is stopped or not paid, or the user has sent too many requests.
        webhook_urls.InvalidUrl: the URL is not allowed.
    """
    raise_if_blocked(instance)
    try:
        with manual_request_limit.place(acting_user):
            return simulate(
                instance.endpoint,
                kind=kind,
                body=body,
                to_url=to_url,
                acting_user=acting_user,
                **subject_of(body),
            )
    except manual_request_limit.TooMany as error:
        raise NotSent(str(error)) from None


@transaction.atomic
def create_run(
    instance: Instance,
    *,
    kind: str,
    plan: Plan,
    body: bytes,
    to_url: str,
    count: int,
    pause: float,
    acting_user: User | None,
) -> SimulationRun:
    """Create the run and its steps; advance() sends them.

    Older runs of the instance are deleted down to KEPT_RUNS; their hooks stay in the log.

    Raises:
        InvalidRun: the plan does not apply to this kind of hook, or to this JSON, or the bodies are too long.
        webhook_urls.InvalidUrl: the URL is not allowed.
    """
    if plan not in plans_of(kind) or plan == Plan.ONCE:
        raise InvalidRun("This plan does not apply to this kind of hook.")
    to_url = webhook_urls.check(to_url)
    planned = steps_of(kind, plan, body, count)
    old = SimulationRun.objects.filter(instance=instance).order_by("-pk").values_list("pk", flat=True)
    SimulationRun.objects.filter(pk__in=list(old[KEPT_RUNS - 1 :])).delete()
    run = SimulationRun.objects.create(
        instance=instance, made_by=acting_user, plan=plan, to_url=to_url, pause=pause
    )
    SimulationStep.objects.bulk_create(
        [
            SimulationStep(
                run=run,
                number=number,
                label=step.label,
                kind=hook_kind(kind),
                body=step.body,
                attempt=number if plan == Plan.DUPLICATES else 1,
            )
            for number, step in enumerate(planned, 1)
        ]
    )
    audit.record(instance, AuditAction.SIMULATION_RUN, acting_user=acting_user, plan=plan, hooks=len(planned))
    return run


def advance(run: SimulationRun, *, seconds: float = TIME_SLICE) -> bool:
    """Send the hooks of the run that are due, for `seconds`; returns whether any was sent.

    One hook may take 10 s. Concurrent calls never send the same hook twice, or two hooks at the same time.
    """
    ends, sent = time.monotonic() + seconds, False
    while step := claim_next_step(run):
        send_step(step, endpoint=run.instance.endpoint, to_url=run.to_url)
        finish_step(run)
        sent = True
        if time.monotonic() + run.pause > ends:  # a later request sends the next hook
            break
        time.sleep(run.pause)
    return sent


@transaction.atomic
def claim_next_step(run: SimulationRun) -> SimulationStep | None:
    """Claim the next step for this request; None if none is due, or another request is sending."""
    row = SimulationRun.objects.select_for_update().get(pk=run.pk)
    now = timezone.now()
    if row.state != RunState.RUNNING or row.next_at > now or (row.busy_until and row.busy_until > now):
        return None
    step = row.steps.filter(hook=None).first()
    if step is None:  # the process that sent the last step died before recording it
        row.state = RunState.FINISHED
        row.save(update_fields=["state"])
        return None
    first = row.steps.exclude(hook=None).first() if row.plan == Plan.DUPLICATES else None
    step.hook = first.hook if first else new_public_id()
    step.save(update_fields=["hook"])
    row.busy_until = now + SIMULATION_LEASE
    row.save(update_fields=["busy_until"])
    return step


def send_step(step: SimulationStep, *, endpoint: Endpoint, to_url: str) -> None:
    """Send the hook of a claimed step; a duplicate resends the same hook."""
    body = bytes(step.body)
    if step.attempt > 1 and step.hook is not None:
        hook = Hook.objects.filter(public_id=step.hook).first()
        if hook is not None:
            simulate_again(hook)
        return
    hook = create_simulated(
        endpoint, kind=Kind(step.kind), body=body, to_url=to_url, public_id=step.hook, **subject_of(body)
    )
    send(hook, endpoint)


@transaction.atomic
def finish_step(run: SimulationRun) -> None:
    """Record that the claimed step was sent: the next is due after the pause, or the run is finished."""
    row = SimulationRun.objects.select_for_update().get(pk=run.pk)
    row.busy_until = None
    row.next_at = timezone.now() + timedelta(seconds=row.pause)
    if row.state == RunState.RUNNING and not row.steps.filter(hook=None).exists():
        row.state = RunState.FINISHED
    row.save(update_fields=["busy_until", "next_at", "state"])


@transaction.atomic
def cancel_run(run: SimulationRun, *, acting_user: User | None) -> SimulationRun:
    """Cancel the run; a hook that is being sent now is still sent. Returns the run."""
    row = SimulationRun.objects.select_for_update().get(pk=run.pk)
    if row.state == RunState.RUNNING:
        row.state = RunState.CANCELLED
        row.save(update_fields=["state"])
        audit.record(row.instance, AuditAction.SIMULATION_RUN_CANCELLED, acting_user=acting_user)
    return row
