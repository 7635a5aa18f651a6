"""The one door out for hooks: one POST by libcurl, under every limit of the house.

A Transfer is a reusable curl handle. The dispatcher runs a thousand of them in a CurlMulti; a
simulation runs one by itself. Both get the same options, so a simulated hook meets what a real one meets:
one deadline for everything, at most 64 KB of an answer, no redirects, no proxy of the environment,
HTTP and HTTPS only, and guard.py's veto on the resolved address.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import certifi
import pycurl
from django.conf import settings

from hooks import guard
from hooks.models import Outcome

ANSWER_MOST = 64 * 1024  # bytes of an answer's body that are read
HEADERS_MOST = 16 * 1024  # bytes of its headers that are kept
KEPT = 8 * 1024  # bytes of its body that are kept in the log


@dataclass(slots=True)
class Answer:
    """What came of one POST. Times are milliseconds since its start; None: that phase was not reached."""

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
        """The first header of that name (any case), or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def certificates() -> str:
    """The file of trusted certificates: the administrator's own, or Mozilla's."""
    return str(settings.HOOKS_CA_FILE or certifi.where())


class Transfer:
    """A curl handle with its buffers; start() loads a request, finish() reads the answer."""

    __slots__ = (
        "answer_body",
        "answer_headers",
        "blocked",
        "curl",
        "cut",
        "exempt",
        "header_size",
        "headers_ended",
        "job",
        "no_socket",
        "tried",
    )

    def __init__(self) -> None:
        self.curl = curl = pycurl.Curl()
        curl.transfer = self  # a CurlMulti gives back the handle alone
        self.job: Any = None  # whatever the caller wants to find again when the transfer is done
        self.reset_buffers(exempt=False)
        set_ = curl.setopt
        set_(pycurl.NOSIGNAL, 1)
        set_(pycurl.POST, 1)
        set_(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        set_(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        set_(pycurl.FOLLOWLOCATION, 0)
        set_(
            pycurl.PATH_AS_IS, 1
        )  # or libcurl shortens /a/../b, and the log shows another path than was sent
        set_(pycurl.PROXY, "")  # the empty string keeps the environment's proxies out
        set_(pycurl.TIMEOUT_MS, settings.HOOKS_DEADLINE_MS)
        set_(pycurl.CONNECTTIMEOUT_MS, settings.HOOKS_CONNECT_MS)
        set_(pycurl.CAINFO, certificates())
        # the smallest there is; libcurl's own 64 KB stay with each handle, 30 MB for a thousand in flight
        set_(pycurl.UPLOAD_BUFFERSIZE, 16 * 1024)
        set_(pycurl.MAXAGE_CONN, 30)  # a bot that restarts has usually dropped older ones
        set_(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        set_(pycurl.WRITEFUNCTION, self._write)
        set_(pycurl.HEADERFUNCTION, self._header)

    def reset_buffers(self, *, exempt: bool) -> None:
        self.exempt = exempt
        self.blocked = ""  # the guard's rule that refused an address
        self.no_socket = ""  # why this machine could not open one
        self.tried = 0  # addresses that the guard let through
        self.cut = False  # was the answer longer than ANSWER_MOST?
        self.answer_body = bytearray()
        self.answer_headers: list[bytes] = []
        self.header_size = 0
        self.headers_ended = False  # has the empty line after them come?

    def start(self, url: str, headers: dict[str, str], body: bytes) -> None:
        """Load a request. The caller then performs the handle, or adds it to its CurlMulti."""
        self.reset_buffers(exempt=guard.is_own_bin(url))
        set_ = self.curl.setopt
        set_(pycurl.URL, url)
        # libcurl would shorten /a/../b and write %c3 as %C3; the log shows the URL as it was given.
        set_(pycurl.REQUEST_TARGET, request_target(url))
        # A connection that the guard did not look at must not be found again by a request to the same host.
        set_(pycurl.FORBID_REUSE, self.exempt)
        # "Expect:" and "Accept:" empty: libcurl would add its own. Host is given so that the log shows what was sent.
        set_(
            pycurl.HTTPHEADER,
            [
                f"Host: {host_header(url)}",
                *[f"{name}: {value}" for name, value in headers.items()],
                "Expect:",
                "Accept:",
            ],
        )
        set_(pycurl.POSTFIELDS, body)

    def finish(self, code: int = 0, message: str = "") -> Answer:
        """The answer, after libcurl ended with `code` (0: it went well) and its `message`."""
        get = self.curl.getinfo
        status = get(pycurl.RESPONSE_CODE) or None
        answer = Answer(
            outcome=Outcome.OK,
            status=status,
            headers=[line_as_pair(line) for line in self.answer_headers],
            body=bytes(self.answer_body[:KEPT]),
            size=len(self.answer_body),
            total_ms=milliseconds(get(pycurl.TOTAL_TIME)) or 0.0,
            name_ms=milliseconds(get(pycurl.NAMELOOKUP_TIME)),
            connect_ms=milliseconds(get(pycurl.CONNECT_TIME)),
            tls_ms=milliseconds(get(pycurl.APPCONNECT_TIME)),
            first_byte_ms=milliseconds(get(pycurl.STARTTRANSFER_TIME)) if status else None,
        )
        ip = get(pycurl.PRIMARY_IP)
        if ip:
            port = get(pycurl.PRIMARY_PORT)
            answer.address = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
        answer.outcome, answer.error = self._judge(code, message, status)
        if answer.outcome == Outcome.BLOCKED:
            answer.address = ""  # nothing was reached
        return answer

    def _judge(self, code: int, message: str, status: int | None) -> tuple[Outcome, str]:
        if code == pycurl.E_WRITE_ERROR and self.cut:
            code = 0  # we hung up after 64 KB; the status has been said
        remark = (
            f"the answer was longer than {ANSWER_MOST // 1024} KB; the rest was not read" if self.cut else ""
        )
        if code == pycurl.E_RECV_ERROR and "unexpected eof" in message and self._ends_by_closing(status):
            code, remark = 0, "the connection was closed without TLS close_notify"
        if code == 0:
            if status == 200:
                return Outcome.OK, remark
            if status is not None and 300 <= status < 400:
                return Outcome.REDIRECT, ""
            return Outcome.NOT_200, ""
        if code == pycurl.E_OUT_OF_MEMORY:  # also when libcurl finds no file descriptor for itself
            self.no_socket = "Out of memory or of open files"
        if self.no_socket and not self.tried:
            return Outcome.PROTOCOL, f"not sent: no socket, {self.no_socket}"
        if self.blocked and not self.tried:
            return Outcome.BLOCKED, self.blocked
        if code == pycurl.E_COULDNT_CONNECT:
            number = self.curl.getinfo(pycurl.OS_ERRNO)
            reason = os.strerror(number) if number else message
            return (Outcome.TIMEOUT if number == errno.ETIMEDOUT else Outcome.REFUSED), reason
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return Outcome.TIMEOUT, self._phase(status)
        if code == pycurl.E_RECV_ERROR and message.startswith("Too large response headers"):
            return Outcome.TOO_LARGE, message
        return OUTCOMES.get(code, Outcome.PROTOCOL), message

    def _ends_by_closing(self, status: int | None) -> bool:
        """Whether the end of the connection is the end of the response (RFC 9112, section 6.3).

        Many TLS servers close the TCP connection and send no close_notify: Python's http.server behind `ssl`, for one.
        A response without a length is complete then; with a length or chunks it is cut off.
        """
        names = {line.partition(b":")[0].strip().lower() for line in self.answer_headers}
        is_final = status is not None and status >= 200  # not 100 Continue
        return is_final and self.headers_ended and not names & {b"content-length", b"transfer-encoding"}

    def _phase(self, status: int | None) -> str:
        """In which phase the deadline came: the words that explain.py knows."""
        get = self.curl.getinfo
        if get(pycurl.REQUEST_SIZE):  # asked first: on a kept connection the times below stay 0.0
            return "answer body" if status else "answer"
        if not get(pycurl.NAMELOOKUP_TIME):
            return "name lookup"
        return "TLS" if get(pycurl.CONNECT_TIME) else "connect"

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        target = address.addr
        if not self.exempt:
            rule = guard.refusal(target[0])
            if rule:
                self.blocked = rule
                return pycurl.SOCKET_BAD
        try:
            opened = socket.socket(address.family, address.socktype, address.protocol)
            os.close(os.dup(opened.fileno()))  # pycurl does so too, and keeps silent when it fails
        except OSError as error:  # too many open files: the fault of this machine, not of the endpoint
            self.no_socket = error.strerror or str(error)
            return pycurl.SOCKET_BAD
        self.tried += 1
        return opened

    def _write(self, data: bytes) -> int | None:
        room = ANSWER_MOST - len(self.answer_body)
        if len(data) > room:
            self.answer_body += data[:room]
            self.cut = True
            return -1  # hang up
        self.answer_body += data
        return None

    def _header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):  # a 100 Continue came first: only the last answer's count
            self.answer_headers.clear()
            self.header_size = 0
            self.headers_ended = False
        elif not line.strip():
            self.headers_ended = True
        elif self.header_size < HEADERS_MOST:
            self.header_size += len(line)
            self.answer_headers.append(line)


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
    100: Outcome.TOO_LARGE,  # CURLE_TOO_LARGE, of one header; pycurl has no name for it
    pycurl.E_UNSUPPORTED_PROTOCOL: Outcome.PROTOCOL,  # an answer without a status line ("HTTP/0.9")
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Outcome.PROTOCOL,
}


def as_sent(url: str, headers: dict[str, str], body: bytes) -> list[list[str]]:
    """The headers as they go over the wire, in order: ours between the two that libcurl adds."""
    return [
        ["Host", host_header(url)],
        *[[name, value] for name, value in headers.items()],
        ["Content-Length", str(len(body))],
    ]


def header_lines(headers: Iterable[tuple[str, str]]) -> list[bytes]:
    """As libcurl takes them: those that it would add by itself are empty, and so left out, unless they are given.

    One without a value ends in ";": with ":" libcurl would leave it out.
    """
    given = list(headers)
    names = {name.lower() for name, _ in given}
    own = [
        f"{name}:" for name in ("Expect", "Accept", "Content-Type", "User-Agent") if name.lower() not in names
    ]
    lines = [*[f"{name}: {value}" if value else f"{name};" for name, value in given], *own]
    return [line.encode("latin-1", "replace") for line in lines]


@lru_cache(maxsize=2000)
def host_header(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if parts.port and (parts.scheme, parts.port) not in (("http", 80), ("https", 443)):
        host += f":{parts.port}"
    return host


@lru_cache(maxsize=2000)
def request_target(url: str) -> str:
    """The path and the query, as they stand in the request line."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def milliseconds(seconds: float) -> float | None:
    """libcurl says 0.0 of a phase that was not reached."""
    return round(seconds * 1000, 3) if seconds else None


def line_as_pair(line: bytes) -> list[str]:
    name, _, value = line.decode("latin-1").replace("\x00", "").partition(":")
    return [name.strip(), value.strip()]


def post(url: str, headers: dict[str, str], body: bytes) -> Answer:
    """POST once, in this thread; it takes as long as the deadline at most and never raises."""
    return perform(Transfer(), url, headers, body)


def send(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    """As post(), with any method; a name may come twice among the headers. They hold no line breaks."""
    options: dict[int, Any] = {pycurl.HTTPHEADER: header_lines(headers)}
    if method == "HEAD":  # libcurl must know that no body follows the answer's headers
        options[pycurl.NOBODY] = 1
    elif method != "POST":
        options[pycurl.CUSTOMREQUEST] = method
    return perform(Transfer(), url, {}, body, options)


def perform(
    transfer: Transfer, url: str, headers: dict[str, str], body: bytes, options: dict[int, Any] | None = None
) -> Answer:
    try:
        transfer.start(url, headers, body)
        for option, value in (options or {}).items():
            transfer.curl.setopt(option, value)
        transfer.curl.perform()
        return transfer.finish()
    except pycurl.error as error:
        code, message = error.args
        return transfer.finish(code, message)
    finally:
        transfer.curl.close()
