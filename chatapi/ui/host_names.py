"""Converts host names to the form used on the wire: IDNA 2008 with UTS 46, and normalized IP addresses.

Browsers, libcurl and registries use the same rules. Python's own codec is IDNA 2003, which turns straße.example into
strasse.example, another domain.
"""

import ipaddress
import re
import socket

import idna

LABELS = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


def ascii_host(host: str) -> str:
    """Returns the host for the request: a name in A-labels, an IPv4 address as four numbers, IPv6 in brackets.

    Raises ValueError if it is neither a host name nor an IP address.
    """
    if ":" in host:
        return f"[{ipv6(host)}]"
    name = host.lower() if host.isascii() else to_a_labels(host)
    if len(name) > 253 or not LABELS.fullmatch(name):
        raise ValueError(f"{host} is not a host name.")
    if NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]):
        return ipv4(name, host)
    return name


def to_a_labels(host: str) -> str:
    """Returns a non-ASCII name with each label encoded: `bücher.example` → `xn--bcher-kva.example`.

    Emoji are encoded too: IDNA 2008 does not allow them, but such domains exist, and browsers open them.
    """
    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
        return ".".join(to_a_label(label) for label in mapped.split("."))
    except UnicodeError:  # idna.IDNAError is one
        raise ValueError(f"{host} is not a host name.") from None


def to_a_label(label: str) -> str:
    if label.isascii():
        return label
    try:
        return idna.alabel(label).decode()
    except idna.InvalidCodepoint:
        return "xn--" + label.encode("punycode").decode()


def ipv6(host: str) -> ipaddress.IPv6Address:
    """Returns an IPv6 address. Raises ValueError if it has a zone such as %eth0, which is valid on one machine only."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError(f"[{host}] is not an IP address.") from None
    if address.scope_id is not None:
        raise ValueError(
            f"[{host}] has a zone ({address.scope_id}), which a webhook URL cannot have. Remove it."
        )
    return address


def ipv4(name: str, host: str) -> str:
    """Returns an IPv4 address as four numbers: 127.1, 0x7f000001 and 2130706433 are all 127.0.0.1.

    Raises ValueError for any other name whose last label is a number: such a host name does not exist.
    """
    try:
        return socket.inet_ntoa(socket.inet_aton(name.rstrip(".")))
    except OSError:
        raise ValueError(f"{host} is not an IP address.") from None
