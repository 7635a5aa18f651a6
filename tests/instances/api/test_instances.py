"""Instances over REST: list, create, read, change, delete."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from hooks.actions.endpoints import STRICT_OR_PARALLEL, configure
from instances.actions.lifecycle import create_instance
from instances.channels import CHANNELS
from instances.models import Channel, Instance
from tests.instances.api.conftest import ApiClient, create_account

DEFAULTS = {
    "sendDelay": 0, "webhookUrl": None, "instanceStatuses": False, "webhookStatuses": False,
    "statusNotificationsOn": False, "ackNotificationsOn": False, "chatUpdateOn": False, "videoUploadOn": False,
    "proxy": None, "guaranteedHooks": False, "ignoreOldMessages": False, "oldMessagesPeriod": 300,
    "processArchive": False, "disableDialogsArchive": False, "parallelHooks": False, "strictOrder": False,
}  # fmt: skip


@time_machine.travel(datetime(2030, 1, 1, 9, tzinfo=UTC), tick=False)
def test_an_instance_is_shown_whole_to_its_owner(db: None) -> None:
    alice = create_account("alice")
    status, shown = alice.get(alice.home)
    instance = Instance.objects.get()
    assert status == 200
    assert list(shown["settings"].items()) == list(DEFAULTS.items())
    assert shown == {
        "id": str(instance.number),
        "name": "alice's",
        "channel": "sandbox",
        "accountStatus": "authenticated",
        "substatus": "normal",
        "paidUntil": "2030-01-04T09:00:00Z",
        "trial": True,
        "apiUrl": f"http://localhost:8000/instance{instance.number}/",
        "token": instance.token,
        "phone": instance.phone,
        "webhookSecret": instance.endpoint.secret,
        "previousWebhookSecretUntil": None,
        "deliveryPausedAt": None,
        "deliveryPauseReason": None,
        "failingSince": None,
        "cleaning": False,
        "settings": DEFAULTS,
        "createdAt": "2030-01-01T09:00:00Z",
    }


def test_not_paid_hides_the_other_statuses(alice: ApiClient) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=4)):
        assert alice.get(alice.home)[1]["accountStatus"] == "not_paid"


def test_the_list_holds_ones_own_instances_oldest_first(alice: ApiClient, bob: ApiClient) -> None:
    second = create_instance(alice.account, name="second")
    status, page = alice.get("instances/")
    assert status == 200
    assert [row["id"] for row in page["results"]] == [str(alice.instance.number), str(second.number)]
    assert page["results"][0] == alice.get(alice.home)[1]
    assert (page["next"], page["previous"]) == (None, None)


def test_the_list_comes_in_pages_linked_by_the_sites_own_address(alice: ApiClient) -> None:
    numbers = [str(alice.instance.number)] + [str(create_instance(alice.account).number) for _ in range(2)]
    _, first = alice.get("instances/?limit=2")
    assert first["next"].startswith("http://localhost:8000/api/v1/instances/?")
    _, second = alice.get(first["next"].removeprefix("http://localhost:8000/api/v1/"))
    assert [row["id"] for row in first["results"] + second["results"]] == numbers
    assert second["next"] is None
    _, back = alice.get(second["previous"].removeprefix("http://localhost:8000/api/v1/"))
    assert back["results"] == first["results"]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("limit=0", {"limit": "Must be a whole number from 1 to 100."}),
        ("limit=101", {"limit": "Must be a whole number from 1 to 100."}),
        ("limit=ten", {"limit": "Must be a whole number from 1 to 100."}),
        ("cursor=x", {"cursor": "Must be a cursor from `next` or `previous` of a response."}),
        (
            "cursor=cD1hYmM%3D",
            {"cursor": "Must be a cursor from `next` or `previous` of a response."},
        ),  # p=abc
    ],
)
def test_a_page_that_does_not_exist_is_refused(alice: ApiClient, query: str, fields: dict[str, str]) -> None:
    [(name, text)] = fields.items()
    for path in ("instances/", "hooks/"):
        assert alice.get(f"{path}?{query}") == (400, {"error": f"{name}: {text}", "fields": fields})


def test_a_new_instance_is_paid_for_the_trial_and_waits_for_its_link(alice: ApiClient) -> None:
    status, made = alice.post("instances/", {"name": "Shop", "channel": "sandbox"})
    instance = Instance.objects.latest("id")
    assert status == 201
    assert (made["id"], made["name"], made["accountStatus"]) == (str(instance.number), "Shop", "got qr code")
    assert made["settings"] == DEFAULTS
    assert instance.owner == alice.account
    assert instance.is_paid


def test_a_new_instance_needs_nothing_said_and_tells_where_it_is(alice: ApiClient) -> None:
    answer = Client().generic("POST", "/api/v1/instances/", headers={"Authorization": f"Bearer {alice.key}"})
    instance = Instance.objects.latest("id")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"http://localhost:8000/api/v1/instances/{instance.number}/"
    assert answer.json()["name"] == ""


def test_a_new_instance_takes_settings_at_once(alice: ApiClient) -> None:
    status, made = alice.post(
        "instances/", {"webhookUrl": "https://example.com/hook", "guaranteedHooks": True}
    )
    assert status == 201
    assert made["settings"] == DEFAULTS | {"webhookUrl": "https://example.com/hook", "guaranteedHooks": True}


def test_a_new_instance_has_a_channel_that_exists(alice: ApiClient) -> None:
    for name in ("pigeon", *(set(Channel.values) - set(CHANNELS))):
        status, answer = alice.post("instances/", {"channel": name})
        assert (status, answer["fields"]) == (400, {"channel": f"Must be one of: {', '.join(CHANNELS)}."})
    assert Instance.objects.count() == 1


def test_a_new_instance_with_a_wrong_setting_is_not_made(alice: ApiClient) -> None:
    status, answer = alice.post("instances/", {"name": "Shop", "webhookUrl": "ftp://example.com/"})
    assert status == 400
    assert list(answer["fields"]) == ["webhookUrl"]
    assert Instance.objects.count() == 1


def test_a_change_touches_what_is_given_alone(alice: ApiClient) -> None:
    _, before = alice.get(alice.home)
    status, after = alice.patch(
        alice.home, {"webhookUrl": "http://127.0.0.1:5000/hook", "ackNotificationsOn": True}
    )
    assert status == 200
    assert after == before | {
        "settings": DEFAULTS | {"webhookUrl": "http://127.0.0.1:5000/hook", "ackNotificationsOn": True}
    }
    assert alice.get(alice.home)[1] == after


def test_settings_may_come_in_an_object_as_an_answer_has_them(alice: ApiClient) -> None:
    _, shown = alice.get(alice.home)
    changed = shown["settings"] | {"sendDelay": 5, "proxy": "203.0.113.1:1080"}
    status, after = alice.patch(alice.home, {"name": "Shop", "settings": changed})
    assert status == 200
    assert after == shown | {"name": "Shop", "settings": changed}


def test_null_takes_the_address_away(alice: ApiClient) -> None:
    alice.patch(alice.home, {"webhookUrl": "https://example.com/hook"})
    assert alice.patch(alice.home, {"webhookUrl": None})[1]["settings"] == DEFAULTS


def test_an_empty_change_changes_nothing(alice: ApiClient) -> None:
    _, before = alice.get(alice.home)
    assert alice.patch(alice.home, {}) == (200, before)


FIELDS = ", ".join(["name", "channel", *DEFAULTS])


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (
            {"sendDelay": -1},
            {"sendDelay": "`sendDelay` must be a whole number of seconds from 0 to 31536000."},
        ),
        (
            {"sendDelay": "soon"},
            {"sendDelay": "`sendDelay` must be a whole number of seconds from 0 to 31536000."},
        ),
        ({"guaranteedHooks": "perhaps"}, {"guaranteedHooks": "`guaranteedHooks` must be `true` or `false`."}),
        ({"guaranteedHooks": None}, {"guaranteedHooks": "`guaranteedHooks` must be `true` or `false`."}),
        ({"strictOrder": 2}, {"strictOrder": "`strictOrder` must be `true` or `false`."}),
        ({"strictOrder": True, "parallelHooks": True}, {"strictOrder": STRICT_OR_PARALLEL}),
        ({"proxy": "example.com"}, {"proxy": "`proxy` must be ip:port of a SOCKS5 proxy, or null."}),
        ({"name": "x" * 101}, {"name": "Ensure this field has no more than 100 characters."}),
        ({"name": ["Shop"]}, {"name": "Not a valid string."}),
        ({"token": "mine"}, {"token": "This cannot be changed."}),
        ({"paidUntil": "2999-01-01"}, {"paidUntil": "This cannot be changed."}),
        (
            {"webhookURL": "https://example.com/"},
            {"webhookURL": f"Unknown field. The fields are: {FIELDS}."},
        ),
        (
            {"settings": {"url": "https://example.com/"}},
            {"settings.url": f"Unknown field. The fields are: {', '.join(DEFAULTS)}."},
        ),
        ({"settings": []}, {"settings": "Must be an object of settings."}),
        (
            {"sendDelay": 1, "settings": {"sendDelay": 2}},
            {"sendDelay": "Was sent twice, with different values."},
        ),
    ],
)
def test_a_wrong_change_names_the_field_and_changes_nothing(
    alice: ApiClient, change: dict, fields: dict
) -> None:
    _, before = alice.get(alice.home)
    status, answer = alice.patch(alice.home, {"ackNotificationsOn": True, **change})
    assert (status, answer["fields"]) == (400, fields)
    assert alice.get(alice.home)[1] == before


@pytest.mark.parametrize("body", [[], "name", 1, None])
def test_a_body_that_is_no_object_is_refused(alice: ApiClient, body: object) -> None:
    answer = Client().patch(
        f"/api/v1/{alice.home}",
        data=json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {alice.key}"},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "The body must be a JSON object.")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "error"),
    [
        ("{name}", "application/json", 400, "line 1 column 2"),
        ("[" * 200_000, "application/json", 400, "nested too deeply"),
        (" " * (2 * 1024 * 1024 + 1), "application/json", 413, "must be at most 2097152 bytes"),
        ("name=Shop", "application/x-www-form-urlencoded", 415, "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_in_words(
    alice: ApiClient, body: str, content_type: str, status: int, error: str
) -> None:
    answer = Client().generic(
        "PATCH",
        f"/api/v1/{alice.home}",
        body,
        content_type=content_type,
        headers={"Authorization": f"Bearer {alice.key}"},
    )
    assert answer.status_code == status
    assert error in answer.json()["error"]


def test_a_deleted_instance_is_gone(alice: ApiClient, bob: ApiClient) -> None:
    assert alice.call("DELETE", alice.home) == (204, None)
    assert alice.get(alice.home)[0] == 404
    assert list(Instance.objects.all()) == [bob.instance]


def test_a_method_that_an_address_has_not_is_refused_in_words(alice: ApiClient) -> None:
    assert alice.call("PUT", alice.home, {}) == (405, {"error": 'Method "PUT" not allowed.'})


def test_parallel_hooks_are_refused_while_strict_order_is_on(db: None) -> None:
    alice = create_account("alice")
    instance = Instance.objects.get()
    configure(instance.endpoint, strict=True)
    status, error = alice.patch(alice.home, {"parallelHooks": True, "sendDelay": 5})
    assert (status, error["fields"]) == (400, {"parallelHooks": STRICT_OR_PARALLEL})
    assert alice.get(alice.home)[1]["settings"] == DEFAULTS | {"strictOrder": True}
    status, shown = alice.patch(alice.home, {"parallelHooks": True, "strictOrder": False})
    assert (status, shown["settings"]["parallelHooks"]) == (200, True)
