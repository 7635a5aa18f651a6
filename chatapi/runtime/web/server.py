"""Starts the web server, and stops it on SIGTERM: what is being served is finished."""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import uvloop

from chatapi.runtime.processes import Part, end_with_parent, restore_signals, start
from chatapi.runtime.web.connection import Connection
from chatapi.runtime.web.fair_threads import FairThreads
from chatapi.runtime.web.received_request import ReceivedRequest
from chatapi.runtime.web.wakeups import Wakeups
from instances.limits.thread_slots import ThreadSlots

log = logging.getLogger(__name__)

THREADS = 40  # simultaneous requests; each may hold a database connection
THREADS_PER_CLIENT = 30
HEALTH_THREADS = 2  # for HEALTH_PATHS alone: they respond while all others are occupied
HEALTH_PATHS = (b"/healthz", b"/readyz", b"/metrics")
BACKLOG = 1024  # connections that the kernel accepts before we do
MAX_CONNECTIONS = 8192
MAX_CONNECTIONS_PER_ADDRESS = 2048  # except those of a trusted proxy
# Calls that wait in the event loop and are served again and again. Their owners are accounts.
MAX_WAITING = 200
MAX_WAITING_PER_OWNER = 20
STOP_SECONDS = 8.0  # of the 12 in which all processes must end
DRAIN_SECONDS = 1.0  # of these, for requests that are on their way in open connections
LISTEN_FD = "CHATAPI_LISTEN_FD"  # environment of one of several processes: the socket that they share


class WebServer:
    """One process's connections, threads and sums of what is being received."""

    MAX_MEMORY = 64 * 1024 * 1024  # bytes of bodies in memory; over it, bodies go to temporary files at once
    MAX_DISK = 2 * 1024 * 1024 * 1024  # bytes of temporary files
    MAX_DISK_PER_CLIENT = MAX_DISK // 4

    def __init__(
        self, application: Callable[..., Any], loop: asyncio.AbstractEventLoop, *, is_multiprocess: bool
    ):
        self.application = application
        self.loop = loop
        self.is_multiprocess = is_multiprocess
        self.is_stopping = False
        self.stopped = asyncio.Event()
        self.address = ("localhost", 0)
        self.memory = self.disk = 0
        self.disk_of: Counter[str] = Counter()  # by client
        self.connections: dict[Connection, None] = {}
        self.by_peer: Counter[str] = Counter()
        self.waiting = ThreadSlots(MAX_WAITING, MAX_WAITING_PER_OWNER)
        self.wakeups = Wakeups(loop)
        self.threads = FairThreads(THREADS, THREADS_PER_CLIENT, "web")
        self.health_threads = FairThreads(HEALTH_THREADS, HEALTH_THREADS, "health")

    def threads_for(self, request: ReceivedRequest) -> FairThreads:
        return self.health_threads if request.target.partition(b"?")[0] in HEALTH_PATHS else self.threads

    @property
    def is_serving(self) -> bool:
        """Whether there is a connection, or a request in a thread, whose client may have gone."""
        return bool(self.connections) or not (self.threads.is_idle and self.health_threads.is_idle)

    def add(self, connection: Connection) -> None:
        self.connections[connection] = None
        self.by_peer[connection.peer[0]] += 1
        if len(self.connections) > MAX_CONNECTIONS:
            self.make_room()
        elif not connection.is_from_proxy and self.by_peer[connection.peer[0]] > MAX_CONNECTIONS_PER_ADDRESS:
            connection.transport.abort()

    def remove(self, connection: Connection) -> None:
        del self.connections[connection]
        self.by_peer[connection.peer[0]] -= 1
        if not self.by_peer[connection.peer[0]]:
            del self.by_peer[connection.peer[0]]

    def add_to_body(self, request: ReceivedRequest, data: bytes) -> bool:
        """Append to the request's body; returns whether it fits on the disk, and in the limits of the sums."""
        self.count(request, -1)
        try:
            request.add(data, to_disk=self.memory > self.MAX_MEMORY)
        except OSError as error:
            log.error("A request's body could not be written to a temporary file: %s", error)
            return False
        finally:
            self.count(request, 1)
        return self.disk <= self.MAX_DISK and self.disk_of[request.owner] <= self.MAX_DISK_PER_CLIENT

    def count(self, request: ReceivedRequest, sign: int) -> None:
        self.memory += sign * request.counted_memory
        if disk := request.counted_disk:
            self.disk += sign * disk
            self.disk_of[request.owner] += sign * disk
            if not self.disk_of[request.owner]:
                del self.disk_of[request.owner]

    def forget(self, request: ReceivedRequest) -> None:
        """Take the request's body out of the sums."""
        self.count(request, -1)
        request.is_counted = False

    def release(self, request: ReceivedRequest) -> None:
        self.forget(request)
        request.discard_body()

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
        """Serve until `stop` is called, then finish what is being served, for at most STOP_SECONDS.

        No client that has connected gets less than a response, so a load balancer need only try another server when a
        connection is refused. Connections without a request are closed after DRAIN_SECONDS.
        """
        name = listening.getsockname()
        self.address = (str(name[0]), int(name[1]))
        own = listening.dup()
        server = await self.loop.create_server(lambda: Connection(self), sock=listening, backlog=BACKLOG)
        self.sweep()
        await self.stopped.wait()
        server.close()
        await self.accept_last(own)
        began = time.monotonic()
        while self.is_serving and time.monotonic() < began + STOP_SECONDS:
            if time.monotonic() >= began + DRAIN_SECONDS:
                for connection in list(self.connections):
                    connection.close_if_idle()
            await asyncio.sleep(0.02)
        self.threads.stop()
        self.health_threads.stop()

    async def accept_last(self, listening: socket.socket) -> None:
        """Close the socket after taking the connections that the kernel has accepted; it would reset them."""
        taken = []
        with listening:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:  # BlockingIOError: there are no more
                    break
        for accepted in taken:
            accepted.setblocking(False)
            await self.loop.connect_accepted_socket(lambda: Connection(self), accepted)

    def stop(self) -> None:
        self.is_stopping = True
        self.stopped.set()


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
    """Run the web server: in this process, or in WEB_PROCESSES others that share its socket."""
    restore_signals()
    end_with_parent()
    from django.conf import settings

    allow_many_files()
    if shared := os.environ.pop(LISTEN_FD, ""):
        run(socket.socket(fileno=int(shared)), is_multiprocess=True)
    elif settings.WEB_PROCESSES > 1:
        supervise(listen(settings.HOST, settings.PORT), settings.WEB_PROCESSES)
    else:
        run(listen(settings.HOST, settings.PORT), is_multiprocess=False)


def run(listening: socket.socket, *, is_multiprocess: bool) -> None:
    """Serve the socket in this process until SIGTERM."""
    from chatapi.wsgi import application

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    server = WebServer(application, loop, is_multiprocess=is_multiprocess)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    # it needs the models, which chatapi.wsgi has loaded
    from chatapi.runtime.doctor.start_watch import start_watch

    start_watch()
    loop.run_until_complete(server.serve(listening))


def supervise(listening: socket.socket, processes: int) -> None:
    """Run so many processes that share the socket, and restart those that end, until SIGTERM."""
    command = [sys.executable, "-m", "chatapi.runtime.web"]
    number = listening.fileno()
    parts = [
        Part("A web process", lambda: start(command, pass_fds=[number], **{LISTEN_FD: str(number)}))
        for _ in range(processes)
    ]
    stopped = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stopped.set())
    while not stopped.is_set():
        for part in parts:
            part.restart_if_ended(log.warning)
        stopped.wait(0.2)
    listening.close()  # else the kernel accepts connections as long as the slowest of them finishes its requests
    for part in parts:
        part.terminate()
    deadline = time.monotonic() + STOP_SECONDS + 1
    for part in parts:
        part.wait(deadline)
