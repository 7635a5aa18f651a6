"""What staff does to an instance: each asks first, says what will happen, and goes through the instance's action."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Payment, User
from hooks.models import Hook, State
from instances.actions.lifecycle import create_instance
from instances.actions.messages import receive_message
from instances.models import Instance

NOW = "2024-05-01T12:00:00Z"


def page(instance: Instance) -> str:
    return reverse("admin:instances_instance_change", args=[instance.pk])


def tool(name: str, *instances: Instance) -> str:
    keys = "&".join(f"pk={instance.pk}" for instance in instances)
    return reverse("admin:instances_instance_tool", args=[name]) + f"?{keys}"


def newest() -> tuple[str, str]:
    """User and action of the newest change: a tool returns to the customer's page, whose view is an entry too."""
    entry = AuditEntry.objects.exclude(action="look.customer").order_by("-pk")[0]
    return entry.actor_text, entry.action


@time_machine.travel(NOW, tick=False)
def test_a_payment_extends_the_instance(staff: Client, charlie: User, instance: Instance) -> None:
    Instance.objects.update(paid_until=timezone.now() + timedelta(days=1))
    asked = {"days": "30", "amount": "9.90", "currency": "USD", "note": "by bank"}
    answer = staff.post(tool("pay", instance), asked, follow=True)
    assert "Shop is paid until 2024-06-01 12:00 UTC." in answer.content.decode()
    instance.refresh_from_db()
    assert instance.paid_until == timezone.now() + timedelta(days=31)
    payment = Payment.objects.get()
    assert (payment.instance, payment.account, payment.created_by) == (instance, instance.owner, charlie)
    assert (payment.days, payment.amount, payment.note) == (30, Decimal("9.90"), "by bank")
    assert newest() == ("charlie@example.org", "payment.recorded")
    assert "by bank" in staff.get(page(instance)).content.decode()


@pytest.mark.parametrize(
    ("days", "amount", "currency"),
    [
        ("0", "9.90", "USD"),
        ("-1", "9.90", "USD"),
        ("30", "-1", "USD"),
        ("", "9.90", "USD"),
        ("30", "9", "usd"),
    ],
)
def test_a_payment_that_is_none_changes_nothing(
    staff: Client, instance: Instance, days: str, amount: str, currency: str
) -> None:
    before = Instance.objects.get().paid_until
    answer = staff.post(tool("pay", instance), {"days": days, "amount": amount, "currency": currency})
    assert (answer.status_code, "invalid-feedback" in answer.content.decode()) == (200, True)
    assert Instance.objects.get().paid_until == before
    assert not Payment.objects.exists()


def test_stop_and_start(staff: Client, instance: Instance) -> None:
    shown = staff.get(page(instance)).content.decode()
    assert "do/stop/" in shown and "do/start/" not in shown
    asked = staff.get(tool("stop", instance)).content.decode()
    assert "Nothing is sent or received until it is started" in asked
    instance.refresh_from_db()
    assert not instance.is_stopped

    staff.post(tool("stop", instance), {"reason": "spam"})
    instance.refresh_from_db()
    assert instance.is_stopped
    assert newest() == ("charlie@example.org", "instance.stopped")
    assert AuditEntry.objects.order_by("-pk")[0].detail == {"reason": "spam"}
    shown = staff.get(page(instance)).content.decode()
    assert "do/stop/" not in shown and "do/start/" in shown

    again = staff.post(tool("stop", instance), {"reason": "spam"}, follow=True)
    assert "Shop is already stopped." in again.content.decode()
    staff.post(tool("start", instance))
    instance.refresh_from_db()
    assert not instance.is_stopped
    assert newest() == ("charlie@example.org", "instance.started")


def test_log_out(staff: Client, instance: Instance) -> None:
    staff.post(tool("log-out", instance))
    instance.refresh_from_db()
    assert instance.account_status == "got qr code"
    assert newest() == ("charlie@example.org", "instance.status")
    again = staff.post(tool("log-out", instance), follow=True)
    assert "Shop is not linked to a phone." in again.content.decode()


def test_cancel_waiting_hooks(staff: Client, instance: Instance) -> None:
    receive_message(instance, sender="15551234567", body="hello")
    answer = staff.post(tool("cancel-hooks", instance), follow=True)
    assert "1 waiting hook of Shop cancelled." in answer.content.decode()
    assert {hook.state for hook in Hook.objects.all()} <= {State.CANCELLED, State.SKIPPED}
    assert newest() == ("charlie@example.org", "hooks.cancelled")
    assert (
        "Shop has no waiting hooks."
        in staff.post(tool("cancel-hooks", instance), follow=True).content.decode()
    )


def test_several_are_chosen_in_the_list_and_asked_about_together(staff: Client, instance: Instance) -> None:
    other = create_instance(instance.owner, name="Other")
    address = reverse("admin:instances_instance_changelist")
    chosen = {"action": "stop", "_selected_action": [instance.pk, other.pk], "index": "0"}
    answer = staff.post(address, chosen)
    assert answer["Location"] == tool("stop", other, instance)
    shown = staff.get(answer["Location"]).content.decode()
    assert "Shop" in shown and "Other" in shown
    assert not Instance.objects.filter(stopped_at__isnull=False).exists()
    staff.post(answer["Location"], {"reason": "spam"})
    assert Instance.objects.filter(stopped_at__isnull=False).count() == 2


@pytest.mark.parametrize(
    "address", ["do/stop/", "do/stop/?pk=0", "do/stop/?pk=x", "do/nothing/?pk=1", f"do/stop/?pk={10**30}"]
)
def test_what_was_not_chosen_is_not_there(staff: Client, instance: Instance, address: str) -> None:
    assert staff.get(f"/admin/instances/instance/{address}").status_code == 404


def test_a_payment_is_for_one_at_a_time(staff: Client, instance: Instance) -> None:
    other = create_instance(instance.owner, name="Other")
    assert staff.get(tool("pay", instance, other)).status_code == 404


def test_an_account_is_blocked_and_unblocked(staff: Client, instance: Instance) -> None:
    account = instance.owner
    address = f"/admin/accounts/account/do/block/?pk={account.pk}"
    assert (
        "gets 403" in staff.get(address).content.decode() or "get 403" in staff.get(address).content.decode()
    )
    assert staff.post(address, {"reason": ""}).status_code == 200
    staff.post(address, {"reason": "fraud"})
    account.refresh_from_db()
    assert (account.blocked_at is not None, account.blocked_reason) == (True, "fraud")
    assert newest() == ("charlie@example.org", "account.blocked")
    shown = staff.get(f"/admin/accounts/account/{account.pk}/change/").content.decode()
    assert "do/unblock/" in shown and "do/block/" not in shown
    staff.post(f"/admin/accounts/account/do/unblock/?pk={account.pk}")
    account.refresh_from_db()
    assert (account.blocked_at, account.blocked_reason) == (None, "")


def test_the_rows_themselves_can_not_be_changed_or_deleted(staff: Client, instance: Instance) -> None:
    assert staff.post(page(instance), {"name": "x"}).status_code == 403
    assert staff.post(f"/admin/instances/instance/{instance.pk}/delete/", {"post": "yes"}).status_code == 403
    assert staff.get("/admin/instances/instance/add/").status_code == 403


def test_staff_sees_neither_token_nor_secret(staff: Client, instance: Instance) -> None:
    for address in (page(instance), reverse("admin:instances_instance_changelist")):
        shown = staff.get(address).content.decode()
        assert "12345" in shown
        assert instance.token not in shown
        assert instance.endpoint.secret not in shown


def test_instances_are_found_by_number_and_by_their_owner(staff: Client, instance: Instance) -> None:
    address = reverse("admin:instances_instance_changelist")
    for text, found in {
        "alice@": [instance],
        "ALICE@example": [instance],
        "12345": [instance],
        "bob@": [],
        "1": [],
    }.items():
        assert list(staff.get(address, {"q": text}).context["cl"].result_list) == found, text


def test_the_owner_who_is_not_staff_is_kept_out(instance: Instance) -> None:
    client = Client()
    client.force_login(instance.owner.owner)
    assert client.get(page(instance)).status_code == 404
    assert client.post(tool("stop", instance), {"reason": "x"}).status_code == 404
    assert not Instance.objects.get().is_stopped
