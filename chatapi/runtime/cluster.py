"""django-q2's cluster as `manage.py worker` runs it: in a fork of the worker, in a session of its own.

It differs from `manage.py qcluster` in two ways. No process of it outlives its parent, so kill -9 of any of them
leaves no orphan that continues old work. Long tasks learn when to stop: the environment variable WORKER_STOP_FD
names a pipe that becomes readable, permanently and for all tasks, when this process receives SIGTERM. SIGTERM must
never be sent to the process group: that deadlocks the cluster (measured).
"""

import gc
import os
import signal
from importlib import import_module
from types import FrameType

from django.conf import settings
from django.utils.module_loading import import_string
from django_q.cluster import Cluster

STOP_FD = "WORKER_STOP_FD"
# What the long tasks import when they start.
LOOPS = ("hooks.dispatch.loop", "instances.sending.sender", "instances.receiving.loop")


def share_memory() -> None:
    """Load what the processes of the cluster need before they are forked, so that they share it.

    The garbage collector does not look at it any more: that would write to each object, and so copy its page. Measured
    for ten processes: 168 instead of 205 MB.
    """
    for path in settings.URGENT_TASKS | settings.CLEAN_UP_TASKS:
        import_string(path)
    for path in LOOPS:
        import_module(path)
    gc.collect()
    gc.freeze()


def run_cluster() -> None:
    """Run the cluster until SIGTERM."""
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
