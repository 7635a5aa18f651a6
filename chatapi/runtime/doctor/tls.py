"""The TLS context of checks that connect to other servers."""

import ssl

import certifi
from django.conf import settings


def trusting_context() -> ssl.SSLContext:
    """Returns a context that verifies names and certificates, by the certificates that hooks trust."""
    return ssl.create_default_context(cafile=settings.HOOKS_CA_FILE or certifi.where())
