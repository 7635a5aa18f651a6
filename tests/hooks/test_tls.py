"""Certificates: valid, expired, for another name, self-signed, of an unknown authority; and ports without TLS."""

import ssl
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme
from pytest_django.fixtures import Settings

from hooks import http
from hooks.explain.sentences import explain_outcome
from hooks.http import Response
from hooks.models import Outcome, Side
from tests.faults import servers
from tests.faults.certificates import expired, self_signed, server_context
from tests.faults.servers import answer, faulty, raw_response


@pytest.fixture
def authority(tmp_path: Path, settings: Settings) -> trustme.CA:
    """The only certificate authority that the product trusts in this test."""
    authority = trustme.CA()
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    settings.HOOKS_CA_FILE = str(path)
    return authority


def post(context: ssl.SSLContext) -> Response:
    with faulty(answer(200), tls=context) as port:
        return http.post(f"https://localhost:{port}/hook", {}, b"{}")


def words(got: Response) -> tuple[str, Side | None, str]:
    explained = explain_outcome(got.outcome, url="https://localhost/hook", status=got.status, error=got.error)
    return explained.sentence, explained.side, explained.next_step


def test_a_valid_certificate_is_accepted_and_the_handshake_is_timed(authority: trustme.CA) -> None:
    got = post(server_context(authority.issue_cert("localhost")))
    assert (got.outcome, got.status) == (Outcome.OK, 200)
    assert got.connect_ms is not None
    assert got.tls_ms is not None
    assert got.connect_ms <= got.tls_ms <= got.total_ms


def test_an_expired_certificate_is_rejected(authority: trustme.CA) -> None:
    got = post(expired(authority))
    assert (got.outcome, got.status, got.tls_ms) == (Outcome.TLS, None, None)
    sentence, side, step = words(got)
    assert sentence.startswith("The certificate of localhost expired on ")
    assert (side, step) == (Side.ENDPOINT, "Renew it.")


def test_a_certificate_for_another_name_is_rejected(authority: trustme.CA) -> None:
    got = post(server_context(authority.issue_cert("example.org")))
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "The certificate of localhost is for another name: example.org.",
        Side.ENDPOINT,
        "Get a certificate for localhost, or use the name in the certificate.",
    )


def test_a_self_signed_certificate_is_rejected(authority: trustme.CA, tmp_path: Path) -> None:
    got = post(self_signed(tmp_path))
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "The certificate of localhost is self-signed.",
        Side.ENDPOINT,
        "Use a certificate from a known authority; Let's Encrypt is free.",
    )


def test_a_certificate_of_an_unknown_authority_is_rejected(authority: trustme.CA) -> None:
    got = post(server_context(trustme.CA().issue_cert("localhost")))
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "The certificate of localhost comes from an unknown authority, or its chain is incomplete.",
        Side.ENDPOINT,
        "Make your server send the whole chain (fullchain.pem).",
    )


def test_without_a_ca_file_only_mozillas_authorities_are_trusted(
    authority: trustme.CA, settings: Settings
) -> None:
    settings.HOOKS_CA_FILE = ""
    assert post(server_context(authority.issue_cert("localhost"))).outcome == Outcome.TLS


def test_a_port_that_speaks_plain_http_is_recognised(authority: trustme.CA) -> None:
    with servers.answering_anything(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        got = http.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "localhost does not speak TLS on this port.",
        Side.ENDPOINT,
        "Use http:// for this port, or the HTTPS port.",
    )


def test_a_port_that_accepts_but_never_sends_times_out_in_tls(authority: trustme.CA, quick: None) -> None:
    with servers.silent() as port:
        got = http.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert (got.outcome, got.status, got.error) == (Outcome.TIMEOUT, None, "TLS")


# -- responses that end by closing the TCP connection, without TLS close_notify

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
NO_CLOSE_NOTIFY = "the connection was closed without TLS close_notify"


def post_raw(authority: trustme.CA, version: ssl.TLSVersion, response: bytes) -> Response:
    context = server_context(authority.issue_cert("localhost"))
    context.minimum_version = context.maximum_version = version
    with faulty(raw_response(response), tls=context) as port:
        return http.post(f"https://localhost:{port}/hook", {}, b"{}")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("body", [b"", b"thanks"])
@pytest.mark.parametrize("headers", [b"", b"Connection: close\r\n"])
def test_a_response_without_a_length_is_complete_when_the_connection_closes(
    authority: trustme.CA, version: ssl.TLSVersion, body: bytes, headers: bytes
) -> None:
    got = post_raw(authority, version, b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n" + body)
    assert (got.outcome, got.status, got.body, got.error) == (Outcome.OK, 200, body, NO_CLOSE_NOTIFY)
    assert words(got) == (f"Delivered: localhost responded with 200 ({NO_CLOSE_NOTIFY}).", None, "")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(("status", "outcome"), [(500, Outcome.NOT_200), (302, Outcome.REDIRECT)])
def test_the_status_of_a_response_without_a_length_counts(
    authority: trustme.CA, version: ssl.TLSVersion, status: int, outcome: Outcome
) -> None:
    got = post_raw(authority, version, b"HTTP/1.0 %d Said\r\n\r\nsorry" % status)
    assert (got.outcome, got.status, got.body) == (outcome, status, b"sorry")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nX-Bot: 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsho",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_response_cut_off_is_a_failure(
    authority: trustme.CA, version: ssl.TLSVersion, response: bytes
) -> None:
    got = post_raw(authority, version, response)
    assert got.outcome == Outcome.RESET


def test_pythons_own_server_behind_tls_delivers(authority: trustme.CA) -> None:
    """The handler of docs/examples/my_bot.py: it sends neither Content-Length nor close_notify."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        context = server_context(authority.issue_cert("localhost"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.handle_request)
        thread.start()
        got = http.post(f"https://localhost:{server.server_port}/hook", {}, b"{}")
        thread.join()
    assert (got.outcome, got.status, got.body) == (Outcome.OK, 200, b"")
