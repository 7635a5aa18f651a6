"""The status machine (contract.md §4): every transition, with its hooks and its history."""

import json
from itertools import pairwise

import pytest

from hooks.models import Hook, Kind
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.models import AccountStatus, Instance, LoadingReason, StatusChange, Substatus
from tests.instances.contract.conftest import Call


@pytest.fixture(autouse=True)
def everything_is_told(instance: Instance) -> None:
    change_settings(
        instance,
        changes={
            "statusNotificationsOn": True,
            "instanceStatuses": True,
            "webhookUrl": "https://example.com/hook",
        },
    )


def put(status: str, substatus: str = "normal", reason: str = "") -> None:
    Instance.objects.update(account_status=status, substatus=substatus, loading_reason=reason)


def now() -> tuple[str, str, str]:
    """Status, substatus, reason of loading."""
    return Instance.objects.values_list("account_status", "substatus", "loading_reason").get()


def status_hooks() -> list[tuple[str, str]]:
    """(accountStatus, substatus) of each hook, in order. Checks that each starts where the previous one ended."""
    changes = [json.loads(bytes(hook.body))["instanceStatus"][0] for hook in Hook.objects.order_by("pk")]
    for earlier, later in pairwise(changes):
        assert later["old"] == earlier["new"]
    assert StatusChange.objects.count() == len(changes)
    return [(change["new"]["accountStatus"], change["new"]["substatus"]) for change in changes]


def test_wake_up_by_status(get: Call) -> None:
    put("init")
    assert get("status", no_wakeup=1) == {"accountStatus": "init"}
    assert status_hooks() == []
    assert get("status")["accountStatus"] == "got qr code"
    assert status_hooks() == [("loading", "normal"), ("got qr code", "normal")]


def test_logout(post: Call) -> None:
    assert post("logout")["accountStatus"] == "Logout request sent to WhatsApp"
    assert now() == ("got qr code", "normal", "")
    assert status_hooks() == [("got qr code", "normal")]


def test_logout_while_loading(post: Call) -> None:
    put("loading", reason="proxyblock")
    post("logout")
    assert now() == ("got qr code", "normal", "")


@pytest.mark.parametrize("status", ["init", "got qr code"])
def test_logout_of_nobody_changes_nothing(post: Call, status: str) -> None:
    put(status)
    assert post("logout")["accountStatus"] == "Logout request sent to WhatsApp"
    assert (now()[0], status_hooks()) == (status, [])


def test_takeover(post: Call) -> None:
    put("loading", reason="conflict")
    assert post("takeover")["accountStatus"] == "Takeover request sent to WhatsApp"
    assert now() == ("authenticated", "normal", "")
    assert status_hooks() == [("authenticated", "normal")]


@pytest.mark.parametrize(
    ("status", "reason"),
    [("loading", ""), ("loading", "syncing"), ("loading", "proxyblock"), ("authenticated", ""), ("init", "")],
)
def test_takeover_without_a_conflict(post: Call, status: str, reason: str) -> None:
    put(status, reason=reason)
    assert post("takeover")["accountStatus"] == (
        'Takeover request not sent because reason don\'t equals "conflict"'
    )
    assert (now(), status_hooks()) == ((status, "normal", reason), [])


@pytest.mark.parametrize(("substatus", "reason"), [("syncing", ""), ("normal", "syncing")])
def test_retry(post: Call, substatus: str, reason: str) -> None:
    put("loading", substatus, reason)
    assert post("retry")["accountStatus"] == "Retry request sent to WhatsApp"
    assert now() == ("authenticated", "normal", "")
    assert status_hooks()[-1] == ("authenticated", "normal")


@pytest.mark.parametrize(("status", "reason"), [("loading", "conflict"), ("authenticated", "")])
def test_retry_without_syncing(post: Call, status: str, reason: str) -> None:
    put(status, reason=reason)
    assert post("retry")["accountStatus"] == 'Retry request not sent because reason don\'t equals "syncing"'
    assert (now(), status_hooks()) == ((status, "normal", reason), [])


@pytest.mark.parametrize("status", ["got qr code", "authenticated"])
def test_expiry_makes_a_new_code_of_a_code_or_a_session_that_has_expired(
    post: Call, get: Call, status: str
) -> None:
    put(status, "expired")
    assert post("expiry")["accountStatus"] == "Expiry request sent to WhatsApp"
    assert "qrCode" in get("status")
    assert status_hooks() == [("got qr code", "normal")]


def test_expiry_of_what_has_not_expired(post: Call) -> None:
    assert post("expiry")["accountStatus"] == (
        'Expiry request not sent because substatus don\'t equals "expired"'
    )
    assert status_hooks() == []


@pytest.mark.parametrize(
    ("before", "after", "hooks"),
    [
        (("init", "normal", ""), ("got qr code", "normal", ""), ["loading", "got qr code"]),
        (("got qr code", "expired", ""), ("got qr code", "normal", ""), ["loading", "got qr code"]),
        (("loading", "normal", "proxyblock"), ("authenticated", "normal", ""), ["authenticated"]),
        (("authenticated", "normal", ""), ("authenticated", "normal", ""), ["loading", "authenticated"]),
        (
            ("authenticated", "battery_low", ""),
            ("authenticated", "battery_low", ""),
            ["loading", "authenticated"],
        ),
    ],
)
def test_reboot(
    post: Call, before: tuple[str, str, str], after: tuple[str, str, str], hooks: list[str]
) -> None:
    put(*before)
    assert post("reboot") == {"success": True}
    assert (now(), [status for status, _ in status_hooks()]) == (after, hooks)


@pytest.mark.parametrize(
    ("reason", "title", "buttons"),
    [
        ("connecting", "Loading", ["logout", "learn_more"]),
        ("syncing", "Synchronising", ["retry", "logout", "learn_more"]),
        ("offline", "Server not connected", ["logout", "learn_more"]),
        ("proxyblock", "Proxy blocked", ["logout", "learn_more"]),
        ("conflict", "Open elsewhere", ["takeover", "logout", "learn_more"]),
    ],
)
def test_every_reason_of_loading_has_its_words_and_buttons(
    get: Call, reason: str, title: str, buttons: list[str]
) -> None:
    put("loading", reason=reason)
    data = get("status", full=1)["statusData"]
    assert (data["title"], data["reason"], list(data["actions"])) == (title, reason, buttons)
    assert data["msg"].endswith(".")


@pytest.mark.parametrize("substatus", Substatus.values)
@pytest.mark.parametrize("status", AccountStatus.values)
def test_every_status_has_words(get: Call, status: str, substatus: str) -> None:
    put(status, substatus)
    data = get("status", full=1, no_wakeup=1)["statusData"]
    assert [key for key in data if key != "reason"] == ["substatus", "title", "msg", "submsg", "actions"]
    assert data["title"] and data["msg"].endswith(".")


def test_a_reason_is_no_event_and_ends_with_the_loading(instance: Instance) -> None:
    change_status(instance, account_status="loading")
    for reason in LoadingReason.values:
        change_status(instance, reason=reason)
        assert now() == ("loading", "normal", reason)
    assert status_hooks() == [("loading", "normal")]
    change_status(instance, account_status="authenticated")
    assert now() == ("authenticated", "normal", "")


@pytest.mark.parametrize("reason", ["bored", "conflict"])
def test_a_reason_that_is_none(instance: Instance, reason: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        change_status(instance, reason=reason)
    assert (now(), status_hooks()) == (("authenticated", "normal", ""), [])


def test_a_status_that_flaps_is_told_change_by_change(instance: Instance) -> None:
    flaps = ["phone", "normal", "computer", "phone", "phone", "normal"]
    for substatus in flaps:
        change_status(instance, substatus=substatus)
    assert status_hooks() == [
        ("authenticated", substatus) for substatus in ("phone", "normal", "computer", "phone", "normal")
    ]
    assert Hook.objects.filter(kind=Kind.STATUS).count() == 5


@pytest.mark.parametrize("name", ["logout", "takeover", "expiry", "retry", "reboot"])
def test_the_buttons_of_an_instance_that_is_not_paid(post: Call, instance: Instance, name: str) -> None:
    put("loading", reason="conflict")
    Instance.objects.update(paid_until=instance.created_at)
    assert "error" in post(name)
    assert (now(), status_hooks()) == (("loading", "normal", "conflict"), [])


def test_the_words_of_an_instance_that_is_not_paid(get: Call, instance: Instance) -> None:
    put("loading", reason="conflict")
    Instance.objects.update(paid_until=instance.created_at)
    data = get("status", full=1)["statusData"]
    assert (data["title"], "reason" in data, list(data["actions"])) == ("Not paid", False, ["learn_more"])
