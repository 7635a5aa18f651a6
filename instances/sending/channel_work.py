"""Runs queued commands and the channels' background work in a thread of its own: no message waits for them."""

from __future__ import annotations

import logging
import threading
from datetime import datetime

from django.db import DatabaseError, InterfaceError, OperationalError, connections

from hooks import database_clock
from instances.channels import CHANNELS
from instances.sending import channel_commands

log = logging.getLogger(__name__)

WORK_INTERVAL = 1.0  # s; a notification wakes the thread sooner
RECONNECT_PAUSE = 1.0  # s between attempts to reach the database


def run_channel_work(now: datetime | None = None) -> int:
    """One pass over the queued commands and the channels' background work; returns how much was done.

    A channel that fails is retried in the next pass.

    Raises:
        OperationalError, InterfaceError: the database is not reachable.
    """
    now = now or database_clock.now()
    done = channel_commands.perform_due_commands(now)
    for name, channel in CHANNELS.items():
        try:
            done += channel.work(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one messenger's failure must not stop the others
            log.exception("The background work of the channel %s failed", name)
    return done


def next_channel_work(now: datetime | None = None) -> datetime | None:
    """Returns when a channel has work, possibly in the past; None if nothing is known to be due."""
    now = now or database_clock.now()
    return min((due for channel in CHANNELS.values() if (due := channel.next_work(now))), default=None)


class ChannelWork(threading.Thread):
    """Runs the work when it is due, and every WORK_INTERVAL."""

    def __init__(self) -> None:
        super().__init__(name="channel work", daemon=True)
        self.wakeup = threading.Event()
        self.ending = False

    def run(self) -> None:
        try:
            while not self.ending:
                self.wakeup.clear()
                try:
                    while run_channel_work() and not self.ending:
                        pass
                    seconds = self.seconds_until_due()
                except (DatabaseError, InterfaceError) as error:
                    log.warning(
                        "channel work: the database is not reachable (%s); trying again",
                        str(error).strip().split("\n")[0],
                    )
                    connections.close_all()
                    seconds = RECONNECT_PAUSE
                self.wakeup.wait(seconds)
        finally:
            connections.close_all()

    def seconds_until_due(self) -> float:
        due = next_channel_work()
        if due is None:
            return WORK_INTERVAL
        return min(max((due - database_clock.now()).total_seconds(), 0.0), WORK_INTERVAL)

    def wake(self) -> None:
        """Something may be due: look now."""
        self.wakeup.set()

    def end(self) -> None:
        """End after the current pass, which takes at most a channel's DEADLINE."""
        self.ending = True
        self.wakeup.set()
