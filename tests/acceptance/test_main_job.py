"""The main use case end to end on the real product: an event reaches the user's server, and the log shows it."""

from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest

MAX_SECONDS = 90  # the third attempt is sent after 5 and 15 s, ±20 %


@pytest.fixture
def rest(product: Product) -> Iterator[Rest]:
    rest = Rest(product)
    rest.quiet()
    yield rest
    rest.call("PATCH", rest.home, json={"webhookUrl": None, "guaranteedHooks": False})


def test_a_message_posted_to_the_sandbox_reaches_the_server_and_the_log_shows_the_attempt(rest: Rest) -> None:
    secret = rest.call("GET", rest.home)["webhookSecret"]
    with Receiver([(200, {"X-Bot": "yes"}, b"thank you")]) as receiver:
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url})
        message = rest.hello()
        [received] = receiver.wait_for(1)

    assert received.json() == {"messages": [message], "instanceId": rest.instance["id"]}
    assert list(received.json()["messages"][0]) == [
        "id", "body", "fromMe", "self", "isForwarded", "author", "time", "chatId", "messageNumber", "type",
        "senderName", "caption", "quotedMsgBody", "quotedMsgId", "quotedMsgType", "chatName", "metadata",
    ]  # fmt: skip
    Webhook(secret).verify(received.body, received.headers)

    [hook] = rest.log(message["id"])
    [attempt] = hook["attempts"]
    assert (hook["state"], hook["attemptsMade"], hook["attemptsAllowed"]) == ("delivered", 1, 1)
    assert hook["id"] == received.headers["webhook-id"]
    assert {name.lower(): value for name, value in attempt["request"]["headers"].items()} == received.headers
    assert attempt["request"]["body"].encode() == received.body
    assert attempt["request"]["url"] == receiver.url
    assert (attempt["answer"]["status"], attempt["answer"]["body"]) == (200, "thank you")
    assert ["X-Bot", "yes"] in attempt["answer"]["headers"]
    assert attempt["address"] == f"127.0.0.1:{receiver.port}"
    assert attempt["times"]["totalMs"] >= attempt["times"]["firstByteMs"] > 0


def test_without_guaranteed_hooks_a_server_that_responds_with_500_gets_exactly_one_attempt(
    rest: Rest,
) -> None:
    with Receiver([(500, {}, b"busy"), (200, {}, b"")]) as receiver:
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url})
        failed = rest.hello("first")
        receiver.wait_for(1)
        later = rest.hello("second")
        received = receiver.wait_for(2)

    assert [one.json()["messages"][0]["body"] for one in received] == ["first", "second"]
    [hook] = rest.log(failed["id"])
    [attempt] = hook["attempts"]
    assert (hook["state"], attempt["answer"]["status"], attempt["side"]) == ("failed", 500, "endpoint")
    assert [one["state"] for one in rest.log(later["id"])] == ["delivered"]


def test_with_guaranteed_hooks_the_third_attempt_succeeds_and_the_log_shows_all_three(rest: Rest) -> None:
    with Receiver([(500, {}, b"busy"), (500, {}, b"busy"), (200, {}, b"")]) as receiver:
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url, "guaranteedHooks": True})
        message = rest.hello()
        received = receiver.wait_for(3, seconds=MAX_SECONDS)

    assert [one.headers["webhook-attempt"] for one in received] == ["1/20", "2/20", "3/20"]
    assert len({one.headers["webhook-id"] for one in received}) == 1
    assert len({one.body for one in received}) == 1
    [hook] = rest.log(message["id"])
    assert (hook["state"], hook["attemptsMade"]) == ("delivered", 3)
    assert [(one["number"], one["trigger"], one["answer"]["status"]) for one in hook["attempts"]] == [
        (1, "event", 500),
        (2, "retry", 500),
        (3, "retry", 200),
    ]
