"""The explanation of every outcome: one sentence, the side at fault, the next step."""

from typing import Any

import pytest

from hooks.explain.sentences import explain, explain_hook, explain_outcome
from hooks.models import Attempt, Endpoint, Hook, Kind, Outcome, Side, SkipReason, State, Trigger

B, E, S = Side.BETWEEN, Side.ENDPOINT, Side.SERVER
URL = "https://bot.example:8443/hook"

LISTENS = "Check that your server runs and listens on that port on all interfaces, not only on localhost."
CONTAINER = " In a container, localhost is the container itself: use the host's name or IP address instead."
LOG = "Check your server's log for this time."
ALLOW = (
    "Use a URL that is reachable from the internet, or ask the administrator to add the network "
    "to HOOKS_ALLOW_NETWORKS."
)
ALLOW_OWN = "Run your endpoint on another server, or ask the administrator to add the address to HOOKS_ALLOW_NETWORKS."

STATUSES = [
    (
        201,
        "bot.example responded with 201, not 200; only 200 counts as delivered.",
        "Respond with exactly 200.",
    ),
    (
        204,
        "bot.example responded with 204, not 200; only 200 counts as delivered.",
        "Respond with exactly 200.",
    ),
    (
        400,
        "bot.example responded with 400: it could not parse the request.",
        "Check your server's log for this time: it received the request and rejected it.",
    ),
    (
        401,
        "bot.example responded with 401: it requires a login.",
        "Exempt the webhook URL from the login, and verify the signature instead.",
    ),
    (
        403,
        "bot.example responded with 403: it rejects the request.",
        "Check for a firewall, a bot filter or a missing CSRF exemption in front of the URL.",
    ),
    (
        404,
        "bot.example responded with 404: there is nothing at this path.",
        "Compare the path of the URL with the route in your code, including slashes and case.",
    ),
    (
        405,
        "bot.example responded with 405: this path does not accept POST.",
        "Make the route accept POST.",
    ),
    (
        408,
        "bot.example responded with 408: it timed out waiting for the request.",
        "Check the proxy in front of your server.",
    ),
    (
        410,
        "bot.example responded with 410: it says that this URL no longer exists.",
        "It is not retried. Set the new URL.",
    ),
    (
        413,
        "bot.example responded with 413: the request was too large for it.",
        "Raise the body limit of your server or proxy to at least 1 MB.",
    ),
    (
        415,
        "bot.example responded with 415: it does not accept JSON.",
        "Make the route accept application/json.",
    ),
    (418, "bot.example responded with 418: it rejected the request.", LOG),
    (
        429,
        "bot.example responded with 429: it received more requests than it allows.",
        "Respond quickly and queue the work. Retry-After is honoured up to 1 hour.",
    ),
    (
        500,
        "bot.example responded with 500: your server failed while handling it.",
        "Check your server's error log for this time. Respond with 200 to acks and unknown families too.",
    ),
    (
        501,
        "bot.example responded with 501: it does not support the method.",
        "Make the route accept POST.",
    ),
    (
        502,
        "bot.example responded with 502: the proxy in front of it got no valid response from your server.",
        "Check that your server runs and listens where the proxy connects.",
    ),
    (
        503,
        "bot.example responded with 503: it is temporarily unavailable.",
        "Check that your server runs. With guaranteedHooks the hook is retried.",
    ),
    (
        504,
        "bot.example responded with 504: the proxy in front of it timed out waiting for your server.",
        "Respond with 200 first, then do the work.",
    ),
    (
        521,
        "bot.example responded with 521: your server refused the connection of the proxy in front of it.",
        "Check that your server runs and allows the proxy's IP addresses.",
    ),
    (
        524,
        "bot.example responded with 524: the proxy in front of it timed out waiting for your server.",
        "Respond with 200 first, then do the work.",
    ),
    (
        526,
        "bot.example responded with 526: the proxy in front of it does not trust your server's certificate.",
        "Check the certificate that your server presents to the proxy.",
    ),
    (599, "bot.example responded with 599: your server failed.", LOG),
    (None, "bot.example responded without a status.", "Respond with status 200."),
]


@pytest.mark.parametrize(("status", "sentence", "next_step"), STATUSES)
def test_a_response_that_is_not_200(status: int | None, sentence: str, next_step: str) -> None:
    found = explain_outcome(Outcome.NOT_200, url=URL, status=status)
    assert (found.sentence, found.side, found.next_step) == (sentence, E, next_step)


REST: list[tuple[Outcome, dict[str, Any], str, Side | None, str]] = [
    (Outcome.OK, {"status": 200}, "Delivered: bot.example responded with 200.", None, ""),
    (
        Outcome.OK,
        {"status": 200, "error": "the response was longer than 64 KB; the rest was not read"},
        "Delivered: bot.example responded with 200 (the response was longer than 64 KB; the rest was not read).",
        None,
        "",
    ),
    (
        Outcome.REDIRECT,
        {"status": 301, "headers": [["Location", "https://new.example/hook"]]},
        (
            "bot.example responded with 301, a redirect to https://new.example/hook. "
            "Redirects are not followed; only 200 counts."
        ),
        E,
        "Set the URL to https://new.example/hook.",
    ),
    (
        Outcome.REDIRECT,
        {"status": 302, "headers": [["Location", "/login?next=%2Fhook"]]},
        (
            "bot.example responded with 302, a redirect to https://bot.example:8443/login?next=%2Fhook. "
            "Redirects are not followed; only 200 counts."
        ),
        E,
        "This is a login page: exempt the webhook URL from the login, and verify the signature instead.",
    ),
    (
        Outcome.REDIRECT,
        {"status": 302, "headers": [["Location", "http://[nonsense"]]},
        "bot.example responded with 302, a redirect to http://[nonsense. Redirects are not followed; only 200 counts.",
        E,
        "Set the URL to http://[nonsense.",
    ),
    (
        Outcome.REDIRECT,
        {"status": 302},
        "bot.example responded with 302, a redirect. Redirects are not followed; only 200 counts.",
        E,
        "Set the URL to the target of the redirect.",
    ),
    (
        Outcome.DNS,
        {"error": "Could not resolve host: bot.example"},
        "The name bot.example was not found.",
        B,
        "Check the spelling and the domain's DNS records.",
    ),
    (
        Outcome.REFUSED,
        {"error": "Connection refused"},
        "bot.example:8443 refused the connection: nothing listens there.",
        E,
        LISTENS,
    ),
    (
        Outcome.REFUSED,
        {"error": "Connection refused", "url": "http://localhost:5000/"},
        "localhost:5000 refused the connection: nothing listens there.",
        E,
        LISTENS + CONTAINER,
    ),
    (
        Outcome.REFUSED,
        {"error": "Connection refused", "url": "http://[::1]/"},
        "[::1] refused the connection: nothing listens there.",
        E,
        LISTENS + CONTAINER,
    ),
    (
        Outcome.REFUSED,
        {"error": "Connection refused", "url": "http://127.0.1.1:5000/"},
        "127.0.1.1:5000 refused the connection: nothing listens there.",
        E,
        LISTENS + CONTAINER,
    ),
    (
        Outcome.REFUSED,
        {"error": "No route to host"},
        "There is no route to bot.example:8443: no route to host.",
        B,
        "Check the URL and the network in between.",
    ),
    (
        Outcome.REFUSED,
        {"error": "Network is unreachable"},
        "There is no route to bot.example:8443: network is unreachable.",
        B,
        "Check the URL and the network in between.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "name lookup"},
        "Timed out: the DNS lookup of bot.example did not finish in time.",
        B,
        "Check the domain's name servers.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "connect"},
        "Timed out: bot.example did not accept the connection in time.",
        B,
        "Check that the server is on, and whether a firewall drops connections to its port.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "Connection timed out"},
        "Timed out: bot.example did not accept the connection in time.",
        B,
        "Check that the server is on, and whether a firewall drops connections to its port.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "TLS"},
        "Timed out: bot.example accepted the connection, but the TLS handshake did not finish in time.",
        E,
        "Check that the port speaks HTTPS.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "answer"},
        "Timed out: bot.example accepted the request, but did not respond in time.",
        E,
        "Respond with 200 first, then do the work.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "answer body", "status": 200},
        "Timed out: bot.example started its response, but did not finish it in time.",
        E,
        "Finish the response immediately: an empty body is enough.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: certificate has expired"},
        "The certificate of bot.example has expired.",
        E,
        "Renew it.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: certificate is not yet valid"},
        "The certificate of bot.example is not valid yet.",
        E,
        "Check the date of the certificate and the clocks of both servers.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: self-signed certificate"},
        "The certificate of bot.example is self-signed.",
        E,
        "Use a certificate from a known authority; Let's Encrypt is free.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL: no alternative certificate subject name matches target host name 'bot.example'"},
        "The certificate of bot.example is for another name.",
        E,
        "Get a certificate for bot.example, or use the name in the certificate.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unable to get local issuer certificate"},
        "The certificate of bot.example comes from an unknown authority, or its chain is incomplete.",
        E,
        "Make your server send the whole chain (fullchain.pem).",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: self-signed certificate in certificate chain"},
        "The certificate of bot.example comes from an unknown authority.",
        E,
        "Use a certificate from a known authority, or ask the administrator to add yours to HOOKS_CA_FILE.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unable to verify the first certificate"},
        "The certificate of bot.example is sent without its chain.",
        E,
        "Make your server send the whole chain (fullchain.pem).",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unable to get issuer certificate"},
        "The certificate of bot.example comes from an unknown authority, or its chain is incomplete.",
        E,
        "Make your server send the whole chain (fullchain.pem).",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: EE certificate key too weak"},
        "The certificate of bot.example is too weak: its key is too short or its signature algorithm too old.",
        E,
        "Get a new one, with an RSA key of 2048 bits or an EC key.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unsuitable certificate purpose"},
        "The certificate of bot.example is not for a web server.",
        E,
        "Get one for a web server.",
    ),
    (
        Outcome.TLS,
        {"error": "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required"},
        "bot.example requires a client certificate.",
        E,
        "Exempt the webhook URL from client certificates, and verify the signature instead.",
    ),
    (
        Outcome.TLS,
        {"error": "TLS connect error: error:0A00042E:SSL routines::tlsv1 alert protocol version"},
        "bot.example supports only old versions of TLS.",
        E,
        "Enable TLS 1.2 or newer on your server.",
    ),
    (
        Outcome.TLS,
        {"error": "TLS connect error: error:0A000458:SSL routines::tlsv1 unrecognized name"},
        "bot.example has no site with this name.",
        E,
        "Add the name to your server's settings, with a certificate for it.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: certificate revoked"},
        "The certificate of bot.example was revoked.",
        E,
        "Get a new one.",
    ),
    (
        Outcome.TLS,
        {"error": "TLS connect error: error:0A00010B:SSL routines::wrong version number"},
        "bot.example does not speak TLS on this port.",
        E,
        "Use http:// for this port, or the HTTPS port.",
    ),
    (
        Outcome.TLS,
        {"error": "error adding trust anchors from file: /etc/ca.pem"},
        "This site's file of trusted certificates can't be read.",
        S,
        "Ask the administrator to correct HOOKS_CA_FILE.",
    ),
    (
        Outcome.TLS,
        {"error": "tlsv1 alert internal error"},
        "No TLS connection with bot.example: tlsv1 alert internal error.",
        E,
        "Check the server's TLS settings (TLS 1.2 or newer).",
    ),
    (
        Outcome.TLS,
        {"error": "sslv3 alert handshake failure"},
        "bot.example rejected the TLS handshake.",
        E,
        "Check whether your server requires a client certificate, and its TLS versions and ciphers (TLS 1.2 or newer).",
    ),
    (
        Outcome.TLS,
        {"error": "SSL routines::tlsv1 alert no application protocol"},
        "bot.example supports only HTTP/2.",
        E,
        "Enable HTTP/1.1 on your server.",
    ),
    (
        Outcome.RESET,
        {"error": "Illegal or missing hexadecimal sequence in chunked-encoding"},
        "The response of bot.example can't be read: its chunked body is invalid.",
        E,
        "Respond with a Content-Length, or check which proxy changes the response.",
    ),
    (
        Outcome.RESET,
        {"error": "Empty reply from server"},
        "bot.example closed the connection without a response.",
        E,
        "Check whether your server crashed at that moment, and whether your server requires a client certificate.",
    ),
    (
        Outcome.RESET,
        {"status": 200, "error": "Recv failure: Connection reset by peer"},
        "bot.example closed the connection before its response was complete.",
        E,
        "Check whether your server crashed or a proxy closed the connection at that moment.",
    ),
    (
        Outcome.BLOCKED,
        {"error": "this server's own"},
        "bot.example resolves to an address of this server, and this site sends nothing to those.",
        S,
        ALLOW_OWN,
    ),
    (
        Outcome.BLOCKED,
        {"error": "private"},
        "bot.example resolves to a private address, and this site sends nothing to those.",
        S,
        ALLOW,
    ),
    (
        Outcome.BLOCKED,
        {"error": "IPv4-mapped"},
        "bot.example resolves to an IPv4-mapped address, and this site sends nothing to those.",
        S,
        ALLOW,
    ),
    (
        Outcome.TOO_LARGE,
        {"status": 200},
        "The headers of bot.example's response were too large to read.",
        E,
        "Respond with fewer headers.",
    ),
    (
        Outcome.PROTOCOL,
        {"error": "Received HTTP/0.9 when not allowed"},
        "bot.example:8443 responded with something that is not HTTP.",
        E,
        "Check which program listens on that port, and whether it expects https:// instead of http://.",
    ),
    (
        Outcome.PROTOCOL,
        {"error": "URL rejected: Bad hostname"},
        "The request could not be sent (URL rejected: Bad hostname).",
        S,
        "Enter the URL again, character by character.",
    ),
]


@pytest.mark.parametrize(("outcome", "parts", "sentence", "side", "next_step"), REST)
def test_an_outcome(
    outcome: Outcome, parts: dict[str, Any], sentence: str, side: Side | None, next_step: str
) -> None:
    found = explain_outcome(outcome, **{"url": URL} | parts)
    assert (found.sentence, found.side, found.next_step) == (sentence, side, next_step)


def test_the_table_above_has_every_outcome() -> None:
    assert {outcome for outcome, *_ in REST} | {Outcome.NOT_200} == set(Outcome)


def test_an_attempt_is_explained_from_its_row() -> None:
    attempt = Attempt(
        outcome=Outcome.REDIRECT,
        url="http://bot.example/hook",
        status=308,
        response_headers=[["Server", "nginx"], ["LOCATION", "https://bot.example/hook"]],
    )
    assert explain(attempt).sentence == (
        "bot.example responded with 308, a redirect to https://bot.example/hook. "
        "Redirects are not followed; only 200 counts."
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"state": State.QUEUED}, "Waiting in the queue."),
        ({"state": State.SENDING}, "Sending now: attempt 1 of 1."),
        (
            {"state": State.SENDING, "attempts_made": 2, "attempts_allowed": 20},
            "Sending now: attempt 3 of 20.",
        ),
        ({"state": State.CANCELLED}, "Cancelled before it was sent."),
        ({"state": State.CANCELLED, "attempts_made": 2}, "Cancelled after 2 attempts."),
        (
            {
                "state": State.DELIVERED,
                "attempts_made": 3,
                "attempts_allowed": 20,
                "last_host": "bot.example",
                "last_outcome": Outcome.OK,
                "last_status": 200,
            },
            "Delivered, attempt 3 of 20: bot.example responded with 200.",
        ),
        (
            {
                "state": State.RETRYING,
                "attempts_made": 2,
                "attempts_allowed": 20,
                "last_outcome": Outcome.NOT_200,
                "last_status": 500,
            },
            "Attempt 2 of 20 failed (responded with 500); it will be retried.",
        ),
        (
            {"state": State.FAILED, "attempts_made": 1, "last_outcome": Outcome.REFUSED},
            "Failed after attempt 1 of 1 (connection refused).",
        ),
        (
            # it responded with 200, but the body never ended
            {
                "state": State.FAILED,
                "attempts_made": 1,
                "last_outcome": Outcome.TIMEOUT,
                "last_status": 200,
            },
            "Failed after attempt 1 of 1 (responded with 200, but not completely: timed out).",
        ),
        (
            {"state": State.SKIPPED, "kind": Kind.ACK, "skip_reason": SkipReason.FLAG_OFF},
            "Not sent: ack hooks are turned off in the instance's settings.",
        ),
        (
            {"state": State.SKIPPED, "skip_reason": SkipReason.NO_ADDRESS},
            "Not sent: the instance had no webhook URL.",
        ),
        (
            {"state": State.SKIPPED, "skip_reason": SkipReason.TYPED_ON_PHONE},
            "Not sent: no acks are sent for messages typed on the phone.",
        ),
        (
            {"state": State.SKIPPED, "skip_reason": SkipReason.TOO_OLD},
            "Not sent: the message was older than oldMessagesPeriod.",
        ),
        (
            {"state": State.SKIPPED, "skip_reason": SkipReason.NOT_PAID},
            "Not sent: the instance was not paid.",
        ),
    ],
)
def test_the_explanation_of_a_hook_by_its_state(fields: dict[str, Any], sentence: str) -> None:
    assert explain_hook(Hook(kind=fields.pop("kind", Kind.MESSAGE), **fields)) == sentence


FAILED_ONCE = {
    "attempts_made": 1,
    "attempts_allowed": 20,
    "last_outcome": Outcome.NOT_200,
    "last_status": 500,
}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"state": State.QUEUED},
            "Not sent yet: the instance has no webhook URL. Set one to send the hook.",
        ),
        (
            {"state": State.RETRYING, **FAILED_ONCE},
            "Attempt 1 of 20 failed (responded with 500); it will be retried when the instance has a webhook URL.",
        ),
        (
            {"state": State.RETRYING, "trigger": Trigger.RESEND},
            "It will be resent when the instance has a webhook URL.",
        ),
        # hooks that versions before 0.2.0 skipped between attempts
        (
            {"state": State.SKIPPED, "skip_reason": SkipReason.NO_ADDRESS, **FAILED_ONCE},
            "Skipped after 1 attempt: the instance had no webhook URL.",
        ),
    ],
)
def test_the_sentence_of_a_hook_without_a_url_agrees_with_its_attempts(
    fields: dict[str, Any], sentence: str
) -> None:
    endpoint = Endpoint(pk=1, url="")
    assert explain_hook(Hook(kind=Kind.MESSAGE, endpoint=endpoint, **fields)) == sentence


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "It will be resent."),
        ({"attempts_made": 1, "last_outcome": Outcome.OK, "last_status": 200}, "It will be resent."),
        (FAILED_ONCE, "Attempt 1 of 20 failed (responded with 500); it will be resent."),
    ],
)
def test_the_sentence_of_a_hook_that_is_resent_agrees_with_its_attempts(
    fields: dict[str, Any], sentence: str
) -> None:
    hook = Hook(kind=Kind.MESSAGE, state=State.RETRYING, trigger=Trigger.RESEND, **fields)
    assert explain_hook(hook) == sentence
