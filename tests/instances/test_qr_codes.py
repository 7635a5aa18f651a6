"""A QR code is valid for a minute; then the substatus is `expired`, until `expiry` creates a new one."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Hook, Kind
from instances import tasks
from instances.actions.lifecycle import link_sandbox
from instances.actions.status import expire_code
from instances.models import AccountStatus, Instance, Substatus
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    """An instance that has shown its QR code for a minute."""
    return instance_showing_code(12345, 60)


def instance_showing_code(number: int, seconds: float, token: str = "secret", **more: object) -> Instance:
    return InstanceFactory(
        number=number, token=token, account_status=AccountStatus.GOT_QR_CODE, status_notifications_on=True,
        status_changed_at=timezone.now() - timedelta(seconds=seconds), **more,
    )  # fmt: skip


def call(method: str, verb: str = "get") -> dict[str, Any]:
    return getattr(Client(), verb)(
        f"/instance12345/{method}{'&' if '?' in method else '?'}token=secret"
    ).json()


def test_an_old_code_expires_when_the_status_is_read_with_a_hook(instance: Instance) -> None:
    answer = call("status?full=1")
    assert "qrCode" not in answer
    assert answer["statusData"]["substatus"] == "expired"
    assert list(answer["statusData"]["actions"]) == ["expiry", "learn_more"]
    hook = Hook.objects.get(kind=Kind.STATUS)
    [change] = json.loads(bytes(hook.body))["instanceStatus"]
    assert (change["old"], change["new"]) == (
        {"accountStatus": "got qr code", "substatus": "normal"},
        {"accountStatus": "got qr code", "substatus": "expired"},
    )
    call("status")
    assert Hook.objects.count() == 1


def test_an_old_code_has_no_image(instance: Instance) -> None:
    assert call("qr_code") == {"error": "There is no QR code to scan now."}


def test_expiry_creates_a_new_code(instance: Instance) -> None:
    assert call("expiry", "post")["accountStatus"] == "Expiry request sent to WhatsApp"
    assert "qrCode" in call("status")
    assert call("expiry", "post")["accountStatus"] == (
        'Expiry request not sent because substatus don\'t equals "expired"'
    )


def test_a_newer_code_stays_valid() -> None:
    instance_showing_code(12345, 50)
    assert "qrCode" in call("status")


def test_the_sandbox_phone_can_scan_an_expired_code(instance: Instance) -> None:
    expire_code(instance)
    link_sandbox(instance)
    assert (instance.account_status, instance.substatus) == ("authenticated", "normal")


def test_the_task_expires_codes_whose_status_is_not_read(instance: Instance) -> None:
    instance_showing_code(2, 50, "secret2")
    instance_showing_code(3, 600, "secret3", paid_until=timezone.now() - timedelta(days=1))
    InstanceFactory(number=4, status_changed_at=timezone.now() - timedelta(days=1))  # authenticated
    assert tasks.expire_codes() == "1 expired"
    assert list(Instance.objects.filter(substatus=Substatus.EXPIRED)) == [instance]
    assert tasks.expire_codes() == "0 expired"
