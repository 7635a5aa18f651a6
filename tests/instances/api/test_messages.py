"""Over REST: the queue with the reason of each wait, failed messages, one message with its tries, cancel and resend."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from hooks.models import Outcome
from instances.actions.sending.accept import send_message
from instances.models import Ack, Instance, Message, OutgoingMessage, OutgoingQueue, SendState, TryResult
from instances.sending.outgoing import send_due
from tests.factories import create_try, fail_message, start_sending
from tests.instances.api.conftest import ApiClient

ANNA, BERT = "17680561234@c.us", "4915112345678@c.us"


@pytest.fixture
def three(alice: ApiClient) -> list[OutgoingMessage]:
    return [
        send_message(alice.instance, chat_id=chat_id, body=text)
        for chat_id, text in ((ANNA, "first"), (BERT, "second"), (ANNA, "third"))
    ]


def path(alice: ApiClient, message: OutgoingMessage | Message, action: str = "") -> str:
    return f"{alice.home}messages/{message.message_id}/{action}"


def found(alice: ApiClient, url: str) -> list[Any]:
    status, answer = alice.get(f"{alice.home}{url}")
    assert status == 200
    return list(answer["results"])


def test_the_queue_is_listed_with_what_each_message_waits_for(
    alice: ApiClient, three: list[OutgoingMessage]
) -> None:
    rows = found(alice, "queue/messages/")
    assert [(row["body"], row["queueNumber"], row["wait"]["reason"]) for row in rows] == [
        ("first", 1, "Its turn comes next"),
        ("second", 2, "Its turn comes next"),
        ("third", 3, "Sent after no. 1, to the same chat"),
    ]
    assert rows[0] == {
        "id": three[0].message_id,
        "queueNumber": 1,
        "chatId": ANNA,
        "type": "chat",
        "body": "first",
        "caption": None,
        "deletes": None,
        "state": "queued",
        "explanation": "Waiting in the queue.",
        "reason": None,
        "wait": {"reason": "Its turn comes next", "until": None},
        "tries": 0,
        "nextTryAt": None,
        "maybeTwice": False,
        "queuedAt": rows[0]["queuedAt"],
        "sentAt": None,
        "failedAt": None,
    }


def test_a_later_page_of_the_queue_knows_the_messages_before_it(
    alice: ApiClient, three: list[OutgoingMessage]
) -> None:
    _, first = alice.get(f"{alice.home}queue/messages/?limit=2")
    status, second = alice.get(first["next"].partition("/api/v1/")[2])
    assert (status, [row["body"] for row in second["results"]], second["next"]) == (200, ["third"], None)
    assert second["results"][0]["wait"]["reason"] == "Sent after no. 1, to the same chat"


def test_the_state_of_the_queue(alice: ApiClient, three: list[OutgoingMessage]) -> None:
    fail_message(three[0])
    assert alice.get(f"{alice.home}queue/") == (
        200,
        {"length": 2, "limit": 400, "failed": 1, "wait": None},
    )
    until = timezone.now() + timedelta(seconds=30)
    OutgoingQueue.objects.update(waits_until=until, wait_reason="example.com does not respond")
    wait = alice.get(f"{alice.home}queue/")[1]["wait"]
    assert wait["reason"] == "Example.com does not respond"
    assert wait["until"].startswith(until.strftime("%Y-%m-%dT%H:%M:%S"))


def test_one_message_is_cancelled(alice: ApiClient, three: list[OutgoingMessage]) -> None:
    status, cancelled = alice.post(path(alice, three[0], "cancel/"), None)
    assert (status, cancelled["body"], cancelled["state"]) == (200, "first", "queued")
    assert [row["body"] for row in found(alice, "queue/messages/")] == ["second", "third"]
    assert alice.post(path(alice, three[0], "cancel/"), None)[0] == 404
    start_sending(OutgoingMessage.objects.earliest("queue_number"))
    status, refused = alice.post(path(alice, three[1], "cancel/"), None)
    assert (status, refused["error"]) == (
        409,
        "This message is being sent now, so it can't be cancelled.",
    )


def test_a_message_whose_id_has_slashes_is_read_and_cancelled(alice: ApiClient) -> None:
    chat_id = "xmpp:team@rooms.example.org/Ann/tries@c.us"
    message = send_message(alice.instance, chat_id=chat_id, body="hello")
    assert alice.get(path(alice, message))[1]["chatId"] == chat_id
    assert alice.get(path(alice, message, "tries/"))[0] == 200
    assert alice.post(path(alice, message, "cancel/"), None)[0] == 200
    assert not OutgoingMessage.objects.exists()


def test_the_queue_is_cleared(alice: ApiClient, three: list[OutgoingMessage]) -> None:
    start_sending(OutgoingMessage.objects.earliest("queue_number"))
    assert alice.post(f"{alice.home}queue/clear/", None) == (200, {"removed": 2, "inDelivery": 1})
    assert [row["body"] for row in found(alice, "queue/messages/")] == ["first"]


def test_failed_messages_are_listed_with_the_messengers_reason_and_resent(
    alice: ApiClient, three: list[OutgoingMessage]
) -> None:
    fail_message(three[0], reason="The number is not in use.", tries=2)
    fail_message(three[1], maybe_twice=True)
    newest, oldest = found(alice, "queue/failed/")
    assert (newest["body"], newest["maybeTwice"], newest["wait"]) == ("second", True, None)
    assert (oldest["state"], oldest["reason"], oldest["tries"]) == (
        "failed",
        "The number is not in use.",
        2,
    )
    assert oldest["explanation"] == "Failed after 2 tries: The number is not in use."
    status, resent = alice.post(path(alice, three[0], "resend/"), None)
    assert (status, resent["id"], resent["state"], resent["queueNumber"]) == (
        200,
        three[0].message_id,
        "queued",
        4,
    )
    assert [row["body"] for row in found(alice, "queue/failed/")] == ["second"]
    assert alice.post(path(alice, three[0], "resend/"), None)[0] == 409


def test_failed_messages_are_listed_by_the_time_of_their_last_failure(
    alice: ApiClient, three: list[OutgoingMessage]
) -> None:
    for message in three:
        fail_message(message)
    assert alice.post(path(alice, three[0], "resend/"), None)[0] == 200
    three[0].refresh_from_db()
    fail_message(three[0])
    listed, url = [], "queue/failed/?limit=1"
    for _ in range(3):
        _, page = alice.get(f"{alice.home}{url}")
        listed += [row["body"] for row in page["results"]]
        url = f"queue/failed/?{str(page['next']).partition('?')[2]}"
    assert (listed, page["next"]) == (["first", "third", "second"], None)


@pytest.mark.parametrize(
    "position", ["1", "x", "2026-11-29 10:00:00", "0001-01-01T00:00:00+23:59", "2026-02-30 10:00:00+00:00"]
)
def test_a_cursor_of_failed_messages_that_was_made_up(alice: ApiClient, position: str) -> None:
    cursor = b64encode(urlencode({"p": position}).encode()).decode()
    status, error = alice.get(f"{alice.home}queue/failed/?{urlencode({'cursor': cursor})}")
    assert (status, error["fields"]) == (
        400,
        {"cursor": "Must be a cursor from `next` or `previous` of a response."},
    )


def test_an_instance_that_is_not_paid_resends_nothing(alice: ApiClient, three: list[OutgoingMessage]) -> None:
    fail_message(three[0])
    Instance.objects.update(paid_until=timezone.now() - timedelta(seconds=1))
    status, refused = alice.post(path(alice, three[0], "resend/"), None)
    assert status == 409
    assert "messages are not sent" in refused["error"]


def test_a_sent_message_is_read_with_its_state(alice: ApiClient, three: list[OutgoingMessage]) -> None:
    send_due()
    Message.objects.filter(body="first").update(ack=Ack.DELIVERED)
    status, sent = alice.get(path(alice, three[0]))
    assert (status, sent["state"], sent["chatId"], sent["tries"]) == (200, "delivered", ANNA, None)
    assert sent["sentAt"] is not None
    assert alice.post(path(alice, three[0], "resend/"), None)[0] == 409
    assert alice.post(path(alice, three[0], "cancel/"), None)[0] == 409


def test_a_copy_of_a_message_that_failed_later_has_its_own_id(
    alice: ApiClient, three: list[OutgoingMessage]
) -> None:
    send_due()
    Message.objects.filter(body="first").update(ack=Ack.SENT, failed_at=timezone.now(), failure="expired")
    _, failed = alice.get(path(alice, three[0]))
    assert (failed["state"], failed["reason"]) == ("failed", "expired")
    status, resent = alice.post(path(alice, three[0], "resend/"), None)
    assert (status, resent["body"], resent["state"]) == (200, "first", "queued")
    assert resent["id"] != three[0].message_id


def test_the_tries_of_a_message_are_listed_whole(alice: ApiClient, three: list[OutgoingMessage]) -> None:
    create_try(three[0], 1, result=TryResult.RETRY, status=503, reason="busy")
    create_try(
        three[0],
        2,
        result=TryResult.RETRY,
        outcome=Outcome.TIMEOUT,
        status=None,
        error="response",
        response_headers=[],
        response_body=b"",
        response_size=0,
    )
    create_try(
        three[0], 3, result=TryResult.REFUSED, url="", status=None, reason="Too long", response_body=b""
    )
    fail_message(three[0], tries=3)
    first, second, third = found(alice, f"messages/{three[0].message_id}/tries/")
    assert first["request"] == {
        "method": "POST",
        "url": "https://graph.example.com/v20/1555/messages",
        "headers": {"Content-Type": "application/json", "Authorization": "Bearer ••••"},
        "body": '{"to":"17680561234","text":"Hello"}',
        "bodyEncoding": "text",
    }
    assert (first["answer"]["status"], first["answer"]["body"]) == (503, '{"id":"wamid.HBgLMTc2"}')
    assert (first["side"], first["result"], first["reason"]) == ("messenger", "retry", "busy")
    assert first["nextStep"].startswith("Nothing to do: the message is tried again.")
    assert (second["answer"], second["failedPhase"], second["mayHaveBeenSent"]) == (None, "waiting", True)
    assert (third["request"], third["explanation"]) == (None, "Not sent: Too long.")
    assert [third["side"], first["mayHaveBeenSent"]] == ["message", False]


def test_another_accounts_messages_are_unknown(
    alice: ApiClient, bob: ApiClient, three: list[OutgoingMessage]
) -> None:
    for action in ("", "tries/"):
        assert bob.get(path(bob, three[0], action))[0] == 404
        assert bob.get(path(alice, three[0], action))[0] == 404
    for action in ("cancel/", "resend/"):
        assert bob.post(path(bob, three[0], action), None)[0] == 404
    assert found(bob, "queue/messages/") == []
    assert OutgoingMessage.objects.filter(state=SendState.QUEUED).count() == 3
