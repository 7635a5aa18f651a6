"""Payments for instances."""

from typing import ClassVar, Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils import timezone

from accounts.audit import AuditSubject
from accounts.models.users import User


class PaymentQuerySet(models.QuerySet["Payment"]):
    """Reads of payments."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Returns the payments of the user's own account; members see none."""
        return self.filter(account__owner_id=user.pk) if user.is_authenticated else self.none()


class Payment(models.Model):
    """A payment for a number of days of an instance. It outlives the instance, which stores `paid_until` itself."""

    account = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="payments")
    instance = models.ForeignKey(
        "instances.Instance", on_delete=models.SET_NULL, null=True, blank=True, related_name="payments"
    )
    days = models.PositiveIntegerField()
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3, default="USD", help_text="ISO 4217 code, such as USD")
    paid_at = models.DateTimeField(default=timezone.now)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="payments_recorded"
    )

    objects: ClassVar[models.Manager["Payment"]] = PaymentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(days__gte=1), name="payment_days_at_least_one"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="payment_amount_not_negative"),
            models.CheckConstraint(
                condition=models.Q(currency__regex="^[A-Z]{3}$"), name="payment_currency_code"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} for {self.days} days"

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("payment", self.pk, str(self), self.account_id)
