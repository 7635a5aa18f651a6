"""Payments: stored completely, checked by the database, visible only in their own account."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts.actions.payments import record_payment
from accounts.actions.users import sign_up
from accounts.models import Account, Payment

pytestmark = pytest.mark.django_db


def test_a_payment_is_recorded_with_the_acting_user(alice: Account) -> None:
    payment = record_payment(
        alice, instance_id=None, days=30, amount=Decimal("19.00"), note="Card", acting_user=alice.owner
    )

    payment.refresh_from_db()
    assert (payment.account, payment.instance, payment.days) == (alice, None, 30)
    assert (payment.amount, payment.currency, payment.note) == (Decimal("19.00"), "USD", "Card")
    assert payment.created_by == alice.owner


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"days": 0}, "payment_days_at_least_one"),
        ({"amount": Decimal("-0.01")}, "payment_amount_not_negative"),
        ({"currency": "usd"}, "payment_currency_code"),
        ({"currency": "$"}, "payment_currency_code"),
    ],
)
def test_the_database_refuses_invalid_payments(
    alice: Account, wrong: dict[str, object], constraint: str
) -> None:
    given = {"days": 30, "amount": Decimal("19.00"), "currency": "USD", **wrong}

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        record_payment(alice, instance_id=None, acting_user=None, **given)  # type: ignore[arg-type]
    assert Payment.objects.count() == 0


def test_users_see_only_their_own_payments(alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    payment = record_payment(alice, instance_id=None, days=30, amount=Decimal(19), acting_user=None)

    assert list(Payment.objects.visible_to(alice.owner)) == [payment]
    assert list(Payment.objects.visible_to(bob.owner)) == []
