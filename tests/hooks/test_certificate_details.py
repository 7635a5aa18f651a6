"""The log names the date of an expired certificate and the names of one for another name, from the handshake."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pycurl
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django.fixtures import Settings

from hooks import http
from hooks.certificates import detail
from hooks.explain.sentences import explain_response
from hooks.models import Outcome, Side
from tests.faults.certificates import server_context
from tests.faults.servers import answer, faulty

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
URL = "https://localhost/hook"


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    found: ssl.TLSVersion = request.param
    return found


@pytest.fixture
def authority(tmp_path: Path, settings: Settings) -> trustme.CA:
    """The only certificate authority that the product trusts in this test."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    return authority


def explained(context: ssl.SSLContext, version: ssl.TLSVersion) -> tuple[str, str]:
    context.minimum_version = context.maximum_version = version
    with faulty(answer(200), tls=context) as port:
        got = http.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert got.outcome == Outcome.TLS
    explanation = explain_response(got, url=URL)
    assert explanation.side == Side.ENDPOINT
    return explanation.sentence, explanation.next_step


def test_an_expired_certificate_has_its_date(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    until = datetime(2026, 3, 1, 7, 5, tzinfo=UTC)
    assert explained(server_context(authority.issue_cert("localhost", not_after=until)), version) == (
        "The certificate of localhost expired on 1 March 2026 at 07:05 UTC.",
        "Renew it.",
    )


def test_a_certificate_for_another_name_has_its_names(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    context = server_context(authority.issue_cert("example.org", "*.example.org", "192.0.2.7"))
    assert explained(context, version) == (
        "The certificate of localhost is for another name: example.org, *.example.org, 192.0.2.7.",
        "Get a certificate for localhost, or use the name in the certificate.",
    )


def test_of_many_names_the_first_are_named(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    context = server_context(authority.issue_cert(*[f"shop{n}.example" for n in range(9)]))
    sentence, _ = explained(context, version)
    names = ", ".join(f"shop{n}.example" for n in range(5))
    assert sentence == f"The certificate of localhost is for another name: {names} and 4 others."


def test_a_certificate_not_valid_yet_has_its_date(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    begin = datetime(2099, 1, 31, 23, 59, tzinfo=UTC)
    leaf = authority.issue_cert("localhost", not_before=begin, not_after=begin + timedelta(days=9))
    assert explained(server_context(leaf), version) == (
        "The certificate of localhost is not valid before 31 January 2099 at 23:59 UTC.",
        "Check the date of the certificate and the clocks of both servers.",
    )


def test_an_intermediate_that_expired_is_named(
    tmp_path: Path, settings: Settings, version: ssl.TLSVersion
) -> None:
    """A chain of three: root (trusted), an authority that has expired, and the server's own certificate."""
    now = datetime.now(UTC)
    day = timedelta(days=1)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Root", "Old CA", "Leaf")
    ]

    def issue(at: int, issuer: int, until: datetime) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[at])
            .issuer_name(names[issuer])
            .public_key(keys[at].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 999 * day)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=at < 2, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        return builder.sign(keys[issuer], hashes.SHA256())

    root, old, leaf = (
        issue(0, 0, now + day),
        issue(1, 0, datetime(2026, 2, 3, tzinfo=UTC)),
        issue(2, 1, now + day),
    )
    pem = [trustme.Blob(each.public_bytes(serialization.Encoding.PEM)) for each in (root, old, leaf)]
    pem[0].write_to_path(tmp_path / "ca.pem")
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    path = tmp_path / "server.pem"
    key = keys[2].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(key + pem[2].bytes() + pem[1].bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    assert explained(context, version) == (
        "A certificate in the chain of localhost (Old CA) expired on 3 February 2026 at 00:00 UTC.",
        "Make your server send the current chain (fullchain.pem).",
    )


def test_a_running_dispatcher_reads_the_certificate_from_the_second_handshake_on(
    authority: trustme.CA,
) -> None:
    """While a certificate is valid the handshake is not read, so the first failure after that has no date."""

    def deliver(port: int) -> http.Response:
        transfer = http.Transfer()  # a new handle does not resume a TLS session
        transfer.start(f"https://localhost:{port}/hook", {}, b"{}")
        try:
            transfer.curl.perform()
            return transfer.finish()
        except pycurl.error as error:
            return transfer.finish(*error.args)
        finally:
            transfer.curl.close()

    until = datetime(2026, 3, 1, 7, 5, tzinfo=UTC)
    context = server_context(authority.issue_cert("localhost"))
    with faulty(answer(200, "Connection: close"), tls=context) as port:
        assert deliver(port).outcome == Outcome.OK
        assert f"https://localhost:{port}" in http.TRUSTED_ORIGINS
        authority.issue_cert("localhost", not_after=until).configure_cert(context)
        sentences = [explain_response(deliver(port), url=URL).sentence for _ in range(2)]
    assert sentences == [
        "The certificate of localhost has expired.",
        "The certificate of localhost expired on 1 March 2026 at 07:05 UTC.",
    ]


@pytest.mark.parametrize(
    "handshake", [b"", b"\x0b", b"\x0b\x00\x00\x03\x00\x00\x00", bytes(40), b"\x0b" + b"\xff" * 99]
)
def test_a_handshake_that_cannot_be_read_adds_nothing(handshake: bytes) -> None:
    assert detail("SSL certificate problem: certificate has expired", handshake) == ""
