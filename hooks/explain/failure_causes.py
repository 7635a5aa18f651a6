"""The causes of failed attempts for sentences.py: status codes, timeouts, certificates, and what to do about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooks import own_hooks
from hooks.models import Side

# Status code → (cause, next step).
STATUSES: dict[int, tuple[str, str]] = {
    400: (
        "it could not parse the request",
        "Check your server's log for this time: it received the request and rejected it.",
    ),
    401: ("it requires a login", "Exempt the webhook URL from the login, and verify the signature instead."),
    403: (
        "it rejects the request",
        "Check for a firewall, a bot filter or a missing CSRF exemption in front of the URL.",
    ),
    404: (
        "there is nothing at this path",
        "Compare the path of the URL with the route in your code, including slashes and case.",
    ),
    405: ("this path does not accept POST", "Make the route accept POST."),
    408: ("it timed out waiting for the request", "Check the proxy in front of your server."),
    410: ("it says that this URL no longer exists", "It is not retried. Set the new URL."),
    413: (
        "the request was too large for it",
        "Raise the body limit of your server or proxy to at least 1 MB.",
    ),
    415: ("it does not accept JSON", "Make the route accept application/json."),
    429: (
        "it received more requests than it allows",
        "Respond quickly and queue the work. Retry-After is honoured up to 1 hour.",
    ),
    500: (
        "your server failed while handling it",
        "Check your server's error log for this time. Respond with 200 to acks and unknown families too.",
    ),
    501: ("it does not support the method", "Make the route accept POST."),
    502: (
        "the proxy in front of it got no valid response from your server",
        "Check that your server runs and listens where the proxy connects.",
    ),
    503: (
        "it is temporarily unavailable",
        "Check that your server runs. With guaranteedHooks the hook is retried.",
    ),
    504: (
        "the proxy in front of it timed out waiting for your server",
        "Respond with 200 first, then do the work.",
    ),
    508: (
        "it detected a loop",
        "Check where your server forwards the request: it returns to a server that it passed.",
    ),
    # Cloudflare's own status codes; the server behind it sends none of them
    520: (
        "the proxy in front of it could not read your server's response",
        "Check whether your server crashed, and call its port without the proxy.",
    ),
    521: (
        "your server refused the connection of the proxy in front of it",
        "Check that your server runs and allows the proxy's IP addresses.",
    ),
    522: (
        "the proxy in front of it could not connect to your server in time",
        "Check whether a firewall drops the proxy's connections.",
    ),
    523: (
        "the proxy in front of it has no route to your server",
        "Check the server's IP address in the proxy's settings.",
    ),
    524: (
        "the proxy in front of it timed out waiting for your server",
        "Respond with 200 first, then do the work.",
    ),
    525: (
        "the TLS handshake between the proxy in front of it and your server failed",
        "Check the certificate that your server presents to the proxy.",
    ),
    526: (
        "the proxy in front of it does not trust your server's certificate",
        "Check the certificate that your server presents to the proxy.",
    ),
}


@dataclass(frozen=True, slots=True)
class Intermediary:
    """A response of a tunnel, a proxy or a hosting platform instead of the server behind it."""

    statuses: Sequence[int]
    cause: str
    next_step: str
    header: str = ""  # its name in lower case
    value: str = ""  # a part of the header's value
    body: bytes = b""  # a part of the body

    def matches(self, headers: Sequence[Sequence[str]], body: bytes) -> bool:
        """Returns whether a response with these headers and this body is the intermediary's."""
        if self.header and not any(
            name.lower() == self.header and self.value in value.lower() for name, value in headers
        ):
            return False
        return self.body in body


USE_HTTPS = "Use https:// instead of http:// for this port."
ANY_FAILURE = range(400, 600)
# The error text of an attempt of `chatapi listen` to which nothing listened.
REFUSED_LOCALLY = "refused on the computer that runs chatapi listen"
# The first match counts.
INTERMEDIARIES = (
    Intermediary(
        (own_hooks.STATUS,),
        "it is the API of this site, where the hook would cause further hooks",
        "Set the webhook URL to your own server, or to a bin to see the hooks.",
        body=own_hooks.LOOP_DETECTED.encode(),
    ),
    Intermediary(
        ANY_FAILURE,
        "the ngrok tunnel is offline, or has another name now",
        "Start the tunnel, and set the URL that it prints.",
        header="ngrok-error-code",
    ),
    Intermediary(
        ANY_FAILURE,
        "Cloudflare asked for a browser check",
        "Add a rule in Cloudflare that skips the challenge for the webhook's path.",
        header="cf-mitigated",
        value="challenge",
    ),
    Intermediary(
        (530,),
        "Cloudflare found no origin for this name, or its tunnel is offline",
        "Start the tunnel (cloudflared), and check the DNS record in Cloudflare.",
    ),
    Intermediary(
        (401, 403),
        "Vercel protects this deployment with a login",
        "Use the production domain, or turn off Deployment Protection for it.",
        header="server",
        value="vercel",
    ),
    Intermediary(
        (404,),
        "Vercel has no deployment at this name",
        "Set the URL of a deployment that exists.",
        header="x-vercel-error",
    ),
    Intermediary(
        (400,),
        "this port expects HTTPS",
        USE_HTTPS,
        body=b"HTTP request to an HTTPS server",  # Go's net/http
    ),
    Intermediary(
        (400,),
        "this port expects HTTPS",
        USE_HTTPS,
        body=b"plain HTTP request was sent to HTTPS port",  # nginx
    ),
    Intermediary(
        (400,),
        "this port expects HTTPS",
        USE_HTTPS,
        body=b"speaking plain HTTP to an SSL-enabled server port",  # Apache
    ),
)

STATUSES_NAMED_BY_BODY = {status for sign in INTERMEDIARIES if sign.body for status in sign.statuses}

# A part of libcurl's message, lower case → the rule of HTTP that a response's headers break.
HEADER_RULES = (
    ("header without colon", "a header line has no colon"),
    ("content-length", "the Content-Length is not a number"),
    ("nul", "a header contains a NUL byte"),
    ("transfer-encoding", "the Transfer-Encoding is unknown"),
    ("http version", "the HTTP version is unknown"),
)

# Phase, as hooks.http names it → (cause, side, next step).
TIMEOUTS: dict[str, tuple[str, Side, str]] = {
    "name lookup": (
        "the DNS lookup of {host} did not finish in time",
        Side.BETWEEN,
        "Check the domain's name servers.",
    ),
    "connect": (
        "{host} did not accept the connection in time",
        Side.BETWEEN,
        "Check that the server is on, and whether a firewall drops connections to its port.",
    ),
    "TLS": (
        "{host} accepted the connection, but the TLS handshake did not finish in time",
        Side.ENDPOINT,
        "Check that the port speaks HTTPS.",
    ),
    "response": (
        "{host} accepted the request, but did not respond in time",
        Side.ENDPOINT,
        "Respond with 200 first, then do the work.",
    ),
    "end of connection": (
        "{host} responded, but sent no Content-Length and did not close the connection",
        Side.ENDPOINT,
        "Send a Content-Length header, or close the connection after the response.",
    ),
    "response body": (
        "{host} started its response, but did not finish it in time",
        Side.ENDPOINT,
        "Finish the response immediately: an empty body is enough.",
    ),
}

# A part of libcurl's message, lower case → (what is wrong with the certificate, next step). The first match counts.
CERTIFICATES = (
    (
        "in certificate chain",
        "comes from an unknown authority",
        "Use a certificate from a known authority, or ask the administrator to add yours to HOOKS_CA_FILE.",
    ),
    ("expired", "has expired", "Renew it."),
    (
        "not yet valid",
        "is not valid yet",
        "Check the date of the certificate and the clocks of both servers.",
    ),
    ("self-signed", "is self-signed", "Use a certificate from a known authority; Let's Encrypt is free."),
    ("self signed", "is self-signed", "Use a certificate from a known authority; Let's Encrypt is free."),
    (
        "does not match",
        "is for another name",
        "Get a certificate for {host}, or use the name in the certificate.",
    ),
    (
        "no alternative certificate subject name",
        "is for another name",
        "Get a certificate for {host}, or use the name in the certificate.",
    ),
    (
        "unable to get local issuer",
        "comes from an unknown authority, or its chain is incomplete",
        "Make your server send the whole chain (fullchain.pem).",
    ),
    (
        "unable to get issuer",
        "comes from an unknown authority, or its chain is incomplete",
        "Make your server send the whole chain (fullchain.pem).",
    ),
    (
        "unable to verify the first",
        "is sent without its chain",
        "Make your server send the whole chain (fullchain.pem).",
    ),
    (
        "too weak",
        "is too weak: its key is too short or its signature algorithm too old",
        "Get a new one, with an RSA key of 2048 bits or an EC key.",
    ),
    ("certificate purpose", "is not for a web server", "Get one for a web server."),
    ("revoked", "was revoked", "Get a new one."),
)
