"""What came of an attempt, in one plain sentence; on which side it failed; and what to do next.

Pages, REST, admin and logs all use these words and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from django.conf import settings

from hooks.models import Attempt, Hook, Outcome, Side, SkipReason, State


@dataclass(frozen=True, slots=True)
class Explanation:
    sentence: str
    side: Side | None  # None: nothing failed
    next_step: str


E, B, S = Side.ENDPOINT, Side.BETWEEN, Side.SERVER

# What an answer that is not 200 means: (words, side, next step).
STATUSES: dict[int, tuple[str, str]] = {
    400: ("it could not make sense of the request", "See your server's log for this time: it received the request and refused it."),
    401: ("it wants credentials", "Let the hook's address through without a login, and check the signature instead."),
    403: ("it refuses the request", "Look for a firewall, a bot filter or a missing CSRF exemption in front of the address."),
    404: ("it has nothing at this path", "Compare the path of the address with the route in your program, slashes and case included."),
    405: ("it does not take POST at this path", "Hooks are POST requests: make the route accept POST."),
    408: ("it waited too long for the request", "Look at the proxy in front of your program."),
    410: ("it says that this address is gone for good", "The hook is not tried again. Set the instance's new address."),
    413: ("the request was too large for it", "Raise the body limit of your server or proxy to 1 MB at least."),
    415: ("it does not take JSON", "Hooks are sent as application/json: let the route accept it."),
    429: ("it gets more requests than it wants", "Answer quickly and queue the work; Retry-After is obeyed up to an hour."),
    500: ("your program failed while handling it", "Read your program's error log for this time. Acks and unknown families must be answered with 200 too."),
    501: ("it does not know the method", "Hooks are POST requests: make the route accept POST."),
    502: ("the proxy in front of it got no good answer from your program", "See whether your program runs and listens where the proxy looks."),
    503: ("it is not available at the moment", "See whether your program runs; with guaranteedHooks the hook is tried again."),
    504: ("the proxy in front of it waited too long for your program", "Answer 200 first and do the work afterwards."),
    # Cloudflare's own, of which none comes from the program behind it
    520: ("the proxy in front of it could not read your program's answer", "See whether your program crashed, and call its port without the proxy."),
    521: ("the proxy in front of it was refused by your server", "See whether your program runs and lets the proxy's addresses in."),
    522: ("the proxy in front of it could not connect to your server in time", "See whether a firewall drops the proxy's connections."),
    523: ("the proxy in front of it finds no way to your server", "Check the server's address in the proxy's settings."),
    524: ("the proxy in front of it waited too long for your program", "Answer 200 first and do the work afterwards."),
    525: ("the proxy in front of it and your server did not agree on TLS", "Check the certificate that your server shows to the proxy."),
    526: ("the proxy in front of it does not trust your server's certificate", "Check the certificate that your server shows to the proxy."),
}  # fmt: skip

TIMEOUTS: dict[str, tuple[str, Side, str]] = {
    "name lookup": ("the name {host} was not looked up in time", B, "Check the domain's name servers."),
    "connect": ("{host} did not take the connection in time", B, "See whether the server is on, and whether a firewall drops connections to its port."),
    "TLS": ("{host} took the connection, but did not agree on TLS in time", E, "See whether the port speaks HTTPS at all."),
    "response": ("{host} took the request, but did not answer in time", E, "Answer 200 first and do the work afterwards."),
    "response body": ("{host} began to answer, but did not finish in time", E, "Finish the answer at once: an empty body is enough."),
}  # fmt: skip

CERTIFICATES = (
    ("in certificate chain", "comes from an authority that is not known here", "Use one from a known authority, or let the administrator add yours to HOOKS_CA_FILE."),
    ("expired", "has expired", "Renew it."),
    ("not yet valid", "is not valid yet", "Check the date of the certificate and the clocks of both servers."),
    ("self-signed", "is signed by itself", "Use one from a known authority; Let's Encrypt gives them for nothing."),
    ("self signed", "is signed by itself", "Use one from a known authority; Let's Encrypt gives them for nothing."),
    ("does not match", "is for another name", "Get a certificate for {host}, or use the name that it was made for."),
    ("no alternative certificate subject name", "is for another name", "Get a certificate for {host}, or use the name that it was made for."),
    ("unable to get local issuer", "comes from an authority that is not known here, or its chain is incomplete", "Let your server send the whole chain (fullchain.pem)."),
    ("unable to get issuer", "comes from an authority that is not known here, or its chain is incomplete", "Let your server send the whole chain (fullchain.pem)."),
    ("unable to verify the first", "comes without its chain", "Let your server send the whole chain (fullchain.pem)."),
    ("too weak", "is too weak: its key or its signature is of an old kind", "Get a new one, with an RSA key of 2048 bits or an EC key."),
    ("certificate purpose", "was not made for a web server", "Get one for a web server."),
    ("revoked", "has been revoked", "Get a new one."),
)  # fmt: skip


def explain(attempt: Attempt) -> Explanation:
    """The attempt's outcome in words."""
    return explain_outcome(
        Outcome(attempt.outcome),
        url=attempt.url,
        status=attempt.status,
        error=attempt.error,
        location=next((value for name, value in attempt.response_headers if name.lower() == "location"), ""),
    )


def explain_outcome(
    outcome: Outcome, *, url: str, status: int | None = None, error: str = "", location: str = ""
) -> Explanation:
    """As explain(), from its parts; `error` is what hooks.http wrote."""
    parts = urlsplit(url)
    host = parts.hostname or url
    where = parts.netloc or url
    match outcome:
        case Outcome.OK:
            tail = f" ({error})" if error else ""
            return Explanation(f"Delivered: {host} answered 200{tail}.", None, "")
        case Outcome.NOT_200:
            return explain_status(host, status)
        case Outcome.REDIRECT:
            location = redirect_target(url, location)
            target = f" to {location}" if location else ""
            return Explanation(
                f"{host} answered {status}, a redirect{target}. Redirects are not followed; only 200 counts.",
                E,
                f"Set the address to {location} itself."
                if location
                else "Set the address that it redirects to.",
            )
        case Outcome.DNS:
            return Explanation(
                f"The name {host} was not found.", B, "Check the spelling, and the domain's DNS records."
            )
        case Outcome.REFUSED:
            return explain_refused(host, where, error)
        case Outcome.TIMEOUT:
            error = error.replace("answer", "response")  # as attempts before 0.2 have it
            words, side, step = TIMEOUTS.get(error, TIMEOUTS["connect"])
            return Explanation(f"Timed out: {words.format(host=host)}.", side, step)
        case Outcome.TLS:
            return explain_tls(host, error)
        case Outcome.RESET if "chunk" in error.lower():
            return Explanation(
                f"The answer of {host} can't be read: its chunked body is broken.",
                E,
                "Answer with a Content-Length, or see which proxy mangles the answer.",
            )
        case Outcome.RESET:
            return Explanation(
                f"{host} broke off the connection before its answer was complete.",
                E,
                "See whether your program crashed or a proxy closed the connection at that moment.",
            )
        case Outcome.BLOCKED:
            article = "an" if error[:1] in "aeiouI" else "a"
            return Explanation(
                f"{host} leads to {article} {error} address, and hooks may not go there from this site.",
                S,
                "Use an address that is reachable from the internet, or let the administrator list the network "
                "in HOOKS_ALLOW_NETWORKS.",
            )
        case Outcome.TOO_LARGE:
            return Explanation(
                f"The headers of {host}'s answer were too large to read.", E, "Answer with fewer headers."
            )
        case Outcome.PROTOCOL if error.startswith("not sent: no socket, "):
            reason = error.removeprefix("not sent: no socket, ").lower()
            return Explanation(
                f"This server could not open a connection of its own: {reason}.",
                S,
                "Nothing is wrong with the address. Let the administrator raise the limit of open files or "
                "lower HOOKS_WINDOW.",
            )
        case Outcome.PROTOCOL if error.startswith(("not sent: ", "URL rejected")):
            return Explanation(
                f"The request could not be made ({error}).", S, "Set the address again, letter by letter."
            )
        case Outcome.PROTOCOL:
            return Explanation(
                f"{where} answered something that is not HTTP.",
                E,
                "See which program listens on that port, and whether it wants https:// instead of http://.",
            )


def redirect_target(url: str, location: str) -> str:
    """The whole address that a Location leads to; as it came when it is none."""
    try:
        return urljoin(url, location)[:500] if location else ""
    except ValueError:
        return location[:500]


def explain_status(host: str, status: int | None) -> Explanation:
    if status is None:
        return Explanation(f"{host} answered without a status.", E, "Answer with status 200.")
    if 200 <= status < 300:
        return Explanation(
            f"{host} answered {status}, but only 200 counts as received.",
            E,
            "Answer with status 200 exactly.",
        )
    generic = "your program failed" if status >= 500 else "it refused the request"
    words, step = STATUSES.get(status, (generic, "Read your server's log for this time."))
    return Explanation(f"{host} answered {status}: {words}.", E, step)


def explain_refused(host: str, where: str, error: str) -> Explanation:
    lower = error.lower()
    if "no route" in lower or "unreachable" in lower:
        return Explanation(
            f"There is no way to {where}: {lower}.", B, "Check the address and the network between."
        )
    step = "See whether your program runs and listens on that port, on all interfaces and not on localhost alone."
    if host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.") or host.endswith(".localhost"):
        step += " In a container, localhost is the container itself: use the host's name or address instead."
    return Explanation(f"{where} refused the connection: nothing listens there.", E, step)


def explain_tls(host: str, error: str) -> Explanation:
    lower = error.lower()
    for sign, words, step in CERTIFICATES:
        if sign in lower:
            return Explanation(f"The certificate of {host} {words}.", E, step.format(host=host))
    if "certificate required" in lower:
        return Explanation(
            f"{host} wants a certificate from whoever calls it.",
            E,
            "Let the hook's address through without a client certificate, and check the signature instead.",
        )
    if "protocol version" in lower or "unsupported protocol" in lower:
        return Explanation(
            f"{host} speaks only old versions of TLS.", E, "Switch on TLS 1.2 or newer on your server."
        )
    if "unrecognized name" in lower:
        return Explanation(
            f"{host} has no site of this name.",
            E,
            "Add the name to your server's settings, with a certificate for it.",
        )
    if "trust anchors" in lower:  # HOOKS_CA_FILE is missing or no certificate
        return Explanation(
            "The file of trusted certificates of this site can't be read.",
            S,
            "Let the administrator correct HOOKS_CA_FILE.",
        )
    if "wrong version number" in lower or "packet length" in lower or "record" in lower:
        return Explanation(
            f"{host} does not speak TLS on this port.", E, "Use http:// for this port, or the port of HTTPS."
        )
    return Explanation(
        f"No TLS connection with {host}: {error}.", E, "Check the server's TLS settings (TLS 1.2 or newer)."
    )


SKIPS = {
    SkipReason.FLAG_OFF: "Not sent: {kind} hooks are switched off in the instance's settings.",
    SkipReason.NO_ADDRESS: "Not sent: the instance had no webhook address.",
    SkipReason.TYPED_ON_PHONE: "Not sent: messages typed on the phone get no ack.",
    SkipReason.TOO_OLD: "Not sent: the message was older than oldMessagesPeriod.",
    SkipReason.ARCHIVED: "Not sent: the chat stays in the archive, and processArchive is off.",
    SkipReason.NOT_PAID: "Not sent: the instance was not paid.",
    SkipReason.STOPPED: "Not sent: the instance was stopped.",
    SkipReason.BLOCKED: "Not sent: the account was blocked.",
    SkipReason.BY_HAND: "Not sent: skipped by hand.",
}


def explain_hook(hook: Hook) -> str:
    """Where a hook stands, in one sentence; after its last attempt with that attempt's words."""
    count = f"{hook.attempts_made} of {hook.attempts_allowed}"
    match State(hook.state):
        case State.SKIPPED if hook.attempts_made and hook.skip_reason == SkipReason.BY_HAND:
            return (
                f"Skipped by hand after {hook.attempts_made} attempt{'s' if hook.attempts_made > 1 else ''}."
            )
        case State.SKIPPED:
            return SKIPS[SkipReason(hook.skip_reason)].format(kind=hook.get_kind_display().lower())
        case State.QUEUED:
            return "Waiting for its turn."
        case State.SENDING:
            return f"Being sent now, attempt {hook.attempts_made + 1} of {hook.attempts_allowed}."
        case State.CANCELLED:
            return (
                f"Cancelled after {hook.attempts_made} attempts."
                if hook.attempts_made
                else "Cancelled before it was sent."
            )
        case State.DELIVERED:
            return f"Delivered, attempt {count}: {hook.last_host} answered 200."
        case State.RETRYING:
            return f"Attempt {count} failed ({last_words(hook)}); it is tried again."
        case State.FAILED:
            return f"Failed after attempt {count} ({last_words(hook)})."


def last_words(hook: Hook) -> str:
    """The last attempt in three words: "answered 500", "timed out"."""
    if hook.last_status and hook.last_outcome in (Outcome.NOT_200, Outcome.REDIRECT):
        return f"answered {hook.last_status}"
    return Outcome(hook.last_outcome).label.lower() if hook.last_outcome else "not sent"


def body_dropped_words() -> str:
    """What stands in the place of a body that retention has dropped."""
    days = settings.HOOKS_KEEP_BODIES_DAYS
    return f"The body was dropped after {days} day{'s' if days != 1 else ''}"
