"""Certificates that are right, expired, for another name, self-signed, of nobody known; and no TLS at all."""

import ssl
from pathlib import Path

import pytest
import trustme
from pytest_django.fixtures import Settings

from hooks import http
from hooks.explain import explain_outcome
from hooks.http import Answer
from hooks.models import Outcome, Side
from tests.faults import servers
from tests.faults.certificates import expired, self_signed, server_context
from tests.faults.servers import answer, faulty


@pytest.fixture
def authority(tmp_path: Path, settings: Settings) -> trustme.CA:
    """The one that this product trusts."""
    authority = trustme.CA()
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    settings.HOOKS_CA_FILE = str(path)
    return authority


def post(context: ssl.SSLContext) -> Answer:
    with faulty(answer(200), tls=context) as port:
        return http.post(f"https://localhost:{port}/hook", {}, b"{}")


def words(got: Answer) -> tuple[str, Side | None, str]:
    explained = explain_outcome(got.outcome, url="https://localhost/hook", status=got.status, error=got.error)
    return explained.sentence, explained.side, explained.next_step


def test_a_right_certificate_is_accepted_and_its_time_measured(authority: trustme.CA) -> None:
    got = post(server_context(authority.issue_cert("localhost")))
    assert (got.outcome, got.status) == (Outcome.OK, 200)
    assert got.connect_ms is not None
    assert got.tls_ms is not None
    assert got.connect_ms <= got.tls_ms <= got.total_ms


def test_an_expired_certificate_is_refused(authority: trustme.CA) -> None:
    got = post(expired(authority))
    assert (got.outcome, got.status, got.tls_ms) == (Outcome.TLS, None, None)
    assert words(got) == ("The certificate of localhost has expired.", Side.ENDPOINT, "Renew it.")


def test_a_certificate_for_another_name_is_refused(authority: trustme.CA) -> None:
    got = post(server_context(authority.issue_cert("example.org")))
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "The certificate of localhost is for another name.",
        Side.ENDPOINT,
        "Get a certificate for localhost, or use the name that it was made for.",
    )


def test_a_self_signed_certificate_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    got = post(self_signed(tmp_path))
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "The certificate of localhost is signed by itself.",
        Side.ENDPOINT,
        "Use one from a known authority; Let's Encrypt gives them for nothing.",
    )


def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    got = post(server_context(trustme.CA().issue_cert("localhost")))
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "The certificate of localhost comes from an authority that is not known here, or its chain is incomplete.",
        Side.ENDPOINT,
        "Let your server send the whole chain (fullchain.pem).",
    )


def test_without_an_own_file_mozillas_authorities_are_trusted_and_no_other(
    authority: trustme.CA, settings: Settings
) -> None:
    settings.HOOKS_CA_FILE = ""
    assert post(server_context(authority.issue_cert("localhost"))).outcome == Outcome.TLS


def test_a_port_that_speaks_plain_http_is_told_apart(authority: trustme.CA) -> None:
    with servers.answering_anything(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        got = http.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert (got.outcome, got.status) == (Outcome.TLS, None)
    assert words(got) == (
        "localhost does not speak TLS on this port.",
        Side.ENDPOINT,
        "Use http:// for this port, or the port of HTTPS.",
    )


def test_a_port_that_takes_the_connection_and_is_silent_is_told_apart(
    authority: trustme.CA, quick: None
) -> None:
    with servers.silent() as port:
        got = http.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert (got.outcome, got.status, got.error) == (Outcome.TIMEOUT, None, "TLS")
