"""The TLS context of checks that connect to other servers."""

import socket
import ssl

import certifi
from cryptography import x509
from django.conf import settings


def trusting_context() -> ssl.SSLContext:
    """Returns a context that verifies names and certificates, by the certificates that hooks trust."""
    return ssl.create_default_context(cafile=settings.HOOKS_CA_FILE or certifi.where())


def describe_certificate(host: str, port: int, seconds: float) -> str:
    """Returns the names and the dates of a server's certificate, which need not be valid: `; it is for host "a" …`.

    Empty if it cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as connected,
        ):
            certificate = x509.load_der_x509_certificate(connected.getpeercert(binary_form=True) or b"")
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [str(name.value) for name in names]
    except x509.ExtensionNotFound:
        found = []
    except (OSError, ValueError):
        return ""
    shown = ", ".join(f'host "{name}"' for name in found) or "no host"
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"; it is for {shown}, valid from {begin:%d %b %Y} to {end:%d %b %Y}"
