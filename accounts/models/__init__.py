"""Users, their accounts, and an account's members, keys (`uid`) and payments.

Writes go through accounts/actions/; reads that a user sees start from `visible_to(user)`.
"""

from accounts.audit import AuditEntry
from accounts.models.accounts import Account, AccountQuerySet
from accounts.models.keys import ALL_SCOPES, KEY_PREFIX_LENGTH, AccountKey, KeyState, Scope, key_digest
from accounts.models.lockouts import Lockout, SharedValue
from accounts.models.members import Invitation, Member, Role
from accounts.models.payments import Payment
from accounts.models.setup_links import SetupLink
from accounts.models.share_links import ShareLink, ShareLinkQuerySet
from accounts.models.users import User

__all__ = [
    "ALL_SCOPES",
    "KEY_PREFIX_LENGTH",
    "Account",
    "AccountKey",
    "AccountQuerySet",
    "AuditEntry",
    "Invitation",
    "KeyState",
    "Lockout",
    "Member",
    "Payment",
    "Role",
    "Scope",
    "SetupLink",
    "ShareLink",
    "ShareLinkQuerySet",
    "SharedValue",
    "User",
    "key_digest",
]
