"""Jobs of cancelled tasks: one that has begun is waited for, and one that waits behind others does not run."""

from __future__ import annotations

import asyncio
import threading

import pytest

from instances.receiving.database_thread import DatabaseThread


def test_a_cancelled_task_waits_for_a_job_that_has_begun_and_for_no_other() -> None:
    begun, may_end, done = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        begun.set()
        assert may_end.wait(60)
        done.append("first")

    async def main() -> None:
        thread = DatabaseThread("test")
        tasks = [
            asyncio.create_task(thread.run_unless_cancelled(job))
            for job in (first, lambda: done.append("second"), lambda: done.append("third"))
        ]
        assert await asyncio.to_thread(begun.wait, 60)
        for task in tasks[:2]:
            task.cancel()
        await asyncio.wait(tasks[1:2])
        assert tasks[1].cancelled() and not tasks[0].done(), "the second is not run, the first is waited for"
        may_end.set()
        await tasks[2]
        await asyncio.wait(tasks[:1])
        assert tasks[0].cancelled(), "its result is not needed any more"
        await asyncio.to_thread(thread.end)

    asyncio.run(main())
    assert done == ["first", "third"]


def test_the_error_of_a_job_is_raised() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def main() -> None:
        thread = DatabaseThread("test")
        with pytest.raises(ValueError, match="no"):
            await thread.run_unless_cancelled(fail)
        await asyncio.to_thread(thread.end)

    asyncio.run(main())
