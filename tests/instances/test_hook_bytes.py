"""Family × type × direction × flag: the bytes of each hook, or why there is none (contract.md, section 3)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from hooks.models import Hook, Kind
from instances.actions.chats.chats import change_chat
from instances.actions.chats.groups import add_participant, create_group, remove_participant, set_admin
from instances.actions.message_lookup import quote
from instances.actions.messages import receive_message, type_on_phone
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.channels.sandbox.actions.contacts import change_contact
from instances.models import Chat, Instance, Message, MessageType
from instances.sending import outgoing

ANN, BEN, GROUP = "17680561234@c.us", "4915112345678@c.us", "17680561234-1479621234@g.us"
OWN = "15550001111@c.us"
NOON = datetime(2024, 5, 1, 12, 0, 0, 999_999, tzinfo=UTC)  # 1714564800
CARD = 'BEGIN:VCARD\nVERSION:3.0\nFN:Бен "B"\nEND:VCARD'
# type, what is given, the hook's `body` in JSON, and the caption
BODIES = [
    ("chat", 'Say "hi" 👋\n<b>', '"Say \\"hi\\" 👋\\n<b>"', None),
    ("image", "https://example.com/a.jpg", '"https://example.com/a.jpg"', "look"),
    ("ptt", "https://example.com/a.ogg", '"https://example.com/a.ogg"', None),
    ("document", "https://example.com/a.pdf", '"https://example.com/a.pdf"', "a.pdf"),
    ("audio", "https://example.com/a.mp3", '"https://example.com/a.mp3"', None),
    ("video", "https://example.com/a.mp4", '"upload disabled"', "my film"),
    ("location", "52.5200;13.4050", '"52.5200;13.4050"', None),
    ("call_log", "whatever", '"[Call]"', None),
    ("vcard", CARD, '"BEGIN:VCARD\\nVERSION:3.0\\nFN:Бен \\"B\\"\\nEND:VCARD"', None),
    ("sticker", "https://example.com/a.webp", '"https://example.com/a.webp"', None),
]
BY_API = [row for row in BODIES if row[0] != "call_log"]


def test_the_table_has_all_ten_types() -> None:
    assert [type for type, *_ in BODIES] == [
        "chat", "image", "ptt", "document", "audio", "video", "location", "call_log", "vcard", "sticker",
    ]  # fmt: skip
    assert {type for type, *_ in BODIES} == set(MessageType.values)


@pytest.fixture(autouse=True)
def known(instance: Instance) -> None:
    """Create Ann's chat, so that a message creates no chatUpdate."""
    Chat.objects.create(instance=instance, chat_id=ANN, name="Анна")


def bytes_of(kind: str) -> list[tuple[str, str]]:
    """Returns (bytes, skip reason) of every hook of this kind, in order."""
    hooks = Hook.objects.filter(kind=kind).order_by("id")
    return [(bytes(hook.body).decode(), hook.skip_reason) for hook in hooks]


def text(value: str | None) -> str:
    return "null" if value is None else f'"{value}"'


@pytest.mark.parametrize(("type", "given", "body", "caption"), BODIES, ids=[row[0] for row in BODIES])
def test_messages_of_contacts(
    instance: Instance, type: str, given: str, body: str, caption: str | None
) -> None:
    message = receive_message(
        instance, sender=ANN, sender_name="Анна", type=type, body=given, caption=caption, time=NOON
    )
    assert bytes_of(Kind.MESSAGE) == [
        (
            '{"messages":[{"id":"' + message.message_id + f'","body":{body},"fromMe":false,"self":0,'
            f'"isForwarded":0,"author":"{ANN}","time":1714564800,"chatId":"{ANN}","messageNumber":1,'
            f'"type":"{type}","senderName":"Анна","caption":{text(caption)},"quotedMsgBody":null,'
            '"quotedMsgId":null,"quotedMsgType":null,"chatName":"Анна","metadata":null}],"instanceId":"12345"}',
            "",
        )
    ]
    assert message.message_id.startswith(f"false_{ANN}_") and len(message.message_id.split("_")[2]) == 32
    assert (bytes_of(Kind.ACK), bytes_of(Kind.CHAT), bytes_of(Kind.STATUS)) == ([], [], [])


@pytest.mark.parametrize(("type", "given", "body", "caption"), BODIES, ids=[row[0] for row in BODIES])
def test_messages_typed_on_the_phone(
    instance: Instance, type: str, given: str, body: str, caption: str | None
) -> None:
    message = type_on_phone(
        instance, chat_id=ANN, type=type, body=given, caption=caption, forwarded=2, time=NOON
    )
    assert bytes_of(Kind.MESSAGE) == [
        (
            '{"messages":[{"id":"' + message.message_id + f'","body":{body},"fromMe":true,"self":0,'
            f'"isForwarded":2,"author":"{OWN}","time":1714564800,"chatId":"{ANN}","messageNumber":1,'
            f'"type":"{type}","senderName":"15550001111","caption":{text(caption)},"quotedMsgBody":null,'
            '"quotedMsgId":null,"quotedMsgType":null,"chatName":"Анна","metadata":null,"ack":1}],'
            '"instanceId":"12345"}',
            "",
        )
    ]
    assert message.message_id.startswith(f"true_{ANN}_") and len(message.message_id.split("_")[2]) == 32
    assert {skip for _, skip in bytes_of(Kind.ACK)} == {"typed_on_phone"}


@pytest.mark.parametrize(("type", "given", "body", "caption"), BY_API, ids=[row[0] for row in BY_API])
def test_messages_of_the_api_and_their_acks(
    instance: Instance, type: str, given: str, body: str, caption: str | None
) -> None:
    change_contact(instance, phone=ANN, read_after=0)
    queued = send_message(instance, chat_id=ANN, type=type, body=given, caption=caption, metadata={"a": 1})
    outgoing.send_due()
    shown = '"https://example.com/a.mp4"' if type == "video" else body  # received videos are not uploaded
    seconds = int(Message.objects.get().time.timestamp())
    assert bytes_of(Kind.MESSAGE) == [
        (
            '{"messages":[{"id":"' + queued.message_id + f'","body":{shown},"fromMe":true,"self":1,'
            f'"isForwarded":0,"author":"{OWN}","time":{seconds},"chatId":"{ANN}","messageNumber":1,'
            f'"type":"{type}","senderName":"15550001111","caption":{text(caption)},"quotedMsgBody":null,'
            '"quotedMsgId":null,"quotedMsgType":null,"chatName":"Анна","metadata":{"a":1},"ack":1}],'
            '"instanceId":"12345"}',
            "",
        )
    ]
    assert queued.message_id.startswith(f"true_{ANN}_3EB0") and len(queued.message_id.split("_")[2]) == 20
    assert bytes_of(Kind.ACK) == [
        (
            '{"ack":[{"id":"'
            + queued.message_id
            + f'","queueNumber":1,"chatId":"{ANN}","status":"{status}"}}],'
            '"instanceId":"12345"}',
            "",
        )
        for status in ("sent", "delivered", "viewed")
    ]


@pytest.mark.parametrize("direction", ["in", "out"])
def test_in_a_group_the_author_is_the_member_and_part_of_the_id(instance: Instance, direction: str) -> None:
    asked = receive_message(instance, sender=ANN, body="which?")
    about: dict[str, Any] = {
        "chat_id": GROUP,
        "body": "that",
        "quoted": quote(instance, asked.message_id),
        "time": NOON,
    }
    if direction == "in":
        message = receive_message(instance, sender=BEN, sender_name="Ben", **about)
    else:
        message = type_on_phone(instance, **about)
    author, name = (BEN, "Ben") if direction == "in" else (OWN, "15550001111")
    mine, ack = ("false", "") if direction == "in" else ("true", ',"ack":1')
    assert message.message_id.endswith(f"_{author}")
    assert bytes_of(Kind.MESSAGE)[-1][0] == (
        '{"messages":[{"id":"' + message.message_id + f'","body":"that","fromMe":{mine},"self":0,'
        f'"isForwarded":0,"author":"{author}","time":1714564800,"chatId":"{GROUP}","messageNumber":2,'
        f'"type":"chat","senderName":"{name}","caption":null,"quotedMsgBody":"which?",'
        f'"quotedMsgId":"{asked.message_id}","quotedMsgType":"chat","chatName":"17680561234-1479621234",'
        f'"metadata":null{ack}}}],"instanceId":"12345"}}'
    )


def a_message(instance: Instance) -> None:
    receive_message(instance, sender=ANN, body="hello")


def an_ack(instance: Instance) -> None:
    send_message(instance, chat_id=ANN, body="hello")
    outgoing.send_due()


def a_status(instance: Instance) -> None:
    change_status(instance, substatus="phone")


def a_chat(instance: Instance) -> None:
    change_chat(instance, chat_id=ANN, name="Ann")


FLAGS = {
    Kind.MESSAGE: ("", a_message),
    Kind.ACK: ("ackNotificationsOn", an_ack),
    Kind.STATUS: ("statusNotificationsOn", a_status),
    Kind.CHAT: ("chatUpdateOn", a_chat),
}


@pytest.mark.parametrize("kind", FLAGS)
@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_each_kind_depends_only_on_its_own_flag(
    instance: Instance, kind: Kind, own: bool, others: bool
) -> None:
    flag, happen = FLAGS[kind]
    all_flags = [name for name, _ in FLAGS.values() if name]
    change_settings(instance, changes={name: own if name == flag else others for name in all_flags})
    happen(instance)
    expected = "" if own or not flag else "flag_off"
    assert {skip for _, skip in bytes_of(kind)} == {expected}


@pytest.mark.parametrize("happen", [happen for _, happen in FLAGS.values()])
@pytest.mark.parametrize(
    ("change", "skip"),
    [
        ({"paid_until": timezone.now() - timedelta(days=1)}, "not_paid"),
        ({"stopped_at": timezone.now(), "stop_reason": "staff"}, "stopped"),
    ],
)
def test_an_instance_that_may_not_send_hooks_stores_the_reason(
    instance: Instance, happen: Callable[[Instance], None], change: dict, skip: str
) -> None:
    Instance.objects.update(**change)
    happen(instance)
    assert set(Hook.objects.values_list("skip_reason", flat=True)) <= {skip}


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("direction", ["in", "typed"])
def test_the_body_of_a_video_is_a_url_only_if_videos_are_uploaded(
    instance: Instance, on: bool, direction: str
) -> None:
    change_settings(instance, changes={"videoUploadOn": on})
    about: dict[str, Any] = {"type": "video", "body": "https://example.com/a.mp4"}
    if direction == "in":
        message = receive_message(instance, sender=ANN, **about)
    else:
        message = type_on_phone(instance, chat_id=ANN, **about)
    assert message.body == ("https://example.com/a.mp4" if on else "upload disabled")
    assert f'"body":"{message.body}"' in bytes_of(Kind.MESSAGE)[0][0]


@pytest.mark.parametrize("direction", ["in", "typed"])
@pytest.mark.parametrize(("age", "skip"), [(310, "too_old"), (290, "")])
def test_old_messages_of_both_directions_are_ignored_if_the_setting_is_on(
    instance: Instance, direction: str, age: int, skip: str
) -> None:
    change_settings(instance, changes={"ignoreOldMessages": True, "oldMessagesPeriod": 300})
    about: dict[str, Any] = {"body": "hello", "time": timezone.now() - timedelta(seconds=age)}
    if direction == "in":
        receive_message(instance, sender=ANN, **about)
    else:
        type_on_phone(instance, chat_id=ANN, **about)
    assert [reason for _, reason in bytes_of(Kind.MESSAGE)] == [skip]


CHANGE = '{"chatUpdate":[{"old":%s,"new":%s}],"instanceId":"12345"}'


def a_person(name: str, image: str, last: int) -> str:
    return (
        f'{{"id":"{ANN}","name":"{name}","image":{image},"metadata":{{"isGroup":false,"participants":[],'
        f'"admins":[],"groupInviteLink":null}},"last_time":{last}}}'
    )


def test_chat_updates_of_a_person(instance: Instance) -> None:
    Chat.objects.all().delete()
    receive_message(instance, sender=ANN, sender_name="Ann", body="hello", time=NOON)
    change_chat(instance, chat_id=ANN, name="Анна")
    change_chat(instance, chat_id=ANN, image="https://example.com/ann.jpg")
    change_chat(instance, chat_id=ANN, name="Анна")
    last = 1714564800
    assert [body for body, _ in bytes_of(Kind.CHAT)] == [
        CHANGE % ("null", a_person("Ann", "null", last)),
        CHANGE % (a_person("Ann", "null", last), a_person("Анна", "null", last)),
        CHANGE % (a_person("Анна", "null", last), a_person("Анна", '"https://example.com/ann.jpg"', last)),
    ]


def a_group(chat: Chat, name: str, people: list[str], admins: list[str]) -> str:
    quoted = [",".join(f'"{one}"' for one in some) for some in (people, admins)]
    return (
        f'{{"id":"{GROUP}","name":"{name}","image":null,"metadata":{{"isGroup":true,"participants":[{quoted[0]}],'
        f'"admins":[{quoted[1]}],"groupInviteLink":"http://localhost:8000/invite/{chat.invite_code}"}},'
        f'"last_time":{int(chat.last_time.timestamp())}}}'
    )


def test_chat_updates_of_a_group(instance: Instance) -> None:
    chat = create_group(instance, chat_id=GROUP, name="Trip", members=[ANN])
    change_chat(instance, chat_id=GROUP, name="Holidays")
    add_participant(instance, group_id=GROUP, member=BEN)
    set_admin(instance, group_id=GROUP, member=BEN, on=True)
    remove_participant(instance, group_id=GROUP, member=ANN)
    states = [
        a_group(chat, "Trip", [OWN, ANN], [OWN]),
        a_group(chat, "Holidays", [OWN, ANN], [OWN]),
        a_group(chat, "Holidays", [OWN, ANN, BEN], [OWN]),
        a_group(chat, "Holidays", [OWN, ANN, BEN], [OWN, BEN]),
        a_group(chat, "Holidays", [OWN, BEN], [OWN, BEN]),
    ]
    assert [body for body, _ in bytes_of(Kind.CHAT)] == [
        CHANGE % (old, new) for old, new in zip(["null", *states], states, strict=False)
    ]


STATUSES = [
    ({"account_status": "got qr code"}, ("authenticated", "normal"), ("got qr code", "normal")),
    ({"account_status": "loading", "reason": "conflict"}, ("authenticated", "normal"), ("loading", "normal")),
    ({"substatus": "battery_low"}, ("authenticated", "normal"), ("authenticated", "battery_low")),
]


@pytest.mark.parametrize(("change", "old", "new"), STATUSES)
def test_a_status(instance: Instance, change: dict, old: tuple[str, str], new: tuple[str, str]) -> None:
    change_status(instance, **change)
    change_status(instance, **change)
    was, now = (f'{{"accountStatus":"{one[0]}","substatus":"{one[1]}"}}' for one in (old, new))
    seconds = int(instance.status_changed_at.timestamp())
    assert bytes_of(Kind.STATUS) == [
        (f'{{"instanceStatus":[{{"old":{was},"new":{now},"time":{seconds}}}],"instanceId":"12345"}}', "")
    ]


def test_a_message_reported_twice_creates_one_hook(instance: Instance) -> None:
    first = receive_message(instance, sender=ANN, body="hello", key="wamid.1")
    again = receive_message(instance, sender=ANN, body="hello", key="wamid.1")
    other = receive_message(instance, sender=ANN, body="hello", key="wamid.2")
    assert (first, first.number) == (again, again.number)
    assert (other.number, len(bytes_of(Kind.MESSAGE))) == (2, 2)
