"""Finds in a failed TLS handshake why a server's certificate was rejected: its dates and its names.

libcurl reports only "certificate has expired" or "no alternative certificate subject name matches". The failed
handshake contained the certificates, so no second connection is made: hooks.http keeps the server's Certificate
message, and this module reads it after a failure.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

log = logging.getLogger(__name__)

CERTIFICATE_MESSAGE = 11  # the type of a handshake message, RFC 8446 §4
MAX_NAMES = 5
EXPIRED, NOT_YET_VALID = "expired", "not yet valid"
OTHER_NAME = ("does not match", "no alternative certificate subject name")
# What detail() appends to libcurl's message, for hooks.explain.
DETAIL = re.compile(
    r" \[certificate(?: of (?P<authority>.+))? (?P<what>valid until|valid from|for) (?P<value>.+)\]\Z"
)


def detail(message: str, handshake: bytes) -> str:
    """Returns the date or the names that explain libcurl's `message`; an empty string if there are none.

    ` [certificate valid until 2026-11-27T06:40:09+00:00]`, ` [certificate for example.org, www.example.org]`; with
    `of Example CA` if it is not the server's own certificate. The result matches DETAIL.
    """
    lower = message.lower()
    try:
        certificates = chain(handshake)
        if not certificates:
            return ""
        if any(words in lower for words in OTHER_NAME):
            return f" [certificate for {names_of(certificates[0])}]"
        now = datetime.now(UTC)
        for certificate in certificates:
            whose = "" if certificate is certificates[0] else f" of {common_name(certificate)}"
            if EXPIRED in lower and certificate.not_valid_after_utc < now:
                return f" [certificate{whose} valid until {certificate.not_valid_after_utc.isoformat()}]"
            if NOT_YET_VALID in lower and certificate.not_valid_before_utc > now:
                return f" [certificate{whose} valid from {certificate.not_valid_before_utc.isoformat()}]"
    except (
        Exception
    ):  # ValueError and others of the library: a malformed certificate must not stop a dispatcher
        log.debug("A certificate could not be read.", exc_info=True)
    return ""


def chain(handshake: bytes) -> list[Certificate]:
    """Returns the certificates of a Certificate message, the server's own first. Raises ValueError."""
    from cryptography import x509  # 10 MB; most processes never need it

    body = handshake[4:]
    # In TLS 1.3 the message starts with an empty context, and extensions follow each certificate.
    is_tls13 = int.from_bytes(body[1:4], "big") == len(body) - 4
    at, found = (4 if is_tls13 else 3), []
    while at < len(body):
        size = int.from_bytes(body[at : at + 3], "big")
        found.append(x509.load_der_x509_certificate(body[at + 3 : at + 3 + size]))
        at += 3 + size
        if is_tls13:
            at += 2 + int.from_bytes(body[at : at + 2], "big")
    return found


def names_of(certificate: Certificate) -> str:
    """Returns the names and IP addresses in a certificate, such as `a.example, b.example and 7 others`."""
    from cryptography import x509

    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [
            *alternative.get_values_for_type(x509.DNSName),
            *map(str, alternative.get_values_for_type(x509.IPAddress)),
        ]
    except x509.ExtensionNotFound:
        names = [common_name(certificate)]
    shown = ", ".join(printable(name) for name in names[:MAX_NAMES])
    more = len(names) - MAX_NAMES
    return f"{shown} and {more} other{'s' if more > 1 else ''}" if more > 0 else shown or "no name"


def common_name(certificate: Certificate) -> str:
    from cryptography.x509.oid import NameOID

    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return printable(str(found[0].value)) if found else "an unnamed authority"


def printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:60]
