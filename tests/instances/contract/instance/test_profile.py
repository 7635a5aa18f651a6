"""`me`, `outputIP`, `setName`, `setStatus`, `checkPhone` (contract.md §2)."""

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from instances.models import Instance, SandboxContact
from tests.instances.contract.conftest import Call

NOT_AUTHENTICATED = "Status of the account not equals authenticated"
BAD_PHONE = "phone parameter should contain only numbers, start from country code and be 9-14 characters long"


def test_me_tells_of_the_account_and_its_phone(get: Call) -> None:
    Instance.objects.update(battery=41, profile_name="The shop")
    assert get("me") == {
        "id": "15550001111@c.us",
        "battery": "41",
        "locale": "en",
        "name": "The shop",
        "wa_version": "sandbox",
        "device": {"os_version": "1.0", "manufacturer": "Chat API", "model": "Sandbox phone"},
    }


def test_me_has_the_instances_name_where_the_account_has_none(get: Call) -> None:
    assert get("me")["name"] == "Instance 12345"


def test_output_ip_is_what_the_site_says_of_itself(get: Call, settings: Settings) -> None:
    settings.OUTPUT_IP = "203.0.113.7"
    assert get("outputIP") == {"address": "203.0.113.7"}


@pytest.mark.parametrize(
    ("proxy", "address"), [("198.51.100.9:1080", "198.51.100.9"), ("[2001:db8::1]:1080", "2001:db8::1")]
)
def test_output_ip_is_the_proxys_where_there_is_one(get: Call, proxy: str, address: str) -> None:
    assert get("settings", proxy=proxy)["proxy"] == proxy
    assert get("outputIP") == {"address": address}


def test_set_name(post: Call, get: Call) -> None:
    assert post("setName", name=" Ann's shop ") == {
        "success": True,
        "name": "Ann's shop",
        "pushname": "Ann's shop",
    }
    assert get("me")["name"] == "Ann's shop"


def test_set_status(post: Call, instance: Instance) -> None:
    assert post("setStatus", status="Open till six") == {"success": True, "status": "Open till six"}
    instance.refresh_from_db()
    assert instance.profile_status == "Open till six"
    assert post("setStatus", status="") == {"success": True, "status": ""}


@pytest.mark.parametrize(
    ("method", "argument", "given", "message"),
    [
        ("setName", "name", " ", "`name` must not be empty."),
        ("setName", "name", "x" * 101, "`name` must be at most 100 characters."),
        ("setName", "name", ["x"] * 2 + [{}], "name takes a text"),
        ("setStatus", "status", "x" * 201, "`status` must be at most 200 characters."),
        (
            "setStatus",
            "status",
            None,
            "`status` is required: the text that contacts see below the name.",
        ),
    ],
)
def test_a_wrong_name_or_status_changes_nothing(
    post: Call, instance: Instance, method: str, argument: str, given: object, message: str
) -> None:
    assert post(method, **{argument: given}) == {"success": False, "message": message}
    instance.refresh_from_db()
    assert (instance.profile_name, instance.profile_status) == ("", "")


@pytest.mark.parametrize(("method", "argument"), [("setName", "name"), ("setStatus", "status")])
def test_an_account_that_is_not_linked_has_no_name(post: Call, method: str, argument: str) -> None:
    Instance.objects.update(account_status="got qr code")
    assert post(method, **{argument: "x"}) == {"success": False, "message": NOT_AUTHENTICATED}


@pytest.mark.parametrize("phone", ["17680561234", "+17680561234", "17680561234@c.us"])
def test_check_phone_exists(get: Call, phone: str) -> None:
    assert get("checkPhone", phone=phone) == {"result": "exists"}


def test_check_phone_not_exists(get: Call, instance: Instance) -> None:
    SandboxContact.objects.create(instance=instance, chat_id="17680561234@c.us", has_account=False)
    assert get("checkPhone", phone="17680561234") == {"result": "not exists"}
    assert get("checkPhone", phone="17680561235") == {"result": "exists"}


@pytest.mark.parametrize("status", ["init", "loading", "got qr code"])
def test_check_phone_while_not_authenticated(client: Client, instance: Instance, status: str) -> None:
    Instance.objects.update(account_status=status)
    response = client.get("/instance12345/checkPhone?token=secret&phone=17680561234")
    assert (response.status_code, response.json()) == (200, {"error": NOT_AUTHENTICATED})


@pytest.mark.parametrize("phone", ["", "123", "abc", "17680561234-1479621234@g.us"])
def test_check_phone_of_what_is_no_phone(client: Client, instance: Instance, phone: str) -> None:
    response = client.get(f"/instance12345/checkPhone?token=secret&phone={phone}")
    assert (response.status_code, response.json()) == (400, {"error": BAD_PHONE})
