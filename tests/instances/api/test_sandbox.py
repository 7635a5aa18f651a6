"""The sandbox over REST: a contact writes and reads, the phone changes its state."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from hooks.models import Hook, Kind, SkipReason, State
from instances.actions.sending.accept import send_message
from instances.actions.status import change_status
from instances.models import Instance, Message
from instances.sending.outgoing import send_due
from tests.instances.api.conftest import ApiClient, create_account

ANN = "17680561234@c.us"
GROUP = "17680561234-1479621234@g.us"
HELLO = {"from": "17680561234", "name": "Ann", "type": "chat", "body": "hello"}


@time_machine.travel(datetime(2030, 1, 1, 9, tzinfo=UTC), tick=False)
def test_a_contacts_message_is_received_and_shown_as_its_hook_has_it(db: None) -> None:
    alice = create_account("alice")
    alice.patch(alice.home, {"webhookUrl": "http://127.0.0.1:5000/"})
    status, message = alice.post(f"{alice.home}sandbox/messages/", HELLO)
    assert status == 201
    assert list(message.items()) == [
        ("id", Message.objects.get().message_id),
        ("body", "hello"),
        ("fromMe", False),
        ("self", 0),
        ("isForwarded", 0),
        ("author", ANN),
        ("time", 1893488400),
        ("chatId", ANN),
        ("messageNumber", 1),
        ("type", "chat"),
        ("senderName", "Ann"),
        ("caption", None),
        ("quotedMsgBody", None),
        ("quotedMsgId", None),
        ("quotedMsgType", None),
        ("chatName", "Ann"),
        ("metadata", None),
    ]
    hook = Hook.objects.get(kind=Kind.MESSAGE)
    assert hook.state == State.QUEUED
    assert json.loads(bytes(hook.body)) == {"messages": [message], "instanceId": str(alice.instance.number)}


@pytest.mark.parametrize("sender", ["17680561234", "+17680561234", ANN, 17680561234])
def test_the_sender_may_be_written_in_every_usual_way(alice: ApiClient, sender: object) -> None:
    assert alice.post(f"{alice.home}sandbox/messages/", HELLO | {"from": sender})[1]["author"] == ANN


def test_only_sender_and_body_are_needed(alice: ApiClient) -> None:
    status, message = alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": " hello "})
    assert (status, message["type"], message["body"]) == (201, "chat", " hello ")
    assert message["senderName"] == "17680561234"


def test_a_contact_writes_in_a_group(alice: ApiClient) -> None:
    status, message = alice.post(f"{alice.home}sandbox/messages/", HELLO | {"chatId": GROUP})
    assert (status, message["chatId"], message["author"]) == (201, GROUP, ANN)
    assert message["id"].endswith(f"_{ANN}")


def test_a_contact_quotes_a_message_and_puts_words_under_a_picture(alice: ApiClient) -> None:
    _, first = alice.post(f"{alice.home}sandbox/messages/", HELLO)
    picture = {
        "from": "17680561234", "type": "image", "body": "https://example.com/a.jpg", "caption": "look",
        "quotedMsgId": first["id"],
    }  # fmt: skip
    status, message = alice.post(f"{alice.home}sandbox/messages/", picture)
    assert status == 201
    assert (message["type"], message["body"], message["caption"]) == (
        "image",
        "https://example.com/a.jpg",
        "look",
    )
    assert [message[key] for key in ("quotedMsgId", "quotedMsgBody", "quotedMsgType")] == [
        first["id"],
        "hello",
        "chat",
    ]


def test_a_missed_call_needs_no_body(alice: ApiClient) -> None:
    status, message = alice.post(
        f"{alice.home}sandbox/messages/", {"from": "17680561234", "type": "call_log"}
    )
    assert (status, message["type"], message["body"]) == (201, "call_log", "[Call]")


TYPES = "chat, image, ptt, document, audio, video, location, call_log, vcard, sticker"
PHONE_ERROR = "Must be a phone number of 9 to 14 digits that starts with the country code."


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"from": None}, {"from": "This field may not be null."}),
        ({"from": "Ann"}, {"from": PHONE_ERROR}),
        ({"from": "12345"}, {"from": PHONE_ERROR}),
        ({"from": GROUP}, {"from": PHONE_ERROR}),
        ({"body": ""}, {"body": "Must not be empty in a message of type chat."}),
        ({"body": " \n"}, {"body": "Must not be empty in a message of type chat."}),
        ({"body": "\x00"}, {"body": "Null characters are not allowed."}),
        ({"body": ["hello"]}, {"body": "Not a valid string."}),
        ({"type": "letter"}, {"type": f"Must be one of: {TYPES}."}),
        (
            {"chatId": "15550001234@c.us"},
            {
                "chatId": "Must be the id of a group, like 17680561234-1479621234@g.us. Omit it for a direct message."
            },
        ),
        ({"quotedMsgId": "nothing"}, {"quotedMsgId": "The message to be quoted was not found."}),
        (
            {"phone": "17680561234"},
            {
                "phone": "Unknown field. The fields are: from, type, body, file, filename, caption, "
                "quotedMsgId, isForwarded, time, name, chatId."
            },
        ),
    ],
)
def test_a_wrong_message_names_the_field_and_is_not_received(
    alice: ApiClient, change: dict, fields: dict
) -> None:
    status, answer = alice.post(f"{alice.home}sandbox/messages/", HELLO | change)
    assert (status, answer["fields"]) == (400, fields)
    assert not Message.objects.exists()
    assert not Hook.objects.filter(kind=Kind.MESSAGE).exists()


def test_a_lone_surrogate_is_refused_and_not_a_crash(alice: ApiClient) -> None:
    assert alice.post(f"{alice.home}sandbox/messages/", HELLO | {"body": "\ud800"})[0] == 400


def test_no_message_reaches_an_instance_that_is_not_authenticated(alice: ApiClient) -> None:
    change_status(alice.instance, account_status="got qr code")
    path = f"{alice.home}sandbox/"
    assert alice.post(f"{path}messages/", HELLO) == (
        409,
        {
            "error": "The instance is not authenticated (got qr code), so no message reaches it. First "
            f'PATCH /api/v1/{path}phone/ {{"accountStatus":"authenticated"}}.'
        },
    )
    assert not Message.objects.exists()
    assert alice.patch(f"{path}phone/", {"accountStatus": "authenticated"})[0] == 200
    assert alice.post(f"{path}messages/", HELLO)[0] == 201


def test_a_message_to_an_instance_that_is_not_paid_is_received_and_its_hook_skipped(alice: ApiClient) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=4)):
        assert alice.post(f"{alice.home}sandbox/messages/", HELLO)[0] == 201
    assert Hook.objects.get(kind=Kind.MESSAGE).skip_reason == SkipReason.NOT_PAID


def sent(alice: ApiClient) -> str:
    """The id of a message sent by the API and delivered by the sandbox."""
    outgoing = send_message(alice.instance, chat_id=ANN, body="good day")
    assert send_due() == 1
    return outgoing.message_id


def test_a_receipt_is_recorded_once_and_never_goes_back(alice: ApiClient) -> None:
    message_id = sent(alice)
    path = f"{alice.home}sandbox/receipts/"
    viewed = {"messageId": message_id, "status": "viewed"}
    assert alice.post(path, viewed) == (200, viewed | {"changed": True})
    assert alice.post(path, viewed) == (200, viewed | {"changed": False})
    assert alice.post(path, viewed | {"status": "delivered"}) == (200, viewed | {"changed": False})
    acks = [
        json.loads(bytes(hook.body))["ack"][0]["status"]
        for hook in Hook.objects.filter(kind=Kind.ACK).order_by("id")
    ]
    assert acks == ["sent", "delivered", "viewed"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"status": "read"}, {"status": "Must be one of: sent, delivered, viewed."}),
        ({"messageId": "nothing"}, {"messageId": "The instance has sent no message with this id."}),
        ({"messageId": None}, {"messageId": "This field may not be null."}),
    ],
)
def test_a_wrong_receipt_names_the_field_and_changes_nothing(
    alice: ApiClient, change: dict, fields: dict
) -> None:
    message_id = sent(alice)
    status, answer = alice.post(
        f"{alice.home}sandbox/receipts/", {"messageId": message_id, "status": "viewed"} | change
    )
    assert (status, answer["fields"]) == (400, fields)
    assert Message.objects.get().get_ack_display() == "delivered"


def test_a_message_that_came_in_gets_no_receipt(alice: ApiClient) -> None:
    _, message = alice.post(f"{alice.home}sandbox/messages/", HELLO)
    status, answer = alice.post(
        f"{alice.home}sandbox/receipts/", {"messageId": message["id"], "status": "viewed"}
    )
    assert (status, list(answer["fields"])) == (400, ["messageId"])


def test_a_message_that_still_waits_gets_no_receipt(alice: ApiClient) -> None:
    outgoing = send_message(alice.instance, chat_id=ANN, body="good day")
    assert alice.post(
        f"{alice.home}sandbox/receipts/", {"messageId": outgoing.message_id, "status": "viewed"}
    ) == (409, {"error": "The message is still in the instance's queue, so no contact can have received it."})


def test_anothers_message_gets_no_receipt(alice: ApiClient, bob: ApiClient) -> None:
    message_id = sent(alice)
    status, _ = bob.post(f"{bob.home}sandbox/receipts/", {"messageId": message_id, "status": "viewed"})
    assert status == 400
    assert Message.objects.get().get_ack_display() == "delivered"


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"substatus": "battery_low"}, ("authenticated", "battery_low")),
        ({"accountStatus": "got qr code"}, ("got qr code", "normal")),
        ({"accountStatus": "loading", "substatus": "syncing"}, ("loading", "syncing")),
        ({"accountStatus": "authenticated"}, ("authenticated", "normal")),
    ],
)
def test_the_phone_changes_its_state(alice: ApiClient, change: dict, state: tuple[str, str]) -> None:
    shown = {
        "accountStatus": state[0],
        "substatus": state[1],
        "reason": None,
        "battery": 90,
        "phone": alice.instance.phone,
    }
    assert alice.patch(f"{alice.home}sandbox/phone/", change) == (200, shown)
    instance = Instance.objects.get()
    assert (instance.account_status, instance.substatus) == state


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({}, {"error": "Give at least one of accountStatus, substatus, reason, battery.", "fields": {}}),
        (
            {"reason": "conflict"},
            {
                "error": "reason: Must be omitted: the instance is not loading.",
                "fields": {"reason": "Must be omitted: the instance is not loading."},
            },
        ),
        (
            {"accountStatus": "not_paid"},
            {
                "error": "accountStatus: Must be one of: init, loading, got qr code, authenticated.",
                "fields": {"accountStatus": "Must be one of: init, loading, got qr code, authenticated."},
            },
        ),
    ],
)
def test_a_wrong_state_changes_nothing(alice: ApiClient, change: dict, answer: dict) -> None:
    hooks = Hook.objects.count()
    assert alice.patch(f"{alice.home}sandbox/phone/", change) == (400, answer)
    assert Instance.objects.get().account_status == "authenticated"
    assert Hook.objects.count() == hooks
