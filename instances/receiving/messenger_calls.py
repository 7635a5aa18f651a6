"""Calls a channel's coroutines from synchronous code: a page, the REST API or a task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from django.db import transaction

from instances.channels.receiving import Network, ReceiveFailed
from instances.receiving.network import LoopNetwork

T = TypeVar("T")

# Of one call. A thread of the web server waits for it.
CALL_SECONDS = 15.0


def refuse_open_transaction() -> None:
    """Raises RuntimeError inside a transaction, which would hold its locks for as long as a messenger takes."""
    with transaction.atomic(durable=True):
        pass


def call_messenger(job: Callable[[Network], Awaitable[T]], *, seconds: float = CALL_SECONDS) -> T:
    """Returns the result of the coroutine, which runs in a thread with an event loop of its own.

    The caller has no open transaction (refuse_open_transaction).

    Raises:
        ReceiveFailed: it did not end within `seconds`.
        Exception: what the coroutine raises.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            result.append(asyncio.run(with_network(job, seconds)))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            failure.append(error)

    thread = threading.Thread(target=work, name="messenger call", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


async def with_network(job: Callable[[Network], Awaitable[T]], seconds: float) -> T:
    """Run the coroutine with a network for it alone."""
    network = LoopNetwork()
    try:
        async with asyncio.timeout(seconds):
            return await job(network)
    except TimeoutError:
        raise ReceiveFailed(f"The messenger did not respond within {seconds:.0f} s.") from None
    finally:
        network.close()
