"""The django-q2 tasks of accounts: mails that a request must not wait for."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone

from accounts import lockouts
from accounts.models import User
from accounts.time_zones import in_zone_of

SEND_GUESSING_MAIL = "accounts.tasks.send_guessing_mail"


def send_guessing_mail(user_id: int, kind: str, failures: int, address: str) -> None:
    """Tell a user that their password or their codes are being guessed. `address` is the last client's."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return
    has_password = kind == lockouts.SECOND_FACTOR.kind
    email = EmailAddress.objects.get_primary_email(user) or user.email
    context = {
        "failures": failures,
        "address": address,
        "at": timezone.now(),
        "has_password": has_password,
        "site": settings.SITE_URL,
    }
    with in_zone_of(user):
        text = render_to_string("accounts/guessing_mail.txt", context)
    subject = "Someone knows your password" if has_password else "Failed sign-ins to your account"
    send_mail(f"[Chat API] {subject}", text, None, [email])
