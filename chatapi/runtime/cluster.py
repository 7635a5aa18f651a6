"""django-q2's cluster as `manage.py worker` starts it: `python -m chatapi.runtime.cluster`, in a session of its own.

It differs from `manage.py qcluster` in two things. No process of it outlives its parent, so kill -9 of any of them
leaves no orphan that continues old work. And tasks that run for an hour get the time at which to stop: the environment
variable WORKER_STOP_FD names a pipe that becomes readable, for all of them at once and permanently, when the cluster
received the signal to stop (SIGTERM to this process, never to the group: that deadlocks it, measured).
"""

import os
import signal
from types import FrameType

from chatapi.runtime.processes import end_with_parent, restore_signals

STOP_FD = "WORKER_STOP_FD"


def main() -> None:
    restore_signals()
    end_with_parent()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
    import django

    django.setup()
    from django_q.cluster import Cluster

    reader, writer = os.pipe()
    os.environ[STOP_FD] = str(reader)
    cluster = Cluster()
    told = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:  # a second one would re-enter the cluster's own handler, which is not made for it
            told = True
            os.write(writer, b"stop")  # never read: the pipe stays readable
            cluster.sig_handler(signum, frame)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cluster.start()
    cluster.sentinel.join()


if __name__ == "__main__":
    main()
