"""The keys, members and invitations of the user's own account: only its owner can open their pages."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, AccountQuerySet, Invitation, Member
from chatapi.ui.frame import user_of
from instances.pages.search.result_groups import SHOWN, Group, Row

KEY_BEGINNING = "uid_"


def account(request: HttpRequest, query: str) -> Group:
    """Returns the keys by name or by the beginning that their page shows, and people by e-mail. Three queries."""
    own = Account.objects.owned_by(user_of(request))
    return Group("Account", [*keys(own, query), *people(own, query)][:SHOWN])


def keys(own: AccountQuerySet, query: str) -> list[Row]:
    """Returns the valid keys. Of the text of a key only the part that is no secret is compared."""
    valid = AccountKey.objects.filter(account__in=own, revoked_at=None).unexpired(timezone.now())
    if query.startswith(KEY_BEGINNING):
        valid = valid.filter(prefix__startswith=query[:KEY_PREFIX_LENGTH])
    else:
        for word in query.split():
            valid = valid.filter(name__icontains=word)
    url = reverse("accounts:keys")
    return [Row(key.name, f"Account key {key}", url, "key") for key in valid.order_by("-pk")[:SHOWN]]


def people(own: AccountQuerySet, query: str) -> list[Row]:
    members = Member.objects.filter(account__in=own).select_related("user")
    invited = Invitation.objects.open().filter(account__in=own)
    for word in query.split():
        members = members.filter(user__email__icontains=word)
        invited = invited.filter(email__icontains=word)
    url = reverse("accounts:members")
    return [
        *(
            Row(one.user.email, f"Member, {one.get_role_display().lower()}", url, "users")
            for one in members.order_by("user__email")[:SHOWN]
        ),
        *(
            Row(one.email, f"Invited, {one.get_role_display().lower()}", url, "users")
            for one in invited.order_by("email")[:SHOWN]
        ),
    ]
