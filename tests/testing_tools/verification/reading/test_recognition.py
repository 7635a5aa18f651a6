"""What a captured body is, who signed it, and the one sentence about it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from testing_tools.verification.models import Capture, Family
from testing_tools.verification.reading.explanations import FieldRow, explain
from testing_tools.verification.reading.hook_signatures import check_signature
from testing_tools.verification.reading.recognition import Recognition, parse, recognise
from testing_tools.verification.reading.sentences import sentence_for

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ARRIVED = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MESSAGE = {
    "id": "false_17680561234@c.us_3EB0957AD66BAFF57D1D", "body": "Hello", "fromMe": False, "self": 0,
    "isForwarded": 0, "author": "17680561234@c.us", "time": 1777895999, "chatId": "17680561234@c.us",
    "messageNumber": 7, "type": "chat", "senderName": "Alice", "caption": None, "quotedMsgBody": None,
    "quotedMsgId": None, "quotedMsgType": None, "chatName": "Alice", "metadata": None,
}  # fmt: skip
CALL = MESSAGE | {"type": "call_log", "body": "[Call]"}
ACK = {"id": "true_1@c.us_3EB0", "queueNumber": 3, "chatId": "1@c.us", "status": "delivered"}
STATUS = {
    "old": {"accountStatus": "loading", "substatus": "normal"},
    "new": {"accountStatus": "authenticated", "substatus": "phone"},
    "time": 1777895999,
}
CHAT = {
    "old": None,
    "new": {"id": "1@c.us", "name": "Bob", "image": None, "metadata": {"isGroup": False}, "last_time": 0},
}


def hook(key, *items):
    return json.dumps({key: list(items), "instanceId": "12345"}).encode()


def signed(body, *, at=ARRIVED, secret=SECRET):
    return {
        "webhook-id": "hook_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("hook_1", at, body.decode()),
    }


def said(body, headers=None, attempt="", **fields):
    capture = Capture(method="POST", body=body, size=len(body), attempt=attempt, at=ARRIVED, **fields)
    return str(sentence_for(capture, recognise(body), check_signature(body, headers or {}, SECRET, ARRIVED)))


@pytest.mark.parametrize(
    ("body", "family", "label", "summary"),
    [
        (hook("messages", MESSAGE), Family.MESSAGE, "Message received", "Alice: Hello"),
        (hook("messages", MESSAGE | {"fromMe": True}), Family.MESSAGE, "Message sent", "to Alice: Hello"),
        (hook("messages", CALL), Family.MESSAGE, "Missed call", "Alice: [Call]"),
        (hook("messages", MESSAGE, MESSAGE, MESSAGE), Family.MESSAGE, "Message received", "Alice: Hello (and 2 more)"),
        (hook("ack", ACK), Family.ACK, "Ack delivered", "1@c.us · true_1@c.us_3EB0"),
        (hook("instanceStatus", STATUS), Family.STATUS, "Instance status", "loading → authenticated (phone)"),
        (hook("chatUpdate", CHAT), Family.CHAT, "New chat", "Bob · 1@c.us"),
        (b"", Family.OTHER, "No body", ""),
        (b'{"messages": []}', Family.OTHER, "JSON", '{"messages": []}'),
        (b'{"messages": ["x"]}', Family.OTHER, "JSON", '{"messages": ["x"]}'),
        (b"null", Family.OTHER, "JSON", "null"),
        (b"two\nlines", Family.OTHER, "Text", "two lines"),
        (b"\xff\xfe\x00", Family.OTHER, "Bytes", ""),
        (b"[" * 100_000, Family.OTHER, "Text", "[" * 199 + "…"),
        (b"1" * 5000, Family.OTHER, "Text", "1" * 199 + "…"),
    ],
)  # fmt: skip
def test_a_body_is_recognised(body, family, label, summary):
    assert recognise(body)[:3] == (family, label, summary)


@pytest.mark.parametrize("key", ["messages", "ack", "instanceStatus", "chatUpdate"])
@pytest.mark.parametrize(
    "item", [{}, {"old": 1, "new": 2}, {"id": None, "status": ["x"], "body": {"a": 1}, "time": "x"}]
)
def test_a_hook_of_which_parts_are_missing_or_odd_is_still_shown(key, item):
    body = hook(key, item)
    assert said(body).endswith(", not signed")
    assert explain(recognise(body), parse(body))[-1].title == "Envelope"


@pytest.mark.parametrize(
    ("body", "attempt", "words"),
    [
        (hook("ack", ACK), "1/20", "Ack delivered for true_1@c.us_3EB0, attempt 1 of 20, signature valid"),
        (hook("messages", MESSAGE), "", "Message received from Alice (17680561234@c.us), signature valid"),
        (hook("messages", MESSAGE | {"fromMe": True}), "", "Message sent to 17680561234@c.us, signature valid"),
        (hook("instanceStatus", STATUS), "",
         "Instance status authenticated (phone) (previously loading), signature valid"),
        (hook("chatUpdate", CHAT), "", "Chat new: Bob · 1@c.us, signature valid"),
        (b'{"a": 1}', "", "POST with 8 B of JSON, not a hook of this product, signature valid"),
    ],
)  # fmt: skip
def test_the_sentence_of_a_capture(body, attempt, words):
    assert said(body, signed(body), attempt) == words


def test_the_sentence_about_what_was_too_large():
    capture = Capture(method="PUT", body=b"", size=3 * 1024 * 1024, too_large=True, at=ARRIVED)
    signature = check_signature(b"", {}, SECRET, ARRIVED)
    assert str(sentence_for(capture, recognise(b""), signature)) == (
        "PUT of 3 MB: larger than the limit of 1 MB, so the body was not stored and the response was 413"
    )


def test_a_signature_of_the_instances_secret_is_valid():
    body = hook("ack", ACK)
    assert check_signature(body, signed(body), SECRET, ARRIVED).state == "valid"


def test_one_of_several_signatures_is_enough():
    body = hook("ack", ACK)
    headers = signed(body)
    headers["webhook-signature"] = "v1,AAAA v2,xyz é " + headers["webhook-signature"]
    assert check_signature(body, headers, SECRET, ARRIVED).state == "valid"


@pytest.mark.parametrize("minutes", [6, -6])
def test_a_signature_too_far_from_the_arrival_is_stale(minutes):
    body = hook("ack", ACK)
    found = check_signature(body, signed(body, at=ARRIVED - timedelta(minutes=minutes)), SECRET, ARRIVED)
    assert found.state == "stale"
    assert found.why.startswith("webhook-timestamp differs from the arrival by 6 minutes")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"webhook-signature": "v1,AAAA"}, "signature does not match"),
        ({"webhook-timestamp": "soon"}, "signature does not match"),
        ({"webhook-timestamp": "9" * 30}, "signature does not match"),
        ({"webhook-id": ""}, "signature incomplete"),
        ({"webhook-signature": ""}, "not signed"),
    ],
)
def test_invalid_signatures_are_explained(change, words):
    body = hook("ack", ACK)
    assert check_signature(body, signed(body) | change, SECRET, ARRIVED).words == words


def test_a_changed_body_and_another_secret_do_not_match():
    body = hook("ack", ACK)
    other = "whsec_" + "A" * 32
    assert check_signature(body + b" ", signed(body), SECRET, ARRIVED).state == "invalid"
    assert check_signature(body, signed(body, secret=other), SECRET, ARRIVED).state == "invalid"
    assert check_signature(b"\xff", signed(body), SECRET, ARRIVED).state == "invalid"


def test_every_field_of_a_message_has_a_meaning():
    body = hook("messages", MESSAGE | {"ack": 2})
    message, envelope = explain(recognise(body), parse(body))
    assert message.title == "messages[0]"
    assert [row.name for row in message.rows] == [*MESSAGE, "ack"]
    assert all(row.meaning for row in message.rows)
    assert (
        message.rows[0].meaning == "the message's permanent id: fromMe, chat, and a number created by the API"
    )
    assert message.rows[6] == FieldRow("time", "1777895999", "4 May 2026, 11:59:59 UTC")
    assert envelope.rows == [FieldRow("instanceId", '"12345"', "the instance's number, always a string")]


def test_nested_objects_are_flattened():
    body = hook("chatUpdate", CHAT)
    rows = explain(recognise(body), parse(body))[0].rows
    assert [row.name for row in rows] == [
        "old", "new.id", "new.name", "new.image", "new.metadata.isGroup", "new.last_time",
    ]  # fmt: skip
    assert rows[4].meaning == "a direct chat"


def test_an_unknown_field_has_no_meaning():
    body = hook("ack", ACK | {"extra": [1]})
    assert explain(recognise(body), parse(body))[0].rows[-1] == FieldRow("extra", "[1]", "")


def test_thousands_of_objects_are_not_all_explained():
    recognition = Recognition(Family.ACK, "", "", [ACK] * 5000)
    assert len(explain(recognition, {})) == 20
