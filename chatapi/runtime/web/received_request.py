"""A request as it was received, and the WSGI environment made of it."""

import io
import sys
import tempfile
from contextlib import suppress
from typing import IO, Any
from urllib.parse import unquote_to_bytes, urlsplit

IN_MEMORY = 1_000_000  # bytes of one body; a longer one is kept in a temporary file
UNCOUNTED = 16_384  # bytes: up to this length a body does not count in the server's sum of memory

# How often a header may be sent: a second one would mean two requests to two parsers, or two hosts.
SINGLE = frozenset((b"host", b"content-length", b"content-type", b"authorization", b"transfer-encoding"))


class ReceivedRequest:
    """A request while it is received and served.

    method, target, version   as sent; target is the path with the query (or an absolute URL), in bytes
    headers                   (name, value) in bytes, in order, with the names' case
    size                      bytes of the body so far
    owner                     the client's address: whose share of the sums and of the threads it takes
    is_omitted                  whether the body was not kept, because it is over the limit; `size` is then as declared
    """

    __slots__ = (
        "_body", "_file", "chunked", "headers", "is_counted", "is_expecting_continue", "is_omitted", "keep_alive",
        "length", "method", "owner", "served_at", "size", "target", "version", "waited",
    )  # fmt: skip

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        self.length = 0
        self.chunked = False
        self.keep_alive = True
        self.is_expecting_continue = False
        self.size = 0
        self.is_counted = False
        self.owner = ""
        self.is_omitted = False
        self.waited = 0.0
        self.served_at = 0.0  # by the loop's clock, the last time
        self._body: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, data: bytes, *, to_disk: bool) -> None:
        """Append to the body; with `to_disk`, or if it gets long, into a temporary file. Raises OSError."""
        self.size += len(data)
        self.is_counted = self.size > UNCOUNTED
        if self._file is None:
            self._body.append(data)
            if self.size <= IN_MEMORY and not (to_disk and self.is_counted):
                return
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the request
            data, self._body = b"".join(self._body), []
        self._file.write(data)
        self._file.flush()  # a full disk is found here, while the body can be refused

    @property
    def counted_memory(self) -> int:
        """The bytes of memory that count in the server's sum."""
        return self.size if self.is_counted and self._file is None else 0

    @property
    def counted_disk(self) -> int:
        return self.size if self.is_counted and self._file is not None else 0

    def discard_body(self) -> None:
        self._body = []
        if self._file is not None:
            with suppress(OSError):  # it flushes again what did not fit on the disk
                self._file.close()
            self._file = None

    def open_body(self) -> IO[bytes]:
        if self._file is None:
            return io.BytesIO(self._body[0] if len(self._body) == 1 else b"".join(self._body))
        self._file.seek(0)
        return self._file

    def header(self, name: bytes) -> bytes | None:
        """The first value of this header; `name` in lower case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None

    def fault(self) -> str:
        """What is wrong with the head, as a sentence; empty if nothing is."""
        if self.version not in ("1.0", "1.1"):
            return "The version must be HTTP/1.0 or HTTP/1.1."
        seen: set[bytes] = set()
        for name, value in self.headers:
            lower = name.lower()
            if lower in SINGLE:
                if lower in seen:
                    return f"The header {lower.decode()} was sent more than once."
                seen.add(lower)
                if lower == b"transfer-encoding" and value.lower() != b"chunked":
                    return "The only transfer coding is chunked."
                if lower == b"transfer-encoding" and self.version == "1.0":
                    return "HTTP/1.0 has no transfer codings."
        if b"host" not in seen and self.version == "1.1":
            return "The header host is missing."
        target = self.target.lower()
        if target != b"*" and not target.startswith((b"/", b"http://", b"https://")):
            return "The request target must be a path."
        return ""

    def environ(
        self, peer: tuple[str, int], server: tuple[str, int], *, multiprocess: bool
    ) -> dict[str, Any]:
        """The WSGI environment (PEP 3333), without `wsgi.input`.

        A header whose name contains "_" is not in it: it would be the same variable as the one with "-", and could
        replace what a proxy has set. `chatapi.raw_headers` has all headers, `chatapi.raw_path` the target as sent.
        """
        path, host = self.target, None
        if not path.startswith(b"/"):
            path, host = split_absolute(path)
        path, _, query = path.partition(b"?")
        if b"%" in path:
            path = unquote_to_bytes(path)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path.decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "REMOTE_ADDR": peer[0],
            "REMOTE_PORT": str(peer[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "chatapi.raw_headers": self.headers,
            "chatapi.raw_path": self.target,
            "chatapi.body_omitted": self.is_omitted,
        }
        for name, value in self.headers:
            if b"_" in name:
                continue
            key = name.decode("ascii").upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = "HTTP_" + key
            text = value.decode("latin-1")
            if key in environ:
                text = environ[key] + ("; " if key == "HTTP_COOKIE" else ", ") + text
            environ[key] = text
        if host is not None:
            environ["HTTP_HOST"] = host
        if self.chunked:  # as in WSGI, the body has a length and no transfer coding
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        if self.chunked or self.size:
            environ["CONTENT_LENGTH"] = str(self.size)
        return environ


def split_absolute(target: bytes) -> tuple[bytes, str | None]:
    """The path with its query, and the host, of an absolute URL; the host is None for `*`."""
    if target == b"*":
        return b"/*", None
    try:
        parts = urlsplit(target.decode("latin-1"))
    except ValueError:
        return b"/*", None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return path.encode("latin-1"), parts.netloc
