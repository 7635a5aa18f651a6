"""Every change to who may work with an account: invite, accept, revoke, another role, leave.

As accounts/actions/accounts.py: atomic, `acting_user` is who did it, and nothing else writes these tables. Who may call
which is the caller's to see to; the pages are in accounts/views/members.py.
"""

import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, Invitation, Member, Role, User, key_digest

INVITATION_LIVES = timedelta(days=7)
# Open ones and members together: more than a team, less than a way to send mail to the whole world.
MEMBERS_MOST = 50
# Each may be a mail to somebody who never asked for one; taking it back and inviting anew sends another.
INVITED_A_DAY_MOST = 100


class NotInvited(ValueError):
    """Nobody was invited, or the invitation was not taken; str() says why, to a person."""


@transaction.atomic
def invite(account: Account, *, email: str, role: str, acting_user: User) -> tuple[Invitation, str]:
    """An invitation and the token of its link, which is kept nowhere. An open one to the same address ends.

    `email` in any case. Raises NotInvited for the owner, for a member, and beyond MEMBERS_MOST and
    INVITED_A_DAY_MOST.
    """
    email = email.strip().lower()
    Account.objects.select_for_update().get(pk=account.pk)  # of two at once, one is the only open one
    if email == account.owner.email:
        raise NotInvited("That is the owner's own address.")
    if account.members.filter(user__email=email).exists():
        raise NotInvited(f"{email} is a member already. Change the role in the list.")
    account.invitations.filter(email=email, accepted_at=None, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if account.members.count() + account.invitations.open().count() >= MEMBERS_MOST:
        raise NotInvited(f"An account has at most {MEMBERS_MOST} members, with those who are invited.")
    if (
        account.invitations.filter(created_at__gt=timezone.now() - timedelta(days=1)).count()
        >= INVITED_A_DAY_MOST
    ):
        raise NotInvited(
            f"An account invites at most {INVITED_A_DAY_MOST} times in 24 hours. Try again tomorrow."
        )
    token = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        account=account,
        email=email,
        role=Role(role),
        digest=key_digest(token),
        expires_at=timezone.now() + INVITATION_LIVES,
    )
    record_for_member(
        AuditAction.MEMBER_INVITED, account.pk, email, acting_user=acting_user, role=invitation.role
    )
    return invitation, token


def record_for_member(
    action: AuditAction, account_id: int, email: str, *, acting_user: User, **detail: str
) -> None:
    """An entry about somebody's place in an account."""
    audit.record(
        action, acting_user=acting_user, kind="member", key=email, text=email, account_id=account_id, **detail
    )


@transaction.atomic
def accept(token: str, *, acting_user: User) -> Member:
    """`acting_user` becomes a member. Raises NotInvited when it is too late or for another address."""
    # locked by its own row: a link that is opened twice makes one member
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
    record_for_member(
        AuditAction.MEMBER_JOINED,
        member.account_id,
        acting_user.email,
        acting_user=acting_user,
        role=member.role,
    )
    return member


@transaction.atomic
def revoke(invitation: Invitation, *, acting_user: User) -> None:
    """Its link opens nothing from now on; does nothing to one that is accepted."""
    revoked = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if revoked:
        record_for_member(
            AuditAction.INVITATION_REVOKED, invitation.account_id, invitation.email, acting_user=acting_user
        )


@transaction.atomic
def change_role(member: Member, *, role: str, acting_user: User) -> Member:
    """Manager or viewer, from the next page on."""
    member.role = Role(role)
    member.save(update_fields=["role"])
    record_for_member(
        AuditAction.MEMBER_ROLE,
        member.account_id,
        member.user.email,
        acting_user=acting_user,
        role=member.role,
    )
    return member


@transaction.atomic
def remove(member: Member, *, acting_user: User) -> None:
    """Taken out by the owner, or gone by themselves (`acting_user` is the member then)."""
    record_for_member(
        AuditAction.MEMBER_REMOVED, member.account_id, member.user.email, acting_user=acting_user
    )
    member.delete()
