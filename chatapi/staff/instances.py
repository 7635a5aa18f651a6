"""Instances on the support desk: their status and payments, and the tools of staff."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import RegexValidator
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from accounts.current_user import current_user
from accounts.impersonation import PERMISSION as VIEW_ACCOUNT
from accounts.models import Payment
from chatapi.staff.accounts import VIEWING_CONSEQUENCE, view_account
from chatapi.staff.base.lists import ReadOnly, StaffAdmin
from chatapi.staff.base.search import INSTANCE_HELP, instances_matching
from chatapi.staff.base.tools import ReasonForm, Tool
from chatapi.staff.desk.links import customer_url
from hooks.actions import stopping
from hooks.actions.hooks import NotPossible
from hooks.models import Endpoint
from instances.actions.lifecycle import record_payment
from instances.actions.stopping import start_instance, stop_instance
from instances.channels.base import CannotDo
from instances.models import Instance, StopReason
from instances.pages.log.shared_hooks import masked_url
from instances.receiving.health import describe_receiving
from instances.sending import session
from instances.sending.health import describe_sending


class PaymentForm(forms.Form):
    """A payment to record."""

    days = forms.IntegerField(
        min_value=1, max_value=3660, help_text="“Paid until” is extended by this many days."
    )
    amount = forms.DecimalField(min_value=Decimal(0), max_digits=10, decimal_places=2)
    currency = forms.CharField(
        initial="USD",
        max_length=3,
        validators=[RegexValidator("^[A-Z]{3}$", "Enter three capital letters, such as USD.")],
        help_text="ISO 4217, such as USD",
    )
    note = forms.CharField(required=False, max_length=200)


def pay(request: HttpRequest, instance: Instance, data: dict[str, Any]) -> str:
    record_payment(instance, **data, acting_user=current_user(request))
    if instance.expires_at is None:
        return f"The payment is recorded. {instance} does not expire."
    return f"{instance} is paid until {instance.paid_until:%Y-%m-%d %H:%M} UTC."


def stop(request: HttpRequest, instance: Instance, data: dict[str, Any]) -> str:
    if not stop_instance(instance, reason=data["reason"], acting_user=current_user(request)):
        raise NotPossible(f"{instance} is already stopped.")
    return f"{instance} is stopped."


def start(request: HttpRequest, instance: Instance, data: dict[str, Any]) -> str:
    if not start_instance(instance, acting_user=current_user(request)):
        blocked = instance.stop_reason == StopReason.BLOCKED
        raise NotPossible(
            f"The account of {instance} is blocked. Unblock the account."
            if blocked
            else f"{instance} is not stopped."
        )
    return f"{instance} is started."


def log_out(request: HttpRequest, instance: Instance, data: dict[str, Any]) -> str:
    if not instance.is_authenticated:
        raise NotPossible(f"{instance} is not linked to a phone.")
    try:
        session.log_out(instance, acting_user=current_user(request))
    except CannotDo as error:
        raise NotPossible(str(error)) from None
    return f"{instance} is logged out."


def cancel_hooks(request: HttpRequest, instance: Instance, data: dict[str, Any]) -> str:
    cancelled = stopping.cancel_waiting(instance.pk, acting_user=request.user)
    if not cancelled.number:
        raise NotPossible(f"{instance} has no waiting hooks.")
    more = " The others are cancelled in the background." if cancelled.has_more else ""
    hooks = "waiting hook" if cancelled.number == 1 else "waiting hooks"
    return f"{cancelled.number} {hooks} of {instance} cancelled.{more}"


def view_owner(request: HttpRequest, instance: Instance, data: dict[str, Any]) -> str:
    return view_account(request, instance.owner, data)


class PaymentInline(ReadOnly, admin.TabularInline):
    """The recorded payments of an instance."""

    model = Payment
    extra = 0
    fields = ("days", "amount", "currency", "note", "paid_at", "created_by")
    readonly_fields = fields
    ordering = ("-paid_at",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("created_by")


class EndpointInline(ReadOnly, admin.TabularInline):
    """The endpoints of an instance, the first first. Secrets are not shown."""

    model = Endpoint
    fk_name = "instance"
    extra = 0
    show_change_link = True
    fields = (
        "name",
        "webhook_url",
        "guaranteed",
        "parallel",
        "strict",
        "failing_since",
        "paused_at",
        "removed_at",
    )
    readonly_fields = fields
    ordering = ("pk",)

    @admin.display(description="webhook URL", empty_value="none")
    def webhook_url(self, endpoint: Endpoint) -> str | None:
        return masked_url(endpoint.url) or None


@admin.register(Instance)
class InstanceAdmin(StaffAdmin):
    """Instances. The token is not shown: it is for the owner only."""

    list_display = (
        "number",
        "name",
        "owner",
        "channel",
        "shown_status",
        "substatus",
        "paid",
        "stopped_at",
    )
    list_filter = ("account_status", "substatus", ("stopped_at", admin.EmptyFieldListFilter))
    windowed = True
    list_select_related = ("owner__owner",)
    search_fields = ("number",)
    search_help_text = INSTANCE_HELP
    fields = (
        "number", "name", "owner", "channel", "phone", "shown_status", "substatus", "status_changed_at", "paid",
        "stopped_at", "stop_reason", "created_at", "last_message_number", "sending", "receiving",
    )  # fmt: skip
    readonly_fields = ("number", "shown_status", "paid", "last_message_number", "sending", "receiving")
    inlines = (EndpointInline, PaymentInline)
    tools = (
        Tool(
            "look", "View account", VIEW_ACCOUNT, VIEWING_CONSEQUENCE, view_owner, form=ReasonForm, single_row=True,
            next_url=lambda instance: reverse("instances:detail", args=[instance.number]),
        ),
        Tool(
            "pay", "Add payment", "accounts.add_payment",
            "The payment is recorded, and “paid until” is extended by its days, counted from its end or from now,"
            " whichever is later. A payment ends the trial.",
            pay, form=PaymentForm, single_row=True,
        ),
        Tool(
            "stop", "Stop", "instances.stop_instance",
            "Nothing is sent or received until it is started: its calls get 403, its messages and hooks wait. Events"
            " that the messenger reports in the meantime are recorded, and their hooks are skipped with the reason.",
            stop, form=ReasonForm, dangerous=True, applies=lambda instance: instance.stop_reason != StopReason.STAFF,
        ),
        Tool(
            "start", "Start", "instances.stop_instance",
            "Its calls are accepted again. Waiting messages and hooks are sent, slowly at first.",
            start, applies=lambda instance: instance.is_stopped and instance.stop_reason != StopReason.BLOCKED,
        ),
        Tool(
            "log-out", "Log out", "instances.log_out_instance",
            "The phone is unlinked: nothing is sent or received until the owner scans a new code.",
            log_out, dangerous=True, applies=lambda instance: instance.is_authenticated,
        ),
        Tool(
            "cancel-hooks", "Cancel waiting hooks", "hooks.cancel_hook",
            "Waiting hooks will not be sent. They stay in the log, and the owner can resend them one by one or with a"
            " redelivery.",
            cancel_hooks, dangerous=True,
        ),
    )  # fmt: skip

    def page_of(self, row: Instance) -> str:
        return customer_url(row.owner_id, row.number)

    def search_condition(self, text: str) -> Q | None:
        return instances_matching(text)

    @admin.display(description="status")
    def shown_status(self, instance: Instance) -> str:
        return instance.shown_status

    @admin.display(description="sending")
    def sending(self, instance: Instance) -> str:
        health = describe_sending(instance)
        return f"{health.words}. {health.failed_words} in the last 24 h."

    @admin.display(description="receiving")
    def receiving(self, instance: Instance) -> str:
        health = describe_receiving(instance)
        if health is None:
            return "not needed by this channel"
        since = f" since {health.since:%Y-%m-%d %H:%M} UTC" if health.since else ""
        return f"{health.word}{since}. {health.problem}".strip()

    @admin.display(description="paid until", ordering="paid_until")
    def paid(self, instance: Instance) -> str:
        if instance.expires_at is None:
            return "does not expire"
        until = f"{instance.paid_until:%Y-%m-%d %H:%M} UTC"
        if instance.is_trial:
            return f"trial until {until}" if instance.is_paid else f"trial ended {until}"
        return until
