"""A streamed response (a file, an export): threads produce it while the client reads it."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatapi.runtime.web.connection import Connection

log = logging.getLogger(__name__)

BLOCK = 262_144  # bytes that a thread produces at a time


class StreamedResponse:
    """A streamed response. A thread produces blocks while the client reads them; no thread waits for the client."""

    def __init__(
        self, connection: "Connection", response: Any, head: bytes, *, chunked: bool, keep: bool
    ) -> None:
        self.connection = connection
        self.response = response
        self.head = head
        self.chunked = chunked
        self.keep = keep
        self.blocks: Iterator[bytes] = iter(response)
        self.is_running = False

    def continue_if_idle(self) -> None:
        if not self.is_running and not self.connection.is_writing_paused:
            self.is_running = True
            self.connection.server.threads.submit(self.connection.address, self.produce)

    def produce(self) -> None:
        """In a thread: the next blocks."""
        parts: list[bytes] = []
        size, is_last, failed = 0, False, False
        try:
            while size < BLOCK:
                block = next(self.blocks, None)
                if block is None:
                    is_last = True
                    break
                if block:
                    parts.append(b"%x\r\n%b\r\n" % (len(block), block) if self.chunked else block)
                    size += len(block)
        except Exception:
            failed = True
            log.exception("A streamed response failed")
        if is_last and self.chunked:
            parts.append(b"0\r\n\r\n")
        if is_last or failed:
            self.close()
        self.connection.call_in_loop(self.produced, b"".join(parts), is_last, failed)

    def produced(self, data: bytes, is_last: bool, failed: bool) -> None:
        self.is_running = False
        connection = self.connection
        if connection.is_lost:
            if not (is_last or failed):
                connection.server.threads.submit(connection.address, self.close)
            return
        connection.write(data)
        if failed:
            connection.transport.abort()  # the client must not take it for complete
        elif is_last:
            connection.end_stream(self.keep)
        else:
            self.continue_if_idle()

    def close(self) -> None:
        """In a thread. May be called twice."""
        try:
            self.response.close()
        except Exception:
            log.exception("A streamed response could not be closed")
