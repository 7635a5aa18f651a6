"""The end of an account: the person, the account, its keys, payments, members and invitations go together.

What upper layers store is deleted first: see chatapi/account_deletion.py.
"""

from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, User


@transaction.atomic
def delete_account(account: Account, *, acting_user: User) -> None:
    """Delete the account and its owner, and end all of the owner's sessions."""
    owner = account.owner
    audit.record(
        AuditAction.ACCOUNT_DELETED,
        acting_user=acting_user,
        kind="account",
        key=account.pk,
        text=str(account),
    )
    for session in UserSession.objects.filter(user=owner):
        session.end()
    owner.delete()
