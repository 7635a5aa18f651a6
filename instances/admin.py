"""Staff pages of instances; a payment written down on one extends its `paid until`, through the action."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.models import Payment
from instances import actions
from instances.models import Instance


class PaymentInline(admin.TabularInline):
    """The payments of an instance: new ones are added here, what is written stays as it is."""

    model = Payment
    extra = 0
    fields = ("days", "amount", "currency", "note", "paid_at", "created_by")
    readonly_fields = ("paid_at", "created_by")
    ordering = ("-paid_at",)
    verbose_name = "payment (extends “paid until” by its days)"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Instance)
class InstanceAdmin(admin.ModelAdmin):
    """Which instances there are and what state they are in. The token is nobody's business but its owner's."""

    list_display = (
        "number",
        "name",
        "owner",
        "channel",
        "shown_status",
        "substatus",
        "paid_until",
        "created_at",
    )
    list_filter = ("channel", "account_status", "substatus")
    list_select_related = ("owner__owner",)
    search_fields = ("number", "name", "phone", "owner__owner__email")
    search_help_text = "Number, name, phone or the owner's e-mail address"
    date_hierarchy = "created_at"
    fields = (
        "number", "name", "owner", "channel", "phone", "shown_status", "substatus", "status_changed_at", "paid_until",
        "created_at", "last_message_number",
    )  # fmt: skip
    readonly_fields = tuple(field for field in fields if field != "name")
    inlines = (PaymentInline,)

    @admin.display(description="status")
    def shown_status(self, instance: Instance) -> str:
        return instance.shown_status

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Instance, form: Any, change: bool) -> None:
        actions.change_instance(obj, actor=request.user, name=form.cleaned_data["name"])

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Each payment that was filled in, by the action; the rows are made by it and not by the formset."""
        for draft in formset.save(commit=False):
            made = actions.record_payment(
                form.instance,
                days=draft.days,
                amount=draft.amount,
                currency=draft.currency,
                note=draft.note,
                actor=request.user,
            )
            draft.pk = made.pk  # for the admin's own history

    def delete_model(self, request: HttpRequest, obj: Instance) -> None:
        actions.delete_instance(obj, actor=request.user)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for instance in queryset:
            actions.delete_instance(instance, actor=request.user)
