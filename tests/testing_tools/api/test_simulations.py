"""Webhook Simulation over REST: the kinds, what would be sent, and sending it."""

import json
from typing import Any

import pytest
from django.utils import timezone

from accounts.audit import AuditAction, AuditEntry
from hooks.models import Hook, Kind
from instances.limits import manual_request_limit
from instances.models import Instance, Message
from testing_tools.simulation.drafts import MAX_BODY
from testing_tools.simulation.kinds import SimulationKind
from tests.instances.api.conftest import ApiClient
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db

ACK = '{"ack":[{"id":"true_1@c.us_A","queueNumber":1,"chatId":"1@c.us","status":"viewed"}],"instanceId":"1"}'


@pytest.fixture
def path(alice: ApiClient) -> str:
    return f"{alice.home}simulations/"


def test_a_hook_is_sent_and_its_verdict_returned(alice: ApiClient, path: str) -> None:
    with Receiver([(500, {}, b"KeyError")]) as receiver:
        alice.patch(alice.home, {"webhookUrl": receiver.url})
        fields = {"sender": "+1 768-056-1299", "senderName": "Ann", "text": " h\u00e9llo\n"}
        status, hook = alice.post(path, {"kind": "message", "fields": fields})
        [got] = receiver.wait_for(1)
    assert status == 201
    [message] = json.loads(got.body)["messages"]
    assert (message["author"], message["senderName"], message["body"]) == (
        "17680561299@c.us",
        "Ann",
        " h\u00e9llo\n",
    )
    [attempt] = hook["attempts"]
    assert (hook["kind"], hook["state"], hook["simulated"]) == ("message", "failed", True)
    assert (attempt["verdict"], attempt["side"]) == ("not_200", "endpoint")
    assert attempt["request"]["body"] == hook["body"] == got.body.decode()
    assert attempt["request"]["headers"]["webhook-signature"] == got.headers["webhook-signature"]
    assert (attempt["answer"]["status"], attempt["answer"]["body"]) == (500, "KeyError")
    assert alice.get(f"hooks/{hook['id']}/") == (200, hook)
    listed = alice.get(f"hooks/?simulated=true&instance={alice.instance.number}")[1]["results"]
    assert [one["id"] for one in listed] == [hook["id"]]
    assert not Message.objects.exists()
    assert AuditEntry.objects.filter(action=AuditAction.HOOK_SIMULATED).count() == 1


def test_own_json_goes_to_another_url_byte_for_byte(alice: ApiClient, path: str) -> None:
    odd = '{ "ack": [{"id":"\\u0041", "n": 1.50, "n": 12345678901234567890123}] }'
    with Receiver() as receiver:
        status, hook = alice.post(path, {"kind": "delivered", "body": odd, "url": receiver.url})
        [got] = receiver.wait_for(1)
    assert (status, hook["attempts"][0]["verdict"]) == (201, "delivered")
    assert got.body.decode() == '{"ack":[{"id":"\\u0041","n":1.50,"n":12345678901234567890123}]}'


def test_a_dry_run_sends_nothing_and_shows_what_would_be_sent(alice: ApiClient, path: str) -> None:
    fields = {"recipient": "17680561234", "messageId": "true_17680561234@c.us_AB", "queueNumber": "8"}
    status, preview = alice.post(path, {"kind": "viewed", "body": ACK, "fields": fields, "dryRun": True})
    assert status == 200
    assert json.loads(preview["body"])["ack"] == [
        {"id": "true_17680561234@c.us_AB", "queueNumber": 8, "chatId": "17680561234@c.us", "status": "viewed"}
    ]
    assert (preview["kind"], preview["fields"], preview["url"]) == ("viewed", fields, None)
    assert preview["size"] == len(preview["body"])
    names = [header["name"] for header in preview["headers"]]
    assert {"webhook-id", "webhook-signature", "webhook-simulated"} <= set(names)
    assert not Hook.objects.filter(simulated=True).exists()


def test_every_kind_of_the_list_can_be_sent_with_its_fields(alice: ApiClient, path: str) -> None:
    kinds = alice.get("simulations/kinds/")[1]["results"]
    assert [kind["kind"] for kind in kinds] == SimulationKind.values
    for kind in kinds:
        assert kind["hookKind"] in Kind.values
        fields = {
            field["name"]: field["choices"][-1] if field["choices"] else "7" if field["digits"] else "text"
            for field in kind["fields"]
            if field["name"] != "recipient" or kind["hookKind"] != "message"  # a group has no recipient
        }
        status, preview = alice.post(path, {"kind": kind["kind"], "fields": fields, "dryRun": True})
        assert status == 200, (kind["kind"], preview)
        assert fields.items() <= preview["fields"].items(), kind["kind"]


@pytest.mark.parametrize(
    ("data", "field", "error"),
    [
        ({}, "kind", "required"),
        ({"kind": "fax"}, "kind", "Must be one of: message, delivered"),
        ({"kind": "call_log", "fields": {"text": "x"}}, "fields.text", "The fields of call_log are: sender"),
        ({"kind": "message", "fields": {"sender": "Ann"}}, "fields.sender", "Must be digits"),
        ({"kind": "message", "fields": {"group": "no"}}, "fields.group", "Must be one of: “”, yes."),
        ({"kind": "message", "fields": ["x"]}, "fields", "Expected a dictionary"),
        ({"kind": "message", "body": "{\"messages\": [}"}, "body", "Line 1, column 15: "),
        ({"kind": "message", "body": '"' + "x" * MAX_BODY + '"'}, "body", "the limit is"),
        ({"kind": "message", "body": ACK, "fields": {"text": "x"}}, "fields", "has no item in `messages`"),
        ({"kind": "message", "fields": {"groupName": "x"}}, "fields.groupName", "it would be “”"),
        ({"kind": "by_api", "fields": {"group": "yes", "recipient": "1"}}, "fields.recipient", "cannot be sent"),
        ({"kind": "message", "fields": {"forwarded": "12345"}}, "fields.forwarded", "it would be “1234”"),
        ({"kind": "message", "url": "ftp://example.com/"}, "url", "http"),
        ({"kind": "message"}, "url", "The instance has no webhook URL. Set one, or send `url`."),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else None,
)  # fmt: skip
def test_an_invalid_simulation_is_not_sent(
    alice: ApiClient, path: str, data: dict[str, Any], field: str, error: str
) -> None:
    status, answer = alice.post(path, data)
    assert status == 400
    assert error in answer["fields"][field]
    assert not Hook.objects.filter(simulated=True).exists()


def test_simulations_have_the_limits_of_the_page(
    alice: ApiClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"kind": "message", "url": "http://127.0.0.1:9/"}
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 0)
    status, answer = alice.post(path, data)
    assert status == 409
    assert answer["error"].startswith("You have sent more than 0 requests in a minute. Try again in ")
    Instance.objects.filter(pk=alice.instance.pk).update(stopped_at=timezone.now())
    assert alice.post(path, data) == (
        409,
        {"error": "You cannot simulate hooks: this instance is stopped."},
    )
    assert not Hook.objects.filter(simulated=True).exists()
