"""A QR code lives for a minute; then the instance's substatus is `expired`, until `expiry` makes a new one."""

import json
from datetime import timedelta

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
    """It has shown its code for a minute."""
    return showing(12345, 60)


def showing(number: int, seconds: float, **more: object) -> Instance:
    return InstanceFactory(
        number=number, token="secret", account_status=AccountStatus.GOT_QR_CODE, status_notifications_on=True,
        status_changed_at=timezone.now() - timedelta(seconds=seconds), **more,
    )  # fmt: skip


def ask(method: str, verb: str = "get") -> dict[str, object]:
    return getattr(Client(), verb)(
        f"/instance12345/{method}{'&' if '?' in method else '?'}token=secret"
    ).json()


def test_the_status_of_an_old_code_is_expired_and_a_hook_says_so(instance: Instance) -> None:
    answer = ask("status?full=1")
    assert "qrCode" not in answer
    assert answer["statusData"]["substatus"] == "expired"
    assert list(answer["statusData"]["actions"]) == ["expiry", "learn_more"]
    hook = Hook.objects.get(kind=Kind.STATUS)
    [change] = json.loads(bytes(hook.body))["instanceStatus"]
    assert (change["old"], change["new"]) == (
        {"accountStatus": "got qr code", "substatus": "normal"},
        {"accountStatus": "got qr code", "substatus": "expired"},
    )
    ask("status")
    assert Hook.objects.count() == 1


def test_there_is_no_picture_of_an_old_code(instance: Instance) -> None:
    assert ask("qr_code") == {"error": "There is no QR code to scan now."}


def test_expiry_makes_a_new_code_that_lives_for_a_minute(instance: Instance) -> None:
    assert ask("expiry", "post") == {"accountStatus": "Expiry request sent to WhatsApp"}
    assert "qrCode" in ask("status")
    assert ask("expiry", "post") == {
        "accountStatus": 'Expiry request not sent because substatus don\'t equals "expired"'
    }


def test_a_younger_code_lives_on() -> None:
    showing(12345, 50)
    assert "qrCode" in ask("status")


def test_an_old_code_can_still_be_scanned_anew_by_the_sandbox_phone(instance: Instance) -> None:
    expire_code(instance)
    link_sandbox(instance)
    assert (instance.account_status, instance.substatus) == ("authenticated", "normal")


def test_the_task_of_every_minute_finds_the_codes_that_nobody_asks_for(instance: Instance) -> None:
    showing(2, 50)
    showing(3, 600, paid_until=timezone.now() - timedelta(days=1))
    InstanceFactory(number=4, status_changed_at=timezone.now() - timedelta(days=1))  # authenticated
    assert tasks.expire_codes() == "1 expired"
    assert list(Instance.objects.filter(substatus=Substatus.EXPIRED)) == [instance]
    assert tasks.expire_codes() == "0 expired"
