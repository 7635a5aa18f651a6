"""A sender in this process: the test can read what it knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hooks import worker_slots
from hooks.models import Role
from instances.sending.sender import Sender


@contextmanager
def running_sender() -> Iterator[Sender]:
    with worker_slots.hold_slot(Role.OUTGOING, range(1)) as slot:
        assert slot is not None
        sender = Sender(slot, None, lambda: None)
        thread = threading.Thread(target=sender.run)
        thread.start()
        try:
            yield sender
        finally:
            sender.claimer.lost_slot = True
            sender.wakeup.wake()
            thread.join(60)
        assert not thread.is_alive()
        assert not sender.sweeper.is_alive()


@contextmanager
def open_sender() -> Iterator[Sender]:
    """A sender whose threads are not started."""
    with worker_slots.hold_slot(Role.OUTGOING, range(1)) as slot:
        assert slot is not None
        sender = Sender(slot, None, lambda: None)
        try:
            yield sender
        finally:
            sender.sweeper.session.close()
            sender.transfers.close()
            sender.wakeup.close()
