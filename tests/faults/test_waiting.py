"""Requests that make the site wait, for other servers or for an event, leave threads for all others."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import quote

import pytest
import requests

from instances.limits import waiting_threads
from tests.faults import servers
from tests.product import Product
from tests.product_shell import shell

CLIENTS = 30  # of each kind; together they are almost four times the web server's threads
SLOW_BIN = """
from instances.models import Instance
from testing_tools.verification.actions.bins import open_bin
bin = open_bin(Instance.objects.first())
type(bin).objects.filter(pk=bin.pk).update(answer_delay={delay})
print(bin.key)
"""


@pytest.fixture
def slow_bin(product: Product) -> Iterator[str]:
    """The key of a bin that responds after 30 s, in this test."""
    yield shell(product.environment, SLOW_BIN.format(delay=30)).strip()
    shell(product.environment, SLOW_BIN.format(delay=0))


def signed_in(product: Product) -> requests.Session:
    session = requests.Session()
    page = session.get(f"{product.url}/accounts/login/", timeout=30).text
    form = {
        "login": product.demo["email"],
        "password": product.demo["password"],
        "csrfmiddlewaretoken": find_token(page),
    }
    done = session.post(f"{product.url}/accounts/login/", form, timeout=30, allow_redirects=False)
    assert done.status_code == 302, done.text
    return session


def find_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


def send(stack: ExitStack, product: Product, request: str) -> None:
    """Sends the request and leaves its response unread."""
    client = stack.enter_context(socket.create_connection(("127.0.0.1", product.port), timeout=30))
    client.sendall(request.encode())


def test_waits_of_all_kinds_leave_threads_for_the_others(product: Product, slow_bin: str) -> None:
    [one] = product.demo["instances"]
    session = signed_in(product)
    reached = threading.Semaphore(0)

    def hang(connection: socket.socket, over: threading.Event) -> None:
        reached.release()
        servers.hang(connection, over)

    with ExitStack() as stack:
        port = stack.enter_context(servers.faulty(hang))
        slow = f"http://127.0.0.1:{port}/photo.jpg"
        file = f"/instance{one['id']}/sendFile?token={one['token']}&phone=17680561234&filename=a.jpg&body={quote(slow)}"
        chat = f"/api/v1/instances/{one['id']}/sandbox/chats/17680561234@c.us/messages/?wait=10&after=1000000"
        capture = f"/api/v1/bins/{slow_bin}/captures/next/?wait=30&after=1000000"
        form = f"csrfmiddlewaretoken={session.cookies['csrftoken']}&url={quote(slow)}"
        key = f"Bearer {product.demo['uid']}"
        cookies = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
        for _ in range(CLIENTS):
            send(stack, product, f"GET {file} HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for path in (chat, capture):
                send(
                    stack,
                    product,
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n\r\n",
                )
            send(
                stack,
                product,
                f"POST /bin/{slow_bin} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
            )
            send(
                stack, product,
                f"POST /instances/{one['id']}/address/test/ HTTP/1.1\r\nHost: localhost\r\nHX-Request: true\r\n"
                f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
                f"Cookie: {cookies}\r\n\r\n{form}",
            )  # fmt: skip
        for _ in range(waiting_threads.MAX_WAITING_PER_ACCOUNT):  # the account's share, and not more
            assert reached.acquire(timeout=60)
        assert not reached.acquire(timeout=0.5)

        def ask(path: str) -> int:
            return requests.get(product.url + path, timeout=30).status_code

        paths = [
            "/healthz",
            "/readyz",
            "/accounts/login/",
            f"/instance{one['id']}/status?token={one['token']}",
        ]
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, paths * 10)) == {200}


def test_a_waiting_call_gets_the_message_as_soon_as_it_is_there(product: Product) -> None:
    [one] = product.demo["instances"]
    headers = {"Authorization": f"Bearer {product.demo['uid']}"}
    chat = f"{product.url}/api/v1/instances/{one['id']}/sandbox/chats/17680567777@c.us/messages/"
    last = requests.get(chat, headers=headers, timeout=30).json()["lastMessageNumber"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.get, f"{chat}?wait=10&after={last}", headers=headers, timeout=30)
        sent = requests.get(
            f"{product.url}/instance{one['id']}/sendMessage",
            {"token": one["token"], "phone": "17680567777", "body": "here I am"},
            timeout=30,
        )
        assert sent.json()["sent"] is True
        found = waiting.result().json()
    assert [message["body"] for message in found["messages"]] == ["here I am"]


def test_a_waiting_call_ends_without_messages(product: Product) -> None:
    [one] = product.demo["instances"]
    found = requests.get(
        f"{product.url}/api/v1/instances/{one['id']}/sandbox/chats/17680561234@c.us/messages/",
        {"wait": "0.5", "after": "1000000"},
        headers={"Authorization": f"Bearer {product.demo['uid']}"},
        timeout=30,
    )
    assert found.json() == {"messages": [], "lastMessageNumber": 1_000_000}


def test_a_waiting_call_gets_the_next_capture_as_soon_as_it_is_there(product: Product) -> None:
    headers = {"Authorization": f"Bearer {product.demo['uid']}"}
    bins = f"{product.url}/api/v1/bins/"
    bin = requests.post(bins, json={}, headers=headers, timeout=30).json()
    following = f"{bins}{bin['key']}/captures/next/"
    with ThreadPoolExecutor(1) as pool:
        parameters = {"wait": "30", "after": str(bin["lastNumber"]), "q": "method:PUT"}
        waiting = pool.submit(requests.get, following, parameters, headers=headers, timeout=60)
        for method in ("POST", "PUT"):
            sent = requests.request(method, f"{product.url}/bin/{bin['key']}", data=b"\xff", timeout=30)
            assert sent.status_code == 200
        found = waiting.result().json()
    assert (found["capture"]["method"], found["capture"]["body"]) == ("PUT", "/w==")
    assert found["lastNumber"] == found["capture"]["number"] == bin["lastNumber"] + 2
