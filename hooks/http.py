"""Sends requests to URLs that users chose: one request by libcurl, within the limits of this product.

A Transfer is a reusable curl handle. The dispatcher runs a thousand of them in a CurlMulti, a simulation runs one. Both
get the same options, so a simulated hook is sent like a real one: one deadline for the whole request, at most 64 KB of
the response, no redirects, no proxy from the environment, HTTP and HTTPS only, and guard.py's rules on the resolved
address.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import certifi
import pycurl
from django.conf import settings

from hooks import certificates, guard
from hooks.http_headers import header_lines, host_header, request_target
from hooks.models import Outcome

MAX_RESPONSE_BYTES = 64 * 1024  # of a response's body that are read
MAX_HEADER_BYTES = 16 * 1024  # of its headers that are kept
LOGGED_BYTES = 8 * 1024  # of its body that are kept in the log
# The errors of responses that are not HTTP/1.1; hooks/explain knows them.
NOT_HTTP = "not HTTP"
NOT_HTTP_BUT_TLS = "not HTTP, but TLS"
NOT_HTTP_BUT_HTTP2 = "not HTTP/1.1, but HTTP/2"
# How libcurl's messages begin if the chunks of a body are broken; the code is that of a failed recv().
BROKEN_CHUNKS = ("chunk hex-length", "invalid chunk size", "Malformed encoding found in chunked-encoding")

CERTIFICATE_MESSAGE = bytes([certificates.CERTIFICATE_MESSAGE])
# Origins (https://host:port) whose certificate was valid at this process's last connection, in the order of their first
# use; the values are unused.
TRUSTED_ORIGINS: dict[str, None] = {}
MAX_TRUSTED_ORIGINS = 10_000


@dataclass(slots=True)
class Response:
    """The result of one request, also without a response. Times are milliseconds since its start; None: not reached."""

    outcome: Outcome
    status: int | None = None
    headers: list[list[str]] = field(default_factory=list)
    body: bytes = b""
    size: int = 0
    address: str = ""
    error: str = ""
    name_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float = 0.0

    def header(self, name: str) -> str:
        """Returns the first header of that name (in any case), or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def trusted_certificates() -> str:
    """Returns the path of the trusted certificates: HOOKS_CA_FILE, or Mozilla's."""
    return str(settings.HOOKS_CA_FILE or certifi.where())


class Transfer:
    """A curl handle with its buffers: start() prepares a request, finish() returns the response."""

    __slots__ = (
        "addresses_tried", "blocked_by", "certificates", "curl", "header_size", "headers_ended", "is_cut", "is_exempt",
        "job", "not_http", "origin", "response_body", "response_headers", "socket_error",
    )  # fmt: skip

    def __init__(self) -> None:
        self.curl = curl = pycurl.Curl()
        curl.transfer = self  # a CurlMulti returns only the handle
        self.job: Any = None  # the caller's, to find its request again
        self.reset_buffers(is_exempt=False)
        set_ = curl.setopt
        set_(pycurl.NOSIGNAL, 1)
        set_(pycurl.POST, 1)
        set_(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        set_(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        set_(
            pycurl.HTTP09_ALLOWED, 1
        )  # a response that is not HTTP comes to _write(), which names what it is
        set_(pycurl.FOLLOWLOCATION, 0)
        set_(pycurl.PROXY, "")  # the empty string disables the environment's proxies
        set_(pycurl.TIMEOUT_MS, settings.HOOKS_DEADLINE_MS)
        set_(pycurl.CONNECTTIMEOUT_MS, settings.HOOKS_CONNECT_MS)
        set_(pycurl.CAINFO, trusted_certificates())
        # the minimum; libcurl's default of 64 KB stays allocated per handle: 30 MB for a thousand in flight
        set_(pycurl.UPLOAD_BUFFERSIZE, 16 * 1024)
        set_(pycurl.MAXAGE_CONN, 30)  # an endpoint that restarts has usually closed older connections
        set_(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        set_(pycurl.DEBUGFUNCTION, self._debug)
        set_(pycurl.WRITEFUNCTION, self._write)
        set_(pycurl.HEADERFUNCTION, self._header)

    def reset_buffers(self, *, is_exempt: bool) -> None:
        self.is_exempt = is_exempt  # from guard.py's rules
        self.blocked_by = ""  # the guard's rule that refused an address
        self.socket_error = ""  # why this server could not open a socket
        self.addresses_tried = 0  # that the guard allowed
        self.is_cut = False  # was the response longer than MAX_RESPONSE_BYTES?
        self.not_http = ""  # what came instead of HTTP
        self.origin = ""  # scheme, host and port of a URL with TLS
        self.certificates = b""  # the Certificate message of the TLS handshake
        self.response_body = bytearray()
        self.response_headers: list[bytes] = []
        self.header_size = 0
        self.headers_ended = False  # was the empty line after them read?

    def start(self, url: str, headers: dict[str, str], body: bytes, *, is_exempt: bool = False) -> None:
        """Prepare a request. The caller then performs the handle, or adds it to its CurlMulti."""
        # "Expect:" and "Accept:" are empty: libcurl would add its own.
        lines = [f"{name}: {value}" for name, value in headers.items()]
        lines = [f"Host: {host_header(url)}", *lines, "Expect:", "Accept:"]
        self._start(url, lines, is_exempt=is_exempt)
        self.curl.setopt(pycurl.POSTFIELDS, body)

    def start_request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        file: IO[bytes] | None = None,
        deadline: float,
        is_exempt: bool = False,
    ) -> None:
        """Prepare a request with any method and a deadline in seconds.

        With `file`, its content is the body, and is not read to memory; such a handle must not be used again.
        `is_exempt`: the URL is this site's own, and allowed whatever its address is.
        """
        lines = [f"Host: {host_header(url)}".encode(), *header_lines(headers.items())]
        self._start(url, lines, is_exempt=is_exempt)
        set_ = self.curl.setopt
        if method == "POST":
            self.curl.unsetopt(pycurl.CUSTOMREQUEST)
        else:
            set_(pycurl.CUSTOMREQUEST, method)
        set_(pycurl.TIMEOUT_MS, int(deadline * 1000))
        if file is None:
            set_(pycurl.POSTFIELDS, body)
        else:
            set_(pycurl.POSTFIELDSIZE_LARGE, file.seek(0, os.SEEK_END))
            file.seek(0)
            set_(pycurl.READFUNCTION, file.read)

    def _start(self, url: str, header_lines_: Sequence[str | bytes], *, is_exempt: bool = False) -> None:
        self.reset_buffers(is_exempt=is_exempt or guard.is_own_bin(url))
        set_ = self.curl.setopt
        set_(pycurl.URL, url)
        if url.startswith("https:"):
            self.origin = "/".join(url.split("/", 3)[:3])
        # libcurl passes the handshake to _debug() only if it is verbose, which costs 5 to 25 µs on a kept connection.
        # So it is not verbose for origins whose certificate was valid before.
        set_(pycurl.VERBOSE, bool(self.origin) and self.origin not in TRUSTED_ORIGINS)
        # libcurl would shorten /a/../b and write %c3 as %C3; the log shows the URL as it was given.
        set_(pycurl.REQUEST_TARGET, request_target(url))
        # A connection that the guard did not check must not be reused by another request to the same host.
        set_(pycurl.FORBID_REUSE, self.is_exempt)
        # Host is given, so that the log shows what was sent.
        set_(pycurl.HTTPHEADER, list(header_lines_))

    def finish(self, code: int = 0, message: str = "") -> Response:
        """Returns the response after libcurl ended with `code` (0: success) and `message`."""
        get = self.curl.getinfo
        status = get(pycurl.RESPONSE_CODE) or None
        response = Response(
            outcome=Outcome.OK,
            status=status,
            headers=[split_header(line) for line in self.response_headers],
            body=bytes(self.response_body[:LOGGED_BYTES]),
            size=len(self.response_body),
            total_ms=milliseconds(get(pycurl.TOTAL_TIME)) or 0.0,
            name_ms=milliseconds(get(pycurl.NAMELOOKUP_TIME)),
            connect_ms=milliseconds(get(pycurl.CONNECT_TIME)),
            tls_ms=milliseconds(get(pycurl.APPCONNECT_TIME)),
            first_byte_ms=milliseconds(get(pycurl.STARTTRANSFER_TIME)) if status else None,
        )
        ip = get(pycurl.PRIMARY_IP)
        if ip:
            port = get(pycurl.PRIMARY_PORT)
            response.address = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
        response.outcome, response.error = self._outcome(code, message, status)
        if self.origin:
            if response.outcome == Outcome.TLS:
                TRUSTED_ORIGINS.pop(self.origin, None)
                if self.certificates:
                    response.error += certificates.detail(response.error, self.certificates)
            elif status:
                remember_trusted(self.origin)
        if response.outcome == Outcome.BLOCKED:
            response.address = ""  # nothing was reached
        return response

    def _outcome(self, code: int, message: str, status: int | None) -> tuple[Outcome, str]:
        """Returns the outcome and the error text that hooks/explain reads."""
        if code == pycurl.E_WRITE_ERROR and self.is_cut:
            code = 0  # we closed the connection after 64 KB, and have the status
        kilobytes = MAX_RESPONSE_BYTES // 1024
        remark = f"the response was longer than {kilobytes} KB; the rest was not read" if self.is_cut else ""
        if code == pycurl.E_RECV_ERROR and "unexpected eof" in message and self._ends_by_closing(status):
            code, remark = 0, "the connection was closed without TLS close_notify"
        if self.not_http:
            return Outcome.PROTOCOL, self.not_http
        if code in (pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR) and " alert " in message:
            code = (
                pycurl.E_SSL_CONNECT_ERROR
            )  # TLS 1.3 refuses a client without a certificate after the handshake
        if code == 0:
            if status == 200:
                return Outcome.OK, remark
            if status is not None and 300 <= status < 400:
                return Outcome.REDIRECT, ""
            return Outcome.NOT_200, ""
        if code == pycurl.E_OUT_OF_MEMORY:  # also if libcurl gets no file descriptor
            self.socket_error = "Out of memory or of open files"
        if self.socket_error and not self.addresses_tried:
            return Outcome.PROTOCOL, f"not sent: no socket, {self.socket_error}"
        if self.blocked_by and not self.addresses_tried:
            return Outcome.BLOCKED, self.blocked_by
        if code == pycurl.E_COULDNT_CONNECT:
            number = self.curl.getinfo(pycurl.OS_ERRNO)
            reason = os.strerror(number) if number else message
            return (Outcome.TIMEOUT if number == errno.ETIMEDOUT else Outcome.REFUSED), reason
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return Outcome.TIMEOUT, self._phase(status)
        if code == pycurl.E_RECV_ERROR and message.startswith("Too large response headers"):
            return Outcome.TOO_LARGE, message
        if code == pycurl.E_RECV_ERROR and message.startswith(BROKEN_CHUNKS):
            return Outcome.PROTOCOL, message
        return OUTCOMES.get(code, Outcome.PROTOCOL), message

    def _ends_by_closing(self, status: int | None) -> bool:
        """Returns whether the end of the connection is the end of the response (RFC 9112, section 6.3).

        Many TLS servers close the TCP connection without sending close_notify, such as Python's http.server behind
        `ssl`. A response without a length is complete then; with a length or chunks it is cut off.
        """
        is_final = status is not None and status >= 200  # not 100 Continue
        return (
            is_final
            and self.headers_ended
            and not self._header_names() & {b"content-length", b"transfer-encoding"}
        )

    def _header_names(self) -> set[bytes]:
        return {line.partition(b":")[0].strip().lower() for line in self.response_headers}

    def _phase(self, status: int | None) -> str:
        """Returns the phase in which the deadline passed, as failure_causes.TIMEOUTS names it."""
        get = self.curl.getinfo
        if get(pycurl.REQUEST_SIZE):  # checked first: on a kept connection the times below stay 0.0
            if self._ends_by_closing(status):
                return "end of connection"
            return "response body" if status else "response"
        if not get(pycurl.NAMELOOKUP_TIME):
            return "name lookup"
        return "TLS" if get(pycurl.CONNECT_TIME) else "connect"

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        target = address.addr
        try:
            self.blocked_by = "" if self.is_exempt else guard.refusal(target[0])
            if self.blocked_by:
                return pycurl.SOCKET_BAD
            opened = socket.socket(address.family, address.socktype, address.protocol)
            os.close(os.dup(opened.fileno()))  # pycurl does the same, and does not report a failure
        except OSError as error:  # too many open files: this server's fault, not the endpoint's
            self.socket_error = error.strerror or str(error)
            return pycurl.SOCKET_BAD
        self.addresses_tried += 1
        return opened

    def _debug(self, kind: int, data: bytes) -> None:
        if kind == pycurl.INFOTYPE_SSL_DATA_IN and data[:1] == CERTIFICATE_MESSAGE:
            self.certificates = data

    def _write(self, data: bytes) -> int | None:
        if not self.headers_ended:  # a response without a status line: libcurl takes it for HTTP/0.9
            self.not_http = name_protocol(data)
            self.response_body += data[:LOGGED_BYTES]
            return -1  # close the connection
        room = MAX_RESPONSE_BYTES - len(self.response_body)
        if len(data) > room:
            self.response_body += data[:room]
            self.is_cut = True
            return -1  # close the connection
        self.response_body += data
        return None

    def _header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):  # after a 100 Continue: only the last response's headers count
            self.response_headers.clear()
            self.header_size = 0
            self.headers_ended = False
        elif not line.strip():
            self.headers_ended = True
        elif self.header_size < MAX_HEADER_BYTES:
            self.header_size += len(line)
            self.response_headers.append(line)


def remember_trusted(origin: str) -> None:
    """Record that an origin's certificate was valid, for the next transfers to it."""
    if origin not in TRUSTED_ORIGINS:
        if len(TRUSTED_ORIGINS) >= MAX_TRUSTED_ORIGINS:
            TRUSTED_ORIGINS.clear()
        TRUSTED_ORIGINS[origin] = None


def name_protocol(data: bytes) -> str:
    """Names what a server responded with instead of HTTP/1.1, by the first bytes: TLS, HTTP/2, or neither."""
    if data[:1] in (b"\x15", b"\x16") and data[1:2] == b"\x03":
        return NOT_HTTP_BUT_TLS
    if data[3:4] in (b"\x04", b"\x07") and data[5:9] == bytes(4):  # a SETTINGS or GOAWAY frame of stream 0
        return NOT_HTTP_BUT_HTTP2
    return NOT_HTTP


OUTCOMES = {
    pycurl.E_COULDNT_RESOLVE_HOST: Outcome.DNS,
    pycurl.E_SSL_CONNECT_ERROR: Outcome.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Outcome.TLS,
    pycurl.E_SSL_CERTPROBLEM: Outcome.TLS,
    pycurl.E_SSL_CIPHER: Outcome.TLS,
    pycurl.E_SSL_ISSUER_ERROR: Outcome.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Outcome.TLS,  # our own HOOKS_CA_FILE
    pycurl.E_SEND_ERROR: Outcome.RESET,
    pycurl.E_RECV_ERROR: Outcome.RESET,
    pycurl.E_GOT_NOTHING: Outcome.RESET,
    pycurl.E_PARTIAL_FILE: Outcome.RESET,
    100: Outcome.TOO_LARGE,  # CURLE_TOO_LARGE, for a single header; pycurl has no name for it
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Outcome.PROTOCOL,
}


def milliseconds(seconds: float) -> float | None:
    """Returns milliseconds; None for 0.0, libcurl's value for a phase that was not reached."""
    return round(seconds * 1000, 3) if seconds else None


def split_header(line: bytes) -> list[str]:
    name, _, value = line.decode("latin-1").replace("\x00", "").partition(":")
    return [name.strip(), value.strip()]


def post(url: str, headers: dict[str, str], body: bytes) -> Response:
    """POST once, in this thread. It takes at most as long as the deadline, and never raises."""
    return perform(Transfer(), url, headers, body)


def send(
    method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, *, is_exempt: bool = False
) -> Response:
    """Like post(), with any method; header names may repeat. The headers must not contain line breaks.

    `is_exempt` as in Transfer.start_request.
    """
    options: dict[int, Any] = {pycurl.HTTPHEADER: header_lines(headers)}
    if method == "HEAD":  # libcurl must know that the response has no body
        options[pycurl.NOBODY] = 1
    elif method != "POST":
        options[pycurl.CUSTOMREQUEST] = method
    return perform(Transfer(), url, {}, body, options, is_exempt=is_exempt)


def perform(
    transfer: Transfer,
    url: str,
    headers: dict[str, str],
    body: bytes,
    options: dict[int, Any] | None = None,
    *,
    is_exempt: bool = False,
) -> Response:
    """Run one transfer in this thread and close its handle."""
    try:
        transfer.start(url, headers, body, is_exempt=is_exempt)
        # a new connection always has a handshake
        transfer.curl.setopt(pycurl.VERBOSE, bool(transfer.origin))
        for option, value in (options or {}).items():
            transfer.curl.setopt(option, value)
        transfer.curl.perform()
        return transfer.finish()
    except pycurl.error as error:
        code, message = error.args
        return transfer.finish(code, message)
    finally:
        transfer.curl.close()
