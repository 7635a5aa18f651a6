"""The instance's own phone over REST: messages typed on it, battery, connection, takeover."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from hooks.models import Hook, Kind
from instances.models import Instance, Media, Message
from tests.instances.api.conftest import ApiClient

ANN = "17680561234@c.us"
LINKED = 2  # changes of status by which the fixture's instance was linked
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8="


def phone(alice: ApiClient) -> str:
    return f"{alice.home}sandbox/phone/"


def state(answer: tuple[int, Any]) -> tuple[str, str, str | None, int]:
    status, shown = answer
    assert status == 200, shown
    return shown["accountStatus"], shown["substatus"], shown["reason"], shown["battery"]


def test_the_phone_shows_its_state(alice: ApiClient) -> None:
    assert state(alice.get(phone(alice))) == ("authenticated", "normal", None, 90)


@pytest.mark.parametrize(
    ("battery", "substatus"),
    [(21, "normal"), (20, "battery_low"), (10, "battery_low_1"), (5, "battery_low_2"), (0, "battery_low_2")],
)
def test_a_low_battery_is_said_by_the_substatus_until_it_is_charged(
    alice: ApiClient, battery: int, substatus: str
) -> None:
    assert state(alice.patch(phone(alice), {"battery": battery})) == (
        "authenticated",
        substatus,
        None,
        battery,
    )
    assert state(alice.patch(phone(alice), {"battery": 80})) == ("authenticated", "normal", None, 80)


def test_a_phone_that_is_not_connected_says_that_first(alice: ApiClient) -> None:
    alice.post(phone(alice), {"event": "disconnect"})
    assert state(alice.patch(phone(alice), {"battery": 15})) == ("authenticated", "phone", None, 15)
    assert state(alice.post(phone(alice), {"event": "connect"})) == ("authenticated", "battery_low", None, 15)


@pytest.mark.parametrize("battery", [-1, 101, "full", None])
def test_a_wrong_battery_changes_nothing(alice: ApiClient, battery: Any) -> None:
    status, answer = alice.patch(phone(alice), {"battery": battery})
    assert (status, list(answer["fields"])) == (400, ["battery"])
    assert Instance.objects.get().battery == 90


def test_a_day_of_the_phone(alice: ApiClient) -> None:
    story = [
        ("log_out", ("got qr code", "normal", None, 90)),
        ("scan", ("authenticated", "normal", None, 90)),
        ("take_over", ("loading", "normal", "conflict", 90)),
        ("sync", ("loading", "syncing", "syncing", 90)),
        ("synced", ("authenticated", "normal", None, 90)),
        ("disconnect", ("authenticated", "phone", None, 90)),
        ("connect", ("authenticated", "normal", None, 90)),
    ]
    for event, becomes in story:
        assert state(alice.post(phone(alice), {"event": event})) == becomes
    hooks = Hook.objects.filter(kind=Kind.STATUS).order_by("id")[LINKED:]
    news = [json.loads(bytes(hook.body))["instanceStatus"][0]["new"] for hook in hooks]
    assert [(new["accountStatus"], new["substatus"]) for new in news] == [
        ("got qr code", "normal"),
        ("loading", "normal"),
        ("authenticated", "normal"),
        ("loading", "normal"),
        ("loading", "syncing"),
        ("authenticated", "normal"),
        ("authenticated", "phone"),
        ("authenticated", "normal"),
    ]


@pytest.mark.parametrize(
    ("event", "status"),
    [("scan", 409), ("synced", 409), ("explode", 400), ("", 400)],
)
def test_what_can_not_happen_now_changes_nothing(alice: ApiClient, event: str, status: int) -> None:
    assert alice.post(phone(alice), {"event": event})[0] == status
    assert state(alice.get(phone(alice))) == ("authenticated", "normal", None, 90)
    assert Hook.objects.filter(kind=Kind.STATUS).count() == LINKED


def test_no_message_reaches_a_phone_that_is_not_connected(alice: ApiClient) -> None:
    alice.post(phone(alice), {"event": "disconnect"})
    status, answer = alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": "hello"})
    first = f'First PATCH /api/v1/{phone(alice)} {{"substatus":"normal"}}.'
    why = "The phone is not connected (substatus phone), so no message reaches it."
    assert (status, answer) == (409, {"error": f"{why} {first}"})


def test_the_reset_gives_a_phone_that_is_linked_and_charged(alice: ApiClient) -> None:
    alice.patch(phone(alice), {"battery": 3})
    alice.post(phone(alice), {"event": "log_out"})
    assert state(alice.post(f"{alice.home}sandbox/reset/", None)) == ("authenticated", "normal", None, 90)


TYPED = [
    ("chat", "by hand"),
    ("image", "https://example.com/a.jpg"),
    ("ptt", "https://example.com/a.ogg"),
    ("document", "https://example.com/a.pdf"),
    ("audio", "https://example.com/a.mp3"),
    ("video", "https://example.com/a.mp4"),
    ("location", "52.5200;13.4050"),
    ("call_log", ""),
    ("vcard", "BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nEND:VCARD"),
    ("sticker", "https://example.com/a.webp"),
]


@pytest.mark.parametrize(("type", "body"), TYPED)
@pytest.mark.parametrize("direction", ["in", "out"])
def test_every_type_goes_in_both_directions(alice: ApiClient, type: str, body: str, direction: str) -> None:
    path = "messages/" if direction == "in" else "phone/messages/"
    who = {"from": "17680561234"} if direction == "in" else {"chatId": "17680561234"}
    status, message = alice.post(f"{alice.home}sandbox/{path}", {**who, "type": type, "body": body})
    assert status == 201, message
    expected = {"video": "upload disabled", "call_log": "[Call]"}.get(type, body)
    assert (message["type"], message["body"], message["chatId"]) == (type, expected, ANN)
    assert (message["fromMe"], message["self"]) == (direction == "out", 0)


@pytest.mark.parametrize("size", [65_537, 1024 * 1024])
@pytest.mark.parametrize("path", ["messages/", "phone/messages/"])
def test_a_vcard_with_a_photo_is_taken_whole(alice: ApiClient, path: str, size: int) -> None:
    who = {"chatId": "17680561234"} if path.startswith("phone") else {"from": "17680561234"}
    vcard = "BEGIN:VCARD\nFN:Ben\nPHOTO;ENCODING=b:".ljust(size - 10, "A") + "\nEND:VCARD"
    status, message = alice.post(f"{alice.home}sandbox/{path}", {**who, "type": "vcard", "body": vcard})
    assert (status, message["body"]) == (201, vcard)
    body = bytes(Hook.objects.filter(kind=Kind.MESSAGE).get().body)
    assert json.loads(body)["messages"][0]["body"] == vcard


@pytest.mark.parametrize(
    ("type", "size", "error"),
    [
        ("vcard", 1024 * 1024 + 1, "Ensure this field has no more than 1048576 characters."),
        ("vcard", 1024 * 1024, "Must be at most 1048576 bytes in a message of type vcard."),
        ("chat", 65_537, "Must be at most 65536 bytes in a message of type chat."),
    ],
)
@pytest.mark.parametrize("path", ["messages/", "phone/messages/"])
def test_a_body_over_the_limit_of_its_type_is_refused(
    alice: ApiClient, path: str, type: str, size: int, error: str
) -> None:
    who = {"chatId": "17680561234"} if path.startswith("phone") else {"from": "17680561234"}
    body = "BEGIN:VCARD\nFN:Bén\n".ljust(size - 10, "A") + "\nEND:VCARD"
    status, answer = alice.post(f"{alice.home}sandbox/{path}", {**who, "type": type, "body": body})
    assert (status, answer["fields"]) == (400, {"body": error})


@pytest.mark.parametrize(
    ("type", "body"),
    [
        ("image", "a cat"),
        ("image", "https://example.com/cat"),
        ("document", "ftp://example.com/a.pdf"),
        ("image", "https://[/a.jpg"),
        ("location", "Berlin"),
        ("location", "91;0"),
        ("location", "0;181"),
        ("vcard", "Ben"),
        ("chat", ""),
    ],
)
@pytest.mark.parametrize("path", ["messages/", "phone/messages/"])
def test_a_body_that_is_none_of_its_type_is_refused(
    alice: ApiClient, path: str, type: str, body: str
) -> None:
    who = {"chatId": "17680561234"} if path.startswith("phone") else {"from": "17680561234"}
    status, answer = alice.post(f"{alice.home}sandbox/{path}", {**who, "type": type, "body": body})
    assert (status, list(answer["fields"])) == (400, ["body"])
    assert not Message.objects.exists()


def test_what_is_typed_by_hand_may_quote_be_forwarded_and_have_a_caption(alice: ApiClient) -> None:
    _, asked = alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": "which?"})
    status, message = alice.post(
        f"{alice.home}sandbox/phone/messages/",
        {
            "chatId": ANN, "type": "image", "body": "https://example.com/a.jpg", "caption": "this",
            "quotedMsgId": asked["id"], "isForwarded": 2,
        },
    )  # fmt: skip
    assert status == 201
    assert [message[key] for key in ("caption", "quotedMsgBody", "isForwarded", "ack")] == [
        "this",
        "which?",
        2,
        2,
    ]


def test_a_file_comes_as_base64_and_its_link_is_the_body(alice: ApiClient) -> None:
    status, message = alice.post(
        f"{alice.home}sandbox/messages/",
        {"from": "17680561234", "file": PNG, "filename": "dot.png", "caption": "look"},
    )
    assert (status, message["type"], message["caption"]) == (201, "image", "look")
    media = Media.objects.get()
    assert message["body"] == media.link
    assert message["body"].endswith("/dot.png")
    assert Message.objects.get().media == media


@pytest.mark.parametrize("path", ["messages/", "phone/messages/"])
def test_a_file_comes_in_a_form(alice: ApiClient, path: str) -> None:
    who = {"chatId": "17680561234"} if path.startswith("phone") else {"from": "17680561234"}
    answer = Client().post(
        f"/api/v1/{alice.home}sandbox/{path}",
        {**who, "type": "ptt", "file": SimpleUploadedFile("a.ogg", b"OggS\0data", "audio/ogg")},
        headers={"Authorization": f"Bearer {alice.key}"},
    )
    assert answer.status_code == 201, answer.json()
    assert answer.json()["type"] == "ptt"
    assert answer.json()["body"].endswith("/a.ogg")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"file": "photo.jpg"}, "file"),
        ({"file": "data:image/png;base64,!!!"}, "file"),
        ({"file": "data:text/html;base64,PGh0bWw+", "filename": "a.jpg"}, "file"),
        ({"file": PNG, "body": "words"}, "body"),
        ({"file": PNG, "type": "chat"}, "file"),
        ({"file": 5}, "file"),
    ],
)
def test_a_wrong_file_is_named_and_nothing_is_received(alice: ApiClient, given: dict, field: str) -> None:
    status, answer = alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", **given})
    assert (status, list(answer["fields"])) == (400, [field])
    assert not Message.objects.exists()


def test_a_video_is_kept_only_where_videos_are_to_be_uploaded(alice: ApiClient) -> None:
    video = {"from": "17680561234", "file": "data:video/mp4;base64,AAAAHGZ0eXA=", "filename": "a.mp4"}
    _, off = alice.post(f"{alice.home}sandbox/messages/", video)
    alice.patch(alice.home, {"videoUploadOn": True})
    _, on = alice.post(f"{alice.home}sandbox/messages/", video)
    assert (off["type"], off["body"]) == ("video", "upload disabled")
    assert on["body"].endswith("/a.mp4")


def test_an_old_message_is_received_and_not_hooked_where_old_ones_are_ignored(alice: ApiClient) -> None:
    alice.patch(alice.home, {"ignoreOldMessages": True, "webhookUrl": "http://127.0.0.1:5000/"})
    old = {"from": "17680561234", "body": "hello", "time": 1_600_000_000}
    status, message = alice.post(f"{alice.home}sandbox/messages/", old)
    assert (status, message["time"]) == (201, 1_600_000_000)
    assert Hook.objects.get(kind=Kind.MESSAGE).skip_reason == "too_old"


def test_a_missed_call_by_its_own_address(alice: ApiClient) -> None:
    status, message = alice.post(f"{alice.home}sandbox/calls/", {"from": "+17680561234", "name": "Ann"})
    assert (status, message["type"], message["body"], message["senderName"]) == (
        201,
        "call_log",
        "[Call]",
        "Ann",
    )
    assert alice.post(f"{alice.home}sandbox/calls/", {"from": "Ann"})[0] == 400
