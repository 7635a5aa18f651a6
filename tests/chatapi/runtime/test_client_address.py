"""The client's IP address comes from trusted proxies alone: in limits, logs, sign-in, bins and /metrics."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from allauth.account.adapter import get_adapter
from django.http import HttpRequest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from chatapi.checks import messages_of
from chatapi.runtime.client_address import (
    FORWARDING_HEADERS,
    PEER,
    REMOVED,
    client_address,
    parse_networks,
    set_client_address,
    trusted_networks,
)
from chatapi.runtime.doctor.checklist import BY_NAME
from instances.limits import rate_counters
from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.models import Capture
from tests.factories import AccountFactory, InstanceFactory
from tests.product import ROOT, Product
from tests.wsgi import call_site

LOOPBACK = ("127.0.0.0/8", "::1/128")
OWN = (*LOOPBACK, "10.0.0.0/28", "fd00:7::/64")
ATTACKER, PROXY = "203.0.113.66", "127.0.0.1"


@pytest.fixture
def instance(db: None) -> Instance:
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), number=12345)


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        # no proxy is trusted: the header says nothing
        ("203.0.113.1", ["198.51.100.1"], (), "203.0.113.1"),
        ("127.0.0.1", ["198.51.100.1"], (), "127.0.0.1"),
        ("203.0.113.1", ["198.51.100.1"], OWN, "203.0.113.1"),
        # one proxy: the last address is the one that it has seen
        ("127.0.0.1", ["198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["127.0.0.1, 198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("::1", ["2001:db8::5"], LOOPBACK, "2001:db8::5"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], LOOPBACK, "198.51.100.1"),
        # two proxies, one behind the other
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.5"], OWN, "198.51.100.1"),
        ("fd00:7::1", ["198.51.100.1, fd00:7::2"], OWN, "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 10.0.0.99"], OWN, "10.0.0.99"),  # not in the /28
        # only proxies: the first of them has sent the request itself
        ("127.0.0.1", ["10.0.0.5, 10.0.0.6"], OWN, "10.0.0.5"),
        ("127.0.0.1", [], LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", [""], LOOPBACK, "127.0.0.1"),
        # spellings of proxies
        ("127.0.0.1", ["198.51.100.1:4711"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["[2001:db8::5]:4711"], LOOPBACK, "2001:db8::5"),
        ("127.0.0.1", ["2001:DB8:0:0::5"], LOOPBACK, "2001:db8::5"),
        ("127.0.0.1", ["fe80::1%eth0"], LOOPBACK, "fe80::1"),
        ("127.0.0.1", ["::ffff:198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1\t,10.0.0.5 "], OWN, "198.51.100.1"),
        # no address: the proxy that sent it is the client
        ("127.0.0.1", ["unknown"], LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", ["6.6.6.6, unknown"], LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", ["6.6.6.6, unknown, 10.0.0.5"], OWN, "10.0.0.5"),
        ("127.0.0.1", ["6.6.6.6,"], LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", ["x" * 5000], LOOPBACK, "127.0.0.1"),
        # a socket file
        ("", ["198.51.100.1"], OWN, ""),
    ],
)
def test_the_address_is_the_last_one_that_no_trusted_proxy_has(
    peer: str, forwarded: list[str], trusted: tuple[str, ...], address: str
) -> None:
    assert client_address(peer, forwarded, parse_networks(trusted)) == address


@given(st.lists(st.text(max_size=20), max_size=5))
def test_what_a_client_writes_never_changes_its_address(written: list[str]) -> None:
    seen_by_proxy = [*written, "198.51.100.1"]
    assert client_address("127.0.0.1", [",".join(seen_by_proxy)], parse_networks(LOOPBACK)) == "198.51.100.1"
    assert client_address("203.0.113.1", written, parse_networks(LOOPBACK)) == "203.0.113.1"


def test_a_clients_forwarding_headers_are_moved_aside() -> None:
    headers = dict.fromkeys(FORWARDING_HEADERS, "198.51.100.1")
    environ = {"REMOTE_ADDR": ATTACKER, "HTTP_HOST": "x", **headers}
    set_client_address(environ, parse_networks(LOOPBACK))
    assert environ == {"REMOTE_ADDR": ATTACKER, "HTTP_HOST": "x", PEER: ATTACKER, REMOVED: headers}


def test_a_proxys_forwarding_headers_stay() -> None:
    headers = dict.fromkeys(FORWARDING_HEADERS, "198.51.100.1")
    environ = {"REMOTE_ADDR": PROXY, **headers}
    set_client_address(environ, parse_networks(LOOPBACK))
    set_client_address(environ, parse_networks(LOOPBACK))  # a second time, as if it were the peer's
    assert environ == {"REMOTE_ADDR": "198.51.100.1", PEER: PROXY, **headers}


def wrong_tokens(times: int, peer: str, last: str) -> list[int]:
    return [
        call_site(
            f"/instance12345/status?token=wrong{number}",
            peer=peer,
            headers={"X-Forwarded-For": f"198.51.100.{number}{last}", "X-Real-IP": f"198.51.100.{number}"},
        ).status
        for number in range(times)
    ]


@pytest.mark.usefixtures("same_minute")
@pytest.mark.parametrize(("peer", "last"), [(ATTACKER, ""), (PROXY, f", {ATTACKER}")])
def test_wrong_tokens_count_for_one_client_whatever_it_forges(
    instance: Instance, settings: Settings, peer: str, last: str
) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 3
    assert wrong_tokens(5, peer, last) == [401, 401, 401, 429, 429]


def test_clients_behind_a_proxy_are_counted_apart(instance: Instance, settings: Settings) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 3
    assert wrong_tokens(5, PROXY, "") == [401] * 5


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_sign_in_counts_for_one_client_whatever_it_forges(header: str, settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"sign_up": "2/m/ip", "signup": None}
    codes = [
        call_site(
            "/accounts/signup/",
            peer=ATTACKER,
            form={"csrfmiddlewaretoken": "a" * 32},
            headers={header: f"198.51.100.{number}", "Cookie": f"csrftoken={'a' * 32}"},
        ).status
        for number in range(4)
    ]
    assert codes == [200, 200, 429, 429]


@pytest.mark.parametrize("trusted", [[], ["127.0.0.1"]])
def test_allauth_reads_no_header_itself(trusted: list[str], settings: Settings) -> None:
    settings.TRUSTED_PROXIES = trusted
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 198.51.100.1"}
    set_client_address(request.META, trusted_networks())
    assert get_adapter().get_client_ip(request) == ("198.51.100.1" if trusted else "127.0.0.1")


@pytest.mark.parametrize(("peer", "remote"), [(ATTACKER, ATTACKER), (PROXY, "198.51.100.1")])
def test_a_bin_stores_the_clients_address_and_shows_the_headers_that_came(
    instance: Instance, peer: str, remote: str
) -> None:
    key = bin_actions.open_bin(instance).key
    sent = {"X-Forwarded-For": "6.6.6.6, 198.51.100.1", "X-Real-IP": "6.6.6.7"}
    assert call_site(f"/bin/{key}", peer=peer, headers=sent).status == 200
    [capture] = Capture.objects.all()
    assert capture.remote_address == remote
    shown = dict(capture.headers)
    assert (shown["x-forwarded-for"], shown["x-real-ip"]) == tuple(sent.values())


@pytest.mark.django_db
def test_metrics_stay_closed_behind_a_proxy_that_is_not_trusted(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = []
    assert call_site("/metrics").status == 200
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"):
        assert call_site("/metrics", headers={name: "127.0.0.1"}).status == 403


def test_the_log_has_the_address_that_the_proxy_saw(product: Product) -> None:
    others = ("X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Client-IP", "X-Cluster-Client-IP")
    requests.get(
        f"{product.url}/instance1/logged?token=wrong",
        headers={"X-Forwarded-For": "6.6.6.6, 198.51.100.23"} | dict.fromkeys(others, "6.6.6.6"),
        timeout=60,
    )
    line = product.wait_for("/instance1/logged")
    assert "ip=198.51.100.23" in line
    assert "6.6.6.6" not in line


@pytest.fixture(scope="module")
def product_with_limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with its usual limit of wrong tokens; the one that tests share has none."""
    with Product(tmp_path_factory.mktemp("product")) as running:
        yield running


def raw_status(product: Product, number: int) -> int:
    """The status of a wrong token whose client forges its address in every spelling; the proxy saw 198.51.100.90."""
    forged = f"6.6.{number // 250}.{number % 250}"
    head = (
        f"GET /instance1/status?token=wrong{number} HTTP/1.1\r\nHost: localhost\r\n"
        f"X_Forwarded_For: {forged}\r\nX-Forwarded_For: {forged}\r\nX-Real-IP: {forged}\r\n"
        f"X-Forwarded-For: {forged}\r\nX-Forwarded-For: 198.51.100.90\r\n"
        f"x_forwarded_for: {forged}\r\nForwarded: for={forged}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", product.port), timeout=60) as connection:
        connection.sendall(head.encode())
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return int(answer.split()[1])


def test_no_spelling_of_the_header_gives_a_client_another_address(
    product_with_limits: Product,
) -> None:
    """Over a raw socket: client libraries send no names with underscores, and CGI gives them the same name."""
    first_minute, served = int(time.time() // 60), 0
    while (status := raw_status(product_with_limits, served)) == 404:
        served += 1
        minutes = int(time.time() // 60) - first_minute + 1
        assert served <= 60 * minutes, "more than the limit of one address"
    assert status == 429
    assert served >= 60


def settings_with(tmp_path: Path, **environment: str) -> list[str]:
    code = "from chatapi import settings; import json; print(json.dumps(settings.TRUSTED_PROXIES))"
    base = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=base | {"DATA_DIR": str(tmp_path), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("environment", "trusted"),
    [
        ({}, list(LOOPBACK)),
        ({"HOST": "::1"}, list(LOOPBACK)),
        ({"HOST": "0.0.0.0"}, []),
        ({"HOST": "0.0.0.0", "SITE_URL": "https://chat.example.org"}, []),
        ({"HOST": "0.0.0.0", "TRUSTED_PROXIES": "10.0.0.5,fd00::/8"}, ["10.0.0.5", "fd00::/8"]),
        ({"TRUSTED_PROXIES": ""}, []),
    ],
)
def test_only_a_proxy_on_the_same_machine_is_trusted_by_default(
    tmp_path: Path, environment: dict[str, str], trusted: list[str]
) -> None:
    assert settings_with(tmp_path, **environment) == trusted


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (["proxy.example.org"], "'proxy.example.org' does not appear to be an IPv4 or IPv6 network"),
        (["10.0.0.1/8"], "10.0.0.1/8 has host bits set"),
        (
            ["10.0.0.1", "0.0.0.0/0"],
            "0.0.0.0/0 contains every client, so any of them could forge its address",
        ),
    ],
)
def test_a_wrong_list_of_proxies_is_a_system_check(settings: Settings, value: list[str], says: str) -> None:
    settings.TRUSTED_PROXIES = value
    [found] = messages_of(BY_NAME["settings"])
    assert (found.id, found.msg) == ("chatapi.E016", f"TRUSTED_PROXIES: {says}.")


def test_a_site_behind_an_unknown_proxy_gets_a_warning(settings: Settings) -> None:
    settings.HTTPS = True
    assert messages_of(BY_NAME["proxy-settings"]) == []
    settings.TRUSTED_PROXIES = []
    [found] = messages_of(BY_NAME["proxy-settings"])
    assert found.id == "chatapi.W003"


def test_the_address_costs_little() -> None:
    """Parsed networks and checked addresses are kept; no request parses a network."""
    rate_counters.reset()
    parse_networks.cache_clear()
    for _ in range(100):
        set_client_address({"REMOTE_ADDR": "127.0.0.1"}, trusted_networks())
    assert parse_networks.cache_info().misses == 1
