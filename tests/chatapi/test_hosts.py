"""Pages respond to the host names of the site only, URLs for programs to every name; which networks are allowed."""

import http.client
import json
import socket
from pathlib import Path

import pytest
from django.conf import settings
from django.core.checks import Warning
from django.test import Client, override_settings
from pytest_django.fixtures import Settings

from chatapi.checks import messages_of
from chatapi.hosts import is_for_programs
from chatapi.runtime.doctor.checklist import BY_NAME
from tests.chatapi.permissions import ADDRESSES, World
from tests.chatapi.test_settings import settings as settings_of
from tests.product import Product, free_port

REBOUND = "rebound.attacker.example"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
# Every other URL is a page, or one that reads a cookie.
FOR_PROGRAMS = {
    "healthz", "front", "readyz", "bin", "media", "contract", "contract-by-query", "contract-setting-by-query",
    "channels:callback",
}  # fmt: skip


@pytest.mark.django_db
def test_every_page_refuses_the_name_of_another_site() -> None:
    world = World()
    client = world.client("owner")
    for name in ADDRESSES:
        for method in ("GET", "POST"):
            path = "/admin/" if name.startswith("admin:") else world.address(name)
            response = client.generic(method, path, HTTP_HOST=REBOUND)
            refused = response.status_code == 400 and b"ALLOWED_HOSTS" in response.content
            is_open = name in FOR_PROGRAMS or name.startswith("instances-api:")
            assert refused != is_open, (name, method, response.status_code)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/", "/accounts/login/", "/api/docs/", "/api/contract/", "/metrics", "/nosuch/page"]
)
def test_a_refusal_says_what_to_do(client: Client, path: str) -> None:
    page = client.get(path, headers=HTML, HTTP_HOST=f"{REBOUND}:8000")
    assert (page.status_code, next(template.name for template in page.templates)) == (
        400,
        "unknown_host.html",
    )
    text = page.content.decode()
    assert REBOUND in text
    assert f'href="{settings.SITE_URL}"' in text
    assert "Set-Cookie" not in page.headers
    answer = client.get(path, HTTP_HOST=REBOUND)
    assert answer.json() == {
        "error": f"Pages of this site do not respond to the host name {REBOUND}. Use {settings.SITE_URL}, or add the "
        "name to ALLOWED_HOSTS."
    }
    assert (
        client.get(path, headers={"HX-Request": "true"}, HTTP_HOST=REBOUND).content.decode()
        in answer.json()["error"]
    )


@pytest.mark.parametrize(
    "host", ['"><script>alert(1)</script>', "a b", "\xff", "x" * 5000, "[::1", "a@b", "x:y"]
)
def test_a_refusal_shows_no_host_that_is_none(client: Client, host: str) -> None:
    page = client.get("/", headers=HTML, HTTP_HOST=host)
    assert page.status_code == 400
    assert len(page.content) < 16 * 1024
    assert host not in page.content.decode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/instance12345/status", True), ("//instance12345//status", True), ("/sendMessage", True),
        ("//status//", True),
        ("/settings/ackNotificationsOn", True), ("//settings//ackNotificationsOn/", True), ("/bin/abcd1234/x", True),
        ("/api/v1/instances", True), ("/healthz", True), ("/media/a/b", True),
        ("/", False), ("/instances/12345/", False), ("/api/docs/", False), ("/api/schema/", False),
        ("/healthz/", False),
        ("/accounts/login/", False), ("/bins", False), ("/metrics", False), ("/shared/x/", False), ("/admin/", False),
        ("/account/export/", False), ("/testing/bins/abcd1234/", False), ("/settings/", True),
        ("/settings/a/b", False),
    ],
)  # fmt: skip
def test_which_paths_are_for_programs(path: str, expected: bool) -> None:
    assert is_for_programs(path) is expected


def test_metrics_respond_to_every_name_if_they_need_a_token(client: Client, settings: Settings) -> None:
    assert client.get("/metrics", HTTP_HOST=REBOUND).status_code == 400
    settings.METRICS_TOKEN = "0123456789abcdef"
    assert client.get("/metrics", HTTP_HOST="10.0.0.7:8000").status_code == 401


@pytest.mark.django_db
def test_a_listed_name_is_served(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["chat.example.com", ".example.org", "192.168.1.7"]
    for host, status in (
        ("chat.example.com", 200), ("CHAT.Example.COM.:8443", 200), ("a.b.example.org", 200), ("192.168.1.7:8000", 200),
        ("chat.example.com.attacker.example", 400), ("192.168.1.70", 400), ("localhost", 400), ("", 400),
    ):  # fmt: skip
        assert client.get("/accounts/login/", HTTP_HOST=host).status_code == status, host


@pytest.mark.django_db
def test_rest_does_not_read_the_cookie_and_links_to_the_site() -> None:
    world = World()
    client = world.client("owner")
    assert client.get("/api/v1/instances", HTTP_HOST=REBOUND).status_code == 401
    key = {"Authorization": f"Bearer {world.keys['owner']}"}
    found = client.get("/api/v1/instances?limit=1", headers=key, HTTP_HOST=REBOUND)
    assert found.status_code == 200
    assert REBOUND not in found.content.decode()


@pytest.mark.django_db
def test_a_bin_shows_the_host_and_the_cookie_that_were_sent() -> None:
    world = World()
    client = world.client("owner")
    client.cookies["theirs"] = "1"
    client.post(f"/bin/{world.bin.key}", b"{}", "application/json", HTTP_HOST=REBOUND)
    headers = dict(world.bin.captures.order_by("-number")[0].headers)
    assert headers["host"] == REBOUND
    assert headers["cookie"] == "theirs=1"  # never the session: a capture may be shared


# -- over sockets


def status_of(product: Product, request: str) -> tuple[int, str]:
    """The status and the body of a request sent byte for byte."""
    with socket.create_connection(("127.0.0.1", product.port), timeout=30) as connection:
        connection.sendall(request.encode("latin-1"))
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read().decode()


PAGE = "/accounts/login/"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LocalHost:1", True),
        ("localhost.", True),
        ("127.0.0.1:8000", True),
        ("[::1]", True),
        ("[::1]:8000", True),
        (REBOUND, False),
        (f"{REBOUND}:8000", False),
        ("localhost.attacker.example", False),
        ("attacker.example#localhost", False),
        ("localhost@attacker.example", False),
        ("attacker.example@localhost", False),
        ("192.168.1.7:8000", False),
        ("0.0.0.0", False),
        ("127.0.0.1.attacker.example", False),
        ("[::1].attacker.example", False),
        ("[::ffff:127.0.0.1]", False),
        ("localhost localhost", False),
        ("localhost, attacker.example", False),
        ("", False),
    ],
)
def test_the_host_header_of_a_page(product: Product, host: str, allowed: bool) -> None:
    status, _ = status_of(product, f"GET {PAGE} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert status == (200 if allowed else 400)


@pytest.mark.parametrize(
    ("target", "hosts", "expected"),
    [
        (f"http://{REBOUND}{PAGE}", ["localhost"], 400),
        (f"http://{REBOUND}:80{PAGE}", [REBOUND], 400),
        (f"http://localhost@{REBOUND}{PAGE}", ["localhost"], 400),
        (f"http://localhost{PAGE}", [REBOUND], 200),  # the target's host counts (RFC 9112, section 3.2.2)
        (PAGE, ["localhost", REBOUND], 400),
        (PAGE, [REBOUND, "localhost"], 400),
        (PAGE, ["localhost", "localhost"], 400),
        (PAGE, [], 400),
    ],
)
def test_an_absolute_target_two_hosts_and_none(
    product: Product, target: str, hosts: list[str], expected: int
) -> None:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    status, _ = status_of(product, f"GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
    assert status == expected


@pytest.mark.parametrize("host", [REBOUND, "10.0.0.7:8000", "host.docker.internal:8000", "chat_api:8000"])
def test_programs_may_use_every_name(product: Product, host: str) -> None:
    product.wait_for_ready()  # a test before this one may have restarted a part of it
    instance = product.demo["instances"][0]
    paths = {
        "/healthz": 200,
        "/readyz": 200,
        f"/instance{instance['id']}/status?token={instance['token']}": 200,
        f"/status?instanceId={instance['id']}&token={instance['token']}": 200,
        "/api/v1/instances": 401,
        "/bin/zzzzzzzz": 404,
        "/static/img/logo.svg": 200,
    }
    found = {
        path: status_of(product, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")[0]
        for path in paths
    }
    assert found == paths


# -- settings


@pytest.mark.parametrize(
    ("environment", "hosts"),
    [
        ({}, ["localhost", "127.0.0.1", "[::1]"]),
        (
            {"SITE_URL": "https://Chat.Example.com:8443/"},
            ["chat.example.com", "localhost", "127.0.0.1", "[::1]"],
        ),
        ({"SITE_URL": "http://[fd00::7]:8000"}, ["[fd00::7]", "localhost", "127.0.0.1", "[::1]"]),
        (
            {"SITE_URL": "https://bücher.example"},
            ["xn--bcher-kva.example", "localhost", "127.0.0.1", "[::1]"],
        ),
        (
            {"ALLOWED_HOSTS": "Chat.LAN., fd00::8,.example.org,*"},
            ["localhost", "chat.lan", "[fd00::8]", ".example.org", "*", "127.0.0.1", "[::1]"],
        ),
    ],
)
def test_which_names_are_allowed(tmp_path: Path, environment: dict[str, str], hosts: list[str]) -> None:
    assert settings_of(tmp_path, "ALLOWED_HOSTS", **environment) == {"ALLOWED_HOSTS": hosts}


@pytest.mark.parametrize(
    ("environment", "allowed"),
    [
        ({}, True),
        ({"HOST": "localhost"}, True),
        ({"HOST": "::1"}, True),
        ({"HOST": "0.0.0.0"}, False),
        ({"HOST": "::"}, False),
        ({"HOST": "192.168.1.7"}, False),
        ({"SITE_URL": "https://chat.example.com"}, False),
        ({"SITE_URL": "http://chat.lan"}, True),
        ({"DATABASE_URL": "postgresql://a:b@c/d"}, False),
    ],
)
def test_private_networks_are_allowed_only_on_a_laptop(
    tmp_path: Path, environment: dict[str, str], allowed: bool
) -> None:
    found = settings_of(tmp_path, "HOOKS_ALLOW_NETWORKS", "LAPTOP_NETWORKS", **environment)
    assert found["HOOKS_ALLOW_NETWORKS"] == (found["LAPTOP_NETWORKS"] if allowed else [])
    listed = settings_of(tmp_path, "HOOKS_ALLOW_NETWORKS", HOOKS_ALLOW_NETWORKS="10.0.0.0/8", **environment)
    assert listed == {"HOOKS_ALLOW_NETWORKS": ["10.0.0.0/8"]}


def test_a_check_says_why_private_networks_are_refused() -> None:
    assert messages_of(BY_NAME["refused-networks"]) == []
    with override_settings(IS_LAPTOP=False, HOST="0.0.0.0"):
        [message] = messages_of(BY_NAME["refused-networks"])
        with override_settings(PRIVATE_NETWORKS_UNSET=False):
            assert messages_of(BY_NAME["refused-networks"]) == []
        with override_settings(EMBEDDED_POSTGRES=False):
            assert messages_of(BY_NAME["refused-networks"]) == []
    assert isinstance(message, Warning)
    assert (message.id, message.msg) == (
        "chatapi.W004",
        "HOOKS_ALLOW_NETWORKS: hooks to loopback and private networks are refused, because HOST is 0.0.0.0.",
    )
    with override_settings(IS_LAPTOP=False, HTTPS=True):
        assert "because SITE_URL starts with https://." in messages_of(BY_NAME["refused-networks"])[0].msg


def test_a_deploy_check_warns_of_every_name() -> None:
    assert messages_of(BY_NAME["host-names"]) == []
    with override_settings(ALLOWED_HOSTS=["localhost", "*"]):
        assert [message.id for message in messages_of(BY_NAME["host-names"])] == ["chatapi.W001"]


def test_up_says_that_private_networks_are_refused_and_serves_the_listed_name(tmp_path: Path) -> None:
    port = free_port()
    with Product(tmp_path, port, HOST="0.0.0.0", SITE_URL=f"http://192.168.1.7:{port}") as product:
        line = next(line for line in product.lines if line.startswith("Warning: HOOKS_ALLOW_NETWORKS"))
        assert line == (
            "Warning: HOOKS_ALLOW_NETWORKS: hooks to loopback and private networks are refused, because HOST is "
            "0.0.0.0. List your bots' networks: HOOKS_ALLOW_NETWORKS=127.0.0.0/8,192.168.1.0/24; empty: none."
        )
        end = "Connection: close\r\n\r\n"
        assert status_of(product, f"GET {PAGE} HTTP/1.1\r\nHost: 192.168.1.7:{port}\r\n{end}")[0] == 200
        status, body = status_of(product, f"GET {PAGE} HTTP/1.1\r\nHost: {REBOUND}\r\n{end}")
        assert (status, f"http://192.168.1.7:{port}" in json.loads(body)["error"]) == (400, True)
