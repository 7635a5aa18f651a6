"""chatapi/listen.py against sites that do not respond as they should, and its requests; without the product."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chatapi.listen import Listener, LocalServer, Refused, Request, Site, Unreachable
from tests.receiver import Receiver

ROOT = Path(__file__).parent.parent
KEY = "uid_1"
LIMITS = {"deadlineMs": 10_000, "connectMs": 5_000, "responseBytes": 65_536, "loggedBytes": 8_192}
HOOK = {
    "id": "hook_1",
    "kind": "ack",
    "attempt": 1,
    "headers": [["Content-Length", "2"]],
    "body": "{}",
    "claim": "c",
}


def site_of(receiver: Receiver, key: str = KEY) -> Site:
    return Site(f"http://127.0.0.1:{receiver.port}", key, "1")


def test_a_page_instead_of_json_is_tried_again() -> None:
    """Such as that of a Wi-Fi network which asks to log in."""
    with Receiver([(200, {}, b"<html>Log in</html>")]) as receiver, pytest.raises(Unreachable, match="JSON"):
        site_of(receiver).take("run")


def test_a_redirect_is_named_and_not_followed() -> None:
    """requests would follow with a GET, and the site would respond with 405."""
    moved = (301, {"Location": "https://chat.example.com/api/"}, b"")
    with Receiver([moved]) as receiver:
        with pytest.raises(Refused, match=r"redirects to https://chat\.example\.com\. Check --site\."):
            site_of(receiver).start("http://localhost/", "")
        assert len(receiver.requests) == 1


def test_a_site_without_http_is_refused() -> None:
    with pytest.raises(Refused, match="--site must be a URL"):
        Site("localhost:8000", KEY, "1").take("run")


def test_netrc_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Receiver([(200, {}, b"{}")]) as receiver:
        site_of(receiver).take("run")
        assert receiver.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_with_characters_that_no_key_has_is_named() -> None:
    """Such as the placeholder of the documentation, which could not be sent in a header."""
    ended = subprocess.run(
        [
            sys.executable, "-m", "chatapi.listen", "--key", "uid_\N{HORIZONTAL ELLIPSIS}", "--instance", "1",
            "--forward", "http://127.0.0.1:9/", "--site", "http://127.0.0.1:9",
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "the account's key has characters that no key has" in ended.stderr


class RefusingSite:
    """Gives the same hook with every call, and refuses its report."""

    def take(self, run: str) -> dict[str, Any]:
        return {"hooks": [HOOK], "paused": False}

    def report(self, run: str, results: list[dict[str, Any]]) -> None:
        raise Refused("`address` is not valid.")

    def start(self, url: str, name: str) -> dict[str, Any]:
        return {"id": "run", "name": "Mine", "waiting": 1, "leaseSeconds": 30.0, **LIMITS}


def test_a_refused_report_ends_the_program() -> None:
    """Otherwise the site would give the same hook again and again."""
    with Receiver([(200, {}, b"ok")]) as receiver:
        listener = Listener(RefusingSite(), LocalServer(receiver.url), "")  # type: ignore[arg-type]
        with pytest.raises(Refused, match="refuses the responses to 1 hook: `address`"):
            listener.forever()
        assert len(receiver.requests) == 1


def test_a_url_with_spaces_is_one_request_line() -> None:
    with Receiver([(200, {}, b"ok")]) as receiver:
        report = LocalServer(f"http://127.0.0.1:{receiver.port}/my bot?name=J\u00f6rg&x=%20").send(
            HOOK, LIMITS
        )
        assert report["status"] == 200
        assert receiver.requests[0].path == "/my%20bot?name=J%C3%B6rg&x=%20"


def test_the_address_of_a_link_is_reported_without_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site takes no zone: `.local` names often have such an address."""

    class Connected:
        def __init__(self, *_: object) -> None: ...

        def settimeout(self, seconds: float) -> None: ...

        def connect(self, address: object) -> None: ...

    monkeypatch.setattr("chatapi.listen.socket.socket", Connected)
    request = Request(LocalServer("http://laptop.local:3000/"), HOOK, LIMITS)
    request.connect([(10, 1, 6, "", ("fe80::1%eth0", 3000, 0, 2))])
    assert request.report["address"] == "[fe80::1]:3000"


def test_a_response_before_the_whole_request_was_read_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nkey")

        with ThreadPoolExecutor() as pool:
            pool.submit(refuse)
            hook = HOOK | {"body": "x" * 16_000_000}  # more than the buffers of both sockets keep
            report = LocalServer(f"http://127.0.0.1:{server.getsockname()[1]}/").send(hook, LIMITS)
    assert (report["status"], report["body"]) == (401, base64.b64encode(b"key").decode())
    assert "error" not in report
