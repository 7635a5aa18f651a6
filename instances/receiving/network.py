"""Reaches messengers from the event loop: HTTP by libcurl, and connections for streams.

One CurlMulti with the event loop's own file events, so thousands of long polls wait without a thread. Both ways check
the resolved address by hooks/guard.py, use no proxy of the environment and follow no redirect.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
from typing import IO, Any

import pycurl
from django.conf import settings

from hooks import guard
from hooks.http import Response, split_header, trusted_certificates
from hooks.models import Outcome
from instances.channels.media import FileUnavailable
from instances.channels.receiving import MAX_RESPONSE_BYTES, ReceiveFailed, ResponseTooLarge
from instances.channels.requests import Request

CONNECT_SECONDS = 10.0
FILE_IN_MEMORY = 256 * 1024  # bytes; a longer file goes to disk
MAX_LINE_BYTES = 1024 * 1024  # of a stream that is read by lines
BLOCKED = "The messenger's address is not allowed ({}): see HOOKS_ALLOW_NETWORKS."


class Transfer:
    """One request: its handle, and what has come of the response."""

    def __init__(
        self,
        request: Request,
        seconds: float,
        result: asyncio.Future[Response],
        *,
        file: IO[bytes] | None = None,
        max_bytes: int | None = None,
    ) -> None:
        """`max_bytes` is of the body of a 200, for which `file` is; others have at most MAX_RESPONSE_BYTES."""
        self.result = result
        self.file, self.size = file, 0
        self.file_error: OSError | None = None  # the disk is full
        self.max_bytes = MAX_RESPONSE_BYTES if max_bytes is None else max_bytes
        self.body, self.blocked_by = bytearray(), ""
        self.status_line = b""
        self.header_lines: list[bytes] = []
        self.curl = pycurl.Curl()
        self.curl.transfer = self
        set_ = self.curl.setopt
        set_(pycurl.NOSIGNAL, 1)
        set_(pycurl.URL, request.url)
        set_(pycurl.CUSTOMREQUEST, request.method)
        if request.body:
            set_(pycurl.POSTFIELDS, request.body)
        set_(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in request.headers.items()] + ["Expect:"])
        set_(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        set_(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        set_(pycurl.FOLLOWLOCATION, 0)
        set_(pycurl.PROXY, "")
        set_(pycurl.TIMEOUT_MS, int(seconds * 1000))
        set_(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_SECONDS * 1000))
        set_(pycurl.CAINFO, trusted_certificates())
        set_(pycurl.UPLOAD_BUFFERSIZE, 16 * 1024)
        set_(pycurl.OPENSOCKETFUNCTION, self.open_socket)
        set_(pycurl.WRITEFUNCTION, self.write)
        set_(pycurl.HEADERFUNCTION, self.header)

    @property
    def is_success(self) -> bool:
        return self.status_line.split()[1:2] == [b"200"]

    @property
    def limit(self) -> int:
        """Bytes that the body may have."""
        return self.max_bytes if self.is_success else MAX_RESPONSE_BYTES

    def open_socket(self, _purpose: int, address: Any) -> Any:
        try:
            self.blocked_by = guard.refusal(address.addr[0])
            if self.blocked_by:
                return pycurl.SOCKET_BAD
            return socket.socket(address.family, address.socktype, address.protocol)
        except OSError:  # too many open files
            return pycurl.SOCKET_BAD

    def write(self, data: bytes) -> int | None:
        self.size += len(data)
        if self.size > self.limit:
            return -1
        if self.file is not None and self.is_success:
            try:
                self.file.write(data)
            except OSError as error:
                self.file_error = error
                return -1
        else:
            self.body += data
        return None

    def header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):  # after a 100 Continue
            self.status_line = line
            self.header_lines.clear()
        elif line.strip():
            self.header_lines.append(line)

    def finish(self, code: int, message: str) -> None:
        """Give the response or the failure to the one who waits."""
        if self.result.done():
            return
        if self.file_error is not None:
            self.result.set_exception(self.file_error)
            return
        if code == pycurl.E_WRITE_ERROR and self.file is not None and self.is_success:
            self.result.set_exception(
                FileUnavailable(f"the file is larger than {self.max_bytes // 1024**2} MB.")
            )
            return
        if code == pycurl.E_WRITE_ERROR:
            limit = self.limit
            size = f"{limit // 1024**2} MiB" if limit >= 1024**2 else f"{limit // 1024} KiB"
            sentence = f"The messenger's response is longer than {size}."
            self.result.set_exception(ResponseTooLarge(sentence))
            return
        if code:
            self.result.set_exception(ReceiveFailed(self.sentence(code, message)))
            return
        headers = [split_header(line) for line in self.header_lines]
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        self.result.set_result(
            Response(Outcome.OK, status=status, headers=headers, body=bytes(self.body), size=self.size)
        )

    def sentence(self, code: int, message: str) -> str:
        if self.blocked_by:
            return BLOCKED.format(self.blocked_by)
        return f"The messenger cannot be reached: {message or pycurl.error(code)}."


class LoopNetwork:
    """Of one event loop; created in it. See instances.channels.receiving.Network."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | None = None
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self.watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self.set_timer)
        self.tls: ssl.SSLContext | None = None

    async def send(self, request: Request, *, seconds: float, max_bytes: int | None = None) -> Response:
        transfer = Transfer(request, seconds, self.loop.create_future(), max_bytes=max_bytes)
        return await self.perform(transfer)

    async def download(
        self, request: Request, *, seconds: float, max_bytes: int | None = None
    ) -> tuple[Response, IO[bytes]]:
        file = tempfile.SpooledTemporaryFile(max_size=FILE_IN_MEMORY)  # noqa: SIM115 - the caller closes it
        limit = settings.MEDIA_MAX_BYTES if max_bytes is None else max_bytes
        try:
            transfer = Transfer(request, seconds, self.loop.create_future(), file=file, max_bytes=limit)
            response = await self.perform(transfer)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return response, file

    async def perform(self, transfer: Transfer) -> Response:
        self.multi.add_handle(transfer.curl)
        try:
            return await transfer.result
        finally:
            with contextlib.suppress(pycurl.error):
                self.multi.remove_handle(transfer.curl)
            transfer.curl.close()

    def watch(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if what & pycurl.POLL_IN and what != pycurl.POLL_REMOVE:
            self.loop.add_reader(fd, self.act, fd, pycurl.CSELECT_IN)
        else:
            self.loop.remove_reader(fd)
        if what & pycurl.POLL_OUT and what != pycurl.POLL_REMOVE:
            self.loop.add_writer(fd, self.act, fd, pycurl.CSELECT_OUT)
        else:
            self.loop.remove_writer(fd)

    def set_timer(self, milliseconds: int) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if milliseconds >= 0:
            self.timer = self.loop.call_later(milliseconds / 1000, self.act, pycurl.SOCKET_TIMEOUT, 0)

    def act(self, fd: int, action: int) -> None:
        self.multi.socket_action(fd, action)
        more = 1
        while more:
            more, good, bad = self.multi.info_read(100)
            for curl in good:
                curl.transfer.finish(0, "")
            for curl, code, message in bad:
                curl.transfer.finish(code, message)

    async def connect(
        self, host: str, port: int, *, has_tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self.connect_to_first(host, port, has_tls=has_tls)
        except TimeoutError:
            raise ReceiveFailed(
                f"The messenger did not accept a connection in {CONNECT_SECONDS:.0f} s."
            ) from None
        except (
            socket.gaierror,
            UnicodeError,
        ) as error:  # UnicodeError: a label is empty, or longer than 63 bytes
            if isinstance(error, UnicodeError) or error.errno == socket.EAI_NONAME:
                raise ReceiveFailed(f"No server has the name {host}: check its spelling.") from None
            raise ReceiveFailed(f"The name {host} cannot be looked up: {error.strerror}.") from None
        except OSError as error:
            raise ReceiveFailed(f"The messenger cannot be reached: {error.strerror or error}.") from None

    async def connect_to_first(
        self, host: str, port: int, *, has_tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address of the host that is allowed and accepts."""
        if has_tls and self.tls is None:
            self.tls = ssl.create_default_context(cafile=trusted_certificates())
        found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: Exception = ReceiveFailed("The messenger's name has no address.")
        for _family, _type, _protocol, _name, address in found:
            if rule := guard.refusal(str(address[0])):
                failure = ReceiveFailed(BLOCKED.format(rule))
                continue
            try:
                return await asyncio.open_connection(
                    str(address[0]),
                    port,
                    ssl=self.tls if has_tls else None,
                    server_hostname=host if has_tls else None,
                    limit=MAX_LINE_BYTES,
                )
            except OSError as error:
                failure = error
        raise failure

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.multi.close()
