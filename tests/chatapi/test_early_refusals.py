"""Requests that are refused while their body is still on its way: over raw sockets, the body never comes."""

from __future__ import annotations

import json
import socket

import pytest

from tests.product import Product
from tests.product_shell import shell

NEW_BIN = """
from instances.models import Instance
from testing_tools.verification.actions.bins import open_bin
print(open_bin(Instance.objects.first()).key)
"""
SESSION = """
import tests.session_client
from accounts.models import User
from django.test import Client
from tests import session_client
client = Client()
client.force_login(User.objects.get(email={email!r}))
print(client.cookies["sessionid"].value)
"""
FRAMINGS = {"length": b"Content-Length: 300000\r\n\r\n", "chunked": b"Transfer-Encoding: chunked\r\n\r\n"}


def begin(product: Product, head: str, framing: str) -> socket.socket:
    """Sends the head and no byte of the body."""
    client = socket.create_connection(("127.0.0.1", product.port), timeout=60)
    client.sendall((head + "Host: localhost\r\nExpect: 100-continue\r\n").encode() + FRAMINGS[framing])
    return client


def refusal(product: Product, head: str, framing: str) -> tuple[int, dict[str, str], bytes]:
    """Returns the status, headers and body of the response, after which the server closes."""
    found = b""
    with begin(product, head, framing) as client:
        while block := client.recv(65_536):
            found += block
    top, _, body = found.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def is_awaited(product: Product, head: str, framing: str) -> bool:
    with begin(product, head, framing) as client:
        return client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("framing", FRAMINGS)
def test_bodies_that_would_be_refused_are_not_awaited(product: Product, framing: str) -> None:
    [one] = product.demo["instances"]
    send = f"POST /instance{one['id']}/sendMessage"
    for head, status, error in (
        (f"{send}?token=wrong HTTP/1.1\r\n", 401, "Wrong token."),
        (f"{send} HTTP/1.1\r\n", 401, "Wrong token."),
        (f"POST /sendMessage?instanceId={one['id']}&token=wrong HTTP/1.1\r\n", 401, "Wrong token."),
        ("POST //instance999999999//sendMessage/?token=x HTTP/1.1\r\n", 404, ""),
        (
            f"POST /instance{one['id']}/noMethod?token={one['token']} HTTP/1.1\r\n",
            404,
            "Unknown method noMethod",
        ),
        (f"PUT /instance{one['id']}/sendMessage?token={one['token']} HTTP/1.1\r\n", 405, ""),
        ("POST /api/v1/instances/ HTTP/1.1\r\n", 401, "Missing account key."),
        (
            "POST /api/v1/instances/ HTTP/1.1\r\nAuthorization: Bearer uid_wrong\r\n",
            401,
            "Wrong account key.",
        ),
        ("POST /accounts/login/ HTTP/1.1\r\n", 413, "Sign in to send more than 256 KB."),
        ("POST /accounts/login/ HTTP/1.1\r\nCookie: sessionid=wrong\r\n", 413, "Sign in to send more"),
    ):
        found, headers, body = refusal(product, head, framing)
        assert found == status, head
        assert headers["connection"] == "close"
        assert json.loads(body)["error"].startswith(error), head
    found, _, body = refusal(product, "POST /bin/aaaaaaaa HTTP/1.1\r\n", framing)
    assert (found, body) == (404, b"No bin has this URL.\n")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_bodies_that_may_be_right_are_awaited(product: Product, framing: str) -> None:
    [one] = product.demo["instances"]
    key = shell(product.environment, NEW_BIN).strip()
    session = shell(product.environment, SESSION.format(email=product.demo["email"])).strip()
    for head in (
        f"POST /instance{one['id']}/sendMessage?token={one['token']} HTTP/1.1\r\n",
        f"POST /instance{one['id']}/sendMessage HTTP/1.1\r\nAuthorization: Bearer {one['token']}\r\n",
        "POST /newInstance HTTP/1.1\r\n",  # its key may be in the body
        f"POST /api/v1/instances/ HTTP/1.1\r\nAuthorization: Bearer {product.demo['uid']}\r\n",
        f"POST /bin/{key} HTTP/1.1\r\n",
        f"POST /testing/sending/ HTTP/1.1\r\nCookie: sessionid={session}\r\n",
    ):
        assert is_awaited(product, head, framing), head


def test_a_short_form_needs_no_session(product: Product) -> None:
    with socket.create_connection(("127.0.0.1", product.port), timeout=60) as client:
        client.sendall(b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n")
        client.sendall(b"Content-Length: 1000\r\n\r\n")
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("method", ["sendMessage", "newInstance"])
def test_a_long_body_without_a_file_is_not_awaited(product: Product, method: str) -> None:
    [one] = product.demo["instances"]
    head = f"POST /{method}?instanceId={one['id']}&token={one['token']} HTTP/1.1\r\nHost: localhost\r\n"
    with socket.create_connection(("127.0.0.1", product.port), timeout=60) as client:
        client.sendall(head.encode() + b"Content-Length: 3000000\r\n\r\n")
        found = b""
        while block := client.recv(65_536):
            found += block
    assert found.startswith(b"HTTP/1.1 413 ")
    assert found.endswith(b'{"error":"The request is too long."}')
