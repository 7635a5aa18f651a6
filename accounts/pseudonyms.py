"""What the audit log keeps of a deleted user and account: pseudonyms, and what was done and when.

A pseudonym is the same in all entries of a user, so that their actions can still be read in order, and says nothing
about the person. It is a keyed hash: without SECRET_KEY it cannot be computed from an address.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Q
from django.utils.crypto import salted_hmac

from accounts.audit import AuditEntry
from accounts.models import Account, User

# The details without personal data: names of settings, numbers, roles. Paths of viewed pages contain phone numbers,
# reasons are free text, and instances have names.
KEPT_DETAILS = frozenset(
    {"changed", "role", "days", "amount", "currency", "hooks", "requests", "revoked", "channel", "lasts", "until",
     "is_active", "is_staff", "is_superuser", "groups", "captures"}
)  # fmt: skip
# The texts of these subjects name no person: a key's first characters, an amount.
PLAIN_SUBJECTS = ("key", "payment", "bin")
BATCH = 1000  # entries written by one statement


def pseudonym_of_user(user: User) -> str:
    return f"user-{digest(f'user:{user.pk}')}"


def pseudonym_of_address(address: str) -> str:
    """For a person known by an address only, such as one who was invited."""
    return f"person-{digest(f'address:{address}')}"


def digest(text: str) -> str:
    return salted_hmac("accounts.pseudonyms", text, algorithm="sha256").hexdigest()[:12]


def replace_names(account: Account, addresses: Collection[str]) -> int:
    """Replace names and addresses in the entries about the account and its owner; returns how many were changed.

    `addresses` are all that the owner has had. The entries of other accounts lose only what names the owner.
    """
    owner = account.owner
    name = pseudonym_of_user(owner)
    own = Q(account=account) | Q(subject_kind="user", subject_id=str(owner.pk))
    about_owner = Q(actor=owner) | Q(subject_kind="member", subject_id__in=addresses)
    changed: list[AuditEntry] = []
    number = 0
    for entry in AuditEntry.objects.filter(own | about_owner).iterator(BATCH):
        if entry.actor_id == owner.pk or entry.actor_text in addresses:
            entry.actor_text = name
        is_own = entry.account_id == account.pk or entry.subject_kind == "user"
        if is_own:
            entry.detail = {key: value for key, value in entry.detail.items() if key in KEPT_DETAILS}
        if is_own or entry.subject_id in addresses:
            replace_subject(entry, name, addresses)
        changed.append(entry)
        if len(changed) == BATCH:
            number += write(changed)
    return number + write(changed)


def replace_subject(entry: AuditEntry, name: str, addresses: Collection[str]) -> None:
    if entry.subject_kind == "member":
        person = name if entry.subject_id in addresses else pseudonym_of_address(entry.subject_id)
        entry.subject_id = entry.subject_text = person
    elif entry.subject_kind in ("user", "account"):
        entry.subject_text = name
    elif entry.subject_kind not in PLAIN_SUBJECTS:
        entry.subject_text = f"{entry.subject_kind} {entry.subject_id}"


def write(changed: list[Any]) -> int:
    number = len(changed)
    AuditEntry.objects.bulk_update(changed, ["actor_text", "subject_id", "subject_text", "detail"])
    changed.clear()
    return number
