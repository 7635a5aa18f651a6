"""The receivers of docs/receivers against the real product: a contact writes, the receiver answers from its hook."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.product import Product
from tests.receivers.google import Google
from tests.receivers.languages import reply_to, running
from tests.rest import Rest

ANN = "17680561234@c.us"
ON = {"ackNotificationsOn": True, "statusNotificationsOn": True}


@pytest.fixture
def rest(product: Product, language: str, folder: Path, google: Google) -> Iterator[Rest]:
    """The demo instance with its hooks going to the language's receiver, which knows the present secret."""
    rest = Rest(product)
    instance = rest.call("GET", rest.home)
    environment = {
        "API_URL": instance["apiUrl"], "TOKEN": instance["token"], "SECRET": instance["webhookSecret"],
    }  # fmt: skip
    with running(language, folder, environment | google.environment) as address:
        rest.call("PATCH", rest.home, json={"webhookUrl": address} | ON)
        yield rest
        rest.call("PATCH", rest.home, json={"webhookUrl": None} | dict.fromkeys(ON, False))
        rest.call("POST", f"{rest.home}webhook-secret/rotate/", json={"keepOld": False})


def test_it_answers_a_text_takes_acks_and_statuses_and_lives_through_a_rotation(
    rest: Rest, language: str
) -> None:
    hello = rest.hello(f"hello from {language}")
    [hook] = rest.log(hello["id"])
    assert delivered(hook), hook
    answer = answer_to(rest, hello)
    assert (answer["body"], answer["self"], answer["chatId"]) == (
        reply_to(language, hello["body"]),
        1,
        ANN,
    )
    log = hooks(rest, 3, message=answer["id"])
    assert [h["kind"] for h in log] == ["ack", "ack", "message"]  # sent and delivered, and the message itself
    assert all(delivered(h) for h in log), log

    for substatus in ("battery_low", "normal"):
        rest.call("PATCH", f"{rest.home}sandbox/phone/", json={"substatus": substatus})
    log = hooks(rest, 2, kind="status", createdAfter=hook["createdAt"])
    assert all(delivered(h) for h in log), log

    rest.call("POST", f"{rest.home}webhook-secret/rotate/", json={"keepOld": True})
    again = rest.hello("hello again")
    [signed_twice] = rest.log(again["id"])
    assert delivered(signed_twice), signed_twice
    assert len(signed_twice["attempts"][0]["request"]["headers"]["webhook-signature"].split()) == 2
    assert answer_to(rest, again)["body"] == reply_to(language, "hello again")

    rest.call("POST", f"{rest.hooks}{hook['id']}/resend/")
    [resent] = rest.log(hello["id"])
    assert [attempt["answer"]["status"] for attempt in resent["attempts"]] == [200, 200]
    assert [m["body"] for m in after(rest, again)] == [
        reply_to(language, "hello again")
    ]  # and no more of the first


def delivered(hook: Any) -> bool:
    """At the first attempt."""
    return hook["state"] == "delivered" and [a["answer"]["status"] for a in hook["attempts"]] == [200]


def answer_to(rest: Rest, message: Any) -> Any:
    until = time.monotonic() + 60
    while not (found := after(rest, message)):
        assert time.monotonic() < until, "no answer came"
        time.sleep(0.05)
    [answer] = found
    return answer


def after(rest: Rest, message: Any) -> Any:
    """The messages behind this one, as the receiver's own calls would read them."""
    query = {"token": rest.instance["token"], "lastMessageNumber": message["messageNumber"]}
    return requests.get(f"{rest.api_url}messages", query, timeout=60).json()["messages"]


def hooks(rest: Rest, count: int, **query: str) -> Any:
    """The hooks of the log, newest first, once there are `count` of them and all have ended."""
    until = time.monotonic() + 60
    while True:
        found = rest.call("GET", rest.hooks, params=query)["results"]
        if len(found) >= count and all(hook["finishedAt"] for hook in found):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.05)
