"""The threads of the web server: few requests use few of them, and no request waits for one that takes long."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from chatapi.runtime.web.fair_threads import FairThreads
from tests.hooks.dispatch.dispatching import wait_until

WAIT = 30  # seconds, for what happens at once


@pytest.fixture
def threads() -> Iterator[FairThreads]:
    made = FairThreads(12, 8, "test")
    yield made
    made.stop()


def run(threads: FairThreads, owner: str, job: Callable[[], object] = lambda: None) -> threading.Event:
    """Submits the job; the event is set when it has run."""
    ended = threading.Event()

    def run_job() -> None:
        job()
        ended.set()

    threads.submit(owner, run_job)
    return ended


def test_one_job_after_another_is_run_by_one_thread(threads: FairThreads) -> None:
    used: Counter[str] = Counter()
    for _ in range(100):
        wait_until(lambda: len(threads._idle) == 12, "all threads are idle")
        assert run(threads, "a", lambda: used.update([threading.current_thread().name])).wait(WAIT)
    assert len(used) == 1


def test_jobs_that_wait_leave_threads_for_others(threads: FairThreads) -> None:
    resume = threading.Event()
    slow = [run(threads, owner, lambda: resume.wait(WAIT)) for owner in "ab" for _ in range(5)]
    assert run(threads, "c").wait(WAIT)
    assert run(threads, "a").wait(WAIT)
    assert not any(job.is_set() for job in slow)
    resume.set()
    assert all(job.wait(WAIT) for job in slow)


def test_jobs_that_wait_for_each_other_all_get_a_thread(threads: FairThreads) -> None:
    """As many as there are threads all run at the same time."""
    together = threading.Barrier(12)
    jobs = [run(threads, owner, lambda: together.wait(WAIT)) for owner in "ab" for _ in range(6)]
    assert all(job.wait(WAIT) for job in jobs)


def test_an_owner_has_at_most_its_share_and_its_jobs_begin_in_order(threads: FairThreads) -> None:
    """Each job waits until it may end; one that ends leaves its thread to the next one."""
    begun, running, most = list[int](), 0, 0
    changed, may_end = threading.Condition(), threading.Semaphore(0)

    def job(number: int) -> None:
        nonlocal running, most
        with changed:
            begun.append(number)
            running += 1
            most = max(most, running)
            changed.notify_all()
        may_end.acquire(timeout=WAIT)
        with changed:
            running -= 1

    jobs = [run(threads, "a", lambda number=number: job(number)) for number in range(60)]  # type: ignore[misc]
    other = run(threads, "b")
    assert other.wait(WAIT)  # it does not wait for any of them
    for number in range(8, 61):
        with changed:
            assert changed.wait_for(lambda: len(begun) == number, WAIT)  # noqa: B023
            assert sorted(begun) == list(range(number))
        may_end.release()
    may_end.release(7)
    assert all(job.wait(WAIT) for job in jobs)
    assert most == 8


def test_every_job_runs_once(threads: FairThreads) -> None:
    lock, ran = threading.Lock(), Counter[tuple[str, int]]()

    def job(key: tuple[str, int]) -> None:
        with lock:
            ran[key] += 1

    def submit_all(owner: str) -> None:
        ended = [run(threads, owner, lambda key=(owner, n): job(key)) for n in range(500)]  # type: ignore[misc]
        assert all(event.wait(WAIT) for event in ended)

    submitters = [threading.Thread(target=submit_all, args=(owner,)) for owner in "abcd"]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join()
    assert len(ran) == 2_000
    assert set(ran.values()) == {1}


def test_the_threads_end_after_the_jobs_in_line() -> None:
    before = set(threading.enumerate())
    threads = FairThreads(4, 4, "ending")
    own = [thread for thread in threading.enumerate() if thread not in before]
    assert len(own) == 4
    jobs = [run(threads, owner, lambda: threading.Event().wait(0.01)) for owner in "abcdefgh"]
    threads.stop()
    assert all(job.wait(WAIT) for job in jobs)
    for thread in own:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in own)
