"""Instances on the staff desk: what state they are in, what was paid, and what staff may do to them."""

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
from accounts.impersonation import PERMISSION as LOOK
from accounts.models import Account, Payment
from chatapi.staff.lists import Desk, keys, number, numbered
from chatapi.staff.people import LOOK_WORDS, look, owned_by
from chatapi.staff.tools import Reason, Tool
from hooks.actions import stopping
from hooks.actions.hooks import NotPossible
from hooks.models import Endpoint
from instances.actions.lifecycle import record_payment
from instances.actions.stopping import start_instance, stop_instance
from instances.channels.base import CannotDo
from instances.models import Instance, StopReason
from instances.sending import session


class PaymentForm(forms.Form):
    """A payment that came in."""

    days = forms.IntegerField(min_value=1, max_value=3660, help_text="By so many days “paid until” moves on.")
    amount = forms.DecimalField(min_value=Decimal(0), max_digits=10, decimal_places=2)
    currency = forms.CharField(
        initial="USD",
        max_length=3,
        validators=[RegexValidator("^[A-Z]{3}$", "Three capital letters, as USD.")],
        help_text="ISO 4217, as USD",
    )
    note = forms.CharField(required=False, max_length=200)


def pay(request: HttpRequest, instance: Instance, asked: dict[str, Any]) -> str:
    record_payment(instance, **asked, acting_user=current_user(request))
    return f"{instance} is paid until {instance.paid_until:%Y-%m-%d %H:%M} UTC."


def stop(request: HttpRequest, instance: Instance, asked: dict[str, Any]) -> str:
    if not stop_instance(instance, reason=asked["reason"], acting_user=current_user(request)):
        raise NotPossible(f"{instance} is stopped already.")
    return f"{instance} is stopped."


def start(request: HttpRequest, instance: Instance, asked: dict[str, Any]) -> str:
    if not start_instance(instance, acting_user=current_user(request)):
        blocked = instance.stop_reason == StopReason.BLOCKED
        raise NotPossible(
            f"The account of {instance} is blocked: unblock that."
            if blocked
            else f"{instance} is not stopped."
        )
    return f"{instance} goes on."


def log_out(request: HttpRequest, instance: Instance, asked: dict[str, Any]) -> str:
    if not instance.is_authenticated:
        raise NotPossible(f"{instance} is not linked to a phone.")
    try:
        session.log_out(instance, acting_user=current_user(request))
    except CannotDo as error:
        raise NotPossible(str(error)) from None
    return f"{instance} is logged out."


def cancel_hooks(request: HttpRequest, instance: Instance, asked: dict[str, Any]) -> str:
    gone = stopping.cancel_waiting(Endpoint(pk=instance.pk), acting_user=request.user)
    if not gone:
        raise NotPossible(f"No hook of {instance} waits.")
    more = " Perhaps there are more: do it again." if gone == stopping.CANCEL_MOST else ""
    return f"{gone} waiting hook{'' if gone == 1 else 's'} of {instance} cancelled.{more}"


def look_at_owner(request: HttpRequest, instance: Instance, asked: dict[str, Any]) -> str:
    return look(request, instance.owner, asked)


class PaymentInline(admin.TabularInline):
    """The payments of an instance, as they were written down."""

    model = Payment
    extra = 0
    fields = ("days", "amount", "currency", "note", "paid_at", "created_by")
    readonly_fields = fields
    ordering = ("-paid_at",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("created_by")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Instance)
class InstanceDesk(Desk):
    """Which instances there are and what state they are in. The token is nobody's business but its owner's."""

    list_display = (
        "number",
        "name",
        "owner",
        "channel",
        "shown_status",
        "substatus",
        "paid_until",
        "stopped_at",
    )
    list_filter = ("account_status", "substatus", ("stopped_at", admin.EmptyFieldListFilter))
    window = True
    list_select_related = ("owner__owner",)
    search_fields = ("number",)
    search_help_text = "An instance's number, or its owner's e-mail address or the beginning of it"
    fields = (
        "number", "name", "owner", "channel", "phone", "shown_status", "substatus", "status_changed_at", "paid_until",
        "stopped_at", "stop_reason", "created_at", "last_message_number",
    )  # fmt: skip
    readonly_fields = ("number", "shown_status", "last_message_number")
    inlines = (PaymentInline,)
    trail_kind = "instance"
    tools = (
        Tool(
            "look", "Look at its account", LOOK, LOOK_WORDS, look_at_owner, form=Reason, one=True,
            to=lambda instance: reverse("instances:detail", args=[instance.number]),
        ),
        Tool(
            "pay", "Add a payment (extend)", "accounts.add_payment",
            "The payment is written down, and “paid until” moves on by its days, from its end or from now, whichever is"
            " later.",
            pay, form=PaymentForm, one=True,
        ),
        Tool(
            "stop", "Stop", "instances.stop_instance",
            "Nothing goes in or out until it is started: its calls get 403, its messages and hooks wait. What the"
            " messenger reports meanwhile is recorded, and its hooks are skipped with the reason.",
            stop, form=Reason, dangerous=True, applies=lambda instance: instance.stop_reason != StopReason.STAFF,
        ),
        Tool(
            "start", "Start", "instances.stop_instance",
            "Calls are answered again, and what waited goes, slowly at first.",
            start, applies=lambda instance: instance.is_stopped and instance.stop_reason != StopReason.BLOCKED,
        ),
        Tool(
            "log-out", "Log out", "instances.log_out_instance",
            "The phone is unlinked: nothing goes in or out until its owner has scanned a new code.",
            log_out, dangerous=True, applies=lambda instance: instance.is_authenticated,
        ),
        Tool(
            "cancel-hooks", "Cancel waiting hooks", "hooks.cancel_hook",
            "All hooks that wait are given up. They stay in the log, and their owner can send them again one by one or"
            " by a redelivery.",
            cancel_hooks, dangerous=True,
        ),
    )  # fmt: skip

    def find(self, text: str) -> Q | None:
        if number(text) is not None:
            return Q(pk__in=keys(numbered(text)))
        return Q(owner__in=keys(Account.objects.filter(owned_by(text))))

    def trail_key(self, row: Instance) -> str:
        return str(row.number)

    @admin.display(description="status")
    def shown_status(self, instance: Instance) -> str:
        return instance.shown_status
