"""Counts wrong passwords and codes, refuses attempts during a pause, and tells the user who is being guessed."""

import logging
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django_q.tasks import async_task

from accounts import lockouts
from accounts.lockouts import LockoutRule
from accounts.models import User
from accounts.tasks import SEND_GUESSING_MAIL
from chatapi.ui.durations import in_words

log = logging.getLogger(__name__)

TOO_MANY_PASSWORDS = "Too many failed sign-ins for this address. Try again in {}, or reset the password."
TOO_MANY_CODES = "Too many wrong codes. Try again in {}."


def count_password_attempt(subject: str) -> None:
    """Count an attempt with an e-mail address, whether or not an account has it. Raises ValidationError.

    `subject` as known_browsers.password_subject returns it.
    """
    count_attempt(lockouts.PASSWORD, subject, TOO_MANY_PASSWORDS)


def count_code_attempt(user: User) -> None:
    """Count an attempt with a code of the second factor. Raises ValidationError."""
    count_attempt(lockouts.SECOND_FACTOR, str(user.pk), TOO_MANY_CODES)


def count_attempt(rule: LockoutRule, subject: str, sentence: str) -> None:
    if seconds := lockouts.attempt(rule, subject).seconds:
        raise ValidationError(
            sentence.format(in_words(timedelta(seconds=seconds))), code="too_many_login_attempts"
        )


def report_wrong_password(subject: str, email: str, address: str) -> None:
    """Mail the user with this e-mail address, if there is one and a mail is due. `address` is the client's."""
    if failures := lockouts.claim_notification(lockouts.PASSWORD, subject):
        user = User.objects.filter(email=email, is_active=True).first()
        if user is not None:
            queue_mail(user, lockouts.PASSWORD, failures, address)


def report_wrong_code(user: User, address: str) -> None:
    """Mail this user, if a mail is due."""
    if failures := lockouts.claim_notification(lockouts.SECOND_FACTOR, str(user.pk)):
        queue_mail(user, lockouts.SECOND_FACTOR, failures, address)


def queue_mail(user: User, rule: LockoutRule, failures: int, address: str) -> None:
    """Queue the mail: a mail server that is slow must hold no request, and must not show that the account exists."""
    log.warning("User %s: %s failed attempts in a row (%s)", user.pk, failures, rule.kind)
    if settings.EMAIL_URL:  # else the log would have the mail
        async_task(SEND_GUESSING_MAIL, user.pk, rule.kind, failures, address)
