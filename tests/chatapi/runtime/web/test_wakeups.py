"""Waiting calls with a key are served again when it is notified, and not only after their pause."""

from __future__ import annotations

import select
import threading
import time
from typing import Any

import pytest
from django.http import HttpResponse

from chatapi.runtime.web import wakeups
from hooks.wakeups import notify_after_commit
from instances.limits.waiting_calls import Repeat
from tests.chatapi.runtime.web.serving import receive_all, serving, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LONG = 3600.0  # the pause, without a notification


def test_a_call_is_served_when_its_key_is_notified() -> None:
    ready = threading.Event()

    def view(_: dict[str, Any]) -> HttpResponse:
        response = HttpResponse("a hook" if ready.is_set() else "none")
        if not ready.is_set():
            response.repeat = Repeat(LONG, 7, "4711")  # type: ignore[attr-defined]
        return response

    with serving(view) as running, running.connect() as client:
        client.sendall(GET)
        wait_until(lambda: "4711" in running.web.wakeups.waiting)
        ready.set()
        until = time.monotonic() + 60
        while running.web.wakeups.waiting and time.monotonic() < until:  # the thread may not listen yet
            notify_after_commit(wakeups.CHANNEL, "4712")
            notify_after_commit(wakeups.CHANNEL, "4711")
            time.sleep(0.05)
        assert receive_all(client).endswith(b"a hook")
        assert len(running.requests) == 2


def test_a_notification_while_the_call_is_served_is_not_missed() -> None:
    """The view has seen nothing, and the hook was committed before the call began to wait again."""

    def view(_: dict[str, Any]) -> HttpResponse:
        served.append(time.monotonic())
        response = HttpResponse("a hook")
        if len(served) == 1:
            running.web.loop.call_soon_threadsafe(running.web.wakeups.used.setdefault, "4711", 0.0)
            running.web.loop.call_soon_threadsafe(running.web.wakeups.wake, {"4711"})
            response.repeat = Repeat(LONG, 7, "4711")  # type: ignore[attr-defined]
        return response

    served: list[float] = []
    with serving(view) as running:
        assert running.ask(GET).endswith(b"a hook")
        assert len(served) == 2


def test_notifications_do_not_make_the_loop_look_for_idle_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notification of each hook would: it looks once in POLL_SECONDS."""
    looks: list[float] = []
    forget_idle = wakeups.Wakeups.forget_idle

    def look(self: wakeups.Wakeups) -> None:
        looks.append(time.monotonic())
        forget_idle(self)

    monkeypatch.setattr(wakeups.Wakeups, "forget_idle", look)
    ready = threading.Event()

    def view(_: dict[str, Any]) -> HttpResponse:
        response = HttpResponse("a hook" if ready.is_set() else "none")
        if not ready.is_set():
            response.repeat = Repeat(LONG, 7, "4711")  # type: ignore[attr-defined]
        return response

    began = time.monotonic()
    with serving(view) as running, running.connect() as client:
        client.sendall(GET)
        for number in range(1, 31):
            while len(running.requests) < number:
                notify_after_commit(wakeups.CHANNEL, "4711")
                time.sleep(0.01)
        assert len(looks) <= 2 + (time.monotonic() - began) / wakeups.POLL_SECONDS
        ready.set()
        while not select.select([client], [], [], 0.01)[0]:
            notify_after_commit(wakeups.CHANNEL, "4711")
        assert receive_all(client).endswith(b"a hook")
