"""Threads that run requests, shared fairly: clients take turns, and one client cannot occupy all of them.

The thread that was idle for the shortest time runs the next job, so few requests at a time use few threads. Each thread
has a database session of its own, which keeps plans and catalogs in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

Job = Callable[[], None]


class FairThreads:
    """A fixed number of threads. The jobs of each owner run in order; owners take turns.

    threads     how many there are; they are daemons, started at once
    per_owner   how many jobs of one owner run or are next in line; its further jobs wait without delaying others
    """

    def __init__(self, threads: int, per_owner: int, name: str) -> None:
        self.per_owner = per_owner
        self._lock = threading.Lock()
        self._next: OrderedDict[str, deque[Job]] = OrderedDict()  # by owner, in the order of their turns
        self._active: dict[str, int] = {}  # jobs of an owner that run or are in _next
        self._waiting: dict[str, deque[Job]] = {}  # jobs over `per_owner`
        self._idle: list[threading.Lock] = []  # of the threads that wait; the last one is woken first
        self._is_stopping = False
        for number in range(threads):
            threading.Thread(target=self._run, name=f"{name}-{number + 1}", daemon=True).start()

    def submit(self, owner: str, job: Job) -> None:
        """Run the job in a thread. It must not raise."""
        with self._lock:
            active = self._active.get(owner, 0)
            if active >= self.per_owner:
                self._waiting.setdefault(owner, deque()).append(job)
                return
            self._active[owner] = active + 1
            self._enqueue(owner, job)
            wakeup = self._idle.pop() if self._idle else None
        if wakeup is not None:
            wakeup.release()

    @property
    def is_idle(self) -> bool:
        return not self._active

    def stop(self) -> None:
        """End the threads after the jobs that are next in line."""
        with self._lock:
            self._is_stopping = True
            for wakeup in self._idle:
                wakeup.release()
            self._idle = []

    def _enqueue(self, owner: str, job: Job) -> None:
        jobs = self._next.get(owner)
        if jobs is None:
            jobs = self._next[owner] = deque()
        jobs.append(job)

    def _take(self, wakeup: threading.Lock) -> tuple[str, Job] | None:
        """Returns the next job, or None if there is none; `wakeup` is then released when there is one."""
        with self._lock:
            if not self._next:
                if not self._is_stopping:
                    self._idle.append(wakeup)
                return None
            owner, jobs = self._next.popitem(last=False)
            job = jobs.popleft()
            if jobs:
                self._next[owner] = jobs  # at the end: the others come first
            return owner, job

    def _finish(self, owner: str) -> None:
        with self._lock:
            waiting = self._waiting.get(owner)
            if not waiting:
                left = self._active[owner] - 1
                if left:
                    self._active[owner] = left
                else:
                    del self._active[owner]
                return
            self._enqueue(owner, waiting.popleft())
            if not waiting:
                del self._waiting[owner]

    def _run(self) -> None:
        wakeup = threading.Lock()
        wakeup.acquire()
        while True:
            taken = self._take(wakeup)
            if taken is None:
                if self._is_stopping:
                    return
                wakeup.acquire()
                continue
            owner, job = taken
            try:
                job()
            finally:
                self._finish(owner)
