"""Explanations of invalid HTTP responses and of responses from tunnels and proxies, over real sockets."""

import gzip
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_django.fixtures import Settings

from hooks import http
from hooks.explain.sentences import Explanation, explain_response
from hooks.explain.suggested_urls import suggested_url
from hooks.explain.verdicts import LOGIN_FORM, explanation_in_full, remark_of, verdict_of
from hooks.models import Attempt, Outcome, Side, Verdict
from tests.factories import InstanceFactory
from tests.faults.certificates import server_context
from tests.faults.servers import Fault, faulty, raw_response
from tests.hooks.attempted import attempt_hook

E = Side.ENDPOINT
HEADERS = "Check what your program prints before its headers: a warning or debug output breaks the response."
HTTPS = "Use https:// instead of http:// for this port."
LOGIN = "This is a login page: exempt the webhook URL from the login, and verify the signature instead."
HTTP1 = "Enable HTTP/1.1 on your server."


def attempted(url: str) -> Attempt:
    """An attempt to deliver a hook to this URL, not saved."""
    got = http.post(url, {}, b"{}")
    return Attempt(
        url=url,
        outcome=got.outcome,
        status=got.status,
        error=got.error,
        response_headers=got.headers,
        response_body=got.body,
    )


def explained(response: bytes) -> tuple[Outcome, Explanation]:
    with faulty(raw_response(response)) as port:
        url = f"http://localhost:{port}/hook"
        got = http.post(url, {}, b"{}")
        explanation = explain_response(got, url=url)
    sentence = explanation.sentence.replace(f":{port}", "")
    return got.outcome, Explanation(sentence, explanation.side, explanation.next_step)


@pytest.mark.parametrize(
    ("response", "sentence", "next_step"),
    [
        (
            b"HTTP/1.1 200 OK\r\nWarning! foreach() in bot.php\r\nContent-Length: 2\r\n\r\nok",
            "localhost responded with 200, but its headers are not valid HTTP: a header line has no colon.",
            HEADERS,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
            "localhost responded with 200, but its headers are not valid HTTP: the Content-Length is not a number.",
            HEADERS,
        ),
        (
            b"HTTP/1.1 500 Oops\r\nX-Bot: a\x00b\r\nContent-Length: 2\r\n\r\nok",
            "localhost responded with 500, but its headers are not valid HTTP: a header contains a NUL byte.",
            HEADERS,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n",
            "localhost responded with 200, but the chunks of its body are not valid HTTP.",
            "Let your framework write the response: each chunk must begin with its length in hexadecimal.",
        ),
        (
            b"SSH-2.0-OpenSSH_9.6\r\n",
            "localhost responded with something that is not HTTP.",
            "Check which program listens on that port, and whether it expects https:// instead of http://.",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x46", "localhost expects TLS.", HTTPS),
        (
            b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
            "localhost supports only HTTP/2.",
            HTTP1,
        ),
    ],
)
def test_responses_that_are_not_http(response: bytes, sentence: str, next_step: str) -> None:
    assert explained(response) == (Outcome.PROTOCOL, Explanation(sentence, E, next_step))


@pytest.mark.parametrize(
    ("status", "headers", "body", "cause", "next_step"),
    [
        (
            404,
            "ngrok-error-code: ERR_NGROK_3200\r\n",
            "",
            "the ngrok tunnel is offline, or has another name now",
            "Start the tunnel, and set the URL that it prints.",
        ),
        (
            403,
            "Server: cloudflare\r\nCf-Mitigated: challenge\r\n",
            "",
            "Cloudflare asked for a browser check",
            "Add a rule in Cloudflare that skips the challenge for the webhook's path.",
        ),
        (
            530,
            "Server: cloudflare\r\n",
            "error code: 1033",
            "Cloudflare found no origin for this name, or its tunnel is offline",
            "Start the tunnel (cloudflared), and check the DNS record in Cloudflare.",
        ),
        (
            401,
            "Server: Vercel\r\n",
            "",
            "Vercel protects this deployment with a login",
            "Use the production domain, or turn off Deployment Protection for it.",
        ),
        (
            404,
            "Server: Vercel\r\nX-Vercel-Error: DEPLOYMENT_NOT_FOUND\r\n",
            "",
            "Vercel has no deployment at this name",
            "Set the URL of a deployment that exists.",
        ),
        (400, "", "Client sent an HTTP request to an HTTPS server.\n", "this port expects HTTPS", HTTPS),
        (
            400,
            "Server: nginx\r\n",
            "<center>The plain HTTP request was sent to HTTPS port</center>",
            "this port expects HTTPS",
            HTTPS,
        ),
        (
            401,
            "Server: nginx\r\n",
            "",
            "it requires a login",
            "Exempt the webhook URL from the login, and verify the signature instead.",
        ),
        (
            404,
            "",
            "",
            "there is nothing at this path",
            "Compare the path of the URL with the route in your code, including slashes and case.",
        ),
    ],
)
def test_responses_of_a_tunnel_or_proxy(
    status: int, headers: str, body: str, cause: str, next_step: str
) -> None:
    response = f"HTTP/1.1 {status} Said\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    sentence = f"localhost responded with {status}: {cause}."
    assert explained(response) == (Outcome.NOT_200, Explanation(sentence, E, next_step))


@pytest.mark.parametrize(
    ("location", "is_login"),
    [
        ("/login?next=/hook", True),
        ("/accounts/login/?next=%2Fhook", True),
        ("https://sso.example/saml2/sp", True),
        ("/users/sign_in", True),
        ("/?next=/hook", True),
        ("https://id.example/start?RelayState=%2Fhook", True),
        ("/hook/", False),
        ("/blog/in", False),
        ("/authors/1", False),
    ],
)
def test_a_redirect_to_a_login_page_does_not_become_the_webhook_url(location: str, is_login: bool) -> None:
    outcome, explanation = explained(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())
    assert outcome == Outcome.REDIRECT
    assert (explanation.next_step == LOGIN) is is_login
    assert explanation.next_step.startswith("Set the URL to ") is not is_login


def test_a_connection_closed_before_any_byte_may_mean_https() -> None:
    assert explained(b"") == (
        Outcome.RESET,
        Explanation(
            "localhost closed the connection without a response.",
            E,
            "Check whether your server crashed at that moment, and whether the port expects https:// instead of "
            "http://.",
        ),
    )


def test_a_response_without_length_or_end_names_the_missing_header(settings: Settings) -> None:
    settings.HOOKS_DEADLINE_MS = 2000  # the beginning of the response comes before, on a busy machine too

    def fault(connection: object, over: object) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nok")  # type: ignore[attr-defined]
        over.wait()  # type: ignore[attr-defined]

    hanging: Fault = fault
    with faulty(hanging) as port:
        got = http.post(f"http://localhost:{port}/hook", {}, b"{}")
    assert explain_response(got, url="http://localhost/hook") == Explanation(
        "Timed out: localhost responded, but sent no Content-Length and did not close the connection.",
        E,
        "Send a Content-Length header, or close the connection after the response.",
    )


def reject_handshake(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accepts one connection and reads it to the end, so that the alert is not lost by a reset."""
    accepted, _ = listener.accept()
    with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as connection:
        with pytest.raises(ssl.SSLError):
            connection.do_handshake()
        socket.socket.shutdown(connection, socket.SHUT_WR)
        while socket.socket.recv(connection, 4096):
            pass


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (ssl.TLSVersion.TLSv1_3, "localhost requires a client certificate."),
        (ssl.TLSVersion.TLSv1_2, "localhost rejected the TLS handshake."),
    ],
    ids=["TLS 1.3", "TLS 1.2"],
)
def test_a_server_that_requires_a_client_certificate(
    tmp_path: Path, settings: Settings, version: ssl.TLSVersion, sentence: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    context = server_context(authority.issue_cert("localhost"))
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=reject_handshake, args=[listener, context])
        thread.start()
        got = http.post(f"https://localhost:{listener.getsockname()[1]}/hook", {}, b"{}")
        thread.join()
    explanation = explain_response(got, url="https://localhost/hook")
    assert (got.outcome, explanation.side, explanation.sentence) == (Outcome.TLS, E, sentence)


LONG = "/" + "a" * 600


@pytest.mark.parametrize(
    ("response", "wanted"),
    [
        ("301 Moved\r\nLocation: /hook/", "{origin}/hook/"),
        ("308 Moved\r\nLocation: https://localhost:{port}/hook", "https://localhost:{port}/hook"),
        ("302 Found\r\nLocation: //bot.example/a b", "http://bot.example/a%20b"),
        (f"301 Moved\r\nLocation: {LONG}", "{origin}" + LONG),
        ("302 Found\r\nLocation: /login/", ""),
        ("302 Found\r\nLocation: /?next=/hook", ""),
        ("302 Found\r\nLocation: /hook", ""),  # to itself
        ("302 Found\r\nLocation: ftp://bot.example/", ""),
        ("302 Found\r\nLocation: http://user:secret@bot.example/", ""),
        ("302 Found\r\nLocation: http://[nonsense", ""),
        ("302 Found\r\nLocation: /h\u00f6k", ""),
        ("302 Found", ""),
        ("500 Oops\r\nLocation: /hook/", ""),
    ],
)
def test_the_target_of_a_redirect_is_the_suggested_url(response: str, wanted: str) -> None:
    def fault(connection: socket.socket, over: threading.Event) -> None:
        said = f"HTTP/1.1 {response}\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(said.replace("{port}", str(port)).encode())

    with faulty(fault) as port:
        attempt = attempted(f"http://localhost:{port}/hook")
    assert suggested_url(attempt) == wanted.format(origin=f"http://localhost:{port}", port=port)


@pytest.mark.parametrize(
    "response",
    [
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 400 Bad\r\nContent-Length: 52\r\n\r\n<h1>The plain HTTP request was sent to HTTPS port</h1>",
    ],
)
def test_for_a_port_that_expects_tls_https_is_suggested(response: bytes) -> None:
    with faulty(raw_response(response)) as port:
        assert suggested_url(attempted(f"http://localhost:{port}/hook?a=http://b")) == (
            f"https://localhost:{port}/hook?a=http://b"
        )


def test_http_is_never_suggested_in_place_of_https(tmp_path: Path, settings: Settings) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings.HOOKS_CA_FILE = str(tmp_path / "ca.pem")
    moved = raw_response(
        b"HTTP/1.1 301 Moved\r\nLocation: http://localhost/hook\r\nContent-Length: 0\r\n\r\n"
    )
    with faulty(moved, tls=server_context(authority.issue_cert("localhost"))) as port:
        attempt = attempted(f"https://localhost:{port}/hook")
    assert attempt.outcome == Outcome.REDIRECT
    assert suggested_url(attempt) == ""


LOGIN_PAGE = b"<!doctype html><form><input name=user><input name='p' type=\"password\"></form>"


@pytest.mark.parametrize(
    ("headers", "body", "is_remarked"),
    [
        ("Content-Type: text/html; charset=utf-8", LOGIN_PAGE, True),
        ("Content-Type: TEXT/HTML\r\nContent-Encoding: gzip", gzip.compress(LOGIN_PAGE, mtime=0), True),
        ("Server: bot", LOGIN_PAGE, True),  # no Content-Type, but an HTML document
        ("Content-Type: text/plain", LOGIN_PAGE, False),
        ("Content-Type: text/html", b"ok", False),
        ("Content-Type: text/html", b"<p>The input type=password was saved", False),
        ("Server: bot", b'{"html": "<input type=password>"}', False),
    ],
)
def test_a_login_page_that_responds_200_gets_a_remark(headers: str, body: bytes, is_remarked: bool) -> None:
    said = f"HTTP/1.1 200 OK\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with faulty(raw_response(said)) as port:
        attempt = attempted(f"http://localhost:{port}/hook")
    assert verdict_of(attempt) == Verdict.DELIVERED
    assert (remark_of(attempt) == LOGIN_FORM) is is_remarked
    assert explanation_in_full(attempt).endswith(LOGIN_FORM) is is_remarked


@pytest.mark.django_db
def test_a_list_reads_no_bodies_for_the_remark(django_assert_num_queries: Any) -> None:
    instance = InstanceFactory(url="https://example.com/")
    html = [["Content-Type", "text/html"]]
    hook = attempt_hook(instance.endpoint, 200, headers=html, body=LOGIN_PAGE, size=len(LOGIN_PAGE))
    [listed] = hook.attempts.defer("response_body")
    with django_assert_num_queries(0):
        assert remark_of(listed) == ""
    assert remark_of(hook.attempts.get()) == LOGIN_FORM
