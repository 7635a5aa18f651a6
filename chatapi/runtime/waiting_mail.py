"""Mail over SMTP within the budget of threads that wait (instances/limits/waiting_threads.py).

A mail server that hangs would otherwise hold a thread for each request that sends a mail, and strangers can request
mails: links to reset a password.
"""

from collections.abc import Sequence
from smtplib import SMTPException

from django.core.mail import EmailMessage
from django.core.mail.backends import smtp

from instances.limits import waiting_threads

OWNER = "mail"  # all mails of a process share what one account may have


class EmailBackend(smtp.EmailBackend):
    """Django's SMTP backend, with a slot for the time of sending."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Raises SMTPException if too many mails are being sent now."""
        with waiting_threads.slots.hold(OWNER) as is_free:
            if not is_free:
                raise SMTPException("Too many mails are being sent now.")
            return super().send_messages(email_messages) or 0
