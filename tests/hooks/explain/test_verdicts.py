"""The verdict on an attempt and the phase in which it failed, over real sockets."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import trustme
from pytest_django.fixtures import Settings

from hooks import http
from hooks.explain.verdicts import failed_phase, technical_error, verdict_of
from hooks.models import Outcome, Phase, Verdict
from tests.faults import servers
from tests.faults.certificates import expired, server_context
from tests.faults.servers import Fault, answer, faulty, raw_response

DELIVERED, NOT_200 = Verdict.DELIVERED, Verdict.NOT_200
NO_COMPLETE_RESPONSE, NOT_REACHED = Verdict.NO_COMPLETE_RESPONSE, Verdict.NOT_REACHED
TLS_SERVER = b"\x15\x03\x01\x00\x02\x02\x46"


def judged(url: str) -> tuple[Verdict, Phase | None]:
    response = http.post(url, {}, b"{}")
    return verdict_of(response), failed_phase(response)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("fault", "verdict", "phase"),
    [
        (answer(200), DELIVERED, None),
        (servers.ten_megabytes, DELIVERED, None),  # the first 64 KB and the status are enough
        (answer(500), NOT_200, None),
        (answer(302, "Location: /"), NOT_200, None),
        (servers.hang, NO_COMPLETE_RESPONSE, Phase.WAITING),
        (servers.hang_up, NO_COMPLETE_RESPONSE, Phase.WAITING),
        (servers.garbage, NO_COMPLETE_RESPONSE, Phase.WAITING),
        (servers.drip, NO_COMPLETE_RESPONSE, Phase.DOWNLOAD),
        (servers.reset, NO_COMPLETE_RESPONSE, Phase.DOWNLOAD),
        (servers.cut_off, NO_COMPLETE_RESPONSE, Phase.DOWNLOAD),
        (servers.flood_of_headers, NO_COMPLETE_RESPONSE, Phase.DOWNLOAD),
        (raw_response(b"HTTP/1.1 200 OK\r\nWarning\r\n\r\n"), NO_COMPLETE_RESPONSE, Phase.DOWNLOAD),
        (raw_response(TLS_SERVER), NOT_REACHED, Phase.WAITING),
    ],
)
def test_the_response_decides_the_verdict(fault: Fault, verdict: Verdict, phase: Phase | None) -> None:
    with faulty(fault) as port:
        assert judged(f"http://localhost:{port}/hook") == (verdict, phase)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("server", "phase"),
    [(servers.refusing, Phase.CONNECT), (servers.not_accepting, Phase.CONNECT), (servers.silent, Phase.TLS)],
)
def test_without_a_connection_the_endpoint_is_not_reached(
    server: Callable[[], AbstractContextManager[int]], phase: Phase
) -> None:
    with server() as port:
        assert judged(f"https://127.0.0.1:{port}/hook") == (NOT_REACHED, phase)


def test_an_unknown_name_and_a_blocked_address_are_not_reached(settings: Settings) -> None:
    assert judged("http://nowhere.invalid/") == (NOT_REACHED, Phase.DNS)
    settings.HOOKS_ALLOW_NETWORKS = []
    assert judged("http://169.254.169.254/") == (NOT_REACHED, Phase.CONNECT)


@contextmanager
def trusted(tmp_path: Path, settings: Settings) -> Iterator[trustme.CA]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    yield authority


def test_a_rejected_certificate_is_a_tls_failure(tmp_path: Path, settings: Settings) -> None:
    with trusted(tmp_path, settings) as authority, faulty(answer(200), tls=expired(authority)) as port:
        assert judged(f"https://localhost:{port}/hook") == (NOT_REACHED, Phase.TLS)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_response_cut_off_over_tls_was_received(
    tmp_path: Path, settings: Settings, version: ssl.TLSVersion
) -> None:
    with trusted(tmp_path, settings) as authority:
        context = server_context(authority.issue_cert("localhost"))
        context.minimum_version = context.maximum_version = version
        cut = raw_response(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
        with faulty(cut, tls=context) as port:
            assert judged(f"https://localhost:{port}/hook") == (NO_COMPLETE_RESPONSE, Phase.DOWNLOAD)


@pytest.mark.parametrize(
    ("outcome", "error", "shown"),
    [
        (Outcome.TIMEOUT, "response", ""),
        (Outcome.TIMEOUT, "answer body", ""),  # of 0.1.0
        (Outcome.TIMEOUT, "Connection timed out", "Connection timed out"),
        (Outcome.BLOCKED, "metadata", ""),
        (Outcome.REFUSED, "Connection refused", "Connection refused"),
    ],
)
def test_internal_words_are_not_shown_as_errors(outcome: Outcome, error: str, shown: str) -> None:
    assert technical_error(http.Response(outcome, error=error)) == shown
