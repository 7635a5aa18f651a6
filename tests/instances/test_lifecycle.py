"""Instances are created, paid for, changed and deleted, and visible to their account only."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.utils import timezone

from accounts.blocking import Blocked
from accounts.models import Account, Payment
from instances.actions import stopping
from instances.actions.lifecycle import (
    change_instance,
    create_instance,
    delete_instance,
    record_payment,
    rotate_token,
)
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings, read_settings
from instances.actions.status import change_status
from instances.models import Instance, StatusChange
from instances.settings_table import SettingsError
from tests.factories import AccountFactory, InstanceFactory, UserFactory, member_of

NOW = "2024-05-01T12:00:00Z"


@time_machine.travel(NOW, tick=False)
def test_a_new_instance_shows_a_qr_code_and_is_paid_for_three_days(db: None) -> None:
    alice = AccountFactory(email="alice@example.org")
    instance = create_instance(alice, name="Shop", acting_user=alice.owner)
    assert (instance.owner, instance.name, instance.channel) == (alice, "Shop", "sandbox")
    assert (instance.account_status, instance.substatus) == ("got qr code", "normal")
    assert instance.paid_until == timezone.now() + timedelta(days=3)
    assert 100_000_000 <= instance.number < 2_000_000_000
    assert re.fullmatch(r"[0-9a-f]{24}", instance.token)
    assert re.fullmatch(r"1555[0-9]{7}", instance.phone)
    assert (instance.endpoint.url, instance.endpoint.secret[:6]) == ("", "whsec_")


def test_an_unknown_channel_is_refused(db: None) -> None:
    with pytest.raises(ValueError, match="type takes one of sandbox"):
        create_instance(AccountFactory(), channel="pigeon")
    assert not Instance.objects.exists()


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(("left", "until"), [(timedelta(days=2), 32), (timedelta(days=-9), 30)])
def test_a_payment_extends_the_paid_period_or_starts_now(
    instance: Instance, left: timedelta, until: int
) -> None:
    Instance.objects.update(paid_until=timezone.now() + left)
    payment = record_payment(instance, days=30, amount=Decimal("9.90"), acting_user=instance.owner.owner)
    assert instance.paid_until == timezone.now() + timedelta(days=until)
    assert Payment.objects.get() == payment
    assert (payment.account, payment.instance, payment.days) == (instance.owner, instance, 30)
    assert (payment.amount, payment.currency) == (Decimal("9.90"), "USD")


def test_rotating_replaces_the_token(instance: Instance) -> None:
    old = instance.token
    rotate_token(instance, acting_user=instance.owner.owner)
    assert Instance.objects.get().token == instance.token != old


def test_renaming(instance: Instance) -> None:
    change_instance(instance, acting_user=instance.owner.owner, name="Support")
    assert Instance.objects.get().name == "Support"


def test_deleting_keeps_only_the_payments(instance: Instance) -> None:
    receive_message(instance, sender="17680561234", body="hello")
    send_message(instance, chat_id="17680561234", body="hello")
    record_payment(instance, days=30)
    delete_instance(instance, acting_user=None)
    assert not Instance.objects.exists()
    assert Payment.objects.get().instance is None


@pytest.mark.parametrize(("keep", "kept"), [(True, ["loading", "authenticated"]), (False, [])])
def test_the_status_history_is_kept_if_instance_statuses_is_on(
    instance: Instance, keep: bool, kept: list[str]
) -> None:
    change_settings(instance, changes={"instanceStatuses": keep})
    change_status(instance, account_status="loading")
    change_status(instance, account_status="authenticated")
    history = StatusChange.objects.order_by("id").values_list("account_status", flat=True)
    assert list(history) == kept


def test_a_new_status_starts_as_normal(instance: Instance) -> None:
    change_status(instance, substatus="phone")
    change_status(instance, account_status="loading")
    assert (instance.account_status, instance.substatus) == ("loading", "normal")


@pytest.mark.parametrize(
    "change", [{"account_status": "asleep"}, {"account_status": "not_paid"}, {"substatus": "?"}]
)
def test_an_unknown_status_changes_nothing(instance: Instance, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="takes one of"):
        change_status(instance, **change)
    instance.refresh_from_db()
    assert (instance.account_status, instance.substatus) == ("authenticated", "normal")


def test_only_the_owner_sees_an_instance(instance: Instance) -> None:
    bob = AccountFactory(email="bob@example.org").owner
    charlie = AccountFactory(email="charlie@example.org", is_staff=True, is_superuser=True).owner
    assert list(Instance.objects.visible_to(instance.owner.owner)) == [instance]
    for stranger in (bob, charlie, AnonymousUser()):
        assert not Instance.objects.visible_to(stranger).exists()


def test_settings_are_all_or_nothing(instance: Instance) -> None:
    before = read_settings(instance)
    with pytest.raises(SettingsError) as caught:
        change_settings(instance, changes={"sendDelay": 5, "guaranteedHooks": True, "nosuch": 1})
    assert (caught.value.key, caught.value.sentence) == ("nosuch", "`nosuch` is not a setting.")
    assert read_settings(Instance.objects.get()) == before


def test_the_factory_creates_a_paid_authenticated_instance(db: None) -> None:
    instance = InstanceFactory()
    assert (instance.is_paid, instance.is_authenticated) == (True, True)


@pytest.mark.django_db
def test_a_blocked_account_gets_no_new_instance(client: Client) -> None:
    """Also not from a manager, who is not blocked and can still sign in."""
    alice = AccountFactory(email="alice@example.org")
    manager = member_of(alice, "manager", "max@example.org")
    stopping.block_account(alice, reason="spam", acting_user=UserFactory(is_staff=True, is_superuser=True))
    with pytest.raises(Blocked, match="This account is blocked"):
        create_instance(Account.objects.get(pk=alice.pk), acting_user=manager)
    client.force_login(manager)
    answer = client.post("/instances/new/", {"account": alice.pk, "channel": "sandbox", "name": ""})
    assert answer.status_code == 302  # the blocked account is not a choice, so their own is used
    assert Instance.objects.get().owner == manager.account
