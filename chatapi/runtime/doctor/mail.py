"""Mail: whether the server of EMAIL_URL accepts this site's sign-in. No mail is sent."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import get_connection

from chatapi.runtime.doctor.findings import Finding, error, warning

TIMEOUT = 5  # seconds
SMTP_BACKEND = "chatapi.runtime.waiting_mail.EmailBackend"


def find_unusable_mail_server() -> Iterator[Finding]:
    if settings.EMAIL_BACKEND != SMTP_BACKEND:
        return
    session = get_connection(SMTP_BACKEND, timeout=TIMEOUT)
    try:
        session.open()
        session.close()
    except smtplib.SMTPAuthenticationError as fault:
        yield error(
            "EMAIL_URL: the mail server refuses the user or the password.",
            "Correct them in EMAIL_URL (escape special characters: @ is %40), and restart.",
            f"SMTP {fault.smtp_code}",
        )
    except smtplib.SMTPNotSupportedError as fault:
        yield error(
            "EMAIL_URL: the mail server does not offer what the URL asks for, encryption or a sign-in.",
            "Use submission:// (STARTTLS, port 587), smtps:// (TLS, port 465), or smtp:// without either.",
            str(fault),
        )
    except (ssl.SSLError, ssl.CertificateError) as fault:
        yield error(
            "EMAIL_URL: the connection to the mail server cannot be encrypted: TLS fails.",
            "Check the port (465 for smtps://, 587 for submission://), the name, and the server's certificate.",
            str(fault),
        )
    except socket.gaierror:
        yield error(
            "EMAIL_URL: the host name of the mail server cannot be resolved.",
            "Correct the host in EMAIL_URL, or the DNS settings of this machine.",
        )
    except (OSError, smtplib.SMTPException) as fault:  # refused, no response in time, no mail server
        yield error(
            "EMAIL_URL: the mail server does not respond as one: no mail is sent.",
            "Check the host and the port in EMAIL_URL. Many providers block port 25: use 587 or 465.",
            str(fault),
        )


def find_unusual_sender() -> Iterator[Finding]:
    """Mail servers refuse a sender whose domain does not exist."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    if settings.EMAIL_BACKEND == SMTP_BACKEND and "." not in domain:
        yield warning(
            "DEFAULT_FROM_EMAIL: its domain is no name of the internet, so mail servers refuse it or mark it as spam.",
            "Set it to an address of your domain: DEFAULT_FROM_EMAIL=Chat API <chat@example.com>.",
        )
