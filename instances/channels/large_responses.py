"""Reads large responses of messengers beside the event loop, which serves all instances of a receiver.

Measured with 16 MiB: in the loop, json took 0.5 s for a /sync of Matrix, 0.4 to 0.9 s for a history of WAHA, 0.6 s for
updates of Telegram, and up to 5.6 s for JSON that is made to be slow; in a thread it stops the loop, too, because it
keeps the interpreter's lock. To read what the values mean took 0.9 to 3 s more. With a /sync of 52,000 events, other
instances of the receiver waited for up to 1.75 s; now for up to 0.24 s, in a collection of garbage when it was read.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hooks.http import Response
from instances.channels.receiving import ResponseTooLarge
from instances.channels.responses import is_large

T = TypeVar("T")

AT_ONCE = 500  # events, messages or members that the loop reads itself: 20 ms
# Of one response. 16 MiB of messages have a million. JSON with 6 million took 10 s.
MAX_VALUES = 2_000_000
TOO_MANY_VALUES = "The messenger's response has more than 2 million values."
# One: a server that sends large responses all the time takes no more than a core's share of one thread.
THREAD = ThreadPoolExecutor(1, thread_name_prefix="large responses")


async def read_response(response: Response, read: Callable[[Response], T]) -> T:
    """Returns what `read` reads from a response, which it does in a thread if the response is large.

    Raises:
        ResponseTooLarge: it has more than MAX_VALUES values.
    """
    return await call_beside(checked, response, read) if is_large(response.body) else read(response)


async def read_many(number: int, read: Callable[[], T]) -> T:
    """Returns what `read` returns, which it does in a thread if it reads more than AT_ONCE objects."""
    return await call_beside(read) if number > AT_ONCE else read()


def checked(response: Response, read: Callable[[Response], T]) -> T:
    if sum(map(response.body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ResponseTooLarge(TOO_MANY_VALUES)
    return read(response)


async def call_beside(function: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(THREAD, without_collections, function, *arguments)


def without_collections(function: Callable[..., T], *arguments: object) -> T:
    """Call the function without collections of garbage meanwhile.

    They keep the interpreter's lock, for up to 150 ms while millions of values are being made. JSON has no cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return function(*arguments)
    finally:
        if was_enabled:
            gc.enable()
