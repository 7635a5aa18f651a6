"""Settings that are right one by one, and wrong for what the site is: on a laptop, on a server, in public."""

from collections.abc import Iterator
from ipaddress import ip_network

from django.conf import settings

from chatapi.runtime.doctor.findings import Finding, note, warning
from chatapi.runtime.doctor.settings_values import HINTS
from hooks import guard

INTERNAL_RULES = {"loopback", "private", "link-local", "CGNAT"}  # of hooks/guard.py


def find_missing_mail() -> Iterator[Finding]:
    """A server (DATABASE_URL or an https SITE_URL) without EMAIL_URL sends and prints no mail."""
    if not settings.EMAIL_URL and not settings.MAIL_IS_PRINTED:
        yield warning(
            "EMAIL_URL: it is unset, so no mail is sent: users cannot reset a password and get no notices.",
            HINTS["EMAIL_URL"],
            id="chatapi.W002",
        )


def find_any_host() -> Iterator[Finding]:
    if "*" in settings.ALLOWED_HOSTS:
        yield warning(
            "ALLOWED_HOSTS: pages respond to any host name, so DNS rebinding lets other sites read them.",
            "List the names that the site is opened by: ALLOWED_HOSTS=chat.example.com,192.168.1.7.",
            id="chatapi.W001",
        )


def find_unknown_proxy() -> Iterator[Finding]:
    """Clients are not distinguished: a proxy must be in front, and none is trusted."""
    if settings.HTTPS and not settings.TRUSTED_PROXIES:
        yield warning(
            "TRUSTED_PROXIES: SITE_URL is https://, but no proxy is trusted. All clients count as one, with the "
            "address of the proxy.",
            "Set it to the address of your proxy: TRUSTED_PROXIES=10.0.0.5.",
            id="chatapi.W003",
        )


def find_refused_networks() -> Iterator[Finding]:
    """The embedded database alone does not allow private networks: others can reach this site."""
    if not settings.EMBEDDED_POSTGRES or settings.IS_LAPTOP or not settings.PRIVATE_NETWORKS_UNSET:
        return
    reason = "SITE_URL starts with https://" if settings.HTTPS else f"HOST is {settings.HOST}"
    yield warning(
        f"HOOKS_ALLOW_NETWORKS: hooks to loopback and private networks are refused, because {reason}.",
        "List your bots' networks: HOOKS_ALLOW_NETWORKS=127.0.0.0/8,192.168.1.0/24; empty: none.",
        id="chatapi.W004",
    )


def find_open_networks() -> Iterator[Finding]:
    """A public site may send what its users write to machines that only it can reach.

    A warning if anyone can become a user, else a note: operators list the networks of their own bots.
    """
    if settings.IS_LAPTOP:
        return
    listed = [text for text in settings.HOOKS_ALLOW_NETWORKS if reached_rules(text) & INTERNAL_RULES]
    if not listed:
        return
    shown = ", ".join(listed)
    if settings.HTTPS and settings.SIGNUP == "open":
        yield warning(
            f"HOOKS_ALLOW_NETWORKS: anyone can create an account on this public site, and send hooks to {shown}.",
            "Remove the networks that are not your bots' from HOOKS_ALLOW_NETWORKS, or set SIGNUP=invited.",
            id="chatapi.W005",
        )
    else:
        yield note(
            f"HOOKS_ALLOW_NETWORKS: users of this site can send hooks to {shown}.",
            "Keep it as it is if your bots are there; else remove these networks.",
        )


def find_metadata_service() -> Iterator[Finding]:
    """A metadata service gives every program of a cloud machine its credentials; hooks/guard.py decides."""
    allowed = tuple(settings.HOOKS_ALLOW_NETWORKS)
    services = [
        str(network.network_address)
        for name, networks in guard.RULES
        if name == "metadata"
        for network in networks
    ]
    try:
        reachable = [address for address in services if not guard.blocking_rule(address, allowed)]
    except ValueError:
        return  # the check of the values reports it
    if reachable:
        yield warning(
            f"HOOKS_ALLOW_NETWORKS: users can read the credentials of this machine from its cloud's metadata service "
            f"({', '.join(reachable)}).",
            "Remove this address from HOOKS_ALLOW_NETWORKS.",
            id="chatapi.W006",
        )


def find_debug() -> Iterator[Finding]:
    if settings.DEBUG and not settings.IS_LAPTOP:
        yield warning(
            "DEBUG: it is on, so error pages show code and settings to everyone.",
            "Unset DEBUG, and restart.",
            id="chatapi.W007",
        )


def reached_rules(text: str) -> set[str]:
    """Returns the names of the rules of hooks/guard.py that a network has addresses in common with."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        return set()  # the check of the values reports it
    return {
        name
        for name, networks in guard.RULES
        for one in networks
        if one.version == network.version and one.overlaps(network)
    }
