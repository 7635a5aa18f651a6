"""People, their accounts, members, keys and payments on the staff desk."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts import impersonation
from accounts.actions.users import set_groups, set_rights
from accounts.current_user import current_user
from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, Invitation, Member, Payment, User
from chatapi.staff.lists import Desk, keys, link, number, numbered
from chatapi.staff.tools import Reason, Tool
from hooks.actions.hooks import NotPossible
from instances.actions.stopping import block_account, unblock_account


def owned_by(text: str) -> Q:
    """Of the people whose address begins so."""
    return Q(owner__in=people(text))


def people(text: str) -> list[int]:
    """The keys of the people whose address begins so."""
    return keys(User.objects.filter(email__startswith=text.lower()))


def accounts_of(text: str) -> Q | None:
    """The accounts that a text means: an address or its beginning, a key or its beginning, an instance's number."""
    if text.startswith("uid_"):
        found = AccountKey.objects.filter(prefix__startswith=text[:KEY_PREFIX_LENGTH])
        return Q(pk__in=keys(found, "account"))
    if number(text) is not None:
        return Q(pk__in=keys(numbered(text), "owner"))
    return owned_by(text)


def in_accounts(text: str) -> Q | None:
    """Rows that hang on an account, by the same texts."""
    found = accounts_of(text)
    return None if found is None else Q(account__in=keys(Account.objects.filter(found)))


ACCOUNT_HELP = "An e-mail address or its beginning, a key or its beginning (uid_…), or an instance's number"


@admin.register(User)
class UserDesk(Desk):
    """People. Administrators say who may sign in, who is staff, and in which groups."""

    list_display = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    window = True
    search_fields = ("email",)
    search_help_text = "An e-mail address or its beginning"
    fields = ("email", "is_active", "is_staff", "is_superuser", "groups", "date_joined", "last_login")
    filter_horizontal = ("groups",)
    trail_kind = "user"

    def find(self, text: str) -> Q | None:
        return Q(email__startswith=text.lower())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = ("email", "date_joined", "last_login")
        return fixed if request.user.is_superuser else (*fixed, "is_superuser")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """By the right to change users; a superuser is changed by superusers alone."""
        if getattr(obj, "is_superuser", False) and not getattr(request.user, "is_superuser", False):
            return False
        return bool(request.user.has_perm("accounts.change_user"))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        try:
            set_rights(
                obj,
                is_active=obj.is_active,
                is_staff=obj.is_staff,
                is_superuser=obj.is_superuser,
                acting_user=request.user,  # type: ignore[arg-type]  # has_change_permission lets only users here
            )
        except PermissionError as refusal:
            raise PermissionDenied(str(refusal)) from None

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        set_groups(form.instance, form.cleaned_data["groups"], acting_user=request.user)  # type: ignore[arg-type]


def block(request: HttpRequest, account: Account, asked: dict[str, Any]) -> str:
    if not block_account(account, reason=asked["reason"], acting_user=current_user(request)):
        raise NotPossible(f"{account} is blocked already.")
    return f"{account} is blocked."


def unblock(request: HttpRequest, account: Account, asked: dict[str, Any]) -> str:
    if not unblock_account(account, acting_user=current_user(request)):
        raise NotPossible(f"{account} is not blocked.")
    return f"{account} is open again."


def look(request: HttpRequest, account: Account, asked: dict[str, Any]) -> str:
    impersonation.start(request, account, reason=asked["reason"])
    return ""


LOOK_WORDS = (
    "You see the account's pages as its owner does, for half an hour, and can change nothing. Tokens and secrets are"
    " blotted out. That you look, why, and at which pages stands in the audit trail, which the owner can read."
)


@admin.register(Account)
class AccountDesk(Desk):
    """Accounts, with what blocks them, and the way to look at their pages."""

    list_display = ("__str__", "owner", "created_at", "blocked_at", "blocked_reason")
    list_filter = (("blocked_at", admin.EmptyFieldListFilter),)
    window = True
    list_select_related = ("owner",)
    search_fields = ("name",)
    search_help_text = ACCOUNT_HELP
    fields = ("owner", "name", "created_at", "blocked_at", "blocked_reason", "its_instances", "its_payments")
    readonly_fields = ("its_instances", "its_payments")
    trail_kind = "account"
    tools = (
        Tool(
            "look", "Look at this account", impersonation.PERMISSION, LOOK_WORDS, look, form=Reason, one=True,
            to=lambda account: reverse("instances:list"),
        ),
        Tool(
            "block", "Block", "accounts.block_account",
            "Its people see one page that says so and whom to ask; its keys and tokens get 403; its instances are"
            " stopped: events are recorded, and no hook is sent. Nothing is deleted.",
            block, form=Reason, dangerous=True, applies=lambda account: account.blocked_at is None,
        ),
        Tool(
            "unblock", "Unblock", "accounts.block_account",
            "Its people and keys are let in again, and its instances go on, but those that were stopped by themselves.",
            unblock, applies=lambda account: account.blocked_at is not None,
        ),
    )  # fmt: skip

    def find(self, text: str) -> Q | None:
        return accounts_of(text)

    @admin.display(description="instances")
    def its_instances(self, account: Account) -> str:
        page = reverse("admin:instances_instance_changelist")
        return listed(page, account.owner.email, "Its instances")

    @admin.display(description="payments")
    def its_payments(self, account: Account) -> str:
        return listed(reverse("admin:accounts_payment_changelist"), account.owner.email, "Its payments")


def listed(page: str, text: str, words: str) -> str:
    """A link to a list with something looked for."""
    return format_html('<a href="{}?q={}">{}</a>', page, quote(text), words)


@admin.register(Member)
class MemberDesk(Desk):
    """Who else may work with an account."""

    list_display = ("user", "account", "role", "created_at")
    list_filter = ("role",)
    window = True
    list_select_related = ("user", "account__owner")
    search_fields = ("user",)
    search_help_text = (
        "The member's e-mail address or its beginning, or what finds the account: a key, an instance's number"
    )
    fields = ("user", "account", "role", "created_at")

    def find(self, text: str) -> Q | None:
        if text.startswith("uid_") or number(text) is not None:
            return in_accounts(text)
        return Q(user__in=people(text))


@admin.register(Invitation)
class InvitationDesk(Desk):
    """Who was asked to become a member; the link's token is kept nowhere."""

    list_display = ("email", "account", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_select_related = ("account__owner",)
    search_fields = ("account",)
    search_help_text = f"Of an account: {ACCOUNT_HELP[0].lower()}{ACCOUNT_HELP[1:]}"
    fields = ("email", "account", "role", "created_at", "expires_at", "accepted_at", "revoked_at")

    def find(self, text: str) -> Q | None:
        return in_accounts(text)


@admin.register(AccountKey)
class AccountKeyDesk(Desk):
    """Keys by their beginning; the digest is shown to nobody."""

    list_display = ("prefix", "account", "created_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    window = True
    list_select_related = ("account__owner",)
    search_fields = ("prefix",)
    search_help_text = ACCOUNT_HELP
    fields = ("prefix", "account", "created_at", "last_used_at", "revoked_at")
    trail_kind = "key"

    def find(self, text: str) -> Q | None:
        if text.startswith("uid_"):
            return Q(prefix__startswith=text[:KEY_PREFIX_LENGTH])
        return in_accounts(text)


@admin.register(Payment)
class PaymentDesk(Desk):
    """Payments as they were written down. A new one is added on the instance's page, and extends it."""

    list_display = ("paid_at", "account", "of_instance", "days", "amount", "currency", "created_by", "note")
    list_select_related = ("account__owner", "instance", "created_by")
    search_fields = ("account",)
    search_help_text = ACCOUNT_HELP
    fields = ("account", "instance", "days", "amount", "currency", "paid_at", "note", "created_by")
    trail_kind = "payment"

    def find(self, text: str) -> Q | None:
        if number(text) is not None:
            return Q(instance__in=keys(numbered(text)))
        return in_accounts(text)

    @admin.display(description="instance", empty_value="deleted since")
    def of_instance(self, payment: Payment) -> str | None:
        instance = payment.instance
        return link("instances_instance", instance.pk, instance.number) if instance else None
