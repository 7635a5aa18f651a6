"""Accounts, their keys and payments on the support desk."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join

from accounts import impersonation, quotas
from accounts.actions.accounts import set_quota
from accounts.current_user import current_user
from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, Payment
from chatapi.staff.base.lists import (
    StaffAdmin,
    fetch_keys,
    instance_numbered,
    parse_number,
    row_link,
    search_link,
)
from chatapi.staff.base.search import ACCOUNT_HELP, accounts_matching, in_accounts
from chatapi.staff.base.tools import ReasonForm, Tool
from chatapi.staff.desk.links import customer_url
from hooks.actions.hooks import NotPossible
from instances.actions.stopping import block_account, unblock_account

MEGABYTE = 1024 * 1024


def block(request: HttpRequest, account: Account, data: dict[str, Any]) -> str:
    if not block_account(account, reason=data["reason"], acting_user=current_user(request)):
        raise NotPossible(f"{account} is already blocked.")
    return f"{account} is blocked."


def unblock(request: HttpRequest, account: Account, data: dict[str, Any]) -> str:
    if not unblock_account(account, acting_user=current_user(request)):
        raise NotPossible(f"{account} is not blocked.")
    return f"{account} is unblocked."


def view_account(request: HttpRequest, account: Account, data: dict[str, Any]) -> str:
    impersonation.start(request, account, reason=data["reason"])
    return ""


class QuotaForm(forms.Form):
    """One quota and its new limit."""

    quota = forms.ChoiceField()
    limit = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=10**9,
        help_text="A number of things; for files and captures, of megabytes. Empty: the site's default.",
    )
    reason = forms.CharField(
        max_length=200, help_text="For the audit log: who requested it, the ticket's number."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["quota"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (quota.name, f"{quota.label} (MB)" if quota.is_bytes else quota.label)
            for quota in quotas.all_quotas()
        ]


def set_account_quota(request: HttpRequest, account: Account, data: dict[str, Any]) -> str:
    quota = next(quota for quota in quotas.all_quotas() if quota.name == data["quota"])
    limit: int | None = data["limit"]
    if limit is not None and quota.is_bytes:
        limit *= MEGABYTE
    set_quota(account, name=quota.name, limit=limit, acting_user=current_user(request), reason=data["reason"])
    return f"{account}: the quota of {quota.things} is now {quota.in_words(quotas.limit_of(account, quota.name))}."


def own_limit_note(usage: quotas.Usage, account: Account) -> str:
    return ", set for this account" if usage.quota.name in account.own_quotas else ""


VIEWING_CONSEQUENCE = (
    "For half an hour you see the account's pages as its owner does, and can change nothing. Tokens and secrets are"
    " masked. The audit log records the start, your reason and each page; the owner can read that staff viewed them."
)


@admin.register(Account)
class AccountAdmin(StaffAdmin):
    """Accounts, with tools to block them and to view their pages."""

    list_display = ("__str__", "owner", "created_at", "blocked_at", "block_reason")
    list_filter = (("blocked_at", admin.EmptyFieldListFilter),)
    windowed = True
    list_select_related = ("owner",)
    search_fields = ("name",)
    search_help_text = ACCOUNT_HELP
    fields = ("owner", "name", "created_at", "blocked_at", "block_reason", "usage", "instances", "payments")
    readonly_fields = ("block_reason", "usage", "instances", "payments")
    tools = (
        Tool(
            "look", "View account", impersonation.PERMISSION, VIEWING_CONSEQUENCE, view_account, form=ReasonForm,
            single_row=True, next_url=lambda account: reverse("instances:list"),
        ),
        Tool(
            "block", "Block", "accounts.block_account",
            "Its owner sees only a page that says so and whom to contact. Its keys and tokens get 403. Its instances"
            " are stopped: events are recorded, and no hook is sent. Nothing is deleted.",
            block, form=ReasonForm, dangerous=True, applies=lambda account: account.blocked_at is None,
        ),
        Tool(
            "unblock", "Unblock", "accounts.block_account",
            "Its owner and keys have access again. Its instances start, except those that were stopped one by one.",
            unblock, applies=lambda account: account.blocked_at is not None,
        ),
        Tool(
            "quota", "Set quota", "accounts.set_quota",
            "The account may use as much as you enter. Below what it uses now, nothing is deleted, but nothing can be"
            " added. The owner sees the limit on the account page; the audit log records it.",
            set_account_quota, form=QuotaForm,
        ),
    )  # fmt: skip

    def page_of(self, row: Account) -> str:
        return customer_url(row.pk)

    def search_condition(self, text: str) -> Q | None:
        return accounts_matching(text)

    @admin.display(description="reason for the block")
    def block_reason(self, account: Account) -> str:
        return account.blocked_reason or "–"

    @admin.display(description="usage")
    def usage(self, account: Account) -> str:
        rows = [
            (usage.quota.label, usage.used_in_words, usage.limit_in_words, own_limit_note(usage, account))
            for usage in quotas.usage_of(account)
        ]
        return format_html_join("", "{}: {} of {}{}<br>", rows)

    @admin.display(description="instances")
    def instances(self, account: Account) -> str:
        return search_link("instances_instance", account.owner.email, "Show instances")

    @admin.display(description="payments")
    def payments(self, account: Account) -> str:
        return search_link("accounts_payment", account.owner.email, "Show payments")


@admin.register(AccountKey)
class AccountKeyAdmin(StaffAdmin):
    """Keys by their first characters; the digest is not shown."""

    list_display = ("prefix", "name", "account", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    windowed = True
    list_select_related = ("account__owner",)
    search_fields = ("prefix",)
    search_help_text = ACCOUNT_HELP
    fields = (
        "prefix", "name", "account", "can_read", "can_send", "can_manage", "created_at", "last_used_at",
        "last_used_from", "expires_at", "replaced_at", "revoked_at",
    )  # fmt: skip

    def search_condition(self, text: str) -> Q | None:
        if text.startswith("uid_"):
            return Q(prefix__startswith=text[:KEY_PREFIX_LENGTH])
        return in_accounts(text)


@admin.register(Payment)
class PaymentAdmin(StaffAdmin):
    """Recorded payments. A new one is added on the instance's page, and extends the instance."""

    list_display = ("paid_at", "account", "of_instance", "days", "amount", "currency", "created_by", "note")
    list_select_related = ("account__owner", "instance", "created_by")
    search_fields = ("account",)
    search_help_text = ACCOUNT_HELP
    fields = ("account", "instance", "days", "amount", "currency", "paid_at", "note", "created_by")

    def search_condition(self, text: str) -> Q | None:
        if parse_number(text) is not None:
            return Q(instance__in=fetch_keys(instance_numbered(text)))
        return in_accounts(text)

    @admin.display(description="instance", empty_value="deleted")
    def of_instance(self, payment: Payment) -> str | None:
        instance = payment.instance
        return row_link("instances_instance", instance.pk, instance.number) if instance else None
