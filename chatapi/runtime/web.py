"""granian as `manage.py up` starts it: `python -m chatapi.runtime.web`; no process of it outlives its parent.

One process with 40 threads. Measured on two cores with their client beside it: 1 450 one-query requests/s (two
processes: 1 400 to 2 000, with 65 MB more memory). A simulation waits up to 10 s for the user's endpoint and occupies a
thread: with 20 simulations running, 16 threads serve no other request; 40 threads serve 1 200/s with a p99 of 12 ms.
"""

from chatapi.runtime.processes import end_with_parent, restore_signals

BLOCKING_THREADS = 40  # simultaneous requests; each may hold a database connection
BACKLOG = 1024  # connections that wait for a thread
KILL_SECONDS = 8  # of the 12 in which all processes must end


def main() -> None:
    restore_signals()
    end_with_parent()
    from django.conf import settings
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "chatapi.wsgi:application",
        address=settings.HOST,
        port=settings.PORT,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,  # an `Upgrade: h2c` header is then just a header
        websockets=False,
        workers=settings.WEB_PROCESSES,
        blocking_threads=BLOCKING_THREADS,
        backlog=BACKLOG,
        log_level=LogLevels.error,  # its one warning is that 40 threads are many for so few cores
        log_access=False,  # its lines contain query strings, which contain tokens
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=KILL_SECONDS,
    ).serve()


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
    main()
