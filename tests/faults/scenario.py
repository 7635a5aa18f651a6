"""Random stories for the promises: what happens to a few lanes, and to the dispatchers, in what order.

A story is data (it prints whole when it fails) and is played on a Stage: real hooks, real `manage.py dispatch`
processes, a real receiver.
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
from django.utils import timezone
from hypothesis import strategies as st

from hooks import outbox
from hooks.actions import hooks
from hooks.actions.endpoints import configure, pause, resume
from hooks.actions.hooks import NotPossible, cancel, try_now
from hooks.models import UNFINISHED, Endpoint, Hook, HookQuerySet, Kind, State
from tests.factories import AccountFactory, InstanceFactory
from tests.faults.scripted_receiver import Scripted
from tests.hooks.dispatch.dispatching import Dispatch, wait_until

DEADLINE_MS = 1000
SETTLE_SECONDS = 60
ANSWERS = ["ok"] * 8 + ["500"] * 3 + ["slow", "429", "410", "reset", "hang"]


@dataclass(frozen=True)
class LaneIs:
    parallel: bool
    guaranteed: bool


@dataclass(frozen=True)
class Emit:
    """Hooks of one transaction; each with what is answered to its attempts."""

    lane: int
    scripts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Do:
    """A person does something to a hook of a lane."""

    what: str  # a function of hooks.actions
    lane: int
    hook: int


@dataclass(frozen=True)
class Set:
    """A person pauses or resumes a lane, gives it its other address, or takes its address away for a moment."""

    what: str
    lane: int


@dataclass(frozen=True)
class Crew:
    """Something happens to a dispatcher: kill -9, SIGTERM (another comes each time), or a second one joins."""

    what: str


@dataclass(frozen=True)
class Wait:
    milliseconds: int


Step = Emit | Do | Set | Crew | Wait

lane_numbers = st.integers(0, 2)
scripts = st.lists(
    st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3).map(tuple), min_size=1, max_size=8
)
steps = st.one_of(
    st.builds(Emit, lane_numbers, scripts.map(tuple)),
    st.builds(Emit, lane_numbers, scripts.map(tuple)),
    st.builds(Emit, lane_numbers, scripts.map(tuple)),
    st.builds(Do, st.sampled_from(["cancel", "try_now", "resend", "skip"]), lane_numbers, st.integers(0, 30)),
    st.builds(Set, st.sampled_from(["pause", "resume", "move", "move", "address away"]), lane_numbers),
    st.builds(Crew, st.sampled_from(["kill", "kill", "stop", "join"])),
    st.builds(Wait, st.integers(5, 300)),
)
stories = st.tuples(
    st.lists(st.builds(LaneIs, st.booleans(), st.booleans()), min_size=3, max_size=3).map(tuple),
    st.lists(steps, min_size=4, max_size=25).map(tuple),
)


class Dispatchers:
    """The running dispatchers; they continue from one story to the next."""

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
        self.next_to_go().kill()
        self.join()

    def stop(self) -> None:
        oldest = self.next_to_go()
        assert oldest.stop() == 0, oldest.output
        self.join()

    def next_to_go(self) -> Dispatch:
        """The oldest, which is at work: a death in its first second would affect no hook."""
        self.wait_for_all()
        return self.alive.pop(0)

    def wait_for_all(self) -> None:
        for one in self.alive:
            wait_until(one.is_at_work, "the dispatcher is at work", 60)


@dataclass
class Told:
    """A lane of the story, and what was done to it."""

    endpoint: Endpoint
    nature: LaneIs
    hooks: list[Hook] = field(default_factory=list)
    sent_again: set[int] = field(default_factory=set)  # keys of hooks that a person sent again …
    given_up: set[int] = field(default_factory=set)  # … or cancelled or skipped

    @property
    def name(self) -> str:
        return str(self.endpoint.pk)


class Stage:
    def __init__(self, natures: tuple[LaneIs, ...], receiver: Scripted, dispatchers: Dispatchers) -> None:
        self.receiver, self.dispatchers = receiver, dispatchers
        self.kills = 0
        account = AccountFactory()
        self.lanes = []
        for nature in natures:
            instance = InstanceFactory(owner=account, parallel=nature.parallel, guaranteed=nature.guaranteed)
            lane = Told(instance.endpoint, nature)
            self.lanes.append(lane)
            self.address(lane, "a")
        if not dispatchers.alive:
            dispatchers.join()
        dispatchers.wait_for_all()

    def address(self, lane: Told, name: str) -> None:
        configure(lane.endpoint, url=f"{self.receiver.url}/{lane.name}/{name}" if name else "")

    def play(self, step: Step) -> None:
        match step:
            case Emit(number, scripts):
                self.emit(self.lanes[number], scripts)
            case Do(what, number, hook):
                self.do(what, self.lanes[number], hook)
            case Set(what, number):
                self.set(what, self.lanes[number])
            case Crew(what):
                self.kills += what == "kill"
                getattr(self.dispatchers, what)()
            case Wait(milliseconds):
                time.sleep(milliseconds / 1000)

    def emit(self, lane: Told, scripts: tuple[tuple[str, ...], ...]) -> None:
        with transaction.atomic():
            for script in scripts:
                body = json.dumps({"n": len(lane.hooks), "script": script}).encode()
                lane.hooks.append(outbox.emit(instance_id=lane.endpoint.pk, kind=Kind.MESSAGE, body=body))

    def do(self, what: str, lane: Told, number: int) -> None:
        if not lane.hooks:
            return
        hook = lane.hooks[number % len(lane.hooks)]
        action: Callable[..., Hook] = getattr(hooks, what)
        with suppress(NotPossible):
            action(hook, acting_user=None)
            if what == "resend":
                lane.sent_again.add(hook.pk)
            if what in ("cancel", "skip"):
                lane.given_up.add(hook.pk)

    def set(self, what: str, lane: Told) -> None:
        match what:
            case "pause":
                pause(lane.endpoint, acting_user=None)
            case "resume":
                resume(lane.endpoint, acting_user=None)
            case "move":
                self.address(lane, "b" if lane.endpoint.url.endswith("a") else "a")
            case "address away":
                self.address(lane, "")
                self.emit(lane, (("ok",),))
                self.address(lane, "a")

    def settle(self) -> None:
        """Runs until only later retries are left; those are tried twice more."""
        for lane in self.lanes:
            self.address(lane, "a")
            resume(lane.endpoint, acting_user=None)
        # as two minutes after the resume: a lane that catches up would take its time
        Endpoint.objects.filter(pk__in=[lane.endpoint.pk for lane in self.lanes]).update(resumed_at=None)
        for _ in range(2):
            wait_until(self.is_quiet, "everything that can be sent is sent", SETTLE_SECONDS)
            for hook in self.hooks().filter(state=State.RETRYING):
                with suppress(NotPossible):
                    try_now(hook, acting_user=None)
        # The retries that are left, of the plan's 15 s and more, must not become due while they are looked at.
        later = timezone.now() + timedelta(hours=1)
        self.hooks().filter(state=State.RETRYING).update(next_attempt_at=later)
        wait_until(self.is_quiet, "everything that can be sent is sent", SETTLE_SECONDS)
        self.hooks().filter(state=State.RETRYING).update(next_attempt_at=later)

    def is_quiet(self) -> bool:
        return not self.hooks().filter(state__in=(State.QUEUED, State.SENDING)).exists()

    def hooks(self) -> HookQuerySet:
        return Hook.objects.filter(endpoint__in=[lane.endpoint.pk for lane in self.lanes])

    def clear(self) -> None:
        """What is left is given up, so that it disturbs no later story."""
        for hook in self.hooks().filter(state__in=UNFINISHED):
            with suppress(NotPossible):
                cancel(hook, acting_user=None)
