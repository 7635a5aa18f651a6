"""The links of invitations, and the mail with the one that lets a new user create an account."""

from smtplib import SMTPException
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.actions.members import INVITATION_VALID_FOR

log = structlog.get_logger(__name__)


def sign_up_link(token: str) -> str:
    """Returns the URL of the sign-up page with this invitation."""
    return f"{settings.SITE_URL}{reverse('account_signup')}?{urlencode({'invitation': token})}"


def mail_sign_up_link(email: str, link: str) -> bool:
    """Mail the link. Returns whether the mail server accepted it; False also if mail is not set up."""
    if not settings.EMAIL_URL:
        return False
    context = {"link": link, "email": email, "days": INVITATION_VALID_FOR.days}
    text = render_to_string("accounts/sign_up_mail.txt", context)
    try:
        send_mail("You can create an account in Chat API", text, None, [email])
    except (OSError, SMTPException) as error:
        log.warning("an invitation could not be sent by mail", error=type(error).__name__)
        return False
    return True
