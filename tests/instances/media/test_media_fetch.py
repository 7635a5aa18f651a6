"""Files fetched by URL: which addresses are allowed, for how long, up to which size, over real loopback sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from instances.media import fetch, ssrf_safe_session
from instances.media.fetch import FetchFailed
from tests.faults.certificates import expired, server_context
from tests.faults.servers import answer, faulty
from tests.hooks.dispatch.dispatching import wait_until
from tests.receiver import Answer, Received, Receiver

MAX_BYTES = 1024 * 1024


def fetched_content(url: str) -> bytes:
    with fetch.fetch(url, max_bytes=MAX_BYTES) as file:
        return b"".join(file.blocks)


def fetch_error(url: str) -> str:
    with pytest.raises(FetchFailed) as caught:
        fetched_content(url)
    return str(caught.value)


@contextmanager
def raw_server(*sent: bytes, pause: float = 0.0, hangs: bool = True) -> Iterator[str]:
    """A server that sends these bytes whatever the request, with a pause after each; then it hangs, or closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(65_536)
                try:
                    for part in sent:
                        peer.sendall(part)
                        ended.wait(pause)
                    if hangs:
                        ended.wait(10)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.jpg"
        ended.set()
        thread.join()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *lookups: list[str]) -> list[str]:
    """Answer the DNS lookups with these IPv4 addresses, one list per lookup; returns the names looked up."""
    names: list[str] = []
    answers = iter(lookups)

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        names.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(answers)]

    monkeypatch.setattr(ssrf_safe_session.socket, "getaddrinfo", getaddrinfo)
    return names


def test_content_and_content_type() -> None:
    with (
        Receiver([(200, {"Content-Type": "image/jpeg"}, b"picture")]) as server,
        fetch.fetch(server.url, max_bytes=MAX_BYTES) as file,
    ):
        assert (file.content_type, b"".join(file.blocks)) == ("image/jpeg", b"picture")


# -- addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f.0.0.1"])
def test_loopback_is_refused_however_it_is_written(settings: Any, host: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    with Receiver() as server:
        expected = "the server's address is not allowed (loopback)."
        assert fetch_error(f"http://{host}:{server.port}/a.jpg") == expected
        assert server.requests == []


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("[fd00::1]", "private"),
        ("169.254.1.1", "link-local"),
        ("[fe80::1]", "link-local"),
        ("169.254.169.254", "metadata"),
        ("100.64.0.1", "CGNAT"),
        ("[::ffff:127.0.0.1]", "IPv4-mapped"),
        ("0.0.0.0", "unspecified"),
    ],
)
def test_addresses_of_internal_networks_are_refused(settings: Any, address: str, rule: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    assert fetch_error(f"http://{address}/a.jpg") == f"the server's address is not allowed ({rule})."


def test_a_host_name_that_resolves_to_loopback_is_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    with Receiver() as server:
        names = resolve_to(monkeypatch, ["127.0.0.1"])
        error = fetch_error(f"http://files.example:{server.port}/a.jpg")
        assert error == "the server's address is not allowed (loopback)."
        assert (names, server.requests) == (["files.example"], [])


def test_each_address_of_a_host_is_checked(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.1/32"]
    with Receiver([(200, {}, b"picture")]) as server:
        resolve_to(monkeypatch, ["10.0.0.1", "127.0.0.1"])
        assert fetched_content(f"http://files.example:{server.port}/a.jpg") == b"picture"


def test_a_host_name_is_resolved_once_per_connection_and_that_address_is_checked(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a second lookup would return an address that was not checked."""
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.2/32"]
    with Receiver() as server:
        names = resolve_to(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        url = f"http://rebinding.example:{server.port}/"
        assert fetch_error(url) == "the server refused the connection."
        assert len(names) == 1
        assert fetch_error(url) == "the server's address is not allowed (loopback)."
        assert server.requests == []


def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Receiver([(200, {}, b"picture")]) as server:
        assert fetched_content(server.url) == b"picture"
        assert "authorization" not in server.requests[0].headers


def test_the_headers_of_the_request(settings: Any) -> None:
    with Receiver([(200, {}, b"picture")]) as server:
        fetched_content(server.url)
        headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
        assert headers == {
            "host": f"127.0.0.1:{server.port}",
            "user-agent": f"ChatAPI/{settings.VERSION}",
            "accept": "*/*",
            "accept-encoding": "identity",
        }


# -- redirects


@pytest.mark.parametrize(
    ("location", "rule"),
    [
        ("http://169.254.169.254/latest", "metadata"),
        ("http://10.0.0.1/", "private"),
        ("//127.0.0.2/", "loopback"),
    ],
)
def test_a_redirect_to_an_internal_address_is_refused(settings: Any, location: str, rule: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.1/32"]
    with Receiver([(302, {"Location": location}, b"")]) as server:
        assert fetch_error(server.url) == f"the server's address is not allowed ({rule})."


def test_redirects_are_followed_five_times() -> None:
    def redirect(received: Received) -> Answer:
        left = int(received.path.rpartition("/")[2])
        return (302, {"Location": f"/{left - 1}"}, b"x" * 100) if left else (200, {}, b"picture")

    with Receiver(redirect) as server:
        start = f"http://127.0.0.1:{server.port}"
        assert fetched_content(f"{start}/5") == b"picture"
        assert fetch_error(f"{start}/6") == "the server redirects more than 5 times."


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://["])
def test_a_redirect_to_anything_but_http_is_refused(location: str) -> None:
    with Receiver([(302, {"Location": location}, b"")]) as server:
        fetch_error(server.url)
        assert len(server.requests) == 1


def test_the_body_of_a_redirect_is_not_read() -> None:
    with Receiver() as server:
        head = f"HTTP/1.1 302 Found\r\nLocation: {server.url}\r\nContent-Length: 1000000000\r\n\r\n".encode()
        with raw_server(head) as redirecting:
            assert fetched_content(redirecting) == b""


# -- size


def test_a_file_whose_content_length_is_too_large_is_not_read() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n") as url:
        assert fetch_error(url) == "the file is larger than 1 MB."


def test_a_file_without_content_length_is_read_up_to_the_limit() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n", bytes(MAX_BYTES + fetch.BLOCK_SIZE)) as url:
        assert fetch_error(url) == "the file is larger than 1 MB."


def test_a_file_of_exactly_the_limit_is_accepted() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n", bytes(MAX_BYTES), hangs=False) as url:
        assert len(fetched_content(url)) == MAX_BYTES


def test_an_incomplete_file_is_refused() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", hangs=False) as url:
        assert fetch_error(url) == "the connection to the server failed or was closed early."


@pytest.mark.parametrize(
    "coding",
    ["identity", "aws-chunked", "UTF-8", "utf8", "binary", "none", "", "aws-chunked, identity", "8bit"],
)
def test_a_word_that_is_no_content_coding_means_identity(coding: str) -> None:
    with Receiver([(200, {"Content-Encoding": coding}, b"the file")]) as server:
        assert fetched_content(server.url) == b"the file"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "deflate", "zstd", "aws-chunked,gzip", "x-gzip"])
def test_a_compressed_file_is_refused(coding: str) -> None:
    with Receiver([(200, {"Content-Encoding": coding}, b"\x1f\x8b")]) as server:
        expected = "the server compressed the file, which the request asked it not to do."
        assert fetch_error(server.url) == expected


# -- time


@pytest.mark.parametrize(
    "sent",
    [
        (),
        (b"HTTP/1.1 200 OK\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\n\r\nno length",),
        (b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 10_000),
    ],
    ids=["silent", "incomplete headers", "no body", "body without end", "headers byte by byte"],
)
def test_the_deadline_holds_in_every_phase(monkeypatch: pytest.MonkeyPatch, sent: tuple[bytes, ...]) -> None:
    """The server of each phase would need longer than the test's time limit, or closes the connection."""
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.4)
    with raw_server(*sent, pause=0.05) as url:
        assert fetch_error(url) == "the server took too long."


def test_the_deadline_holds_for_the_dns_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.3)
    hang = threading.Event()
    monkeypatch.setattr(ssrf_safe_session.socket, "getaddrinfo", lambda *_, **__: hang.wait(10))
    assert fetch_error("http://slow.example/a.jpg") == "the server took too long."
    hang.set()


def test_the_deadline_holds_over_all_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.5)

    def redirect_slowly(received: Received) -> Answer:
        time.sleep(0.2)
        return 302, {"Location": "/next"}, b""

    with Receiver(redirect_slowly) as server:
        assert fetch_error(server.url) == "the server took too long."
        assert len(server.requests) <= fetch.MAX_REDIRECTS, "the redirects did not end"


def test_no_thread_is_left() -> None:
    with Receiver([(200, {}, b"picture")]) as server:
        fetched_content(server.url)
        wait_until(
            lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()),
            "the timer's thread ends",
        )


# -- TLS


def test_the_certificate_must_be_trusted_valid_and_of_the_host(tmp_path: Path, settings: Any) -> None:
    authority, untrusted = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    with faulty(answer(200, body=b"ok"), tls=server_context(authority.issue_cert("localhost"))) as port:
        assert fetched_content(f"https://localhost:{port}/a.jpg") == b"ok"
        # The same server under a name that its certificate does not have.
        expected = "the server's TLS certificate is not valid, or TLS failed."
        assert fetch_error(f"https://127.0.0.1:{port}/a.jpg") == expected
    for context in (
        expired(authority),
        server_context(authority.issue_cert("other.example")),
        server_context(untrusted.issue_cert("localhost")),
    ):
        with faulty(answer(200), tls=context) as port:
            assert fetch_error(f"https://localhost:{port}/a.jpg") == expected


def test_the_host_name_is_checked_although_the_connection_is_to_an_address(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SNI and the certificate check use the name of the URL, not the resolved address."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    with faulty(answer(200, body=b"ok"), tls=server_context(authority.issue_cert("files.example"))) as port:
        resolve_to(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])
        assert fetched_content(f"https://files.example:{port}/a.jpg") == b"ok"
        assert "TLS certificate" in fetch_error(f"https://other.example:{port}/a.jpg")
