"""`status`, `qr_code`, `screenshot` and the buttons (contract.md §2 and §4)."""

import base64

import pytest
from django.test import Client

from instances.models import Instance
from tests.instances.contract.conftest import Call

PNG = b"\x89PNG\r\n\x1a\n"


def set_status(status: str, substatus: str = "normal") -> None:
    Instance.objects.update(account_status=status, substatus=substatus)


def test_authenticated(get: Call) -> None:
    assert get("status") == {"accountStatus": "authenticated"}


def test_a_qr_code_is_a_picture_in_a_data_uri(get: Call) -> None:
    set_status("got qr code")
    answer = get("status")
    assert list(answer) == ["accountStatus", "qrCode"]
    assert answer["accountStatus"] == "got qr code"
    kind, _, picture = answer["qrCode"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(picture).startswith(PNG)


def test_an_expired_qr_code_is_not_shown(get: Call) -> None:
    set_status("got qr code", "expired")
    assert get("status") == {"accountStatus": "got qr code"}


def test_status_wakes_an_instance_in_init(get: Call) -> None:
    set_status("init")
    assert get("status")["accountStatus"] == "got qr code"


def test_no_wakeup_leaves_it_asleep(get: Call) -> None:
    set_status("init")
    assert get("status", no_wakeup=1) == {"accountStatus": "init"}


def test_full_tells_the_status_in_words(get: Call) -> None:
    answer = get("status", full=1)
    link = answer["statusData"]["actions"]["learn_more"].pop("link")
    assert link.endswith("/instances/12345/")
    assert answer == {
        "accountStatus": "authenticated",
        "statusData": {
            "substatus": "normal",
            "title": "Connected",
            "msg": "Everything is fine.",
            "submsg": "Keep the phone connected to the internet.",
            "actions": {
                "logout": {"act": "logout", "label": "Log out"},
                "learn_more": {"label": "Learn more"},
            },
        },
    }


@pytest.mark.parametrize(
    ("status", "substatus", "shown", "title", "reason", "buttons"),
    [
        ("init", "normal", "normal", "Starting", None, ["learn_more"]),
        ("loading", "normal", "normal", "Loading", "connecting", ["logout", "learn_more"]),
        ("loading", "syncing", "loading", "Synchronising", "syncing", ["retry", "logout", "learn_more"]),
        ("loading", "offline", "offline", "Server not connected", "offline", ["logout", "learn_more"]),
        ("got qr code", "normal", "normal", "Scan the code", None, ["learn_more"]),
        ("got qr code", "expired", "expired", "Code expired", None, ["expiry", "learn_more"]),
        ("authenticated", "battery_low_1", "battery_low_1", "Low battery", None, ["logout", "learn_more"]),
        ("authenticated", "phone", "phone", "Phone not connected", None, ["logout", "learn_more"]),
        ("authenticated", "expired", "expired", "Expired", None, ["expiry", "logout", "learn_more"]),
    ],
)
def test_the_words_and_the_buttons_that_apply(
    get: Call, status: str, substatus: str, shown: str, title: str, reason: str | None, buttons: list[str]
) -> None:
    set_status(status, substatus)
    data = get("status", full=1, no_wakeup=1)["statusData"]
    assert (data["substatus"], data["title"], data.get("reason"), list(data["actions"])) == (
        shown,
        title,
        reason,
        buttons,
    )


def test_qr_code_is_a_png(client: Client, instance: Instance) -> None:
    set_status("got qr code")
    response = client.get("/instance12345/qr_code?token=secret")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "image/png"
    assert response.content.startswith(PNG)


def test_qr_code_when_there_is_none(client: Client, instance: Instance) -> None:
    response = client.get("/instance12345/qr_code?token=secret")
    assert (response.status_code, response.json()) == (404, {"error": "There is no QR code to scan now."})


def test_a_screenshot_shows_the_code_and_nothing_else(client: Client, instance: Instance) -> None:
    response = client.get("/instance12345/screenshot?token=secret")
    assert (response.status_code, response.json()) == (
        404,
        {"error": "There is no screenshot: this messenger has no screen, and there is no QR code to scan."},
    )
    set_status("got qr code")
    response = client.get("/instance12345/screenshot?token=secret")
    assert response.headers["Content-Type"] == "image/png"
    assert response.content == client.get("/instance12345/qr_code?token=secret").content


def test_logout_leads_to_a_qr_code(post: Call, get: Call) -> None:
    assert post("logout")["accountStatus"] == "Logout request sent to WhatsApp"
    assert get("status")["accountStatus"] == "got qr code"


def test_expiry_makes_a_new_code(post: Call, get: Call) -> None:
    set_status("got qr code", "expired")
    assert post("expiry")["accountStatus"] == "Expiry request sent to WhatsApp"
    assert "qrCode" in get("status")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("takeover", 'Takeover request not sent because reason don\'t equals "conflict"'),
        ("expiry", 'Expiry request not sent because substatus don\'t equals "expired"'),
        ("retry", 'Retry request not sent because reason don\'t equals "syncing"'),
    ],
)
def test_a_button_that_does_not_apply_says_why_in_the_original_words(
    post: Call, name: str, sentence: str
) -> None:
    assert list(post(name).items()) == [("accountStatus", sentence), ("result", sentence)]
    instance = Instance.objects.get()
    assert (instance.account_status, instance.substatus) == ("authenticated", "normal")


def test_retry_while_synchronising(post: Call) -> None:
    set_status("loading", "syncing")
    assert post("retry")["accountStatus"] == "Retry request sent to WhatsApp"
