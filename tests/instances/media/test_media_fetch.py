"""Files that are fetched by their address: which addresses, how long, how much (the policy is hooks/guard.py's)."""

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
from instances.media.fetch import CannotFetch
from tests.faults.certificates import expired, server_context
from tests.faults.servers import answer, faulty
from tests.receiver import Answer, Received, Receiver

MOST = 1024 * 1024


def content(url: str, most: int = MOST) -> bytes:
    with fetch.fetch(url, most=most) as answer:
        return b"".join(answer.blocks)


def refusal(url: str, most: int = MOST) -> str:
    with pytest.raises(CannotFetch) as caught:
        content(url, most)
    return str(caught.value)


@contextmanager
def raw_server(*sent: bytes, pause: float = 0.0, keep: bool = True) -> Iterator[str]:
    """A server that sends these bytes, whatever it is asked, with a pause after each; then it hangs, or ends."""
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
                    if keep:
                        ended.wait(10)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.jpg"
        ended.set()
        thread.join()


def test_content_and_its_type() -> None:
    with (
        Receiver([(200, {"Content-Type": "image/jpeg"}, b"picture")]) as server,
        fetch.fetch(server.url, most=MOST) as answer,
    ):
        assert (answer.content_type, b"".join(answer.blocks)) == ("image/jpeg", b"picture")


@pytest.mark.parametrize(
    ("host", "rule"), [("127.0.0.1", "loopback"), ("localhost", "loopback"), ("[::1]", "loopback")]
)
def test_an_address_that_the_policy_forbids_is_not_connected_to(settings: Any, host: str, rule: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    with Receiver() as server:
        assert refusal(f"http://{host}:{server.port}/a.jpg") == f"its address is not allowed ({rule})."
        assert server.requests == []


def test_a_redirect_to_a_forbidden_address_is_not_followed(settings: Any) -> None:
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.1/32"]
    with Receiver([(302, {"Location": "http://169.254.169.254/latest"}, b"")]) as server:
        assert refusal(server.url) == "its address is not allowed (metadata)."


def test_a_name_that_changes_between_look_ups_is_judged_by_the_address_that_is_connected_to(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is looked up once for each connect, and what was looked up is what is connected to."""
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.2/32"]
    answers = iter(["127.0.0.2", "127.0.0.1"])

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    with Receiver() as server:
        monkeypatch.setattr(ssrf_safe_session.socket, "getaddrinfo", look_up)
        assert refusal(f"http://rebinding.example:{server.port}/") == "its server refused the connection."
        assert refusal(f"http://rebinding.example:{server.port}/") == "its address is not allowed (loopback)."
        assert server.requests == []


def test_redirects_are_followed_a_few_times() -> None:
    def redirect(received: Received) -> Answer:
        left = int(received.path.rpartition("/")[2])
        return (302, {"Location": f"/{left - 1}"}, b"x" * 100) if left else (200, {}, b"picture")

    with Receiver(redirect) as server:
        start = f"http://127.0.0.1:{server.port}"
        assert content(f"{start}/5") == b"picture"
        assert refusal(f"{start}/6") == "its server redirects more than 5 times."


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://["])
def test_a_redirect_to_what_is_no_web_address_is_refused(where: str) -> None:
    with Receiver([(302, {"Location": where}, b"")]) as server:
        assert refusal(server.url) in (
            "The address must begin with http:// or https://.",
            "its server redirects to something that is no address.",
        )


def test_the_body_of_a_redirect_is_not_read() -> None:
    with Receiver() as server:
        head = f"HTTP/1.1 302 Found\r\nLocation: {server.url}\r\nContent-Length: 1000000000\r\n\r\n".encode()
        with raw_server(head) as redirecting:
            assert content(redirecting) == b""


def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Receiver([(200, {}, b"picture")]) as server:
        assert content(server.url) == b"picture"
        assert "authorization" not in server.requests[0].headers


def test_a_file_that_says_it_is_too_long_is_not_read() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n") as url:
        assert refusal(url) == "the file is longer than 1 MB."


def test_a_file_that_does_not_say_how_long_it_is_is_cut_off() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n", bytes(MOST + fetch.BLOCK)) as url:
        assert refusal(url) == "the file is longer than 1 MB."


def test_a_file_of_just_the_limit_is_taken() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n", bytes(MOST), keep=False) as url:
        assert len(content(url)) == MOST


def test_a_file_that_broke_off_is_refused() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", keep=False) as url:
        assert refusal(url) == "the connection to its server failed or broke off."


def test_a_compressed_file_is_refused() -> None:
    with Receiver([(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")]) as server:
        assert refusal(server.url) == "its server compresses the file though it was asked not to."


@pytest.mark.parametrize(
    "sent",
    [
        (),
        (b"HTTP/1.1 200 OK\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\n\r\nno length",),
        (b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 100),
    ],
    ids=["silent", "half a head", "no body", "a body without end", "a head by drops"],
)
def test_a_server_that_takes_too_long_is_left_in_whatever_phase(
    monkeypatch: pytest.MonkeyPatch, sent: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.4)
    with raw_server(*sent, pause=0.05) as url:
        assert refusal(url) == "its server took too long."


def test_a_name_look_up_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.3)
    hang = threading.Event()
    monkeypatch.setattr(ssrf_safe_session.socket, "getaddrinfo", lambda *_, **__: hang.wait(10))
    assert refusal("http://slow.example/a.jpg") == "its server took too long."
    hang.set()


def test_no_thread_is_left_behind() -> None:
    with Receiver([(200, {}, b"picture")]) as server:
        content(server.url)
        until = time.monotonic() + 5
        while any(isinstance(thread, threading.Timer) for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.01)


def test_https_with_a_certificate_that_is_trusted_and_with_one_that_is_not(
    tmp_path: Path, settings: Any
) -> None:
    authority, strange = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    with faulty(answer(200, body=b"ok"), tls=server_context(authority.issue_cert("localhost"))) as port:
        assert content(f"https://localhost:{port}/a.jpg") == b"ok"
    for context in (
        expired(authority),
        server_context(authority.issue_cert("other.example")),
        server_context(strange.issue_cert("localhost")),
    ):
        with faulty(answer(200), tls=context) as port:
            assert refusal(f"https://localhost:{port}/a.jpg") == "its server's certificate or TLS is wrong."
