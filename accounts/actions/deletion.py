"""Account deletion: the user, the account, its keys, payments, members and invitations are deleted together.

The caller first deletes the data of upper layers: see chatapi/account_data/deletion.py.
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
    audit.record(account, AuditAction.ACCOUNT_DELETED, acting_user=acting_user)
    for session in UserSession.objects.filter(user=owner):
        session.end()
    owner.delete()
