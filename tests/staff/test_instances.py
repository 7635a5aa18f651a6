"""Staff: a payment written down on an instance's page extends it; the token is not shown."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Payment, User
from instances.models import Instance
from tests.factories import UserFactory

NOW = "2024-05-01T12:00:00Z"


@pytest.fixture
def charlie(db: None) -> User:
    return UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(charlie: User) -> Client:
    client = Client()
    client.force_login(charlie)
    return client


def page(instance: Instance) -> str:
    return reverse("admin:instances_instance_change", args=[instance.pk])


def form(days: str, amount: str = "9.90") -> dict[str, str]:
    """The page's form with one payment filled in."""
    return {
        "name": "Shop",
        "payments-TOTAL_FORMS": "1",
        "payments-INITIAL_FORMS": "0",
        "payments-0-days": days,
        "payments-0-amount": amount,
        "payments-0-currency": "USD",
        "payments-0-note": "by bank",
    }


@time_machine.travel(NOW, tick=False)
def test_a_payment_extends_the_instance(staff: Client, charlie: User, instance: Instance) -> None:
    Instance.objects.update(paid_until=timezone.now() + timedelta(days=1))
    response = staff.post(page(instance), form("30"))
    assert response.status_code == 302
    instance.refresh_from_db()
    assert (instance.name, instance.paid_until) == ("Shop", timezone.now() + timedelta(days=31))
    payment = Payment.objects.get()
    assert (payment.instance, payment.account, payment.created_by) == (instance, instance.owner, charlie)
    assert (payment.days, payment.amount, payment.note) == (30, Decimal("9.90"), "by bank")


@pytest.mark.parametrize(("days", "amount"), [("0", "9.90"), ("-1", "9.90"), ("30", "-1"), ("", "9.90")])
def test_a_payment_that_is_none_changes_nothing(
    staff: Client, instance: Instance, days: str, amount: str
) -> None:
    before = Instance.objects.get().paid_until
    response = staff.post(page(instance), form(days, amount))
    assert response.status_code == 200
    assert Instance.objects.get().paid_until == before
    assert not Payment.objects.exists()


def test_staff_sees_neither_token_nor_secret(staff: Client, instance: Instance) -> None:
    for address in (page(instance), reverse("admin:instances_instance_changelist")):
        shown = staff.get(address).content.decode()
        assert "12345" in shown
        assert instance.token not in shown
        assert instance.endpoint.secret not in shown


def test_instances_are_found_by_their_owner(staff: Client, instance: Instance) -> None:
    address = reverse("admin:instances_instance_changelist")
    assert "12345" in staff.get(address, {"q": "alice@"}).content.decode()
    assert ">12345<" not in staff.get(address, {"q": "bob@"}).content.decode()


def test_the_owner_who_is_not_staff_is_kept_out(instance: Instance) -> None:
    client = Client()
    client.force_login(instance.owner.owner)
    assert client.get(page(instance)).status_code == 302
    assert client.post(page(instance), form("30")).status_code == 302
    assert not Payment.objects.exists()
