"""The site as its users reach it: through SITE_URL, TLS and the proxy in front.

Requests to /healthz/front (front.py) through SITE_URL have forged forwarding headers, as any client can send them. The
response says what arrived.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from chatapi.runtime.doctor.findings import Finding, NotCarriedOut, error, warning
from chatapi.runtime.doctor.front import PATH, PROBED_HEADERS, PROOF_HEADER, database_digest, make_proof
from chatapi.runtime.doctor.tls import describe_certificate, trusting_context
from chatapi.runtime.supervision import own_url

TIMEOUT = 4  # seconds, for each part of a response
BODY_SECONDS = 4.0  # another server may send a stream that does not end
EXPIRES_SOON_DAYS = 14  # certificates are renewed 30 days before they expire
FORGED_ADDRESS = "203.0.113.77"  # of a documentation network (RFC 5737): no client has it
PROXY_DOCS = "docs/running/proxy.md"
MAX_RESPONSE = 64 * 1024  # bytes that are read


class Unreachable(Exception):
    """No response; str() is why."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes
    days_left: int | None  # until the certificate expires; None without TLS

    @property
    def seen(self) -> dict[str, Any] | None:
        """What the site has received; None if the response is not that of /healthz/front."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        is_own = isinstance(found, dict) and {"forwarded_for", "database"} <= found.keys()
        return found if self.status == 200 and is_own else None


class Target:
    """A URL of the site, and how to connect to it."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self.host, self.is_https = parts.hostname or "", parts.scheme == "https"
            self.port = parts.port or (443 if self.is_https else 80)
        except ValueError:
            raise NotCarriedOut("SITE_URL is wrong") from None
        self.base = parts.path.rstrip("/")

    @cached_property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self) -> socket.socket:
        """Raises Unreachable."""
        try:
            plain = socket.create_connection((self.host, self.port), TIMEOUT)
        except socket.gaierror:
            raise Unreachable("the host name cannot be resolved") from None
        except OSError as fault:
            raise Unreachable(fault.strerror or str(fault)) from None
        plain.settimeout(TIMEOUT)
        if not self.is_https:
            return plain
        try:
            return trusting_context().wrap_socket(plain, server_hostname=self.host)
        except ssl.SSLCertVerificationError as fault:
            plain.close()
            shown = describe_certificate(self.host, self.port, TIMEOUT)
            raise Unreachable(f"the certificate is not valid: {fault.verify_message}{shown}") from None
        except (OSError, ssl.SSLError) as fault:
            plain.close()
            raise Unreachable(f"TLS fails: {fault}") from None

    def request(self, method: str, path: str, headers: dict[str, str]) -> Response:
        """Sends a request without its body, and returns the response. Raises Unreachable."""
        with self.connect() as connected:
            days = days_left(connected) if isinstance(connected, ssl.SSLSocket) else None
            lines = [
                f"{method} {self.base}{path} HTTP/1.1",
                f"Host: {host_header(self)}",
                "Connection: close",
            ]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            try:
                # a proxy that refuses the request may respond, and close the connection, before it has read all of it
                with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                    connected.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
                response = http.client.HTTPResponse(connected, method=method)
                response.begin()
                return Response(
                    response.status,
                    {k.lower(): v for k, v in response.getheaders()},
                    read_body(response),
                    days,
                )
            except (OSError, http.client.HTTPException) as fault:
                raise Unreachable(str(fault) or type(fault).__name__) from None


def read_body(response: http.client.HTTPResponse) -> bytes:
    """Returns at most MAX_RESPONSE bytes, those of the first BODY_SECONDS. Raises OSError, HTTPException."""
    body, until = b"", time.monotonic() + BODY_SECONDS
    while len(body) < MAX_RESPONSE and time.monotonic() < until:
        block = response.read1(MAX_RESPONSE - len(body))
        if not block:
            break
        body += block
    return body


def host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.is_https else 80
    return host if target.port == usual else f"{host}:{target.port}"


def days_left(connected: ssl.SSLSocket) -> int | None:
    certificate = connected.getpeercert() or {}
    if "notAfter" not in certificate:
        return None
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    return (end - datetime.now(UTC)).days


def probe_headers() -> dict[str, str]:
    """Returns the values with which PROBED_HEADERS are sent."""
    own = {"Cookie": "chatapi-probe=1", "Origin": settings.SITE_URL, "Referer": f"{settings.SITE_URL}/probe"}
    return {name: own.get(name, f"probe-{name}") for name in PROBED_HEADERS}


def ask_front(url: str, *, padding: int = 0) -> Response:
    """Returns the response of /healthz/front to a request with forged forwarding headers. Raises Unreachable.

    The URL is longer by `padding` bytes.
    """
    return Target(url).request(
        "GET",
        f"{PATH}?{secrets.token_hex(8)}{'0' * padding}",  # a cache has never seen it
        {
            **probe_headers(),
            PROOF_HEADER: make_proof(),
            "X-Forwarded-For": FORGED_ADDRESS,
            "X-Forwarded-Proto": "http" if settings.HTTPS else "https",
            "User-Agent": "chatapi-doctor",
        },
    )


def through_the_front() -> Response:
    """Returns the response through SITE_URL. Raises NotCarriedOut if there is none: another check says why."""
    try:
        response = ask_front(settings.SITE_URL)
    except Unreachable:
        raise NotCarriedOut("SITE_URL does not respond") from None
    if response.seen is None:
        raise NotCarriedOut("SITE_URL is answered by another server")
    return response


def find_unreachable_site() -> Iterator[Finding]:
    """Whether SITE_URL leads to this site; if not, whether the web server itself responds."""
    try:
        response = ask_front(settings.SITE_URL)
    except Unreachable as fault:
        if own_fault := web_server_fault():
            yield error(
                f"The web server does not respond on this machine, at port {settings.PORT}.",
                "Start it: `python -m chatapi.runtime.web`, part of `manage.py up`. If it runs on another machine, "
                "check SITE_URL there.",
                own_fault,
            )
        else:
            yield error(
                "SITE_URL cannot be reached from this machine: links and callbacks to it may fail.",
                next_step_of(str(fault)),
                str(fault),
            )
        return
    if response.seen is None:
        yield explain_other_response(response)
    elif response.seen["database"] != database_digest():
        yield error(
            "SITE_URL leads to a site with another database.",
            "Give all machines the same DATABASE_URL (embedded: the same DATA_DIR), and restart them.",
        )


def web_server_fault() -> str:
    """Returns why the web server of this machine does not respond; empty if it does."""
    try:
        Target(own_url(settings.HOST, settings.PORT)).request("GET", "/healthz", {})
    except Unreachable as fault:
        return str(fault)
    return ""


def next_step_of(fault: str) -> str:
    if "resolved" in fault:
        return "Create the DNS entry of the name in SITE_URL, or correct SITE_URL."
    if "certificate" in fault:
        return (
            "Renew the certificate of the proxy, with the name in SITE_URL and its intermediate certificates. For a "
            "certificate authority of your own, set HOOKS_CA_FILE."
        )
    if "TLS" in fault:
        return "Check that the proxy serves TLS at this port, or correct the scheme and the port of SITE_URL."
    return (
        "Check that the proxy is running and listens at the port of SITE_URL, and that no firewall blocks it."
    )


def explain_other_response(response: Response) -> Finding:
    location = response.headers.get("location", "")
    if response.status in (301, 302, 307, 308):
        if location.startswith("https://") and not settings.HTTPS:
            return error(
                "SITE_URL starts with http://, and the proxy redirects to https://: callbacks and links break.",
                "Set SITE_URL to the https:// URL, and restart.",
            )
        return error(
            "SITE_URL is redirected to another URL.", "Set SITE_URL to the URL that users end at.", location
        )
    if response.status in (401, 403, 407):
        return error(
            f"The proxy at SITE_URL refuses requests: it responds with {response.status}.",
            "Switch off its password, bot filter or rules for this site: API clients and messengers cannot pass them.",
        )
    if response.status in (502, 503, 504):
        return error(
            f"The proxy at SITE_URL does not reach the web server: it responds with {response.status}.",
            f"Start the web server, and point the proxy to its address: {own_url(settings.HOST, settings.PORT)}.",
        )
    if response.status == 404 and b"error" in response.body:
        return error(
            "SITE_URL leads to a web server with another SECRET_KEY, or of another version.",
            "Give all processes the same SECRET_KEY and the same version of the code, and restart them.",
        )
    return error(
        f"SITE_URL leads to another server: it responds with {response.status}.",
        "Correct SITE_URL, or the rule of the proxy that should pass all paths on to this site.",
    )


def find_expiring_certificate() -> Iterator[Finding]:
    days = through_the_front().days_left
    if days is not None and days < EXPIRES_SOON_DAYS:
        yield warning(
            f"The certificate of SITE_URL expires in {days} days.",
            "Renew it; if that is automatic, read the log of the program that should have.",
        )


def find_lost_host() -> Iterator[Finding]:
    seen = through_the_front().seen or {}
    host = split_domain_port(seen["host"])[0]
    if not validate_host(host, settings.ALLOWED_HOSTS):
        yield error(
            "The proxy does not pass on the host name of the browser: pages respond with 400.",
            "nginx: proxy_set_header Host $host; Apache: ProxyPreserveHost On; Caddy and HAProxy do it "
            f"({PROXY_DOCS}).",
            f'it sent the host "{seen["host"]}"',  # quoted, so that it is redacted
        )


def find_wrong_forwarding() -> Iterator[Finding]:
    """What the proxy made of the forged X-Forwarded-For and X-Forwarded-Proto."""
    seen = through_the_front().seen or {}
    if not settings.HTTPS:
        return
    if seen["removed"]:
        trusted = ",".join([*settings.TRUSTED_PROXIES, seen["peer"]])
        yield error(
            f"The proxy at {seen['peer']} is not trusted: its X-Forwarded-For and X-Forwarded-Proto are ignored.",
            f"Add it to TRUSTED_PROXIES, and restart: TRUSTED_PROXIES={trusted}.",
        )
        return
    if not seen["forwarded_for"]:
        yield error(
            "The proxy does not set X-Forwarded-For: all clients count as one, in limits and in logs.",
            f"nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for ({PROXY_DOCS}).",
        )
    elif seen["forwarded_for"].strip() == FORGED_ADDRESS:
        yield error(
            "The proxy passes X-Forwarded-For on as the client sent it: clients can choose their address.",
            f"nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for ({PROXY_DOCS}).",
        )
    elif len(passed := forwarded_addresses(seen)) > 1 and seen["client"] == passed[-1]:
        trusted = ",".join([*settings.TRUSTED_PROXIES, seen["client"]])
        yield error(
            f"The proxy at {seen['client']}, in front of another one, is not trusted: all its clients count as one.",
            f"Add it to TRUSTED_PROXIES, and restart: TRUSTED_PROXIES={trusted}.",
        )
    if seen["scheme"] != "https":
        yield error(
            "The proxy does not set X-Forwarded-Proto to https: sign-in and forms fail.",
            f"nginx: proxy_set_header X-Forwarded-Proto $scheme ({PROXY_DOCS}).",
        )


def forwarded_addresses(seen: dict[str, Any]) -> list[str]:
    """Returns the addresses that proxies have written: this machine's, and those of all proxies but the last one."""
    addresses = [part.strip() for part in seen["forwarded_for"].split(",")]
    return [address for address in addresses if address != FORGED_ADDRESS]


def find_cache() -> Iterator[Finding]:
    """A proxy that stores responses shows pages of one user to others."""
    path, target = f"{PATH}?{secrets.token_hex(8)}", Target(settings.SITE_URL)
    try:
        seen = [target.request("GET", path, {PROOF_HEADER: make_proof()}).seen for _ in range(2)]
    except Unreachable:
        raise NotCarriedOut("SITE_URL does not respond") from None
    if seen[0] is None or seen[1] is None:
        raise NotCarriedOut("SITE_URL is answered by another server")
    if seen[0]["number"] == seen[1]["number"]:
        yield error(
            "The proxy stores responses, and returns them again: users may see pages of others.",
            "Switch off caching for this site in the proxy or CDN; all responses say Cache-Control: no-store.",
        )
