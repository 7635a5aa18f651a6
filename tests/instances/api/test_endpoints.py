"""Endpoints of an instance in the REST API: list, add, read, change, remove, pause, rotate the secret, test."""

from typing import Any

import pytest
from django.db import transaction

from accounts.audit import AuditAction, AuditEntry
from hooks import outbox
from hooks.actions.endpoint_list import add_endpoint, remove_endpoint
from hooks.models import MAX_ENDPOINTS, Endpoint, Hook, Kind
from hooks.outbox import Event
from instances.actions.lifecycle import create_instance
from instances.models import Instance
from tests.instances.api.conftest import ApiClient

pytestmark = pytest.mark.django_db

URL = "https://billing.example.com/acks"
NO_FILTERS: dict[str, Any] = {
    "families": [],
    "direction": None,
    "messageTypes": [],
    "chatIds": [],
    "chatKinds": None,
}


def add(alice: ApiClient, **fields: Any) -> tuple[int, Any]:
    return alice.post(f"instances/{alice.instance.number}/endpoints/", {"url": URL, **fields})


def path(alice: ApiClient, endpoint: str, action: str = "") -> str:
    return f"instances/{alice.instance.number}/endpoints/{endpoint}/{action}"


def emit(instance: Instance, *kinds: Kind) -> list[Hook]:
    with transaction.atomic():
        return outbox.emit_all(instance.pk, [Event(kind, b"{}") for kind in kinds])


def test_the_first_endpoint_is_the_webhook_url(alice: ApiClient) -> None:
    alice.patch(f"instances/{alice.instance.number}/", {"webhookUrl": "https://example.com/hook"})
    status, found = alice.get(f"instances/{alice.instance.number}/endpoints/")
    assert status == 200
    [first] = found["results"]
    endpoint = Endpoint.objects.get(first_of=alice.instance)
    assert first == {
        "id": str(alice.instance.pk),
        "instanceId": str(alice.instance.number),
        "first": True,
        "name": "",
        "url": "https://example.com/hook",
        "listens": False,
        "guaranteedHooks": False,
        "parallelHooks": False,
        "strictOrder": False,
        "filters": NO_FILTERS,
        "filtersInWords": "All events",
        "secret": endpoint.secret,
        "previousSecretUntil": None,
        "pausedAt": None,
        "pauseReason": None,
        "cancelling": False,
        "failingSince": None,
    }


def test_an_endpoint_is_added_with_its_filters(alice: ApiClient) -> None:
    filters = {"families": ["message", "ack"], "direction": "out", "chatIds": ["+1 768 056 1234"]}
    status, made = add(alice, name="Billing", guaranteedHooks=True, filters=filters)
    assert status == 201
    assert made["first"] is False
    assert made["name"] == "Billing"
    assert made["guaranteedHooks"] is True
    assert made["filters"] == NO_FILTERS | filters | {"chatIds": ["17680561234@c.us"]}
    assert made["filtersInWords"] == "Messages and acks, outgoing only, to 1 chat"
    assert alice.get(path(alice, made["id"])) == (200, made)
    [entry] = AuditEntry.objects.filter(action=AuditAction.ENDPOINT_ADDED)
    assert entry.detail == {"endpoint": "Billing"}
    # old clients see the first one
    assert alice.get(f"instances/{alice.instance.number}/")[1]["settings"]["webhookUrl"] is None


def test_fields_and_filters_that_are_not_sent_stay(alice: ApiClient) -> None:
    made = add(alice, filters={"families": ["ack"], "chatKinds": "group"})[1]
    status, changed = alice.patch(
        path(alice, made["id"]), {"name": "Acks", "filters": {"chatKinds": None, "direction": "out"}}
    )
    assert status == 200
    assert changed == made | {
        "name": "Acks",
        "filters": NO_FILTERS | {"families": ["ack"], "direction": "out"},
        "filtersInWords": "Acks, outgoing only",
    }
    [entry] = AuditEntry.objects.filter(action=AuditAction.ENDPOINT_CHANGED)
    assert entry.detail == {"endpoint": "Acks", "changed": ["name", "direction", "chat_kinds"]}


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"url": "ftp://example.com"}, {"url": "The URL must start with http:// or https://."}),
        ({"url": ""}, {"url": "This field may not be blank."}),
        ({"strictOrder": True, "parallelHooks": True}, {"strictOrder": "`strictOrder` and `parallelHooks` "}),
        ({"filters": {"families": ["messages"]}}, {"filters.families.0": "Must be one of: message, ack"}),
        ({"filters": {"messageTypes": ["text"]}}, {"filters.messageTypes.0": "Must be one of: chat, image"}),
        ({"filters": {"chatIds": ["x"]}}, {"filters.chatIds": "chatId should look like"}),
        ({"filters": {"chats": ["x"]}}, {"filters.chats": "Unknown field. The fields are: families, "}),
        (
            {"filters": {"families": ["ack"], "direction": "in"}},
            {"filters.direction": "Acks are about sent messages"},
        ),
    ],
)
def test_invalid_fields_are_refused(alice: ApiClient, fields: dict[str, Any], errors: dict[str, str]) -> None:
    status, refused = add(alice, **fields)
    assert status == 400
    assert refused["fields"].keys() == errors.keys()
    for name, sentence in errors.items():
        assert refused["fields"][name].startswith(sentence)
    assert Endpoint.objects.filter(instance=alice.instance).count() == 1


def test_the_url_of_the_first_endpoint_only_can_be_removed(alice: ApiClient) -> None:
    made = add(alice)[1]
    assert alice.patch(path(alice, made["id"]), {"url": ""})[0] == 400
    status, first = alice.patch(path(alice, str(alice.instance.pk)), {"url": ""})
    assert (status, first["url"]) == (200, None)


def test_a_removed_endpoint_is_not_found_and_the_first_is_not_removed(alice: ApiClient) -> None:
    made = add(alice)[1]
    assert alice.call("DELETE", path(alice, made["id"]))[0] == 204
    assert alice.get(path(alice, made["id"])) == (
        404,
        {"error": f"Instance {alice.instance.number} has no endpoint {made['id']}."},
    )
    status, refused = alice.call("DELETE", path(alice, str(alice.instance.pk)))
    assert status == 409
    assert "first endpoint" in refused["error"]


def test_the_most_endpoints(alice: ApiClient) -> None:
    for _ in range(MAX_ENDPOINTS - 1):
        assert add(alice)[0] == 201
    assert add(alice)[0] == 409


def test_an_endpoint_is_paused_and_resumed_without_the_others(alice: ApiClient) -> None:
    made = add(alice)[1]
    status, paused = alice.post(path(alice, made["id"], "pause/"), None)
    assert (status, paused["pauseReason"]) == (200, "by_hand")
    assert Endpoint.objects.get(first_of=alice.instance).paused_at is None
    assert alice.post(path(alice, made["id"], "resume/"), None)[1]["pausedAt"] is None


def test_the_secret_of_one_endpoint_is_rotated(alice: ApiClient) -> None:
    made = add(alice)[1]
    first = Endpoint.objects.get(first_of=alice.instance).secret
    rotated = alice.post(path(alice, made["id"], "rotate-secret/"), {"keepOld": True})[1]
    assert rotated["secret"] != made["secret"]
    assert rotated["previousSecretUntil"] is not None
    assert Endpoint.objects.get(first_of=alice.instance).secret == first


def test_another_instances_endpoint_is_not_found(alice: ApiClient) -> None:
    other = create_instance(alice.account)
    endpoint = add_endpoint(other.pk, url=URL, acting_user=None)
    assert alice.get(path(alice, str(endpoint.pk)))[0] == 404
    assert alice.get(path(alice, str(other.pk)))[0] == 404


def test_the_log_and_redeliveries_by_endpoint(alice: ApiClient) -> None:
    endpoint = add_endpoint(alice.instance.pk, url=URL, acting_user=None)
    Hook.objects.all().delete()  # of creating the instance
    Endpoint.objects.filter(first_of=alice.instance).update(url="https://example.com/hook")
    made = emit(alice.instance, Kind.MESSAGE, Kind.ACK)
    Hook.objects.update(state="failed", finished_at="2030-01-01T00:00:00Z")

    def ids(query: str) -> list[str]:
        return [hook["id"] for hook in alice.get(f"hooks/?{query}")[1]["results"]]

    newest_first = [hook.webhook_id for hook in reversed(made)]
    assert ids("") == newest_first
    assert ids(f"instance={alice.instance.number}") == newest_first
    mine = [hook.webhook_id for hook in reversed(made) if hook.endpoint_id == endpoint.pk]
    assert ids(f"endpoint={endpoint.pk}") == mine
    assert ids(f"instance={alice.instance.number}&endpoint={endpoint.pk}") == mine
    assert ids(f"endpoint={2**62 - 1}") == []
    assert alice.get("hooks/?endpoint=x")[0] == 400
    counted = alice.post("redeliveries/", {"endpoint": str(endpoint.pk), "dryRun": True})
    assert counted[1]["count"] == 2
    job = alice.post("redeliveries/", {"endpoint": str(endpoint.pk)})[1]
    assert job["planned"] == 2
    remove_endpoint(endpoint, acting_user=None)
    assert ids(f"endpoint={endpoint.pk}") == mine  # its log stays
