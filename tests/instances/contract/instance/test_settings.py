"""`settings` and `webhook` (contract.md §2)."""

import pytest
from django.test import Client

from hooks.actions.endpoints import STRICT_OR_PARALLEL, configure
from instances.models import Instance
from tests.instances.contract.conftest import Call

DEFAULTS = {
    "sendDelay": 0,
    "webhookUrl": None,
    "instanceStatuses": False,
    "webhookStatuses": False,
    "statusNotificationsOn": False,
    "ackNotificationsOn": False,
    "chatUpdateOn": False,
    "videoUploadOn": False,
    "proxy": None,
    "guaranteedHooks": False,
    "ignoreOldMessages": False,
    "oldMessagesPeriod": 300,
    "processArchive": False,
    "disableDialogsArchive": False,
    "parallelHooks": False,
}
URL = "https://example.com/hook"


def test_all_settings_in_the_order_and_with_the_defaults_that_clients_expect(get: Call) -> None:
    assert list(get("settings").items()) == list(DEFAULTS.items())


def test_post_changes_a_subset_and_tells_what_is_different_now(post: Call, get: Call) -> None:
    answer = post("settings", sendDelay=5, ackNotificationsOn=True, chatUpdateOn=False, webhookUrl=URL)
    changed = {"sendDelay": 5, "webhookUrl": URL, "ackNotificationsOn": True}
    now = {**DEFAULTS, **changed}
    assert list(answer.items()) == [*now.items(), ("update", changed), ("updated", changed)]
    assert get("settings") == now


def test_every_setting_can_be_changed(post: Call, get: Call) -> None:
    wanted = {name: True for name, value in DEFAULTS.items() if value is False} | {
        "sendDelay": 60,
        "webhookUrl": URL,
        "proxy": "10.0.0.7:1080",
        "oldMessagesPeriod": 10,
    }
    assert post("settings", **wanted)["updated"] == wanted
    assert get("settings") == {name: wanted[name] for name in DEFAULTS}


def test_what_is_so_already_is_not_a_change(post: Call) -> None:
    assert post("settings", sendDelay="0", parallelHooks="false")["updated"] == {}


def test_an_empty_text_takes_the_address_away(post: Call, get: Call) -> None:
    post("settings", webhookUrl=URL)
    assert post("settings", webhookUrl="")["updated"] == {"webhookUrl": None}
    assert get("settings")["webhookUrl"] is None


@pytest.mark.parametrize("url", ["", None])
def test_webhook_takes_the_address_away(post: Call, get: Call, url: str | None) -> None:
    post("webhook", webhookUrl=URL)
    assert post("webhook", webhookUrl=url) == {"set": True, "message": ""}
    assert get("settings")["webhookUrl"] is None


def test_the_spelling_of_the_help_article_is_taken_and_never_given(post: Call) -> None:
    answer = post("settings", recognotificationson=1)
    assert answer["updated"] == {"ackNotificationsOn": True}
    assert "recognotificationson" not in {name.lower() for name in answer}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("parallelHooks", "yes", "`parallelHooks` must be `true` or `false`."),
        ("parallelHooks", 2, "`parallelHooks` must be `true` or `false`."),
        ("parallelHooks", "", "`parallelHooks` must be `true` or `false`."),
        ("parallelHooks", [], "`parallelHooks` must be `true` or `false`."),
        ("sendDelay", -1, "`sendDelay` must be a whole number of seconds from 0 to 31536000."),
        ("sendDelay", 1.5, "`sendDelay` must be a whole number of seconds from 0 to 31536000."),
        ("sendDelay", True, "`sendDelay` must be a whole number of seconds from 0 to 31536000."),
        (
            "oldMessagesPeriod",
            "soon",
            "`oldMessagesPeriod` must be a whole number of seconds from 0 to 31536000.",
        ),
        (
            "oldMessagesPeriod",
            31536001,
            "`oldMessagesPeriod` must be a whole number of seconds from 0 to 31536000.",
        ),
        ("proxy", "10.0.0.7", "`proxy` must be ip:port of a SOCKS5 proxy, or null."),
        ("proxy", "10.0.0.7:99999", "`proxy` must be ip:port of a SOCKS5 proxy, or null."),
        ("proxy", 7, "`proxy` must be ip:port of a SOCKS5 proxy, or null."),
        ("webhookUrl", 7, "`webhookUrl` must be an http or https URL, or null."),
        (
            "webhookUrl",
            "ftp://example.com",
            "`webhookUrl` must be an http or https URL, or null: The URL must start with http:// or https://.",
        ),
    ],
)
def test_a_wrong_value_changes_nothing_at_all_and_names_the_key(
    client: Client, instance: Instance, get: Call, name: str, value: object, error: str
) -> None:
    body = {"ackNotificationsOn": True, "guaranteedHooks": True, name: value}
    response = client.post("/instance12345/settings?token=secret", body, content_type="application/json")
    assert (response.status_code, response.json()) == (400, {"error": error})
    assert get("settings") == DEFAULTS


def test_webhook_sets_the_address(post: Call, get: Call) -> None:
    assert post("webhook", webhookUrl=URL) == {"set": True, "message": URL}
    assert get("settings")["webhookUrl"] == URL


def test_webhook_by_get_with_the_argument_sets_it_too(get: Call) -> None:
    assert get("webhook", webhookUrl=URL) == {"set": True, "message": URL}


def test_webhook_says_when_the_address_was_that_already(post: Call) -> None:
    post("webhook", webhookUrl=URL)
    assert post("webhook", webhookUrl=URL) == {"set": False, "message": URL}


def test_webhook_without_the_argument_shows_the_address(post: Call, get: Call) -> None:
    post("webhook", webhookUrl=URL)
    assert get("webhook") == {"set": False, "message": URL, "webhookUrl": URL}
    assert post("webhook") == {"set": False, "message": URL, "webhookUrl": URL}


def test_webhook_when_there_is_no_address(get: Call) -> None:
    assert get("webhook") == {"set": False, "message": "", "webhookUrl": None}


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/hook", "http://localhost/", "https://10.0.0.7/x?y=1"])
def test_webhook_takes_host_names_and_ip_addresses(post: Call, url: str) -> None:
    assert post("webhook", webhookUrl=url) == {"set": True, "message": url}


def test_webhook_refuses_what_is_no_address(post: Call, get: Call) -> None:
    assert post("webhook", webhookUrl="example") == {
        "set": False,
        "message": "`webhookUrl` must be an http or https URL, or null:"
        " The URL must start with http:// or https://.",
    }
    assert get("settings")["webhookUrl"] is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sendDelay", [1], "a whole number of seconds from 0 to 31536000"),
        ("webhookUrl", [URL], "an http or https URL, or null"),
        ("guaranteedHooks", [True], "`true` or `false`"),
        ("proxy", ["10.0.0.7:1080"], "ip:port of a SOCKS5 proxy, or null"),
    ],
)
def test_an_array_is_no_value_of_a_setting(
    client: Client, instance: Instance, get: Call, name: str, value: list[object], expected: str
) -> None:
    address = "/instance12345/settings?token=secret"
    answer = client.post(address, {name: value}, content_type="application/json")
    assert (answer.status_code, answer.json()) == (400, {"error": f"`{name}` must be {expected}."})
    assert get("settings") == DEFAULTS


def test_of_a_setting_that_comes_twice_in_a_query_the_last_counts(client: Client, instance: Instance) -> None:
    answer = client.get("/instance12345/settings?token=secret&sendDelay=1&sendDelay=2")
    assert answer.json()["updated"] == {"sendDelay": 2}


def test_an_array_is_no_webhook_address(post: Call) -> None:
    assert post("webhook", webhookUrl=[URL]) == {
        "set": False,
        "message": "`webhookUrl` must be an http or https URL, or null.",
    }


def test_strict_order_is_no_setting_of_the_contract(
    client: Client, instance: Instance, post: Call, get: Call
) -> None:
    assert post("settings", strictOrder=True, sendDelay=1)["updated"] == {"sendDelay": 1}
    configure(instance.endpoint, strict=True)
    assert get("settings") == DEFAULTS | {"sendDelay": 1}
    answer = client.post(
        "/instance12345/settings?token=secret", {"parallelHooks": True}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()) == (400, {"error": STRICT_OR_PARALLEL})
    assert get("settings") == DEFAULTS | {"sendDelay": 1}
