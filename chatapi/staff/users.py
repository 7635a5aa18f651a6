"""Users on the support desk, with their rights, and members and invitations of accounts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils.decorators import method_decorator

from accounts.actions.users import set_groups, set_rights
from accounts.current_user import current_user
from accounts.models import Invitation, Member, User
from accounts.reauthentication import password_required_to_post
from chatapi.staff.base.lists import StaffAdmin, parse_number
from chatapi.staff.base.search import ACCOUNT_HELP, in_accounts, user_keys


@admin.register(User)
class UserAdmin(StaffAdmin):
    """Users. Administrators decide who may sign in, who is staff, and in which groups."""

    list_display = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    windowed = True
    search_fields = ("email",)
    search_help_text = "An e-mail address or its beginning"
    fields = ("email", "is_active", "is_staff", "is_superuser", "groups", "date_joined", "last_login")
    filter_horizontal = ("groups",)

    def search_condition(self, text: str) -> Q | None:
        return Q(email__startswith=text.lower())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = ("email", "date_joined", "last_login")
        return fixed if request.user.is_superuser else (*fixed, "is_superuser")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may change users; only superusers may change a superuser."""
        if getattr(obj, "is_superuser", False) and not getattr(request.user, "is_superuser", False):
            return False
        return bool(request.user.has_perm("accounts.change_user"))

    @method_decorator(password_required_to_post)
    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(*args, **kwargs)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        try:
            set_rights(
                obj,
                is_active=obj.is_active,
                is_staff=obj.is_staff,
                is_superuser=obj.is_superuser,
                acting_user=current_user(request),
            )
        except PermissionError as refusal:
            raise PermissionDenied(str(refusal)) from None

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        set_groups(form.instance, groups=form.cleaned_data["groups"], acting_user=current_user(request))


@admin.register(Member)
class MemberAdmin(StaffAdmin):
    """Members of accounts."""

    list_display = ("user", "account", "role", "created_at")
    list_filter = ("role",)
    windowed = True
    list_select_related = ("user", "account__owner")
    search_fields = ("user",)
    search_help_text = (
        "The member's e-mail address or its beginning, or one of the account's keys or instance numbers"
    )
    fields = ("user", "account", "role", "created_at")

    def search_condition(self, text: str) -> Q | None:
        if text.startswith("uid_") or parse_number(text) is not None:
            return in_accounts(text)
        return Q(user__in=user_keys(text))


@admin.register(Invitation)
class InvitationAdmin(StaffAdmin):
    """Invitations. The link's token is not stored."""

    list_display = ("email", "account", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_select_related = ("account__owner",)
    search_fields = ("account",)
    search_help_text = f"Of an account: {ACCOUNT_HELP[0].lower()}{ACCOUNT_HELP[1:]}"
    fields = ("email", "account", "role", "created_at", "expires_at", "accepted_at", "revoked_at")

    def search_condition(self, text: str) -> Q | None:
        return in_accounts(text)
