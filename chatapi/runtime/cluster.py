"""django-q2's cluster as `manage.py worker` starts it: `python -m chatapi.runtime.cluster`, in a session of its own.

It differs from `manage.py qcluster` in two ways. No process of it outlives its parent, so kill -9 of any of them
leaves no orphan that continues old work. And long tasks learn when to stop: the environment variable WORKER_STOP_FD
names a pipe that becomes readable, permanently and for all tasks, when this process receives SIGTERM. SIGTERM must
never be sent to the process group: that deadlocks the cluster (measured).
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
    is_stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal is_stopping
        if not is_stopping:  # the cluster's own handler is not reentrant
            is_stopping = True
            os.write(writer, b"stop")  # never read: the pipe stays readable
            cluster.sig_handler(signum, frame)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cluster.start()
    cluster.sentinel.join()


if __name__ == "__main__":
    main()
