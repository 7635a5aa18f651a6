"""Server-side request forgery: no URL makes this server connect to itself, to its network or to a cloud's metadata.

Every place that takes a URL, by every spelling of an internal address. A canary listens on every local address, and
must see no connection. For other addresses, no socket may be opened.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pycurl
import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from hooks import http
from hooks.http import Transfer
from hooks.models import Endpoint, Outcome
from hooks.urls import webhook_urls
from instances.limits import manual_request_limit
from instances.media import fetch, ssrf_safe_session
from tests.attacks.world import Target

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

# Spellings of loopback, where the canary listens.
LOOPBACK = (
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433",
    "017700000001",
    "0x7f000001", "0x7f.0.0.1", "0x7f.1", "0177.0.0.1", "0177.0.0.01", "00000177.0.0.1", "127.0.0.1.",
    "2130706433.",
    "0x7F.0X0.0.1", "127.0x0.0.1", "127.000.000.001", "4294967295", "127.0.0.257", "127.65793",
    "%31%32%37.0.0.1",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]", "[2002:7f00:0001::1]", "[2001:0:7f00:1::]", "[2001::1]", "[::1%25lo]", "[::1%lo]",
    "[fe80::1%25eth0]",
    "[::ffff:127.0.0.1%25lo]", "[::FFFF:127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[1::127.0.0.1]",
    "[::1]a", "[v1.127]",
    "localhost", "LOCALHOST", "localhost.", "LocalHost.", "l%6fcalhost", "localhost%00", "localhost%0d%0a",
    "ip6-localhost",
    "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "①②⑦.0.0.1", "²130706433",
    "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "localhoſt",
    "ｌｏｃａｌｈｏｓｔ", "127.0.0.1\u200b", "loc\u00adalhost", "127.0.0.1\u2024", "٠٠٠.٠", "１",
    "0x７f000001", "[：：１]",
    "127.0.0.1 ", "127.0.0.1\t", "127.0.0.1,example.com", "127.0.0.1;example.com", "127.0.0.1\\",
    "127.0.0.1%20", "127..0.0.1",
)  # fmt: skip
# Addresses of networks and services that are not the internet's, where no server listens.
ELSEWHERE = (
    "10.0.0.1", "10.1", "0xa000001", "012.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "192.168.257", "3232235777",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1",
    "192.0.2.1", "192.88.99.1", "[fc00::1]", "[fd00:ec2::254]", "[fd20:ce::254]", "[fe80::1]", "[fec0::1]",
    "[ff02::1]",
    "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]",
    "[2001:db8::1]", "[100::1]",
    "[3fff::1]", "[5f00::1]", "[2001:20::1]", "[4000::1]", "[::a9fe:a9fe]", "１６９.２５４.１６９.２５４",
    "169。254。169。254",
)  # fmt: skip
# Whole URLs; {port} is the canary's.
WHOLE = (
    "http://user@127.0.0.1:{port}/", "http://user:password@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.com/", "http://example.com:80@127.0.0.1:{port}/",
    "http://example.com%40127.0.0.1:{port}/",
    "http://example.com\\@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@example.com/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://@127.0.0.1:{port}/", "http://:@127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/", "http:127.0.0.1:{port}/", "http:///127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/", "//127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\", "HTTP://127.0.0.1:{port}/", " http://127.0.0.1:{port}/ ",
    "\thttp://127.0.0.1:{port}/", "ht\ttp://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/", "http://127.0.0.1:{port}/\r\nX: y",
    "http://127.0.0.1:{port}/%0d%0aX:%20y", "http://127.0.0.1:0{port}/",
    "http://127.0.0.1:+{port}/", "http://127.0.0.1: {port}/", "http://127.0.0.1:{port}:80/",
    "http://[::1]:{port}:80/", "http://[127.0.0.1]:{port}/",
    "http://127.0.0.1:６５５３６/", "https://127.0.0.1:{port}/", "https://localhost:{port}/",
    "https://[::1]:{port}/", "http://0:{port}/",
    "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/x", "ftp://127.0.0.1:{port}/",
    "ldap://127.0.0.1:{port}/", "telnet://127.0.0.1:{port}/", "smb://127.0.0.1:{port}/",
    "tftp://127.0.0.1:{port}/", "unix:///run/x.sock",
    "http+unix://%2Frun%2Fx.sock/", "socks5://127.0.0.1:{port}/", "ws://127.0.0.1:{port}/",
    "jar:http://127.0.0.1:{port}/!/", "view-source:http://127.0.0.1:{port}/",
    "url:http://127.0.0.1:{port}/", "http://localhost:{port}/bin/abcd1234/../../admin/",
    "http://localhost:{port}/bin/../admin/",
    "http://localhost:{port}/bin/abcd1234/%2e%2e/%2e%2e/admin/", "http://localhost:{port}/bin/abcd123",
    "http://localhost:{port}/admin/",
    "http://localhost:{port}//bin/abcd1234", "http://LOCALHOST:{port}/bin/../bin/abcd1234",
    "http://localhost:{port}/bin/abcd1234\\..\\..\\admin",
    "http://localhost:{port}/bin/abcd1234/..;/admin", "http://localhost:{port}/bin/ABCD1234",
    "http://localhost.:{port}/bin/abcd1234",
    "http://x@localhost:{port}/bin/abcd1234", "http://localhost:{port}@127.0.0.1:{port}/bin/abcd1234",
    "http://internal.example:{port}/",
    "http://both.example:{port}/", "http://six.example:{port}/",
)  # fmt: skip
NAMES = {
    "internal.example": ["127.0.0.1"],
    "both.example": ["10.0.0.1", "127.0.0.1"],
    "six.example": ["::ffff:127.0.0.1", "::1"],
}


def urls(port: int) -> list[str]:
    found = [f"http://{host}:{port}/x.jpg" for host in LOOPBACK]
    found += [f"http://{host}/latest/x.jpg" for host in ELSEWHERE]
    return found + [url.replace("{port}", str(port)) for url in WHOLE]


class Canary:
    """Accepts connections on every local address, IPv4 and IPv6, and counts them."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(("::", 0))
        self.socket.listen(64)
        self.port: int = self.socket.getsockname()[1]

    def connections(self) -> int:
        """Returns how many came since the last call. The kernel completes a connection before it is accepted."""
        self.socket.setblocking(False)
        count = 0
        while True:
            try:
                peer, _ = self.socket.accept()
            except BlockingIOError:
                return count
            peer.close()
            count += 1

    def wait_for_connections(self) -> int:
        """Returns how many came, as soon as there is one; they are closed without a response."""
        select.select([self.socket], [], [], 60)
        return self.connections()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    found = Canary()
    yield found
    found.socket.close()


@pytest.fixture
def opened(settings: Settings, monkeypatch: pytest.MonkeyPatch, canary: Canary) -> list[str]:
    """The policy of a real server, and the names above. Returns the URLs for which libcurl opened a socket."""
    settings.HOOKS_ALLOW_NETWORKS = []
    settings.HOOKS_OWN_BINS = f"http://localhost:{canary.port}/bin/"
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 1_000_000)
    found: list[str] = []
    start, finish = Transfer.start, Transfer.finish

    def start_with_names(transfer: Transfer, url: str, *others: Any, **more: Any) -> None:
        lines = [f"{name}:{canary.port}:{','.join(addresses)}" for name, addresses in NAMES.items()]
        transfer.curl.setopt(pycurl.RESOLVE, lines)
        start(transfer, url, *others, **more)
        transfer.job = url

    def finish_and_note(transfer: Transfer, *result: Any) -> http.Response:
        if transfer.addresses_tried:
            found.append(str(transfer.job))
        return finish(transfer, *result)

    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
        if host in NAMES:
            return [
                entry for address in NAMES[host] for entry in resolve(address, port, type=socket.SOCK_STREAM)
            ]
        return resolve(host, port, *rest, **options)

    monkeypatch.setattr(Transfer, "start", start_with_names)
    monkeypatch.setattr(Transfer, "finish", finish_and_note)
    monkeypatch.setattr(ssrf_safe_session.socket, "getaddrinfo", getaddrinfo)
    return found


def test_the_canary_sees_a_connection(canary: Canary, settings: Settings) -> None:
    """The control: with loopback allowed, the same requests arrive."""
    settings.HOOKS_ALLOW_NETWORKS = settings.LAPTOP_NETWORKS
    with ThreadPoolExecutor(1) as thread:
        for host in ("127.0.0.1", "localhost", "[::1]", "2130706433", "１２７.０.０.１"):
            seen = thread.submit(canary.wait_for_connections)
            http.post(webhook_urls.check(f"http://{host}:{canary.port}/"), {}, b"")
            assert seen.result() == 1, host


# -- the places that take a URL: each gets the target and a URL, and returns the response


def page(name: str, **fields: str) -> Callable[[Target, str], Any]:
    """A form of a page, with the URL in `url`."""
    return lambda target, url: target.client("owner").post(target.address(name), {**fields, "url": url})


def contract(method: str, argument: str, how: str = "json", **fields: str) -> Callable[[Target, str], Any]:
    """A method of the wire contract, with the URL in `argument`."""

    def call(target: Target, url: str) -> Any:
        path = f"/instance{target.instance.number}/{method}?token={target.instance.token}"
        given = {"chatId": target.chat, "filename": "x.jpg", **fields, argument: url}
        if how == "query":
            return Client().get(path, given)
        if how == "form":
            return Client().post(path, given)
        return Client().generic("POST", path, json.dumps(given), "application/json")

    return call


def rest(name: str, verb: str, field: str, **fields: str) -> Callable[[Target, str], Any]:
    def call(target: Target, url: str) -> Any:
        client = target.client("owner", by_key=True)
        return client.generic(
            verb, target.address(name), json.dumps({**fields, field: url}), "application/json"
        )

    return call


def alert_on_page(target: Target, url: str) -> Any:
    """Sets the alert webhook of the account, and sends a test alert to it."""
    target.client("owner").post(reverse("account-alerts:alerts"), {"url": url})
    return target.client("owner").post(reverse("account-alerts:test"))


def alert_over_rest(target: Target, url: str) -> Any:
    rest("instances-api:alert-webhook", "PUT", "url")(target, url)
    return rest("instances-api:alert-webhook-test", "POST", "unused")(target, url)


PLACES: dict[str, Callable[[Target, str], Any]] = {
    "page: webhook URL": page("instances:address"),
    "page: test of the URL": page("instances:address-test"),
    "page: simulation": page("testing:simulation-send", what="message", body='{"messages":[]}', plan="once"),
    "page: replay": page("testing:bin-replay", **{"as": "captured"}),
    "page: edited replay": page("testing:bin-replay", method="GET", headers="", body=""),
    "page: forwarding": page("testing:bin-forward", upto="99"),
    "page: file of Sending Messages": lambda target, url: target.client("owner").post(
        target.address("testing:sending-send"), {"recipient": target.chat, "kind": "file", "file_url": url}
    ),
    "page: voice of Sending Messages": lambda target, url: target.client("owner").post(
        target.address("testing:sending-send"), {"recipient": target.chat, "kind": "voice", "voice_url": url}
    ),
    "contract: webhook": contract("webhook", "webhookUrl"),
    "contract: settings": contract("settings", "webhookUrl", "form"),
    "contract: settings/webhookUrl": contract("settings/webhookUrl", "webhookUrl", "query"),
    "contract: settings/proxy": contract("settings/proxy", "proxy"),
    "contract: sendFile": contract("sendFile", "body"),
    "contract: sendFile, query": contract("sendFile", "body", "query", cached="1"),
    "contract: sendPTT": contract("sendPTT", "audio", "form"),
    "contract: sendLink": contract("sendLink", "body", title="x", previewBase64="http://127.0.0.1/"),
    "contract: sendLink, preview": contract("sendLink", "previewBase64", title="x", body="https://example.com/"),
    "REST: webhookUrl": rest("instances-api:instance", "PATCH", "webhookUrl"),
    "REST: file of a message": rest("instances-api:sandbox-messages", "POST", "file", **{"from": "17680561234"}),
    "REST: file of the own phone": rest("instances-api:sandbox-phone-messages", "POST", "file", to="17680561234"),
    "REST: replay of a capture": rest("instances-api:bin-capture-replay", "POST", "url"),
    "REST: simulation": rest("instances-api:simulations", "POST", "url", kind="message"),
    "page: alert webhook": alert_on_page,
    "REST: alert webhook": alert_over_rest,
    "REST: picture of a contact": rest("instances-api:sandbox-contact", "PUT", "image"),
}  # fmt: skip
# All spellings for one place of each way to connect, and every eighth for the others: they share the code.
ALL_SPELLINGS = {"contract: webhook", "contract: sendFile"}


@pytest.mark.parametrize("place", PLACES)
def test_no_spelling_reaches_an_internal_address(opened: list[str], canary: Canary, place: str) -> None:
    """A stored webhook URL is then requested as the dispatcher requests it."""
    target, reached, failed = Target(), [], []
    spellings = urls(canary.port)
    start = list(PLACES).index(place) % 8
    for url in spellings if place in ALL_SPELLINGS else spellings[start::8]:
        Endpoint.objects.filter(pk=target.instance.pk).update(url="", typed_url="")
        response = PLACES[place](target, url)
        if response.status_code >= 500:
            failed.append(f"{url!r}: {response.status_code}")
        if stored := Endpoint.objects.get(pk=target.instance.pk).url:
            sent = http.post(stored, {}, b"{}")
            assert sent.outcome in (Outcome.BLOCKED, Outcome.DNS, Outcome.PROTOCOL), (url, sent)
        if canary.connections():
            reached.append(url)
    assert failed == []
    assert reached == []
    assert opened == []


def test_files_of_internal_addresses_are_refused_with_a_reason(opened: list[str], canary: Canary) -> None:
    """Not by a failed connection, whose time would tell which hosts and ports exist."""
    for host in ("127.0.0.1", "[::1]", "localhost", "internal.example", "2130706433"):
        with (
            pytest.raises(fetch.FetchFailed, match="address is not allowed"),
            fetch.fetch(f"http://{host}:{canary.port}/x.jpg", max_bytes=1000),
        ):
            pass
    for host in ("10.0.0.1", "169.254.169.254", "[fd00:ec2::254]"):
        url = f"http://{host}/"
        with (
            pytest.raises(fetch.FetchFailed, match="address is not allowed"),
            fetch.fetch(url, max_bytes=1000),
        ):
            pass
    assert canary.connections() == 0


# -- a server of the internet that leads to an internal one; 127.0.0.2 plays it


@contextmanager
def public_server(respond: Callable[[], bytes]) -> Iterator[int]:
    """A server on 127.0.0.2 that sends this to every request and closes. Yields its port."""
    with socket.create_server(("127.0.0.2", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    peer, _ = listening.accept()
                except TimeoutError:
                    continue
                with peer:
                    peer.settimeout(60)
                    peer.recv(65_536)
                    peer.sendall(respond())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def test_redirects_lead_to_no_internal_address(opened: list[str], canary: Canary, settings: Settings) -> None:
    """Hooks follow none; files follow some, and each target meets the same rules."""
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.2/32"]
    location = ""

    def redirect() -> bytes:
        return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()

    targets = [
        f"http://{host}:{canary.port}/x.jpg" for host in LOOPBACK[:60] if host not in ("127.0.0.2", "0x7f.2")
    ]
    targets += [f"//127.0.0.1:{canary.port}/", f"\\\\127.0.0.1:{canary.port}/", "file:///etc/passwd"]
    targets = [target for target in targets if target.isascii()]
    status = 302
    with public_server(redirect) as port:
        for number, location in enumerate(targets):
            status = (301, 302, 303, 307, 308)[number % 5]
            response = http.post(f"http://127.0.0.2:{port}/hook", {}, b"{}")
            assert response.outcome in (Outcome.REDIRECT, Outcome.PROTOCOL), location
            with (
                pytest.raises(fetch.FetchFailed),
                fetch.fetch(f"http://127.0.0.2:{port}/x.jpg", max_bytes=1000),
            ):
                pass
            assert canary.connections() == 0, location


def test_a_name_that_changes_between_look_ups_is_refused(
    opened: list[str], canary: Canary, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first look-up is public, all later ones are internal. The checked address is the used one."""
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.2/32"]
    looked_up: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        address = "127.0.0.2" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(ssrf_safe_session.socket, "getaddrinfo", getaddrinfo)
    with (
        pytest.raises(fetch.FetchFailed),
        fetch.fetch(f"http://rebind.example:{canary.port}/x.jpg", max_bytes=1000),
    ):
        pass
    with (
        pytest.raises(fetch.FetchFailed, match="not allowed"),
        fetch.fetch(f"http://rebind.example:{canary.port}/x.jpg", max_bytes=1000),
    ):
        pass
    assert len(looked_up) == 2  # one for each fetch: none between the check and the connection
    canary.connections()  # the first came to 127.0.0.2, where the canary listens as well

    NAMES["rebind.example"] = ["127.0.0.1"]
    try:
        assert http.post(f"http://rebind.example:{canary.port}/", {}, b"").outcome == Outcome.BLOCKED
    finally:
        del NAMES["rebind.example"]
    assert canary.connections() == 0


def test_the_environments_proxy_is_not_used(
    opened: list[str], canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect on this server's behalf, past the guard."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    for url in ("http://10.0.0.1/x.jpg", "https://10.0.0.1/x.jpg"):
        assert http.post(url, {}, b"").outcome == Outcome.BLOCKED
        with pytest.raises(fetch.FetchFailed), fetch.fetch(url, max_bytes=1000):
            pass
    assert canary.connections() == 0


EXPECTED_HEADERS = b"host accept accept-encoding user-agent connection content-length content-type"


def test_a_receiver_reads_no_credentials_of_another_host(opened: list[str], settings: Settings) -> None:
    """What a hook and a file's request carry: no cookie, no password of .netrc, nothing of the server."""
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.2/32"]
    with socket.create_server(("127.0.0.2", 0)) as listening:
        port = listening.getsockname()[1]
        got: list[bytes] = []

        def serve() -> None:
            for _ in range(2):
                peer, _ = listening.accept()
                with peer:
                    got.append(peer.recv(65_536))
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        http.post(f"http://127.0.0.2:{port}/", {}, b"")
        with fetch.fetch(f"http://127.0.0.2:{port}/", max_bytes=1000):
            pass
        thread.join()
    for request in got:
        names = {
            line.partition(b":")[0].lower() for line in request.partition(b"\r\n\r\n")[0].splitlines()[1:]
        }
        assert names <= set(EXPECTED_HEADERS.split())


def test_the_page_of_a_simulation_tells_nothing_about_ports(opened: list[str], canary: Canary) -> None:
    """The same words for a port that is open and one that is closed."""
    target = Target()
    words = []
    for port in (canary.port, 1):
        response = target.client("owner").post(
            reverse("instances:address-test", kwargs={"number": target.instance.number}),
            {"url": f"http://127.0.0.1:{port}/"},
            headers={"HX-Request": "true"},
        )
        words.append(response.content.decode())
    assert ["not allowed" in text or "loopback" in text for text in words] == [True, True]
    assert ["Connection refused" in text for text in words] == [False, False]
    assert canary.connections() == 0
