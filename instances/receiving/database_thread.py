"""A thread with a database session of its own, so that the event loop never waits for the database."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, connections

P = ParamSpec("P")
R = TypeVar("R")

# What a job raises if the database does not respond. A job that ends so has changed nothing.
UNREACHABLE = (DatabaseError, InterfaceError, psycopg.OperationalError)


class DatabaseThread:
    """Runs jobs one after the other."""

    def __init__(self, name: str) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.contact_at = time.monotonic()  # when the database last responded

    def submit(self, job: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> asyncio.Future[R]:
        """Returns the future of the job's result. A job that has begun ends, also if the future is cancelled."""
        bound = functools.partial(self.in_session, functools.partial(job, *arguments, **named))
        return asyncio.get_running_loop().run_in_executor(self.executor, bound)

    async def run_unless_cancelled(self, job: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Run a job and return its result. If the task is cancelled, a job that has begun is waited for, and another
        one does not run: hundreds may be before it.
        """
        submitted = self.executor.submit(self.in_session, functools.partial(job, *arguments, **named))
        result = asyncio.wrap_future(submitted)
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            if not submitted.cancel():
                await asyncio.wait([result])
                result.exception()  # retrieved, so that it is not logged as one that was not
            raise

    def end(self) -> None:
        """Wait for the submitted jobs and close the session."""
        self.executor.submit(connections.close_all)
        self.executor.shutdown(wait=True)

    def in_session(self, job: Callable[[], R]) -> R:
        """Run the job; a session that failed is opened again by the next one."""
        try:
            result = job()
        except UNREACHABLE:
            connections.close_all()
            raise
        self.contact_at = time.monotonic()
        return result
