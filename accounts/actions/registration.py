"""Who may create an account (settings.SIGNUP), and the invitations that staff send to new users.

Two kinds of invitations allow it: to become a member of an account (actions/members.py), and to create an account,
which `manage.py invite` sends. The second kind is a signed token without a row: addresses are unique, so it creates one
account.
"""

from django.conf import settings
from django.core import signing
from django.db import transaction

from accounts import audit
from accounts.actions.members import INVITATION_VALID_FOR
from accounts.audit import AuditAction, AuditSubject
from accounts.email_addresses import normal_address
from accounts.models import Invitation, User

SALT = "accounts.sign-up"
MAX_TOKEN_LENGTH = 600  # characters: an address of 254 in base64, the time and the signature


class CannotInvite(ValueError):
    """The user was not invited; str() is the message for staff."""


class InvitedUser:
    """An e-mail address without a user, as the subject of an audit entry."""

    def __init__(self, email: str) -> None:
        self.email = email

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("user", self.email, self.email, None)


def can_sign_up(token: str) -> bool:
    """Returns whether an account may be created with this token of an invitation; it may be empty."""
    if settings.SIGNUP == "open":
        return True
    return settings.SIGNUP == "invited" and invited_email(token) is not None


def invited_email(token: str) -> str | None:
    """Returns the address that an invitation is for; None if it expired, was cancelled, or is not valid."""
    if not token or len(token) > MAX_TOKEN_LENGTH:
        return None
    try:
        return str(signing.loads(token, salt=SALT, max_age=INVITATION_VALID_FOR))
    except signing.BadSignature:
        invitation = Invitation.objects.matching(token)
        return invitation.email if invitation else None


@transaction.atomic
def invite_to_sign_up(email: str, *, acting_user: User | None) -> str:
    """Returns the token of a link with which this address can create an account within INVITATION_VALID_FOR.

    Raises:
        CannotInvite: SIGNUP is closed, or the address has an account.
    """
    email = normal_address(email)
    if settings.SIGNUP == "closed":
        raise CannotInvite("This site does not accept new accounts: set SIGNUP to `invited` or `open` first.")
    if User.objects.filter(email=email).exists():
        raise CannotInvite(f"{email} already has an account.")
    audit.record(InvitedUser(email), AuditAction.SIGN_UP_INVITED, acting_user=acting_user)
    return signing.dumps(email, salt=SALT)
