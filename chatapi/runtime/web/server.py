"""Starts the web server, and stops it on SIGTERM: what is being served is finished."""

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import uvloop

from chatapi.runtime.processes import end_with_parent, restore_signals
from chatapi.runtime.web.connection import Connection
from chatapi.runtime.web.fair_threads import FairThreads
from chatapi.runtime.web.received_request import ReceivedRequest

THREADS = 40  # simultaneous requests; each may hold a database connection
THREADS_PER_CLIENT = 30
HEALTH_THREADS = 2  # for HEALTH_PATHS alone: they respond while all others are occupied
HEALTH_PATHS = (b"/healthz", b"/readyz", b"/metrics")
BACKLOG = 1024  # connections that the kernel accepts before we do
MAX_CONNECTIONS = 8192
STOP_SECONDS = 8.0  # of the 12 in which all processes must end
LISTEN_FD = "CHATAPI_LISTEN_FD"  # environment of one of several processes: the socket that they share


class WebServer:
    """One process's connections, threads and sums of what is being received."""

    MAX_MEMORY = 64 * 1024 * 1024  # bytes of bodies in memory; over it, bodies go to temporary files at once
    MAX_DISK = 2 * 1024 * 1024 * 1024  # bytes of temporary files

    def __init__(
        self, application: Callable[..., Any], loop: asyncio.AbstractEventLoop, *, is_multiprocess: bool
    ):
        self.application = application
        self.loop = loop
        self.is_multiprocess = is_multiprocess
        self.is_stopping = False
        self.address = ("localhost", 0)
        self.memory = self.disk = 0
        self.connections: dict[Connection, None] = {}
        self.threads = FairThreads(THREADS, THREADS_PER_CLIENT, "web")
        self.health_threads = FairThreads(HEALTH_THREADS, HEALTH_THREADS, "health")

    def threads_for(self, request: ReceivedRequest) -> FairThreads:
        return self.health_threads if request.target.partition(b"?")[0] in HEALTH_PATHS else self.threads

    def add(self, connection: Connection) -> None:
        self.connections[connection] = None
        if len(self.connections) > MAX_CONNECTIONS:
            self.make_room()

    def remove(self, connection: Connection) -> None:
        self.connections.pop(connection, None)

    def make_room(self) -> None:
        """Close the oldest connection that is not being served."""
        for connection in self.connections:
            if not connection.is_busy:
                connection.transport.abort()
                return

    def sweep(self) -> None:
        now = self.loop.time()
        for connection in list(self.connections):
            connection.sweep(now)
        self.loop.call_later(1.0, self.sweep)

    async def serve(self, listening: socket.socket) -> None:
        """Serve until SIGTERM or SIGINT, then finish what is being served, for at most STOP_SECONDS."""
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, stopped.set)
        name = listening.getsockname()
        self.address = (str(name[0]), int(name[1]))
        server = await self.loop.create_server(lambda: Connection(self), sock=listening, backlog=BACKLOG)
        self.sweep()
        await stopped.wait()
        self.is_stopping = True
        server.close()
        until = time.monotonic() + STOP_SECONDS
        for connection in list(self.connections):
            connection.stop()
        while self.connections and time.monotonic() < until:
            await asyncio.sleep(0.02)


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=False)
    listening.setblocking(False)
    return listening


def allow_many_files() -> None:
    """Raise the limit of open files to what the system allows: each connection is one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 4 * MAX_CONNECTIONS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    restore_signals()
    end_with_parent()
    from django.conf import settings

    allow_many_files()
    listening = listen(settings.HOST, settings.PORT)
    run(listening, is_multiprocess=False)


def run(listening: socket.socket, *, is_multiprocess: bool) -> None:
    from chatapi.wsgi import application

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    server = WebServer(application, loop, is_multiprocess=is_multiprocess)
    loop.run_until_complete(server.serve(listening))
