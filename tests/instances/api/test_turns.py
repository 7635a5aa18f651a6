"""The bot's turn over REST: the message, its hooks, what the bot sent, and the received messages by response."""

from __future__ import annotations

import pytest

from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.endpoints import configure
from hooks.models import Hook
from instances.actions.messages import receive_message, record_ack
from instances.actions.settings import change_settings
from tests.hooks.attempted import attempt_hook
from tests.instances.api.conftest import ApiClient
from tests.instances.turns.playing import ANNA, BERT, call, receive, seconds

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(alice: ApiClient) -> ApiClient:
    """Alice's instance has a webhook URL and gets acks."""
    configure(alice.instance.endpoint, url="https://example.com/hook")
    change_settings(alice.instance, changes={"ackNotificationsOn": True})
    alice.instance.refresh_from_db()
    return alice


def test_the_turn_has_the_hook_its_attempt_the_messages_and_their_acks(bot: ApiClient) -> None:
    message, hook = receive(bot.instance, ANNA, "Where is my order?", at=0)
    reply = call(bot.instance, ANNA, "It arrives tomorrow.", at=0.003)
    other = call(bot.instance, BERT, "17680561234 asks for an order", at=2.005)
    later = call(bot.instance, ANNA, "Anything else?", at=4.005, sends=False)
    record_ack(bot.instance, message_id=reply.message_id, status="viewed")
    status, turn = bot.get(f"{bot.home}messages/{message.message_id}/turn/")
    assert status == 200
    assert (turn["message"]["id"], turn["message"]["body"]) == (message.message_id, "Where is my order?")
    assert turn["message"]["response"]["state"] == "responded"
    assert turn["explanation"] == "Your bot responded."
    [shown] = turn["hooks"]
    assert (shown["id"], shown["state"]) == (hook.webhook_id, "delivered")
    [attempt] = shown["attempts"]
    assert (attempt["number"], attempt["status"], attempt["totalMs"]) == (1, 200, 5.0)
    assert [sent["id"] for sent in turn["sent"]] == [reply.message_id, other.message_id, later.message_id]
    first, second, third = turn["sent"]
    assert first["match"] == {
        "certainty": "certain",
        "evidence": "request",
        "delaySeconds": 0,
        "otherMessages": 0,
        "explanation": "In the same chat, during the webhook request.",
    }
    assert [ack["status"] for ack in first["acks"]] == ["sent", "delivered", "viewed"]
    assert first["acks"][2]["at"] is not None
    assert (second["chatId"], second["match"]["evidence"]) == (BERT, "content")
    assert (third["state"], third["acks"]) == ("queued", [])
    assert third["match"]["explanation"] == "In the same chat, 4.0 s after the webhook request."


def test_a_call_is_part_of_one_turn_and_each_endpoint_has_its_hook(bot: ApiClient) -> None:
    second = add_endpoint(bot.instance.pk, name="Archive", url="https://example.org/", acting_user=None)
    message = receive_message(bot.instance, sender=ANNA, body="hello", time=seconds(0))
    for hook in Hook.objects.filter(message=message.message_id):
        attempt_hook(hook.endpoint, 200, at=seconds(0), hook=hook)
    other = receive_message(bot.instance, sender=BERT, body="hi", time=seconds(1))
    reply = call(bot.instance, ANNA, "reply", at=2)
    turn = bot.get(f"{bot.home}messages/{message.message_id}/turn/")[1]
    assert {hook["endpointId"] for hook in turn["hooks"]} == {str(bot.instance.pk), str(second.pk)}
    assert [sent["id"] for sent in turn["sent"]] == [reply.message_id]
    assert bot.get(f"{bot.home}messages/{other.message_id}/turn/")[1]["sent"] == []


def test_without_a_hook_or_a_call_the_lists_are_empty(alice: ApiClient) -> None:
    message, _ = receive(alice.instance, ANNA, "hello", at=0, status=None)
    turn = alice.get(f"{alice.home}messages/{message.message_id}/turn/")[1]
    assert [one["skipReason"] for one in turn["hooks"]] == ["no_address"]
    assert turn["hooks"][0]["explanation"].startswith("Not sent: the instance had no webhook URL")
    assert (turn["sent"], turn["message"]["response"]["state"]) == ([], "not_delivered")
    Hook.objects.all().delete()
    assert alice.get(f"{alice.home}messages/{message.message_id}/turn/")[1]["hooks"] == []


def test_messages_without_a_response_are_found_and_paged(bot: ApiClient) -> None:
    answered, _ = receive(bot.instance, ANNA, "answered", at=0)
    call(bot.instance, ANNA, "reply", at=1)
    silent = [receive(bot.instance, BERT, f"silent {number}", at=2 + number)[0] for number in range(3)]
    status, page = bot.get(f"{bot.home}received/?response=none&limit=2")
    assert status == 200
    assert [row["id"] for row in page["results"]] == [silent[2].message_id, silent[1].message_id]
    rest = bot.get(f"{bot.home}received/?response=none&before={page['nextBefore']}")[1]
    assert [row["id"] for row in rest["results"]] == [silent[0].message_id]
    assert rest["nextBefore"] is None
    everything = bot.get(f"{bot.home}received/")[1]["results"]
    assert [row["response"]["state"] for row in everything] == ["none", "none", "none", "responded"]
    assert everything[-1]["id"] == answered.message_id


@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ("response=never", "response", "Must be one of: responded, waiting, none, not_delivered."),
        ("before=x", "before", "Must be a whole number from 1 to 2147483647."),
        ("limit=101", "limit", "Must be a whole number from 1 to 100."),
    ],
)
def test_wrong_parameters_are_named(alice: ApiClient, query: str, field: str, sentence: str) -> None:
    status, answer = alice.get(f"{alice.home}received/?{query}")
    assert (status, answer["fields"]) == (400, {field: sentence})


def test_strangers_and_sent_messages_get_404(bot: ApiClient, bob: ApiClient) -> None:
    message, _ = receive(bot.instance, ANNA, "hello", at=0)
    reply = call(bot.instance, ANNA, "reply", at=1)
    assert bob.get(f"{bot.home}messages/{message.message_id}/turn/")[0] == 404
    assert bob.get(f"{bot.home}received/")[0] == 404
    assert bob.get(f"{bob.home}messages/{message.message_id}/turn/")[0] == 404
    status, answer = bot.get(f"{bot.home}messages/{reply.message_id}/turn/")
    assert (status, "has received no message" in answer["error"]) == (404, True)
