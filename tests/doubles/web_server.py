"""The server of a double, on a free port, in threads: requests are recorded, and errors are exceptions."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


class ErrorResponse(Exception, ABC):
    """Raised in `respond` instead of a response."""

    @abstractmethod
    def response(self) -> Response: ...


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        pass


class WebServer(ABC):
    """Serves `respond` at `url` within a `with` block. `lock` is that of the double's state."""

    def __init__(self, lock: threading.RLock) -> None:
        self.lock = lock
        self.requests: list[tuple[str, str]] = []  # methods and paths
        self.server = make_server("127.0.0.1", 0, self.application, threaded=True, request_handler=Handler)
        self.server.daemon_threads = True  # type: ignore[attr-defined]  # of ThreadingMixIn
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @abstractmethod
    def respond(self, request: Request) -> Response: ...

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        with self.lock:
            self.requests.append((request.method, request.path))
        try:
            response = self.respond(request)
        except ErrorResponse as error:
            response = error.response()
        return response(environ, start_response)
