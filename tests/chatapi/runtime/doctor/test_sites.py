"""Planted faults between the users and the web server: SITE_URL, TLS, and what a proxy does with requests."""

from __future__ import annotations

import fcntl
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import time_machine
import trustme
from django.test import Client
from pytest_django.fixtures import Settings

from chatapi.runtime.doctor import site as site_checks
from chatapi.runtime.doctor.checklist import BY_NAME
from chatapi.runtime.doctor.findings import Level
from chatapi.runtime.doctor.front import PATH, PROOF_HEADER, VALID_SECONDS, make_proof
from chatapi.runtime.doctor.redaction import redact
from chatapi.runtime.doctor.runs import carry_out
from chatapi.runtime.doctor.site import ask_front
from chatapi.runtime.doctor.site_report import NAME, read_report
from chatapi.runtime.doctor.start_watch import (
    FIRST_ATTEMPTS,
    LOCK,
    REPEAT_SECONDS,
    watch,
    watch_as_only_process,
)
from tests.chatapi.runtime.doctor.conftest import PointedAt
from tests.chatapi.runtime.doctor.finding import find, found
from tests.chatapi.runtime.web.serving import wait_until
from tests.faults.certificates import expired, self_signed, server_context
from tests.faults.databases import Database
from tests.product import READY_SECONDS, Product, free_port
from tests.proxies import SHIPPED, tls_proxy

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)

# Lines of the shipped nginx configuration, which faults replace.
HOST = "proxy_set_header Host $host;"
ADDRESS = "proxy_set_header X-Forwarded-For $remote_addr;"
SCHEME = "proxy_set_header X-Forwarded-Proto $scheme;"

WARNING, ERROR = Level.WARNING, Level.ERROR
BEHIND_FRONT = (
    "site-certificate", "proxy-host", "proxy-headers", "proxy-limit", "proxy-url-limit", "proxy-removed-headers",
    "proxy-cache",
)  # fmt: skip


class Site:
    """A running site with an https SITE_URL, and the settings of the checks that look at it."""

    def __init__(self, product: Product, authority: trustme.CA, folder: Path, settings: Settings) -> None:
        self.product, self.authority, self.folder, self.settings = product, authority, folder, settings
        settings.HTTPS = True
        settings.PORT = product.port
        settings.HOOKS_CA_FILE = str(folder / "ca.pem")
        settings.SECRET_KEY = (product.data_dir / "secret_key").read_text().strip()
        settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
        settings.SITE_URL = f"https://localhost:{free_port()}"  # nothing listens there


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, trustme.CA, Path]]:
    folder = tmp_path_factory.mktemp("site")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    port, target = free_port(), free_port()
    certificate = authority.issue_cert("localhost")
    with (
        tls_proxy("nginx", target, folder / "nginx", certificate, {SCHEME: ""}, port) as front,
        Product(
            folder / "data", target, SITE_URL=front.url, HOOKS_CA_FILE=str(folder / "ca.pem"), STANDBY="0"
        ) as product,
    ):
        yield product, authority, folder


@pytest.fixture
def site(running: tuple[Product, trustme.CA, Path], settings: Settings) -> Site:
    return Site(*running, settings)


@contextmanager
def fronted(
    site: Site,
    folder: Path,
    edits: dict[str, str] | None = None,
    *,
    name: str = "nginx",
    certificate: trustme.LeafCert | None = None,
    target: int | None = None,
) -> Iterator[None]:
    """Runs a proxy in front of the site with the shipped configuration and these edits, and points SITE_URL to it."""
    certificate = certificate or site.authority.issue_cert("localhost")
    with tls_proxy(name, target or site.product.port, folder, certificate, edits) as front:
        site.settings.SITE_URL = front.url
        yield


@pytest.mark.parametrize("name", list(SHIPPED))
def test_a_proxy_as_shipped(site: Site, tmp_path: Path, pointed_at: PointedAt, name: str) -> None:
    with fronted(site, tmp_path, name=name):
        found("site-url", ERROR, "SITE_URL leads to a site with another database.", "same DATABASE_URL")
        with pointed_at(HOST=str(site.product.data_dir / "pg" / "socket"), PORT="5432", NAME="chatapi"):
            for name in ("site-url", *BEHIND_FRONT):
                assert find(name) == [], name


# -- SITE_URL does not lead to the site


def test_no_web_server(site: Site) -> None:
    site.settings.PORT = free_port()
    finding = found(
        "site-url", ERROR, f"does not respond on this machine, at port {site.settings.PORT}", "manage.py up"
    )
    assert finding.detail == "Connection refused"
    for name in BEHIND_FRONT:  # no pass
        assert carry_out(BY_NAME[name]).reason == "SITE_URL does not respond"


def test_no_proxy(site: Site) -> None:
    found(
        "site-url", ERROR, "SITE_URL cannot be reached from this machine", "the proxy is running and listens"
    )


def test_a_name_that_cannot_be_resolved(site: Site) -> None:
    site.settings.SITE_URL = "https://chat.invalid"
    finding = found("site-url", ERROR, "SITE_URL cannot be reached from this machine", "Create the DNS entry")
    assert finding.detail == "the host name cannot be resolved"


@contextmanager
def tls_server(
    context: ssl.SSLContext | None, status: int = 200, location: str = "", *, is_endless: bool = False
) -> Iterator[int]:
    """A web server that is not the site."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            if is_endless:
                self.end_headers()
                with suppress(ConnectionError):
                    while True:
                        self.wfile.write(b"x")
                        time.sleep(0.01)
            else:
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("expired", "certificate has expired"),
        ("another name", "Hostname mismatch"),
        ("self-signed", "self-signed certificate"),
    ],
)
def test_a_certificate_that_is_not_valid(site: Site, tmp_path: Path, kind: str, detail: str) -> None:
    context = {
        "expired": lambda: expired(site.authority),
        "another name": lambda: server_context(site.authority.issue_cert("other.example.com")),
        "self-signed": lambda: self_signed(tmp_path),
    }[kind]()
    with tls_server(context) as port:
        site.settings.SITE_URL = f"https://localhost:{port}"
        finding = found(
            "site-url", ERROR, "SITE_URL cannot be reached from this machine", "Renew the certificate"
        )
    assert detail in finding.detail
    name = {"another name": "other.example.com"}.get(kind, "localhost")
    assert f'; it is for host "{name}", valid from ' in finding.detail


def test_a_port_without_tls(site: Site) -> None:
    with tls_server(None) as port:
        site.settings.SITE_URL = f"https://localhost:{port}"
        found("site-url", ERROR, "SITE_URL cannot be reached from this machine", "serves TLS at this port")


def test_another_server(site: Site) -> None:
    with tls_server(server_context(site.authority.issue_cert("localhost"))) as port:
        site.settings.SITE_URL = f"https://localhost:{port}"
        found(
            "site-url", ERROR, "SITE_URL leads to another server: it responds with 200.", "Correct SITE_URL"
        )
        assert carry_out(BY_NAME["proxy-host"]).reason == "SITE_URL is answered by another server"


def test_the_response_of_another_server_that_resembles_ours() -> None:
    """Its text may say anything; without the digest of the database it is none of this site's."""
    for body in (b'{"forwarded_for": ""}', b'["forwarded_for", "database"]', b"{"):
        assert site_checks.Response(200, {}, body, None).seen is None


def test_another_server_whose_response_does_not_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check would keep a thread and a connection, every ten minutes."""
    monkeypatch.setattr(site_checks, "BODY_SECONDS", 0.1)
    with tls_server(None, is_endless=True) as port:
        site.settings.SITE_URL = f"http://localhost:{port}"
        found(
            "site-url", ERROR, "SITE_URL leads to another server: it responds with 200.", "Correct SITE_URL"
        )


def test_a_proxy_that_asks_for_a_password(site: Site, tmp_path: Path) -> None:
    with fronted(site, tmp_path, {"proxy_pass http://chatapi;": "return 401;"}):
        found("site-url", ERROR, "refuses requests: it responds with 401", "Switch off its password")


def test_a_redirect_to_https(site: Site) -> None:
    site.settings.HTTPS = False
    with tls_server(None, 301, "https://localhost/") as port:
        site.settings.SITE_URL = f"http://localhost:{port}"
        found("site-url", ERROR, "the proxy redirects to https://", "Set SITE_URL to the https:// URL")


def test_a_proxy_that_does_not_reach_the_web_server(site: Site, tmp_path: Path) -> None:
    with fronted(site, tmp_path, target=free_port()):
        found(
            "site-url", ERROR, "does not reach the web server: it responds with 502", f":{site.product.port}."
        )


def test_another_secret_key(site: Site, tmp_path: Path) -> None:
    site.settings.SECRET_KEY = "k" * 50
    with fronted(site, tmp_path):
        found(
            "site-url",
            ERROR,
            "a web server with another SECRET_KEY",
            "Give all processes the same SECRET_KEY",
        )


# -- SITE_URL leads to the site, and something is wrong in front


def test_a_certificate_that_expires_soon(site: Site, tmp_path: Path) -> None:
    soon = site.authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=5))
    with fronted(site, tmp_path, certificate=soon):
        found("site-certificate", WARNING, "The certificate of SITE_URL expires in 4 days.", "Renew it")


def test_a_proxy_that_changes_the_host(site: Site, tmp_path: Path) -> None:
    with fronted(site, tmp_path, {HOST: "proxy_set_header Host chat_api;"}):
        finding = found("proxy-host", ERROR, "does not pass on the host name", "proxy_set_header Host $host;")
    assert finding.detail == 'it sent the host "chat_api"'
    assert redact(finding.detail) == "it sent the host <host>"


@pytest.mark.parametrize(
    ("edits", "problem", "next_step"),
    [
        (
            {ADDRESS: 'proxy_set_header X-Forwarded-For "";'},
            "does not set X-Forwarded-For",
            "proxy_set_header",
        ),
        ({ADDRESS: ""}, "passes X-Forwarded-For on as the client sent it", "$proxy_add_x_forwarded_for"),
        ({SCHEME: ""}, "does not set X-Forwarded-Proto to https", "X-Forwarded-Proto $scheme"),
        (
            {
                ADDRESS: 'proxy_set_header X-Forwarded-For "198.51.100.7, 198.51.100.8";'
            },  # a CDN in front of nginx
            "The proxy at 198.51.100.8, in front of another one, is not trusted",
            "TRUSTED_PROXIES=127.0.0.0/8,::1/128,198.51.100.8.",
        ),
    ],
)
def test_a_proxy_that_sets_no_headers(
    site: Site, tmp_path: Path, edits: dict[str, str], problem: str, next_step: str
) -> None:
    with fronted(site, tmp_path, edits):
        found("proxy-headers", ERROR, problem, next_step)


def test_a_proxy_with_a_short_limit(site: Site, tmp_path: Path) -> None:
    with fronted(site, tmp_path, {"client_max_body_size 70m;": ""}):  # nginx's default
        found("proxy-limit", WARNING, "of 70 MB (REQUEST_MAX_BYTES)", "client_max_body_size 70m")


def test_a_proxy_with_short_urls_and_without_some_headers(site: Site, tmp_path: Path) -> None:
    edits = {
        "large_client_header_buffers 4 64k;": "",  # nginx's default
        SCHEME: f'{SCHEME} proxy_set_header Authorization ""; proxy_set_header X-Hub-Signature-256 "";',
    }
    with fronted(site, tmp_path, edits):
        finding = found(
            "proxy-url-limit", WARNING, "refuses long URLs, which this site accepts: of 60 KB", "nginx:"
        )
        assert finding.detail == "it responds with 414"
        found(
            "proxy-removed-headers",
            ERROR,
            ": Authorization, X-Hub-Signature-256.",
            "Let the proxy pass on all",
        )


def test_a_proxy_that_responds_before_it_has_read_a_long_url(site: Site) -> None:
    """It closes the connection while the URL is still being sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    site.authority.issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as proxy, ThreadPoolExecutor() as pool:

        def refuse() -> None:
            with context.wrap_socket(proxy.accept()[0], server_side=True) as connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 414 Long\r\nContent-Length: 0\r\n\r\n")

        pool.submit(refuse)
        response = ask_front(f"https://localhost:{proxy.getsockname()[1]}", padding=8_000_000)
    assert response.status == 414


CADDY, HAPROXY = "transport http {", "option http-buffer-request"
OF_OTHERS = (
    ("caddy", {CADDY: f"header_up Host chat_api\n{CADDY}"}, "proxy-host"),
    ("caddy", {CADDY: f"header_up -X-Forwarded-For\n{CADDY}"}, "proxy-headers"),
    ("caddy", {CADDY: f"header_up X-Forwarded-For {{header.X-Forwarded-For}}\n{CADDY}"}, "proxy-headers"),
    ("caddy", {CADDY: f"header_up X-Forwarded-Proto http\n{CADDY}"}, "proxy-headers"),
    ("caddy", {CADDY: f"header_up -Authorization\n{CADDY}"}, "proxy-removed-headers"),
    ("caddy", {"max_header_size 128KiB": "max_header_size 8KiB"}, "proxy-url-limit"),
    ("haproxy", {HAPROXY: f"http-request set-header Host chat_api\n    {HAPROXY}"}, "proxy-host"),
    ("haproxy", {"http-request set-header X-Forwarded-For %[src]": ""}, "proxy-headers"),
    (
        "haproxy",
        {
            "http-request set-header X-Forwarded-For %[src]": "",
            "http-request del-header X-Forwarded -m beg": "",
        },
        "proxy-headers",
    ),
    ("haproxy", {"http-request set-header X-Forwarded-Proto https if { ssl_fc }": ""}, "proxy-headers"),
    ("haproxy", {HAPROXY: f"http-request del-header Cookie\n    {HAPROXY}"}, "proxy-removed-headers"),
    ("haproxy", {"tune.bufsize 135168": ""}, "proxy-url-limit"),
    ("haproxy", {HAPROXY: "http-request deny deny_status 413 if { req.hdr_val(content-length) gt 1048576 }"},
     "proxy-limit"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "edits", "check"), OF_OTHERS)
def test_a_fault_of_caddy_or_haproxy(
    site: Site, tmp_path: Path, name: str, edits: dict[str, str], check: str
) -> None:
    with fronted(site, tmp_path, edits, name=name):
        assert len(find(check)) == 1
        for other in {"proxy-host", "proxy-headers", "proxy-removed-headers", "proxy-url-limit"} - {check}:
            assert find(other) == []


def test_a_proxy_that_stores_responses(site: Site, tmp_path: Path) -> None:
    cache = (
        "proxy_cache pages; proxy_cache_valid any 1m; "
        "proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;"
    )
    with fronted(site, tmp_path, {SCHEME: f"{SCHEME} {cache}"}):
        found("proxy-cache", ERROR, "The proxy stores responses", "Switch off caching")


def test_a_proxy_that_is_not_trusted(site: Site, tmp_path: Path) -> None:
    """A web server of its own that trusts none."""
    database = Database(tmp_path / "database")
    try:
        with Product(
            tmp_path / "data", DATABASE_URL=database.url, SECRETS_KEY=database.environment["SECRETS_KEY"],
            SITE_URL="https://localhost", TRUSTED_PROXIES="10.1.2.3", STANDBY="0",
        ) as product:  # fmt: skip
            site.settings.SECRET_KEY = (product.data_dir / "secret_key").read_text().strip()
            site.settings.TRUSTED_PROXIES = ["10.1.2.3"]
            with fronted(site, tmp_path / "front", target=product.port):
                found("proxy-headers", ERROR, "The proxy at 127.0.0.1 is not trusted",
                      "TRUSTED_PROXIES=10.1.2.3,127.0.0.1.")  # fmt: skip
    finally:
        database.stop()


# -- the start of a web server


def test_a_start_says_what_is_wrong(site: Site) -> None:
    """The site of these tests was started behind an nginx that does not set X-Forwarded-Proto."""
    expected = (
        "The proxy does not set X-Forwarded-Proto to https: sign-in and forms fail. "
        "nginx: proxy_set_header X-Forwarded-Proto $scheme (docs/running/proxy.md)."
    )
    wait_until(lambda: any(expected in line for line in site.product.lines))
    site.settings.DATA_DIR, site.settings.SITE_URL = (
        site.product.data_dir,
        site.product.environment["SITE_URL"],
    )
    report = read_report()
    assert report is not None
    assert [f"{one.problem} {one.next_step}" for result in report.results for one in result.findings] == [
        expected
    ]
    assert sum(expected in line for line in site.product.lines) == 1


def test_the_site_is_checked_until_nothing_is_wrong(
    site: Site, tmp_path: Path, pointed_at: PointedAt, caplog: pytest.LogCaptureFixture
) -> None:
    """The proxy starts after the web server, with a fault; then the fault is repaired."""
    site.settings.DATA_DIR = tmp_path
    waited: list[float] = []
    with ExitStack() as stack:
        stack.enter_context(
            pointed_at(HOST=str(site.product.data_dir / "pg" / "socket"), PORT="5432", NAME="chatapi")
        )

        def wait(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                edits = {CADDY: f"header_up -Authorization\n{CADDY}"}
                stack.enter_context(fronted(site, tmp_path / "wrong", edits, name="caddy"))
            elif seconds == REPEAT_SECONDS and len(waited) > 3:
                stack.enter_context(fronted(site, tmp_path / "right", name="caddy"))

        watch(wait)
    assert waited == [*FIRST_ATTEMPTS[:2], REPEAT_SECONDS, REPEAT_SECONDS]
    logged = [record.getMessage() for record in caplog.records if record.name == "site"]
    assert [text for text in logged if "removes or changes headers" in text] == logged[:1]
    assert "Nothing is wrong any more between SITE_URL and this site." in logged[1]
    assert len(logged) == 2
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0  # as all files in DATA_DIR
    report = read_report()
    assert report is not None
    assert {result.check.name for result in report.results} == {"site-url", *BEHIND_FRONT}
    assert not any(result.findings or result.reason for result in report.results)


def test_one_web_process_of_a_machine_checks(site: Site, tmp_path: Path) -> None:
    site.settings.DATA_DIR = tmp_path
    with open(tmp_path / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        watch_as_only_process()  # returns at once: it would wait for a proxy
    assert read_report() is None


# -- /healthz/front


@pytest.mark.parametrize(
    "make",
    [
        lambda: "",
        lambda: "x",
        lambda: "1.2",
        lambda: f"{'9' * 30}.x",
        lambda: make_proof(0),
        lambda: f"{make_proof()}0",
    ],
    ids=["none", "no number", "no signature", "a large number", "old", "longer"],
)
def test_the_front_does_not_exist_without_a_proof(client: Client, make: Callable[[], str]) -> None:
    proof = make()
    response = client.get(PATH, headers={PROOF_HEADER: proof})
    assert (response.status_code, response.json()) == (404, {"error": "Not found."})


def test_a_proof_is_valid_for_a_minute(client: Client) -> None:
    with time_machine.travel(datetime.now(UTC), tick=False):
        for age, status in ((0, 200), (VALID_SECONDS - 5, 200), (VALID_SECONDS + 5, 404)):
            response = client.get(PATH, headers={PROOF_HEADER: make_proof(time.time() - age)})
            assert response.status_code == status


def test_the_front_says_what_arrived(site: Site) -> None:
    response = requests.get(
        f"{site.product.url}{PATH}",
        headers={PROOF_HEADER: make_proof(), "Host": "other.example.com", "X-Forwarded-For": "198.51.100.7",
                 "X-Forwarded-Proto": "https"},
        timeout=60,
    )  # fmt: skip
    found = response.json()
    assert (found["host"], found["scheme"], found["client"]) == ("other.example.com", "https", "198.51.100.7")
    assert response.headers["Cache-Control"] == "no-store"
