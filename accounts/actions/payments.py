"""Payments for instances."""

from decimal import Decimal

from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, Payment, User


@transaction.atomic
def record_payment(
    account: Account,
    *,
    instance_id: int | None,
    days: int,
    amount: Decimal,
    currency: str = "USD",
    note: str = "",
    acting_user: User | None,
) -> Payment:
    """Record a payment for `days` days, at least 1. The caller extends the instance: instances/actions/lifecycle.py.

    `instance_id` is the primary key of the instance, `amount` is in units of `currency` (ISO 4217).
    """
    payment = Payment.objects.create(
        account=account,
        instance_id=instance_id,
        days=days,
        amount=amount,
        currency=currency,
        note=note,
        created_by=acting_user,
    )
    audit.record(
        payment,
        AuditAction.PAYMENT,
        acting_user=acting_user,
        days=days,
        amount=str(amount),
        currency=currency,
        instance=str(payment.instance) if payment.instance else None,
    )
    return payment
