"""hooks.http with every way in which a server can fail, on real sockets."""

import contextlib
import math
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pycurl
import pytest
from pytest_django.fixtures import Settings

from hooks import guard, http
from hooks.explain.sentences import explain_outcome
from hooks.http import Response
from hooks.http_headers import headers_as_sent
from hooks.models import Outcome, Side
from hooks.urls import webhook_urls
from tests.faults import servers
from tests.faults.servers import Fault, answer, faulty
from tests.receiver import Receiver

METADATA = "http://169.254.169.254/latest/meta-data/"


def post(port: int, host: str = "127.0.0.1", path: str = "/hook") -> Response:
    return http.post(f"http://{host}:{port}{path}", {"Content-Type": "application/json"}, b'{"a":1}')


def seen(got: Response) -> tuple[Outcome, int | None, str]:
    return got.outcome, got.status, got.error


def test_a_200_is_a_delivery_and_all_its_details_are_known() -> None:
    with Receiver([(200, {"X-Bot": "yes"}, b"thank you")]) as receiver:
        got = http.post(
            receiver.url + "?key=1",
            {"Content-Type": "application/json", "User-Agent": "ChatAPI/1", "webhook-id": "hook_1"},
            '{"a":"ü"}'.encode(),
        )
        [request] = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook?key=1")
    assert request.body == b'{"a":"\xc3\xbc"}'
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/json",
        "user-agent": "ChatAPI/1",
        "webhook-id": "hook_1",
        "content-length": "10",
    }
    assert seen(got) == (Outcome.OK, 200, "")
    assert (got.body, got.size, got.header("x-bot")) == (b"thank you", 9, "yes")
    assert got.address == f"127.0.0.1:{receiver.port}"
    assert got.name_ms is not None
    assert got.connect_ms is not None
    assert got.first_byte_ms is not None
    assert got.tls_ms is None
    assert got.name_ms <= got.connect_ms <= got.first_byte_ms <= got.total_ms


@pytest.mark.parametrize(
    "status", [201, 202, 204, 400, 401, 403, 404, 405, 410, 413, 429, 500, 502, 503, 504]
)
def test_every_other_status_is_not_a_delivery(status: int) -> None:
    with faulty(answer(status, body=b"" if status == 204 else b"why")) as port:
        got = post(port)
    assert seen(got) == (Outcome.NOT_200, status, "")
    assert got.body == (b"" if status == 204 else b"why")


def test_retry_after_is_read() -> None:
    with faulty(answer(429, "Retry-After: 120")) as port:
        got = post(port)
    assert (got.status, got.header("retry-after")) == (429, "120")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with (
        Receiver() as inside,
        faulty(answer(status, f"Location: {inside.url}")) as port,
    ):
        got = post(port)
        assert inside.requests == []
    assert seen(got) == (Outcome.REDIRECT, status, "")
    assert got.header("location") == inside.url


def test_a_redirect_to_a_metadata_service_is_not_followed() -> None:
    with faulty(answer(302, f"Location: {METADATA}")) as port:
        got = post(port)
    assert seen(got) == (Outcome.REDIRECT, 302, "")
    assert got.header("location") == METADATA
    assert got.address == f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            servers.ten_megabytes,
            (Outcome.OK, 200, "the response was longer than 64 KB; the rest was not read"),
        ),
        (servers.without_end, (Outcome.OK, 200, "the response was longer than 64 KB; the rest was not read")),
        (servers.gzip_bomb, (Outcome.OK, 200, "the response was longer than 64 KB; the rest was not read")),
        (servers.hang_up, (Outcome.RESET, None, "Empty reply from server")),
        (servers.reset, (Outcome.RESET, 200, "Recv failure: Connection reset by peer")),
        (servers.cut_off, (Outcome.RESET, 200, "end of response with 96 bytes missing")),
        (servers.garbage, (Outcome.PROTOCOL, None, "not HTTP")),
        (servers.many_headers, (Outcome.OK, 200, "")),
        (servers.informed, (Outcome.OK, 200, "")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_fault_has_its_outcome(fault: Fault, expected: tuple[Outcome, int | None, str]) -> None:
    servers.bomb()
    with faulty(fault) as port:
        got = post(port)
    assert seen(got) == expected
    assert got.address == f"127.0.0.1:{port}"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("fault", "status", "phase"),
    [
        (servers.hang, None, "response"),
        (servers.drip, 200, "response body"),
        (servers.drip_of_headers, 200, "response body"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_one_deadline_covers_every_phase(fault: Fault, status: int | None, phase: str) -> None:
    with faulty(fault) as port:
        got = post(port)
    assert seen(got) == (Outcome.TIMEOUT, status, phase)
    assert got.address == f"127.0.0.1:{port}"


def test_headers_without_end_are_too_large() -> None:
    with faulty(servers.flood_of_headers) as port:
        got = post(port)
    assert (got.outcome, got.status) == (Outcome.TOO_LARGE, 200)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        (servers.refusing, (Outcome.REFUSED, None, "Connection refused")),
        (servers.not_accepting, (Outcome.TIMEOUT, None, "connect")),
        (servers.silent, (Outcome.TIMEOUT, None, "response")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_failed_connection_has_its_outcome(
    ports: type[AbstractContextManager[int]], expected: tuple[Outcome, int | None, str]
) -> None:
    with ports() as port:
        got = post(port)
    assert seen(got) == expected
    assert (got.body, got.headers, got.first_byte_ms) == (b"", [], None)


def test_an_unknown_name_is_a_dns_failure() -> None:
    got = http.post("http://nowhere.invalid/hook", {}, b"{}")
    assert (got.outcome, got.status, got.address) == (Outcome.DNS, None, "")
    assert got.connect_ms is None


def test_at_most_64_kb_of_a_response_are_read_and_8_kb_kept() -> None:
    with faulty(servers.ten_megabytes) as port:
        got = post(port)
    assert got.size == 64 * 1024
    assert got.body == b"x" * 8 * 1024


def test_a_compressed_response_is_not_decompressed() -> None:
    servers.bomb()  # built before the deadline starts
    with faulty(servers.gzip_bomb) as port:
        got = post(port)
    assert got.size == 64 * 1024
    assert got.body[:2] == b"\x1f\x8b"


def test_at_most_16_kb_of_headers_are_kept() -> None:
    with faulty(servers.many_headers) as port:
        got = post(port)
    kept = sum(len(f"{name}: {value}\r\n") for name, value in got.headers)
    assert 16 * 1024 <= kept < 16 * 1024 + 100
    assert got.body == b"ok"


def test_only_the_last_responses_headers_are_kept() -> None:
    with faulty(servers.informed) as port:
        got = post(port)
    assert got.headers == [["X-Late", "1"], ["Content-Length", "2"]]


def test_bytes_that_are_not_text_are_kept() -> None:
    with faulty(servers.strange_headers) as port:
        got = post(port)
    assert got.headers == [["X-Bytes", "ÿä"], ["Content-Length", "3"]]
    assert got.body == b"\x00\xff\xfe"


def test_the_environments_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        got = post(receiver.port)
        assert proxy.requests == []
        assert len(receiver.requests) == 1
    assert got.outcome == Outcome.OK


def test_the_netrc_file_of_the_machine_is_not_used(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.path.join(tmp_path, ".netrc")
    with open(path, "w") as file:
        file.write("machine 127.0.0.1 login alice password secret\n")
    os.chmod(path, 0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with Receiver() as receiver:
        post(receiver.port)
        assert "authorization" not in receiver.requests[0].headers


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://127.0.0.1/x", "ftp://127.0.0.1/x"])
def test_only_http_is_spoken(url: str) -> None:
    got = http.post(url, {}, b"{}")
    assert (got.outcome, got.status, got.body, got.address) == (Outcome.PROTOCOL, None, b"", "")


# -- addresses


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433"])
def test_a_name_of_an_internal_address_is_blocked_before_connecting(settings: Settings, host: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    with Receiver() as inside:
        got = post(inside.port, host)
        assert inside.requests == []
    assert seen(got) == (Outcome.BLOCKED, None, "loopback")
    assert (got.address, got.connect_ms) == ("", None)


@pytest.mark.parametrize(
    ("host", "rule"),
    [
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "IPv4-mapped"),
        ("[64:ff9b::7f00:1]", "NAT64"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "metadata"),
        ("0.0.0.0", "unspecified"),
    ],
)
def test_an_internal_address_is_blocked(settings: Settings, host: str, rule: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    assert seen(post(9, host)) == (Outcome.BLOCKED, None, rule)


def test_a_name_is_checked_after_every_lookup(settings: Settings) -> None:
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.2/32"]
    with socket.create_server(("127.0.0.2", 0)) as probe:
        port = probe.getsockname()[1]
    transfer = http.Transfer()

    def post_to(address: str) -> Response:
        transfer.curl.setopt(
            pycurl.RESOLVE, [f"-changes.example:{port}", f"changes.example:{port}:{address}"]
        )
        transfer.start(f"http://changes.example:{port}/hook", {}, b"{}")
        try:
            transfer.curl.perform()
        except pycurl.error as error:
            return transfer.finish(*error.args)
        return transfer.finish()

    assert post_to("127.0.0.2").outcome == Outcome.REFUSED
    assert seen(post_to("127.0.0.1")) == (Outcome.BLOCKED, None, "loopback")


def perform(transfer: http.Transfer, url: str) -> Response:
    """Like http.post, but on a handle that keeps its connections, like the dispatcher's."""
    transfer.start(url, {}, b"{}")
    try:
        transfer.curl.perform()
    except pycurl.error as error:
        return transfer.finish(*error.args)
    return transfer.finish()


def test_only_the_bins_of_the_site_itself_are_reachable(settings: Settings) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    with Receiver() as site:
        base = f"http://127.0.0.1:{site.port}"
        settings.HOOKS_OWN_BINS = f"{base}/bin/"
        transfer = http.Transfer()
        assert perform(transfer, f"{base}/bin/abcd1234").outcome == Outcome.OK
        # not even over the connection that the bin's hook left open
        assert seen(perform(transfer, f"{base}/admin/")) == (Outcome.BLOCKED, None, "loopback")
        assert [request.path for request in site.requests] == ["/bin/abcd1234"]


# -- kept connections


def next_of(faults: Iterator[Fault]) -> Fault:
    return lambda connection, over: next(faults)(connection, over)  # noqa: PLW0108 - one fault a request


@pytest.mark.usefixtures("quick")
def test_each_request_on_a_kept_connection_has_its_own_outcome() -> None:
    faults = iter([answer(200), answer(500, body=b"no"), servers.hang])
    with faulty(next_of(faults)) as port:
        transfer = http.Transfer()
        first, second, third = (perform(transfer, f"http://127.0.0.1:{port}/") for _ in range(3))
    assert seen(first) == (Outcome.OK, 200, "")
    assert seen(second) == (Outcome.NOT_200, 500, "")
    assert (second.body, second.connect_ms) == (b"no", None)
    assert seen(third) == (Outcome.TIMEOUT, None, "response")
    assert (third.body, third.headers) == (b"", [])
    assert {first.address, second.address, third.address} == {f"127.0.0.1:{port}"}


def test_a_kept_connection_closed_meanwhile_is_replaced() -> None:
    def once(connection: socket.socket, over: object) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        raise ConnectionResetError

    with faulty(once) as port:
        transfer = http.Transfer()
        answers = [perform(transfer, f"http://127.0.0.1:{port}/") for _ in range(3)]
    assert [got.outcome for got in answers] == [Outcome.OK] * 3


def test_a_kept_connection_that_breaks_before_the_response_is_replaced_within_the_attempt() -> None:
    requests = []

    def crashes(connection: socket.socket, over: threading.Event) -> None:
        requests.append(1)
        if len(requests) > 1:
            raise ConnectionResetError
        answer(200)(connection, over)

    with faulty(crashes) as port:
        transfer = http.Transfer()
        first, second = (perform(transfer, f"http://127.0.0.1:{port}/") for _ in range(2))
    assert first.outcome == Outcome.OK
    assert seen(second) == (Outcome.RESET, None, "Empty reply from server")
    # libcurl cannot distinguish it from a connection that was closed because it was idle; the webhook-id is the same
    assert len(requests) == 3


def test_an_invalid_url_does_not_raise() -> None:
    # webhook_urls.check rejects such a URL; a UnicodeError is clear enough
    with contextlib.suppress(UnicodeError):
        got = http.post("http://exa mple/hook", {}, b"{}")
        assert (got.outcome, got.status) == (Outcome.PROTOCOL, None)


@pytest.mark.parametrize("reads_interfaces", [False, True])
def test_running_out_of_open_files_is_a_fault_of_the_server(
    monkeypatch: pytest.MonkeyPatch, reads_interfaces: bool
) -> None:
    guard.own_addresses.read()  # in an attempt it reads the interfaces again if five seconds have passed
    with servers.refusing() as port:
        answers = []
        for free in range(8):  # libcurl opens a few before it opens the connection
            monkeypatch.setattr(guard.own_addresses, "due", 0.0 if reads_interfaces else math.inf)
            with files_left(free):
                answers.append(post(port))
    reasons = [got.error for got in answers]
    assert reasons[0] == "not sent: no socket, Out of memory or of open files"
    assert "not sent: no socket, Too many open files" in reasons
    assert reasons[-1] == "Connection refused"
    for got in answers:
        explained = explain_outcome(got.outcome, url="http://127.0.0.1/", error=got.error)
        ours = got.error != "Connection refused"
        assert (got.outcome, explained.side) == (
            (Outcome.PROTOCOL, Side.SERVER) if ours else (Outcome.REFUSED, Side.ENDPOINT)
        )


@contextlib.contextmanager
def files_left(free: int) -> Iterator[None]:
    """Limits this process to `free` more open files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = max(int(name) for name in os.listdir("/proc/self/fd"))
    with contextlib.ExitStack() as held:
        while (taken := held.enter_context(open(os.devnull)).fileno()) < top:
            pass  # no gaps below the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken + 1 + free, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("127.1", "/hook"),
        ("0x7f000001", "/hook"),
        ("2130706433", "/hook"),
        ("１２７.0.0.1", "/hook"),
        ("localhost", "/a/../b"),
        ("LOCALHOST", "/a/%2e%2e/b"),
        ("localhost", "/./a/.//b/..?q=/../x"),
        ("localhost", "/%C3%BC/%c3%bc/ü?ö=%zz&a=[1-3]{x}|"),
        ("localhost", "//double"),
        ("localhost", "/;p=1/a b"),
        ("localhost", "/?"),
        ("localhost", ""),
    ],
)
def test_the_log_has_the_request_line_and_headers_that_were_sent(host: str, path: str) -> None:
    """Read from the socket: libcurl must not change the URL after it was checked and logged."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        url = webhook_urls.check(f"http://{host}:{listener.getsockname()[1]}{path}")
        headers = {"User-Agent": "ChatAPI/1", "Content-Type": "application/json"}
        assert http.post(url, headers, b"").outcome == Outcome.OK
        thread.join()
    request_line, *lines = requests[0].decode().split("\r\n\r\n")[0].split("\r\n")
    assert f"http://{lines[0].removeprefix('Host: ')}{request_line.split(' ')[1]}" == url
    assert [line.split(": ", 1) for line in lines] == headers_as_sent(url, headers, b"")
