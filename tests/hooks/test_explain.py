"""Every outcome in words: one sentence, the side at fault, the next step."""

from typing import Any

import pytest

from hooks.explain import explain, explain_hook, explain_outcome
from hooks.models import Attempt, Hook, Kind, Outcome, Side, SkipReason, State

B, E, S = Side.BETWEEN, Side.ENDPOINT, Side.SERVER
URL = "https://bot.example:8443/hook"

LISTENS = (
    "See whether your program runs and listens on that port, on all interfaces and not on localhost alone."
)
CONTAINER = " In a container, localhost is the container itself: use the host's name or address instead."
LOG = "Read your server's log for this time."
ALLOW = (
    "Use an address that is reachable from the internet, or let the administrator list the network "
    "in HOOKS_ALLOW_NETWORKS."
)

STATUSES = [
    (201, "bot.example answered 201, but only 200 counts as received.", "Answer with status 200 exactly."),
    (204, "bot.example answered 204, but only 200 counts as received.", "Answer with status 200 exactly."),
    (
        400,
        "bot.example answered 400: it could not make sense of the request.",
        "See your server's log for this time: it received the request and refused it.",
    ),
    (
        401,
        "bot.example answered 401: it wants credentials.",
        "Let the hook's address through without a login, and check the signature instead.",
    ),
    (
        403,
        "bot.example answered 403: it refuses the request.",
        "Look for a firewall, a bot filter or a missing CSRF exemption in front of the address.",
    ),
    (
        404,
        "bot.example answered 404: it has nothing at this path.",
        "Compare the path of the address with the route in your program, slashes and case included.",
    ),
    (
        405,
        "bot.example answered 405: it does not take POST at this path.",
        "Hooks are POST requests: make the route accept POST.",
    ),
    (
        408,
        "bot.example answered 408: it waited too long for the request.",
        "Look at the proxy in front of your program.",
    ),
    (
        410,
        "bot.example answered 410: it says that this address is gone for good.",
        "The hook is not tried again. Set the instance's new address.",
    ),
    (
        413,
        "bot.example answered 413: the request was too large for it.",
        "Raise the body limit of your server or proxy to 1 MB at least.",
    ),
    (
        415,
        "bot.example answered 415: it does not take JSON.",
        "Hooks are sent as application/json: let the route accept it.",
    ),
    (418, "bot.example answered 418: it refused the request.", LOG),
    (
        429,
        "bot.example answered 429: it gets more requests than it wants.",
        "Answer quickly and queue the work; Retry-After is obeyed up to an hour.",
    ),
    (
        500,
        "bot.example answered 500: your program failed while handling it.",
        "Read your program's error log for this time. Acks and unknown families must be answered with 200 too.",
    ),
    (
        501,
        "bot.example answered 501: it does not know the method.",
        "Hooks are POST requests: make the route accept POST.",
    ),
    (
        502,
        "bot.example answered 502: the proxy in front of it got no good answer from your program.",
        "See whether your program runs and listens where the proxy looks.",
    ),
    (
        503,
        "bot.example answered 503: it is not available at the moment.",
        "See whether your program runs; with guaranteedHooks the hook is tried again.",
    ),
    (
        504,
        "bot.example answered 504: the proxy in front of it waited too long for your program.",
        "Answer 200 first and do the work afterwards.",
    ),
    (
        521,
        "bot.example answered 521: the proxy in front of it was refused by your server.",
        "See whether your program runs and lets the proxy's addresses in.",
    ),
    (
        524,
        "bot.example answered 524: the proxy in front of it waited too long for your program.",
        "Answer 200 first and do the work afterwards.",
    ),
    (
        526,
        "bot.example answered 526: the proxy in front of it does not trust your server's certificate.",
        "Check the certificate that your server shows to the proxy.",
    ),
    (599, "bot.example answered 599: your program failed.", LOG),
    (None, "bot.example answered without a status.", "Answer with status 200."),
]


@pytest.mark.parametrize(("status", "sentence", "next_step"), STATUSES)
def test_an_answer_that_is_not_200(status: int | None, sentence: str, next_step: str) -> None:
    found = explain_outcome(Outcome.NOT_200, url=URL, status=status)
    assert (found.sentence, found.side, found.next_step) == (sentence, E, next_step)


REST: list[tuple[Outcome, dict[str, Any], str, Side | None, str]] = [
    (Outcome.OK, {"status": 200}, "Delivered: bot.example answered 200.", None, ""),
    (
        Outcome.OK,
        {"status": 200, "error": "the response was longer than 64 KB; the rest was not read"},
        "Delivered: bot.example answered 200 (the response was longer than 64 KB; the rest was not read).",
        None,
        "",
    ),
    (
        Outcome.REDIRECT,
        {"status": 301, "location": "https://new.example/hook"},
        (
            "bot.example answered 301, a redirect to https://new.example/hook. "
            "Redirects are not followed; only 200 counts."
        ),
        E,
        "Set the address to https://new.example/hook itself.",
    ),
    (
        Outcome.REDIRECT,
        {"status": 302, "location": "/login?next=%2Fhook"},
        (
            "bot.example answered 302, a redirect to https://bot.example:8443/login?next=%2Fhook. "
            "Redirects are not followed; only 200 counts."
        ),
        E,
        "Set the address to https://bot.example:8443/login?next=%2Fhook itself.",
    ),
    (
        Outcome.REDIRECT,
        {"status": 302, "location": "http://[nonsense"},
        "bot.example answered 302, a redirect to http://[nonsense. Redirects are not followed; only 200 counts.",
        E,
        "Set the address to http://[nonsense itself.",
    ),
    (
        Outcome.REDIRECT,
        {"status": 302},
        "bot.example answered 302, a redirect. Redirects are not followed; only 200 counts.",
        E,
        "Set the address that it redirects to.",
    ),
    (
        Outcome.DNS,
        {"error": "Could not resolve host: bot.example"},
        "The name bot.example was not found.",
        B,
        "Check the spelling, and the domain's DNS records.",
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
        "There is no way to bot.example:8443: no route to host.",
        B,
        "Check the address and the network between.",
    ),
    (
        Outcome.REFUSED,
        {"error": "Network is unreachable"},
        "There is no way to bot.example:8443: network is unreachable.",
        B,
        "Check the address and the network between.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "name lookup"},
        "Timed out: the name bot.example was not looked up in time.",
        B,
        "Check the domain's name servers.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "connect"},
        "Timed out: bot.example did not take the connection in time.",
        B,
        "See whether the server is on, and whether a firewall drops connections to its port.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "Connection timed out"},
        "Timed out: bot.example did not take the connection in time.",
        B,
        "See whether the server is on, and whether a firewall drops connections to its port.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "TLS"},
        "Timed out: bot.example took the connection, but did not agree on TLS in time.",
        E,
        "See whether the port speaks HTTPS at all.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "answer"},
        "Timed out: bot.example took the request, but did not answer in time.",
        E,
        "Answer 200 first and do the work afterwards.",
    ),
    (
        Outcome.TIMEOUT,
        {"error": "answer body", "status": 200},
        "Timed out: bot.example began to answer, but did not finish in time.",
        E,
        "Finish the answer at once: an empty body is enough.",
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
        "The certificate of bot.example is signed by itself.",
        E,
        "Use one from a known authority; Let's Encrypt gives them for nothing.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL: no alternative certificate subject name matches target host name 'bot.example'"},
        "The certificate of bot.example is for another name.",
        E,
        "Get a certificate for bot.example, or use the name that it was made for.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unable to get local issuer certificate"},
        "The certificate of bot.example comes from an authority that is not known here, or its chain is incomplete.",
        E,
        "Let your server send the whole chain (fullchain.pem).",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: self-signed certificate in certificate chain"},
        "The certificate of bot.example comes from an authority that is not known here.",
        E,
        "Use one from a known authority, or let the administrator add yours to HOOKS_CA_FILE.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unable to verify the first certificate"},
        "The certificate of bot.example comes without its chain.",
        E,
        "Let your server send the whole chain (fullchain.pem).",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unable to get issuer certificate"},
        "The certificate of bot.example comes from an authority that is not known here, or its chain is incomplete.",
        E,
        "Let your server send the whole chain (fullchain.pem).",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: EE certificate key too weak"},
        "The certificate of bot.example is too weak: its key or its signature is of an old kind.",
        E,
        "Get a new one, with an RSA key of 2048 bits or an EC key.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: unsuitable certificate purpose"},
        "The certificate of bot.example was not made for a web server.",
        E,
        "Get one for a web server.",
    ),
    (
        Outcome.TLS,
        {"error": "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required"},
        "bot.example wants a certificate from whoever calls it.",
        E,
        "Let the hook's address through without a client certificate, and check the signature instead.",
    ),
    (
        Outcome.TLS,
        {"error": "TLS connect error: error:0A00042E:SSL routines::tlsv1 alert protocol version"},
        "bot.example speaks only old versions of TLS.",
        E,
        "Switch on TLS 1.2 or newer on your server.",
    ),
    (
        Outcome.TLS,
        {"error": "TLS connect error: error:0A000458:SSL routines::tlsv1 unrecognized name"},
        "bot.example has no site of this name.",
        E,
        "Add the name to your server's settings, with a certificate for it.",
    ),
    (
        Outcome.TLS,
        {"error": "SSL certificate problem: certificate revoked"},
        "The certificate of bot.example has been revoked.",
        E,
        "Get a new one.",
    ),
    (
        Outcome.TLS,
        {"error": "TLS connect error: error:0A00010B:SSL routines::wrong version number"},
        "bot.example does not speak TLS on this port.",
        E,
        "Use http:// for this port, or the port of HTTPS.",
    ),
    (
        Outcome.TLS,
        {"error": "error adding trust anchors from file: /etc/ca.pem"},
        "The file of trusted certificates of this site can't be read.",
        S,
        "Let the administrator correct HOOKS_CA_FILE.",
    ),
    (
        Outcome.TLS,
        {"error": "handshake failure"},
        "No TLS connection with bot.example: handshake failure.",
        E,
        "Check the server's TLS settings (TLS 1.2 or newer).",
    ),
    (
        Outcome.RESET,
        {"error": "Illegal or missing hexadecimal sequence in chunked-encoding"},
        "The answer of bot.example can't be read: its chunked body is broken.",
        E,
        "Answer with a Content-Length, or see which proxy mangles the answer.",
    ),
    (
        Outcome.RESET,
        {"error": "Recv failure: Connection reset by peer"},
        "bot.example broke off the connection before its answer was complete.",
        E,
        "See whether your program crashed or a proxy closed the connection at that moment.",
    ),
    (
        Outcome.BLOCKED,
        {"error": "private"},
        "bot.example leads to a private address, and hooks may not go there from this site.",
        S,
        ALLOW,
    ),
    (
        Outcome.BLOCKED,
        {"error": "IPv4-mapped"},
        "bot.example leads to an IPv4-mapped address, and hooks may not go there from this site.",
        S,
        ALLOW,
    ),
    (
        Outcome.TOO_LARGE,
        {"status": 200},
        "The headers of bot.example's answer were too large to read.",
        E,
        "Answer with fewer headers.",
    ),
    (
        Outcome.PROTOCOL,
        {"error": "Received HTTP/0.9 when not allowed"},
        "bot.example:8443 answered something that is not HTTP.",
        E,
        "See which program listens on that port, and whether it wants https:// instead of http://.",
    ),
    (
        Outcome.PROTOCOL,
        {"error": "URL rejected: Bad hostname"},
        "The request could not be made (URL rejected: Bad hostname).",
        S,
        "Set the address again, letter by letter.",
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
        "bot.example answered 308, a redirect to https://bot.example/hook. "
        "Redirects are not followed; only 200 counts."
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"state": State.QUEUED}, "Waiting for its turn."),
        ({"state": State.SENDING}, "Being sent now, attempt 1 of 1."),
        (
            {"state": State.SENDING, "attempts_made": 2, "attempts_allowed": 20},
            "Being sent now, attempt 3 of 20.",
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
            "Delivered, attempt 3 of 20: bot.example answered 200.",
        ),
        (
            {
                "state": State.RETRYING,
                "attempts_made": 2,
                "attempts_allowed": 20,
                "last_outcome": Outcome.NOT_200,
                "last_status": 500,
            },
            "Attempt 2 of 20 failed (answered 500); it is tried again.",
        ),
        (
            {"state": State.FAILED, "attempts_made": 1, "last_outcome": Outcome.REFUSED},
            "Failed after attempt 1 of 1 (connection refused).",
        ),
        (
            # it said 200 and then never finished
            {
                "state": State.FAILED,
                "attempts_made": 1,
                "last_outcome": Outcome.TIMEOUT,
                "last_status": 200,
            },
            "Failed after attempt 1 of 1 (timed out).",
        ),
        (
            {"state": State.SKIPPED, "kind": Kind.ACK, "skip_reason": SkipReason.FLAG_OFF},
            "Not sent: ack hooks are switched off in the instance's settings.",
        ),
        (
            {"state": State.SKIPPED, "skip_reason": SkipReason.NO_ADDRESS},
            "Not sent: the instance had no webhook address.",
        ),
        (
            {"state": State.SKIPPED, "skip_reason": SkipReason.TYPED_ON_PHONE},
            "Not sent: messages typed on the phone get no ack.",
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
def test_a_hook_says_where_it_stands(fields: dict[str, Any], sentence: str) -> None:
    assert explain_hook(Hook(kind=fields.pop("kind", Kind.MESSAGE), **fields)) == sentence
