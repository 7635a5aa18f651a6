"""Random scenarios for the guarantees: what happens to a few lanes and to the dispatchers, in which order.

A scenario is data (it is printed completely when it fails). A ScenarioRun performs it with real hooks, real
`manage.py dispatch` processes, and a real receiver.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import strategies as st

from hooks import outbox
from hooks.actions import hooks
from hooks.actions.endpoints import configure, pause, resume
from hooks.actions.hooks import NotPossible, cancel, try_now
from hooks.models import UNFINISHED, Endpoint, Hook, HookQuerySet, Kind, State
from tests.factories import AccountFactory, InstanceFactory
from tests.faults.scripted_receiver import ScriptedReceiver
from tests.hooks.dispatch.dispatching import Dispatch, wait_until

DEADLINE_MS = 1000
SETTLE_SECONDS = 60
RESPONSES = ["ok"] * 8 + ["500"] * 3 + ["slow", "429", "410", "reset", "hang"]


@dataclass(frozen=True)
class LaneOptions:
    parallel: bool
    guaranteed: bool


@dataclass(frozen=True)
class Emit:
    """Emits hooks in one transaction; each script has the responses to the attempts of one hook."""

    lane: int
    scripts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class HookAction:
    """A user's action on a hook of a lane."""

    what: str  # a function of hooks.actions
    lane: int
    hook: int


@dataclass(frozen=True)
class EndpointAction:
    """A user pauses or resumes a lane, changes its URL to the other one, or removes the URL for a moment."""

    what: str
    lane: int


@dataclass(frozen=True)
class ChangeDispatchers:
    """Kills a dispatcher or stops it with SIGTERM, and starts another; or adds a second one."""

    what: str


@dataclass(frozen=True)
class Wait:
    milliseconds: int


Step = Emit | HookAction | EndpointAction | ChangeDispatchers | Wait

lane_numbers = st.integers(0, 2)
scripts = st.lists(
    st.lists(st.sampled_from(RESPONSES), min_size=1, max_size=3).map(tuple), min_size=1, max_size=8
)
steps = st.one_of(
    st.builds(Emit, lane_numbers, scripts.map(tuple)),
    st.builds(Emit, lane_numbers, scripts.map(tuple)),
    st.builds(Emit, lane_numbers, scripts.map(tuple)),
    st.builds(
        HookAction, st.sampled_from(["cancel", "try_now", "resend", "skip"]), lane_numbers, st.integers(0, 30)
    ),
    st.builds(
        EndpointAction, st.sampled_from(["pause", "resume", "move", "move", "remove url"]), lane_numbers
    ),
    st.builds(ChangeDispatchers, st.sampled_from(["kill", "kill", "stop", "join"])),
    st.builds(Wait, st.integers(5, 300)),
)
scenarios = st.tuples(
    st.lists(st.builds(LaneOptions, st.booleans(), st.booleans()), min_size=3, max_size=3).map(tuple),
    st.lists(steps, min_size=4, max_size=25).map(tuple),
)


class Dispatchers:
    """The running dispatchers; they keep running from one scenario to the next."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self.folder, self.held = folder, held
        self.alive: list[Dispatch] = []

    def join(self) -> None:
        if len(self.alive) < 2:
            made = Dispatch(
                self.folder,
                DJANGO_SETTINGS_MODULE="tests.hooks.dispatch.short_deadline",
                TEST_DEADLINE_MS=str(DEADLINE_MS),
            )
            self.held.push(made)
            self.alive.append(made)

    def kill(self) -> None:
        self.pop_oldest().kill()
        self.join()

    def stop(self) -> None:
        oldest = self.pop_oldest()
        assert oldest.stop() == 0, oldest.output
        self.join()

    def pop_oldest(self) -> Dispatch:
        """Returns the oldest, once it has its slot: killed in its first second it would affect no hook."""
        self.wait_for_all()
        return self.alive.pop(0)

    def wait_for_all(self) -> None:
        for one in self.alive:
            wait_until(one.is_at_work, "the dispatcher has a slot", 60)


@dataclass
class LaneRecord:
    """A lane of the scenario, and what was done to it."""

    endpoint: Endpoint
    options: LaneOptions
    hooks: list[Hook] = field(default_factory=list)
    resent: set[int] = field(default_factory=set)  # keys of hooks that a user resent …
    ended_by_user: set[int] = field(default_factory=set)  # … or cancelled or skipped

    @property
    def name(self) -> str:
        return str(self.endpoint.pk)


class ScenarioRun:
    def __init__(
        self, lane_options: tuple[LaneOptions, ...], receiver: ScriptedReceiver, dispatchers: Dispatchers
    ) -> None:
        self.receiver, self.dispatchers = receiver, dispatchers
        self.kills = 0
        account = AccountFactory()
        self.lanes = []
        for options in lane_options:
            instance = InstanceFactory(
                owner=account, parallel=options.parallel, guaranteed=options.guaranteed
            )
            lane = LaneRecord(instance.endpoint, options)
            self.lanes.append(lane)
            self.set_url(lane, "a")
        if not dispatchers.alive:
            dispatchers.join()
        dispatchers.wait_for_all()

    def set_url(self, lane: LaneRecord, name: str) -> None:
        configure(lane.endpoint, url=f"{self.receiver.url}/{lane.name}/{name}" if name else "")

    def perform(self, step: Step) -> None:
        match step:
            case Emit(number, scripts):
                self.emit(self.lanes[number], scripts)
            case HookAction(what, number, hook):
                self.do(what, self.lanes[number], hook)
            case EndpointAction(what, number):
                self.set(what, self.lanes[number])
            case ChangeDispatchers(what):
                self.kills += what == "kill"
                getattr(self.dispatchers, what)()
            case Wait(milliseconds):
                time.sleep(milliseconds / 1000)

    def emit(self, lane: LaneRecord, scripts: tuple[tuple[str, ...], ...]) -> None:
        with transaction.atomic():
            for script in scripts:
                body = json.dumps({"n": len(lane.hooks), "script": script}).encode()
                lane.hooks.append(outbox.emit(instance_id=lane.endpoint.pk, kind=Kind.MESSAGE, body=body))

    def do(self, what: str, lane: LaneRecord, number: int) -> None:
        if not lane.hooks:
            return
        hook = lane.hooks[number % len(lane.hooks)]
        action: Callable[..., Hook] = getattr(hooks, what)
        with suppress(NotPossible):
            action(hook, acting_user=None)
            if what == "resend":
                lane.resent.add(hook.pk)
            if what in ("cancel", "skip"):
                lane.ended_by_user.add(hook.pk)

    def set(self, what: str, lane: LaneRecord) -> None:
        match what:
            case "pause":
                pause(lane.endpoint, acting_user=None)
            case "resume":
                resume(lane.endpoint, acting_user=None)
            case "move":
                self.set_url(lane, "b" if lane.endpoint.url.endswith("a") else "a")
            case "remove url":
                self.set_url(lane, "")
                self.emit(lane, (("ok",),))
                self.set_url(lane, "a")

    def settle(self) -> None:
        """Runs until only later retries are left; those are tried twice more."""
        for lane in self.lanes:
            self.set_url(lane, "a")
            resume(lane.endpoint, acting_user=None)
        # as if two minutes had passed since the resume: catching up would take time
        Endpoint.objects.filter(pk__in=[lane.endpoint.pk for lane in self.lanes]).update(resumed_at=None)
        for _ in range(2):
            wait_until(self.is_quiet, "everything that can be sent is sent", SETTLE_SECONDS)
            for hook in self.hooks().filter(state=State.RETRYING):
                with suppress(NotPossible):
                    try_now(hook, acting_user=None)
        # The remaining retries, due in 15 s and more by the schedule, must not become due during the checks. A claim
        # that is not committed yet is not seen; the next update waits for it.
        for _ in range(3):
            later = timezone.now() + timedelta(hours=1)
            self.hooks().filter(state=State.RETRYING).update(next_attempt_at=later)
            wait_until(self.is_quiet, "everything that can be sent is sent", SETTLE_SECONDS)

    def is_quiet(self) -> bool:
        # a retry that is due, for example by try_now(), keeps its state until it is claimed
        due = Q(state=State.RETRYING, next_attempt_at__lte=Now())
        return not self.hooks().filter(due | Q(state__in=(State.QUEUED, State.SENDING))).exists()

    def hooks(self) -> HookQuerySet:
        return Hook.objects.filter(endpoint__in=[lane.endpoint.pk for lane in self.lanes])

    def clear(self) -> None:
        """Cancels the unfinished hooks, so that they do not affect a later scenario."""
        for hook in self.hooks().filter(state__in=UNFINISHED):
            with suppress(NotPossible):
                cancel(hook, acting_user=None)
