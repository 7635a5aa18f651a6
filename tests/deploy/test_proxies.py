"""The configurations of deploy/nginx and deploy/caddy, run with a certificate of a test authority."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme

from tests.product import ROOT, free_port
from tests.proxies import SHIPPED, Front, tls_proxy
from tests.receiver import Receiver

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the authority's certificate."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="module")
def target() -> Iterator[Receiver]:
    """The server behind the proxy. It records requests."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module", params=list(SHIPPED))
def front(
    request: pytest.FixtureRequest,
    authority: trustme.CA,
    target: Receiver,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp(request.param)
    with tls_proxy(request.param, target.port, folder, authority.issue_cert("localhost")) as running:
        yield running


def test_caddy_accepts_the_shipped_file(tmp_path: Path) -> None:
    """As it is, with the domain; nginx reads its file in the tests below only, because it opens the certificates."""
    program = shutil.which("caddy")
    assert program, "caddy is not installed: apt-get install caddy"
    done = subprocess.run(
        [program, "validate", "--config", str(ROOT / SHIPPED["caddy"]), "--adapter", "caddyfile"],
        env={"HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"level":"warn"' not in done.stderr  # also of a file that `caddy fmt` would change


def test_what_a_client_says_about_its_connection_is_replaced(
    front: Front, target: Receiver, trusted: str
) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    response = requests.get(f"{front.url}/page?a=1", headers=forged, verify=trusted, timeout=60)
    assert response.status_code == 200
    received = target.requests[-1]
    assert received.path == "/page?a=1"
    assert received.headers["x-forwarded-for"] == "127.0.0.1"
    assert received.headers["x-forwarded-proto"] == "https"
    assert received.headers["host"].partition(":")[0] == "localhost"


def test_http_leads_to_https(front: Front) -> None:
    response = requests.get(f"http://localhost:{front.http_port}/page?a=1", timeout=60, allow_redirects=False)
    assert response.status_code == 308
    assert response.headers["Location"].startswith("https://localhost")
    assert response.headers["Location"].endswith("/page?a=1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_1_1_is_refused(front: Front, trusted: str) -> None:
    context = ssl.create_default_context(cafile=trusted)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    connection = http.client.HTTPSConnection("localhost", front.port, context=context, timeout=60)
    with pytest.raises(ssl.SSLError):
        connection.request("GET", "/")


def test_urls_and_bodies_pass_up_to_the_limits_of_the_site(
    front: Front, target: Receiver, trusted: str
) -> None:
    path = "/" + "a" * 60_000
    assert requests.get(front.url + path, verify=trusted, timeout=60).status_code == 200
    assert target.requests[-1].path == path

    body = bytes(70 * MIB)
    assert requests.post(front.url, data=body, verify=trusted, timeout=60).status_code == 200
    assert len(target.requests[-1].body) == len(body)

    if "nginx" in str(front.folder):  # Caddy leaves it to the site, whose response says more
        assert requests.post(front.url, data=body + b"1", verify=trusted, timeout=60).status_code == 413
    target.requests.clear()


@pytest.mark.parametrize("name", list(SHIPPED))
def test_no_log_has_a_query_string(name: str, authority: trustme.CA, trusted: str, tmp_path: Path) -> None:
    """Nor one of a request that the proxy could not pass on: nothing listens behind it."""
    with tls_proxy(name, free_port(), tmp_path, authority.issue_cert("localhost")) as front:
        response = requests.get(f"{front.url}/status?token=secret", verify=trusted, timeout=60)
        assert response.status_code == 502
    logged = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert "/status" in logged
    assert "secret" not in logged
