"""A thousand slow clients, and clients that make the site wait, directly and behind nginx, Caddy and HAProxy."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.product import Product
from tests.product_shell import shell
from tests.proxies import SHIPPED, proxy

SLOW_CLIENTS = 1000
NEW_BIN = """
from instances.models import Instance
from testing_tools.verification.actions.bins import open_bin
print(open_bin(Instance.objects.first()).key)
"""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Each connection is a file of this process too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard < 65_536 else 65_536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def starts_of_requests(number: str, token: str, key: str) -> list[bytes]:
    """Requests that never end: idle, half a head, and half a body, to URLs that exist and to some that do not."""
    head = b"Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    of_length = head + b"Content-Length: 1000\r\n\r\nphone=1768"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\nA\r\nphone=1768\r\n"
    send = f"POST /instance{number}/sendMessage".encode()
    right, wrong = b"?token=" + token.encode() + b" HTTP/1.1\r\n", b"?token=wrong HTTP/1.1\r\n"
    post_bin = b"POST /bin/" + key.encode() + b" HTTP/1.1\r\n"
    return [
        b"",
        b"GET /accounts/login/ HTTP/1.1\r\nHost: local",
        send + right + of_length,
        send + right + chunked,
        send + wrong + of_length,
        send + wrong + chunked,
        post_bin + of_length,
        post_bin + chunked,
        b"POST /bin/aaaaaaaa HTTP/1.1\r\n" + of_length,
        b"POST /accounts/login/ HTTP/1.1\r\n" + of_length,
        b"POST /api/v1/instances/ HTTP/1.1\r\nAuthorization: Bearer uid_wrong\r\n" + chunked,
    ]


@pytest.mark.parametrize("way", ["direct", *SHIPPED])
def test_the_site_responds_while_a_thousand_clients_are_slow(
    product: Product, way: str, tmp_path: Path
) -> None:
    [one] = product.demo["instances"]
    key = shell(product.environment, NEW_BIN).strip()
    begun = starts_of_requests(one["id"], one["token"], key)
    product.wait_for_ready()  # the test before may have killed a part
    with ExitStack() as stack:
        port = stack.enter_context(proxy(way, product.port, tmp_path))
        slow = []
        for index in range(SLOW_CLIENTS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(begun[index % len(begun)])
            slow.append(client)
        site, own = f"http://localhost:{port}", f"http://localhost:{product.port}"
        for _ in range(5):
            assert requests.get(f"{own}/healthz", timeout=20).status_code == 200
            ready = requests.get(f"{own}/readyz", timeout=20)
            assert ready.status_code == 200, ready.text
            assert "csrfmiddlewaretoken" in requests.get(f"{site}/accounts/login/", timeout=20).text
            status = requests.get(
                f"{site}/instance{one['id']}/status", params={"token": one["token"]}, timeout=20
            )
            assert (status.status_code, status.text) == (200, '{"accountStatus":"authenticated"}')
            assert requests.post(f"{site}/bin/{key}", data=b"x", timeout=20).status_code == 200
        if way == "direct":
            refused = {slow[begun_at].recv(12) for begun_at in (4, 5, 8, 10)}
            assert refused <= {b"HTTP/1.1 401", b"HTTP/1.1 404", b"HTTP/1.1 429"}
