"""Changes to the members of an account: invite, accept, revoke, change the role, remove.

The pages are in accounts/views/members.py.
"""

import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import audit, quotas
from accounts.audit import AuditAction
from accounts.email_addresses import normal_address
from accounts.models import Account, Invitation, Member, Role, User, key_digest
from accounts.quotas import Quota, QuotaExceeded, lock_account

INVITATION_VALID_FOR = timedelta(days=7)
# Members and open invitations together: enough for a team, too few to send spam.
MAX_MEMBERS = 50


def invitations_today(account: Account) -> int:
    """Returns how many invitations the account has sent in the last 24 hours."""
    return account.invitations.filter(created_at__gt=timezone.now() - timedelta(days=1)).count()


# Each invitation may be an unsolicited mail, and cancelling and inviting again sends another.
INVITATIONS = Quota(
    "invitationsPerDay",
    40,
    "Invitations in 24 hours",
    "QUOTA_INVITATIONS_PER_DAY",
    "invitations in 24 hours",
    "Wait until tomorrow",
    invitations_today,
)


class NotInvited(ValueError):
    """The invitation was not sent or not accepted; str() is the message for the user."""


@transaction.atomic
def invite(account: Account, *, email: str, role: str, acting_user: User) -> tuple[Invitation, str]:
    """Create an invitation; returns it and its link's token, which is not stored.

    An open invitation to the same address is revoked. `email` is stored in lower case.

    Raises:
        NotInvited: the address is the owner's or a member's, or MAX_MEMBERS or the quota of invitations is reached.
    """
    email = normal_address(email)
    locked = lock_account(account)  # concurrent calls must leave one open invitation
    if email == account.owner.email:
        raise NotInvited("This address belongs to the owner of the account.")
    if account.members.filter(user__email=email).exists():
        raise NotInvited(f"{email} is already a member. Change the role in the list.")
    account.invitations.filter(email=email, accepted_at=None, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if account.members.count() + account.invitations.open().count() >= MAX_MEMBERS:
        raise NotInvited(f"An account has at most {MAX_MEMBERS} members, open invitations included.")
    try:
        quotas.check(locked, INVITATIONS.name)
    except QuotaExceeded as reached:
        raise NotInvited(str(reached)) from None
    token = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        account=account,
        email=email,
        role=Role(role),
        digest=key_digest(token),
        expires_at=timezone.now() + INVITATION_VALID_FOR,
    )
    audit.record(invitation, AuditAction.MEMBER_INVITED, acting_user=acting_user, role=invitation.role)
    return invitation, token


@transaction.atomic
def accept(token: str, *, acting_user: User) -> Member:
    """Make `acting_user` a member. Raises NotInvited if the invitation is not open or is for another address."""
    # The lock on the invitation's row: two concurrent requests must create one member.
    found = Invitation.objects.select_for_update().filter(digest=key_digest(token)).first()
    invitation = Invitation.objects.matching(token) if found else None
    if invitation is None:
        raise NotInvited("This invitation has expired, was cancelled, or was already accepted.")
    if acting_user.email != invitation.email:
        raise NotInvited(
            f"This invitation is for {invitation.email}, and you are signed in as {acting_user.email}."
        )
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    member, _ = Member.objects.update_or_create(
        account=invitation.account, user=acting_user, defaults={"role": invitation.role}
    )
    audit.record(member, AuditAction.MEMBER_JOINED, acting_user=acting_user, role=member.role)
    return member


@transaction.atomic
def revoke(invitation: Invitation, *, acting_user: User) -> None:
    """Cancel an invitation: its link no longer works. Does nothing if it was accepted."""
    revoked = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if revoked:
        audit.record(invitation, AuditAction.INVITATION_REVOKED, acting_user=acting_user)


@transaction.atomic
def change_role(member: Member, *, role: str, acting_user: User) -> Member:
    """Make the member a manager or a viewer; takes effect with the next request."""
    member.role = Role(role)
    member.save(update_fields=["role"])
    audit.record(member, AuditAction.MEMBER_ROLE, acting_user=acting_user, role=member.role)
    return member


@transaction.atomic
def remove(member: Member, *, acting_user: User) -> None:
    """Remove the member, unless they are removed already. `acting_user` is the owner, or the member who leaves."""
    if not Member.objects.select_for_update().filter(pk=member.pk).exists():
        return
    audit.record(member, AuditAction.MEMBER_REMOVED, acting_user=acting_user)
    member.delete()
