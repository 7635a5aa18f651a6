"""Staff pages of people, accounts, keys and payments. They change rights alone, by accounts.actions."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts import actions
from accounts.models import Account, AccountKey, Payment, User


class ReadOnlyAdmin(admin.ModelAdmin):
    """A list and its details, nothing to change: every write of these tables is a function of actions.py."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """People; superusers change who may sign in and who is staff."""

    list_display = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email",)
    ordering = ("-date_joined",)
    date_hierarchy = "date_joined"
    fields = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    readonly_fields = ("email", "date_joined", "last_login")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        actions.set_rights(
            obj,
            is_active=obj.is_active,
            is_staff=obj.is_staff,
            is_superuser=obj.is_superuser,
            actor=request.user,  # type: ignore[arg-type]  # has_change_permission lets only users here
        )


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts, found by their owner's address or by the beginning of a key."""

    list_display = ("__str__", "owner", "created_at", "blocked_at")
    list_filter = (("blocked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("owner",)
    search_fields = ("name", "owner__email", "keys__prefix__startswith")
    fields = ("owner", "name", "created_at", "blocked_at")
    date_hierarchy = "created_at"


@admin.register(AccountKey)
class AccountKeyAdmin(ReadOnlyAdmin):
    """Keys by their beginning; the digest is shown to nobody."""

    list_display = ("prefix", "account", "created_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("account__owner",)
    search_fields = ("prefix__startswith", "account__owner__email")
    search_help_text = "The beginning of a key (uid_…) or an e-mail address"
    fields = ("prefix", "account", "created_at", "last_used_at", "revoked_at")


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    """Payments as they were written down."""

    list_display = ("paid_at", "account", "instance", "days", "amount", "currency", "created_by")
    list_select_related = ("account__owner", "instance", "created_by")
    search_fields = ("account__owner__email", "instance__number", "note")
    date_hierarchy = "paid_at"
    fields = ("account", "instance", "days", "amount", "currency", "paid_at", "note", "created_by")
