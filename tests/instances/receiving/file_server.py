"""The files of the test messengers: a small real server, and how their channels fetch from it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from instances.channels.media import FetchedFile, FileUnavailable
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.received_events import Media


class FetchesByUrl:
    """`fetch` of a channel whose references are URLs."""

    async def fetch(self, link: Link, media: Media, network: Network) -> FetchedFile:
        response, content = await network.download(Request("GET", media.reference), seconds=60)
        if response.status == 200:
            return FetchedFile(content, response.header("content-type"))
        content.close()
        if response.status == 404:
            raise FileUnavailable("the messenger no longer has the file.")
        raise ReceiveFailed(f"the messenger responded with {response.status}.")


class FileServer:
    """`with FileServer() as server:` serves `files` on a free port.

    `failures[name]` requests of a file get 503 first. `slow` files are sent a byte each 0.1 s until `is_fast` is set.
    """

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.asked: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.slow: set[str] = set()
        self.is_fast = threading.Event()
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files.respond(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def add(self, name: str, content: bytes, content_type: str = "image/png") -> dict[str, Any]:
        """Returns the file as the wire format has it."""
        self.files[name] = (content_type, content)
        return {"reference": self.url(name), "content_type": content_type, "filename": name}

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.lstrip("/")
        self.asked[name] += 1
        if self.failures[name] > 0 or name not in self.files:
            self.failures[name] -= 1
            handler.send_error(404 if name not in self.files else 503)
            return
        content_type, content = self.files[name]
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        try:
            for position in range(len(content) if name in self.slow else 0):
                if self.is_fast.is_set():
                    handler.wfile.write(content[position:])
                    return
                handler.wfile.write(content[position : position + 1])
                handler.wfile.flush()
                time.sleep(0.1)
            if name not in self.slow:
                handler.wfile.write(content)
        except OSError:
            pass  # the client has gone

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_fast.set()
        self.server.shutdown()
        self.server.server_close()
