"""The configurations of deploy/nginx, deploy/caddy and deploy/haproxy, run with a certificate of a test authority."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from django.http import HttpResponse

from tests.chatapi.runtime.web.serving import serving, wait_until
from tests.product import ROOT, free_port
from tests.proxies import SHIPPED, UNCHECKED, Front, proxy, replaced, shipped, tls_proxy
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
    certificate = authority.issue_cert("localhost")
    with tls_proxy(request.param, target.port, folder, certificate, UNCHECKED[request.param]) as running:
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
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
    }
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

    if "nginx" in str(front.folder):  # the others leave it to the site, whose response says more
        assert requests.post(front.url, data=body + b"1", verify=trusted, timeout=60).status_code == 413
    target.requests.clear()


@pytest.mark.parametrize("name", list(SHIPPED))
def test_no_log_has_a_secret(name: str, authority: trustme.CA, trusted: str, tmp_path: Path) -> None:
    """Neither a query string nor a secret in a path, although no request can be passed on: nothing listens behind."""
    shown = {
        "/status?token=s3cret": "/status",
        "/channels/telegram/s3cret": "/channels/telegram/...",
        "/shared/s3cret/body/?a=s3cret": "/shared/...",
        "/media/s3cret/photo.jpg": "/media/...",
        "/accounts/password/reset/key/2-s3cret/": "/accounts/password/reset/key/...",
        "/accounts/confirm-email/s3cret/": "/accounts/confirm-email/...",
    }
    with tls_proxy(name, free_port(), tmp_path, authority.issue_cert("localhost")) as front:
        headers = {"Referer": f"{front.url}/shared/s3cret/", "Cookie": "sessionid=s3cret"}
        for path in shown:
            response = requests.get(front.url + path, headers=headers, verify=trusted, timeout=60)
            assert response.status_code in (502, 503)
        ambiguous = b"GET /status?token=s3cret HTTP/1.1\r\nHost: a\r\nX Y: s3cret\r\n\r\n"
        context = ssl.create_default_context(cafile=trusted)
        with (
            socket.create_connection(("localhost", front.port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(ambiguous)
            client.recv(100)
        wait_until(lambda: all(path in logged(tmp_path) for path in shown.values()))
    assert "s3cret" not in logged(tmp_path)


def logged(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.log"))


def test_haproxy_accepts_the_shipped_file(authority: trustme.CA, tmp_path: Path) -> None:
    """As it is, with a certificate: without a warning."""
    (tmp_path / "both.pem").write_bytes(
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes()
    )
    text = replaced(shipped("haproxy"), {"/etc/haproxy/chat.example.com.pem": f"{tmp_path}/both.pem"})
    (tmp_path / "haproxy.cfg").write_text(text)
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "haproxy is not installed: apt-get install haproxy"
    done = subprocess.run(
        [program, "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_haproxy_sends_requests_to_the_web_servers_that_are_ready(tmp_path: Path) -> None:
    """While one of two is not ready or has been stopped, no request fails: as in a rolling upgrade."""
    is_ready = True

    def of_first(environ: dict[str, Any]) -> HttpResponse:
        return HttpResponse(
            b"first", status=503 if environ["PATH_INFO"] == "/readyz" and not is_ready else 200
        )

    with ExitStack() as stack:
        stopped = stack.enter_context(ExitStack())
        first = stopped.enter_context(serving(of_first))
        second = stack.enter_context(serving(lambda environ: HttpResponse(b"second")))
        edits = {f"server web2 127.0.0.1:{first.port}": f"server web2 127.0.0.1:{second.port}"}
        port = stack.enter_context(proxy("haproxy", first.port, tmp_path, edits))

        def ask() -> str:
            response = requests.post(f"http://127.0.0.1:{port}/", data=b"x", timeout=60)
            assert response.status_code == 200
            return response.text

        assert {ask(), ask()} == {"first", "second"}
        is_ready = False
        wait_until(lambda: {ask() for _ in range(4)} == {"second"})
        is_ready = True
        wait_until(lambda: {ask() for _ in range(4)} == {"first", "second"})
        stopped.close()  # its port refuses connections from now on, and HAProxy has not noticed
        assert {ask() for _ in range(4)} == {"second"}
