"""Explains hooks and attempts: one plain sentence, the side that failed, and the next step.

Pages, REST, the admin and logs all use these sentences. The tables of causes are in failure_causes.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit

from django.conf import settings

from hooks import certificates
from hooks.explain.failure_causes import (
    CERTIFICATES,
    HEADER_RULES,
    INTERMEDIARIES,
    REFUSED_LOCALLY,
    STATUSES,
    STATUSES_NAMED_BY_BODY,
    TIMEOUTS,
    USE_HTTPS,
)
from hooks.guard import OWN_ADDRESS
from hooks.http import BROKEN_CHUNKS, NOT_HTTP_BUT_HTTP2, NOT_HTTP_BUT_TLS, Response
from hooks.models import Attempt, Hook, Outcome, Side, SkipReason, State, Trigger


@dataclass(frozen=True, slots=True)
class Explanation:
    sentence: str
    side: Side | None  # None: nothing failed
    next_step: str


# A redirect that leads to a login page, by its host or path …
LOGIN_PAGE = re.compile(
    r"(?i)(^|[/_.-])((log|sign)[_-]?(in|on)|auth|oauth2?|sso|saml2?|session/new)([/_.-]|$)"
)
# … or by an argument that names the URL to return to after the login, as Django, Rails, Okta and SAML call it.
RETURN_URL = re.compile(
    r"(?i)[?&#](next|continue|return_?(to|url|uri)?|redirect_?(to|url|uri)|from_?uri|rd|relaystate|samlrequest)="
)

SHOWN_LENGTH = 500  # characters of a redirect's target in a sentence

E, B, S = Side.ENDPOINT, Side.BETWEEN, Side.SERVER


def explain(attempt: Attempt) -> Explanation:
    """Explain the outcome of an attempt."""
    return explain_outcome(
        Outcome(attempt.outcome),
        url=attempt.url,
        status=attempt.status,
        error=attempt.error,
        headers=attempt.response_headers,
        # lists defer the body: read it only for a status that needs it
        body=bytes(attempt.response_body) if attempt.status in STATUSES_NAMED_BY_BODY else b"",
    )


def explain_response(response: Response, *, url: str) -> Explanation:
    """Explain a response that is not stored yet."""
    return explain_outcome(
        response.outcome,
        url=url,
        status=response.status,
        error=response.error,
        headers=response.headers,
        body=response.body,
    )


def explain_outcome(
    outcome: Outcome,
    *,
    url: str,
    status: int | None = None,
    error: str = "",
    headers: Sequence[Sequence[str]] = (),
    body: bytes = b"",
) -> Explanation:
    """Explain an outcome from its parts; `error` is the text of hooks.http, headers and body are the response's."""
    location = header(headers, "location")
    parts = urlsplit(url)
    host = parts.hostname or url
    netloc = parts.netloc or url
    match outcome:
        case Outcome.OK:
            tail = f" ({current_words(error)})" if error else ""
            return Explanation(f"Delivered: {host} responded with 200{tail}.", None, "")
        case Outcome.NOT_200:
            return explain_status(host, status, headers=headers, body=body)
        case Outcome.REDIRECT:
            location = redirect_target(url, location)[:SHOWN_LENGTH]
            target = f" to {location}" if location else ""
            if is_login_page(location, url=url):
                step = "This is a login page: exempt the webhook URL from the login, and verify the signature instead."
            else:
                step = (
                    f"Set the URL to {location}."
                    if location
                    else "Set the URL to the target of the redirect."
                )
            return Explanation(
                f"{host} responded with {status}, a redirect{target}. Redirects are not followed; only 200 counts.",
                E,
                step,
            )
        case Outcome.DNS:
            return Explanation(
                f"The name {host} was not found.", B, "Check the spelling and the domain's DNS records."
            )
        case Outcome.REFUSED:
            return explain_refused(host, netloc, error)
        case Outcome.TIMEOUT:
            cause, side, step = TIMEOUTS.get(current_words(error), TIMEOUTS["connect"])
            return Explanation(f"Timed out: {cause.format(host=host)}.", side, step)
        case Outcome.TLS:
            return explain_tls(host, error)
        case Outcome.RESET if "chunk" in error.lower():
            return Explanation(
                f"The response of {host} can't be read: its chunked body is invalid.",
                E,
                "Respond with a Content-Length, or check which proxy changes the response.",
            )
        case Outcome.RESET if status is None:
            other = (
                "the port expects https:// instead of http://"
                if parts.scheme == "http"
                else "your server requires a client certificate"
            )
            return Explanation(
                f"{host} closed the connection without a response.",
                E,
                f"Check whether your server crashed at that moment, and whether {other}.",
            )
        case Outcome.RESET:
            return Explanation(
                f"{host} closed the connection before its response was complete.",
                E,
                "Check whether your server crashed or a proxy closed the connection at that moment.",
            )
        case Outcome.BLOCKED if error == OWN_ADDRESS:
            return Explanation(
                f"{host} resolves to an address of this server, and this site sends nothing to those.",
                S,
                "Run your endpoint on another server, or ask the administrator to add the address "
                "to HOOKS_ALLOW_NETWORKS.",
            )
        case Outcome.BLOCKED:
            kind = "cloud metadata" if error == "metadata" else error
            article = "an" if kind[:1] in "aeiouI" else "a"
            return Explanation(
                f"{host} resolves to {article} {kind} address, and this site sends nothing to those.",
                S,
                "Use a URL that is reachable from the internet, or ask the administrator to add the network "
                "to HOOKS_ALLOW_NETWORKS.",
            )
        case Outcome.TOO_LARGE:
            return Explanation(
                f"The headers of {host}'s response were too large to read.", E, "Respond with fewer headers."
            )
        case Outcome.PROTOCOL if error.startswith("not sent: no socket, "):
            reason = error.removeprefix("not sent: no socket, ").lower()
            return Explanation(
                f"This server could not open a connection: {reason}.",
                S,
                "Nothing is wrong with the URL. Ask the administrator to raise the limit of open files or to "
                "lower HOOKS_WINDOW.",
            )
        case Outcome.PROTOCOL if error.startswith(("not sent: ", "URL rejected")):
            return Explanation(
                f"The request could not be sent ({error}).", S, "Enter the URL again, character by character."
            )
        case Outcome.PROTOCOL if error == NOT_HTTP_BUT_TLS:
            return Explanation(f"{netloc} expects TLS.", E, USE_HTTPS)
        case Outcome.PROTOCOL if error == NOT_HTTP_BUT_HTTP2:
            return Explanation(
                f"{netloc} supports only HTTP/2.",
                E,
                "Enable HTTP/1.1 on your server.",
            )
        case Outcome.PROTOCOL if error.startswith(BROKEN_CHUNKS):
            return Explanation(
                f"{host} responded with {status}, but the chunks of its body are not valid HTTP.",
                E,
                "Let your framework write the response: each chunk must begin with its length in hexadecimal.",
            )
        case Outcome.PROTOCOL if status is not None:
            return Explanation(
                f"{host} responded with {status}, but its headers are not valid HTTP: {header_rule(error)}.",
                E,
                "Check what your program prints before its headers: a warning or debug output breaks the response.",
            )
        case Outcome.PROTOCOL:
            return Explanation(
                f"{netloc} responded with something that is not HTTP.",
                E,
                "Check which program listens on that port, and whether it expects https:// instead of http://.",
            )


def header(headers: Sequence[Sequence[str]], name: str) -> str:
    """Returns the first header of that name, given in lower case; an empty string without one."""
    return next((value for key, value in headers if key.lower() == name), "")


def header_rule(error: str) -> str:
    """Returns which rule of HTTP a response's headers break, from libcurl's message."""
    lower = error.lower()
    return next((rule for sign, rule in HEADER_RULES if sign in lower), lower)


def current_words(error: str) -> str:
    """Returns a stored error text as this version writes it: attempts of 0.1.0 say "answer"."""
    return error.replace("answer", "response")


def redirect_target(url: str, location: str) -> str:
    """Returns the absolute URL of a Location header; the header's value if it is not a URL."""
    try:
        return urljoin(url, location) if location else ""
    except ValueError:
        return location


def is_login_page(location: str, *, url: str) -> bool:
    """Returns whether the target of a redirect of `url` is a login page."""
    if LOGIN_PAGE.search(location.partition("?")[0]):
        return True
    return bool(RETURN_URL.search(location)) and not RETURN_URL.search(url)  # a redirect may keep the query


def explain_status(
    host: str, status: int | None, *, headers: Sequence[Sequence[str]] = (), body: bytes = b""
) -> Explanation:
    if status is None:
        return Explanation(f"{host} responded without a status.", E, "Respond with status 200.")
    for sign in INTERMEDIARIES:
        if status in sign.statuses and sign.matches(headers, body):
            return Explanation(f"{host} responded with {status}: {sign.cause}.", E, sign.next_step)
    if 200 <= status < 300:
        return Explanation(
            f"{host} responded with {status}, not 200; only 200 counts as delivered.",
            E,
            "Respond with exactly 200.",
        )
    generic = "your server failed" if status >= 500 else "it rejected the request"
    cause, step = STATUSES.get(status, (generic, "Check your server's log for this time."))
    return Explanation(f"{host} responded with {status}: {cause}.", E, step)


def explain_refused(host: str, netloc: str, error: str) -> Explanation:
    if error == REFUSED_LOCALLY:
        return Explanation(
            f"{netloc} refused the connection on the computer that runs chatapi listen: nothing listens there.",
            E,
            "Start your server there, or start chatapi listen with its URL (--forward).",
        )
    lower = error.lower()
    if "no route" in lower or "unreachable" in lower:
        return Explanation(
            f"There is no route to {netloc}: {lower}.", B, "Check the URL and the network in between."
        )
    step = "Check that your server runs and listens on that port on all interfaces, not only on localhost."
    if host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.") or host.endswith(".localhost"):
        step += (
            " In a container, localhost is the container itself: use the host's name or IP address instead."
        )
    return Explanation(f"{netloc} refused the connection: nothing listens there.", E, step)


def explain_certificate(host: str, authority: str, what: str, value: str) -> Explanation:
    """Explain a rejected certificate by its dates and names; the arguments are the groups of certificates.DETAIL."""
    if what == "for":
        return Explanation(
            f"The certificate of {host} is for another name: {value}.",
            E,
            f"Get a certificate for {host}, or use the name in the certificate.",
        )
    whose = (
        f"A certificate in the chain of {host} ({authority})" if authority else f"The certificate of {host}"
    )
    at = f"{datetime.fromisoformat(value):%-d %B %Y at %H:%M} UTC"
    if what == "valid from":
        return Explanation(
            f"{whose} is not valid before {at}.",
            E,
            "Check the date of the certificate and the clocks of both servers.",
        )
    step = "Make your server send the current chain (fullchain.pem)." if authority else "Renew it."
    return Explanation(f"{whose} expired on {at}.", E, step)


def explain_tls(host: str, error: str) -> Explanation:
    found = certificates.DETAIL.search(error)
    if found:
        return explain_certificate(host, found["authority"] or "", found["what"], found["value"])
    lower = error.lower()
    for sign, problem, step in CERTIFICATES:
        if sign in lower:
            return Explanation(f"The certificate of {host} {problem}.", E, step.format(host=host))
    if "certificate required" in lower:
        return Explanation(
            f"{host} requires a client certificate.",
            E,
            "Exempt the webhook URL from client certificates, and verify the signature instead.",
        )
    if "no application protocol" in lower:
        return Explanation(f"{host} supports only HTTP/2.", E, "Enable HTTP/1.1 on your server.")
    if "handshake failure" in lower:
        return Explanation(
            f"{host} rejected the TLS handshake.",
            E,
            "Check whether your server requires a client certificate, and its TLS versions and ciphers (TLS 1.2 or "
            "newer).",
        )
    if "protocol version" in lower or "unsupported protocol" in lower:
        return Explanation(
            f"{host} supports only old versions of TLS.", E, "Enable TLS 1.2 or newer on your server."
        )
    if "unrecognized name" in lower:
        return Explanation(
            f"{host} has no site with this name.",
            E,
            "Add the name to your server's settings, with a certificate for it.",
        )
    if "trust anchors" in lower:  # HOOKS_CA_FILE is missing or not a certificate
        return Explanation(
            "This site's file of trusted certificates can't be read.",
            S,
            "Ask the administrator to correct HOOKS_CA_FILE.",
        )
    if "wrong version number" in lower or "packet length" in lower or "record" in lower:
        return Explanation(
            f"{host} does not speak TLS on this port.", E, "Use http:// for this port, or the HTTPS port."
        )
    return Explanation(
        f"No TLS connection with {host}: {error}.", E, "Check the server's TLS settings (TLS 1.2 or newer)."
    )


SKIPS = {
    SkipReason.FLAG_OFF: "Not sent: {kind} hooks are turned off in the instance's settings.",
    SkipReason.NO_ADDRESS: "Not sent: the instance had no webhook URL.",
    SkipReason.TYPED_ON_PHONE: "Not sent: no acks are sent for messages typed on the phone.",
    SkipReason.TOO_OLD: "Not sent: the message was older than oldMessagesPeriod.",
    SkipReason.ARCHIVED: "Not sent: the chat stays archived, and processArchive is off.",
    SkipReason.NOT_PAID: "Not sent: the instance was not paid.",
    SkipReason.STOPPED: "Not sent: the instance was stopped.",
    SkipReason.BLOCKED: "Not sent: the account was blocked.",
    SkipReason.BY_HAND: "Not sent: skipped manually.",
}


def explain_hook(hook: Hook) -> str:
    """Returns the state of a hook in one sentence, with the last attempt's result."""
    count = f"{hook.attempts_made} of {hook.attempts_allowed}"
    attempts = f"{hook.attempts_made} attempt{'s' if hook.attempts_made > 1 else ''}"
    match State(hook.state):
        case State.SKIPPED if hook.attempts_made and hook.skip_reason == SkipReason.BY_HAND:
            return f"Skipped manually after {attempts}."
        case State.SKIPPED:
            reason = SKIPS[SkipReason(hook.skip_reason)].format(kind=hook.get_kind_display().lower())
            return reason.replace("Not sent:", f"Skipped after {attempts}:") if hook.attempts_made else reason
        case State.QUEUED | State.RETRYING if is_being_cancelled(hook):
            return "Being cancelled: it will not be sent."
        case State.QUEUED if waits_for_url(hook):
            return "Not sent yet: the instance has no webhook URL. Set one to send the hook."
        case State.QUEUED if hook.endpoint_id is not None and hook.endpoint.is_listener:
            return "Waiting until chatapi listen fetches it."
        case State.QUEUED:
            return "Waiting in the queue."
        case State.SENDING:
            return f"Sending now: attempt {hook.attempts_made + 1} of {hook.attempts_allowed}."
        case State.CANCELLED:
            return f"Cancelled after {attempts}." if hook.attempts_made else "Cancelled before it was sent."
        case State.DELIVERED:
            return f"Delivered, attempt {count}: {hook.last_host} responded with 200."
        case State.RETRYING:
            failed = hook.attempts_made and hook.last_outcome != Outcome.OK
            result = f"Attempt {count} failed ({last_result(hook)}); it" if failed else "It"
            again = "resent" if hook.trigger == Trigger.RESEND else "retried"
            when = " when the instance has a webhook URL" if waits_for_url(hook) else ""
            return f"{result} will be {again}{when}."
        case State.FAILED:
            return f"Failed after attempt {count} ({last_result(hook)})."


def is_being_cancelled(hook: Hook) -> bool:
    """Returns whether a waiting hook is cancelled within a moment, by a task. Reads the hook's endpoint."""
    up_to = hook.endpoint.cancel_up_to if hook.endpoint_id is not None else None
    return up_to is not None and hook.pk <= up_to


def waits_for_url(hook: Hook) -> bool:
    """Returns whether an unfinished hook waits because it has no URL. Reads the hook's endpoint."""
    return not hook.is_finished and hook.endpoint_id is not None and not hook.destination()


def last_result(hook: Hook) -> str:
    """Returns the last attempt's result in a few words: "responded with 500", "timed out"."""
    if not hook.last_outcome:
        return "not sent"
    label = Outcome(hook.last_outcome).label.lower().replace("http", "HTTP").replace("tls", "TLS")
    if not hook.last_status:
        return label
    if hook.last_outcome in (Outcome.OK, Outcome.NOT_200, Outcome.REDIRECT):
        return f"responded with {hook.last_status}"
    return f"responded with {hook.last_status}, but not completely: {label}"


def body_dropped_words() -> str:
    """Returns what pages show in place of a body that retention has dropped, without a full stop."""
    days = settings.HOOKS_KEEP_BODIES_DAYS
    return f"The body was dropped after {days} day{'s' if days != 1 else ''}"
