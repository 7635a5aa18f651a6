"""What every receiver of docs/receivers keeps to, whatever comes: signatures, families, repeats, an API that fails."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from hooks import signing
from tests.receiver import Received, Receiver
from tests.receivers.google import ACCOUNT, Google
from tests.receivers.languages import reply_to, running

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ANN = "17680561234@c.us"
TEXT = {
    "id": f"false_{ANN}_3EB0C431C26A1916E07A", "body": "grüß dich 👋", "fromMe": False, "self": 0, "isForwarded": 0,
    "author": ANN, "time": 1893488400, "chatId": ANN, "messageNumber": 1, "type": "chat", "senderName": "Ann",
    "caption": None, "quotedMsgBody": None, "quotedMsgId": None, "quotedMsgType": None, "chatName": "Ann",
    "metadata": None,
}  # fmt: skip
CHAT = {
    "id": ANN,
    "name": "Ann",
    "image": None,
    "metadata": {"isGroup": False, "participants": []},
    "last_time": 0,
}
STATUS = {"accountStatus": "authenticated", "substatus": "normal"}
SILENT: dict[str, dict[str, Any]] = {
    "ack": {"ack": [{"id": TEXT["id"], "queueNumber": 1, "chatId": ANN, "status": "viewed"}]},
    "chatUpdate": {"chatUpdate": [{"old": None, "new": CHAT}]},
    "instanceStatus": {"instanceStatus": [{"old": STATUS, "new": STATUS, "time": 1893488400}]},
    "a family of tomorrow": {"reaction": [{"id": TEXT["id"], "emoji": "👍"}]},
    "a message of its own": {"messages": [TEXT | {"fromMe": True, "self": 1, "ack": 1}]},
    "a missed call": {"messages": [TEXT | {"type": "call_log", "body": "[Call]"}]},
    "no message": {"messages": []},
}
SENT = json.dumps({"sent": True, "message": f"Sent to {ANN}", "id": "true_1", "queueNumber": 1}).encode()


class Hooked:
    """The language's receiver, and the API that it calls, which answers what the test wants."""

    def __init__(self, address: str, api: Receiver) -> None:
        self.address, self.api = address, api

    def post(self, body: dict[str, Any], secret: str = SECRET, **more: Any) -> int:
        """The status it answers to a hook; `more`: webhook_id, late (since it was signed), headers to be changed."""
        data = json.dumps(body, ensure_ascii=False).encode()
        webhook_id = more.pop("webhook_id", new_id())
        at = datetime.now(UTC) - more.pop("late", timedelta())
        headers = signing.headers(
            webhook_id=webhook_id, body=data, secret=secret, at=at, number=1, allowed=20
        )
        headers |= more.pop("headers", {})
        headers = {name: value for name, value in headers.items() if value is not None}
        return requests.post(self.address, data, headers=headers, timeout=60).status_code

    def calls(self) -> list[Received]:
        return self.api.requests


@pytest.fixture(scope="module")
def started(language: str, folder: Path, google: Google) -> Iterator[Hooked]:
    with Receiver() as api:
        environment = {
            "API_URL": f"http://127.0.0.1:{api.port}/instance1/",
            "TOKEN": "t0ken",
            "SECRET": SECRET,
        }
        with running(language, folder, environment | google.environment) as address:
            yield Hooked(address, api)


@pytest.fixture
def hooked(started: Hooked) -> Hooked:
    started.api.requests.clear()
    started.api.answers = [(200, {"Content-Type": "application/json"}, SENT)]
    return started


def new_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


def hook(**changes: Any) -> dict[str, Any]:
    return {"messages": [TEXT | changes], "instanceId": "1"}


def test_a_text_is_answered_by_one_call_of_send_message(hooked: Hooked, language: str) -> None:
    assert hooked.post(hook()) == 200
    [call] = hooked.calls()
    assert (call.method, call.path) == ("POST", "/instance1/sendMessage")
    assert call.headers["authorization"] == "Bearer t0ken"
    assert call.json() == {"chatId": ANN, "body": reply_to(language, "grüß dich 👋")}


@pytest.mark.parametrize("family", SILENT)
def test_everything_else_is_answered_200_in_silence(hooked: Hooked, family: str) -> None:
    assert hooked.post(SILENT[family] | {"instanceId": "1"}) == 200
    assert hooked.calls() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": OTHER},
        {"late": timedelta(minutes=10)},
        {"late": timedelta(minutes=-10)},
        {"headers": {"webhook-id": "msg_another"}},
        {"headers": {"webhook-timestamp": "soon"}},
        {"headers": {"webhook-signature": "v1"}},
        {"headers": {"webhook-signature": ""}},
        {"headers": {"webhook-signature": "v1,é v2,= ,"}},
        {"headers": {"webhook-signature": None}},
        {"headers": {"webhook-id": None, "webhook-timestamp": None, "webhook-signature": None}},
    ],
    ids=[
        "another secret", "ten minutes old", "ten minutes ahead", "another id", "no time", "no signature behind v1",
        "an empty signature", "rubbish", "unsigned", "no header at all",
    ],
)  # fmt: skip
def test_a_wrong_signature_is_refused_and_nothing_is_sent(hooked: Hooked, wrong: dict[str, Any]) -> None:
    wrong = wrong | {"headers": {k: v and v.encode() for k, v in wrong.get("headers", {}).items()}}
    assert hooked.post(hook(), **wrong) == 401
    assert hooked.calls() == []


def test_a_refused_hook_does_not_use_up_its_id(hooked: Hooked) -> None:
    webhook_id = new_id()
    assert hooked.post(hook(), OTHER, webhook_id=webhook_id) == 401
    assert hooked.post(hook(), webhook_id=webhook_id) == 200
    assert len(hooked.calls()) == 1


@pytest.mark.parametrize("secrets", [f"{OTHER} {SECRET}", f"{SECRET} {OTHER}"], ids=["second", "first"])
def test_one_right_signature_among_two_is_enough(hooked: Hooked, secrets: str) -> None:
    assert hooked.post(hook(), secrets) == 200
    assert len(hooked.calls()) == 1


def test_a_hook_that_comes_twice_is_answered_once(hooked: Hooked) -> None:
    webhook_id = new_id()
    assert [hooked.post(hook(), webhook_id=webhook_id) for _ in range(2)] == [200, 200]
    assert len(hooked.calls()) == 1


def test_when_send_message_fails_the_hook_may_come_again(hooked: Hooked) -> None:
    webhook_id = new_id()
    hooked.api.answers = [(503, {}, b"busy"), (200, {"Content-Type": "application/json"}, SENT)]
    assert [hooked.post(hook(), webhook_id=webhook_id) for _ in range(3)] == [500, 200, 200]
    assert len(hooked.calls()) == 2


def test_a_message_that_was_not_taken_is_no_failure_of_the_hook(hooked: Hooked) -> None:
    hooked.api.answers = [(200, {}, b'{"sent": false, "message": "The queue is full."}')]
    assert hooked.post(hook()) == 200
    assert len(hooked.calls()) == 1


@pytest.mark.parametrize("language", ["sheets"], indirect=True)
def test_every_message_of_a_contact_becomes_a_row_that_is_never_a_formula(
    hooked: Hooked, google: Google
) -> None:
    google.rows.clear()
    assert hooked.post(hook(body="=1+1")) == 200
    assert hooked.post(hook(fromMe=True)) == 200
    assert hooked.post(hook(type="call_log", body="[Call]")) == 200
    assert google.rows == [
        [TEXT["id"], "2030-01-01T09:00:00.000Z", "Ann", ANN, "chat", "=1+1"],
        [TEXT["id"], "2030-01-01T09:00:00.000Z", "Ann", ANN, "call_log", "[Call]"],
    ]
    claims = google.claims[-1]
    assert claims == {
        "iss": ACCOUNT,
        "scope": "https://www.googleapis.com/auth/spreadsheets",
        "aud": f"{google.url}/token",
        "iat": claims["iat"],
        "exp": claims["iat"] + 3600,
    }
