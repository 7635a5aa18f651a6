"""What more clients were found to need: the table of that name in contract.md §1, one test or more for each row.

Replies are compared as bytes where the order of their keys matters: some old clients read them with a pattern.
"""

import json
from typing import Any

import pytest
from django.test import Client

import instances.contract.urls  # noqa: F401 - registers the methods
from instances.actions.messages import receive_message
from instances.contract.arguments import Argument
from instances.contract.errors import BadArgument
from instances.contract.registry import METHODS
from instances.models import Chat, Instance, Message, OutgoingMessage
from tests.instances.contract.conftest import Call

FORM = "application/x-www-form-urlencoded"
ANNA, BEN = "17680561234@c.us", "19990001122@c.us"
PHONE_SENTENCE = (
    "phone parameter should contain only numbers, start from country code and be 9-14 characters long"
)


def address(method: str) -> str:
    return f"/instance12345/{method}?token=secret"


def post_json(client: Client, method: str, body: bytes) -> bytes:
    """The bytes of the response to a POST with this JSON."""
    response = client.generic("POST", address(method), body, "application/json")
    assert response.status_code == 200
    return response.content


def receive(instance: Instance, count: int) -> None:
    for number in range(1, count + 1):
        receive_message(instance, sender=ANNA, body=f"{number}")


def numbers(response: Any) -> list[int]:
    return [message["messageNumber"] for message in response.json()["messages"]]


# `messages?last=20`, and the arguments of reading methods


@pytest.fixture
def hundred_and_five(instance: Instance) -> None:
    """105 messages of one chat; only the first is received, the others are copies."""
    first = receive_message(instance, sender=ANNA, body="0")
    Message.objects.bulk_create(
        Message(
            instance=instance,
            number=number,
            message_id=f"false_{ANNA}_{number}",
            chat=first.chat,
            author=ANNA,
            type="chat",
            body="0",
            time=first.time,
        )
        for number in range(2, 106)
    )


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ("20", 86), ("100", 6), ("2", 104), ("20.0", 86),  # a count
        ("500", 6), ("99999999999999999999999", 6),  # at most 100
        ("1", 6), ("true", 6), ("True", 6), ("yes", 6), ("-5", 6),  # yes
        ("0", 1), ("false", 1), ("False", 1), ("", 1), ("null", 1), ("undefined", 1),  # no
    ],
)  # fmt: skip
def test_messages_last_20(client: Client, hundred_and_five: None, last: str, first: int) -> None:
    found = numbers(client.get(address("messages"), query_params={"token": "secret", "last": last}))
    assert found == list(range(first, 101 if first == 1 else 106))


@pytest.mark.parametrize(("last", "limit", "first"), [("20", 5, 101), ("5", 20, 101), ("20", 0, 86)])
def test_messages_last_20_with_a_limit(
    client: Client, hundred_and_five: None, last: str, limit: int, first: int
) -> None:
    found = numbers(client.get(f"{address('messages')}&last={last}&limit={limit}"))
    assert found == list(range(first, 106))


def optional_arguments_of_reading_methods() -> list[tuple[str, str]]:
    return [
        (name, argument.wire)
        for name, method in METHODS.items()
        for argument in method.arguments
        if method.only_reads and not argument.required
    ]


@pytest.mark.parametrize(
    "value", ["-1", "x", "1.5", "999999999999999999999", "[]", "{}", "%00", "%ff", "1&1", "\u202c7"]
)
@pytest.mark.parametrize(("method", "name"), optional_arguments_of_reading_methods())
def test_an_argument_of_a_reading_method_never_stops_a_poller(
    client: Client, instance: Instance, method: str, name: str, value: str
) -> None:
    Instance.objects.update(instance_statuses=True, webhook_statuses=True)
    value = value.replace("1&1", f"1&{name}=2")
    response = client.get(f"{address(method)}&chatId={ANNA}&phone=17680561234&{name}={value}")
    # 404: there is no such chat, hook or QR code.
    assert response.status_code in (200, 404)


@pytest.mark.parametrize("value", [None, [], [1, 2], {"a": 1}, True, -1, 1.5, 10**30])
@pytest.mark.parametrize(("method", "name"), optional_arguments_of_reading_methods())
def test_an_argument_of_a_reading_method_in_json_never_stops_a_poller(
    client: Client, instance: Instance, method: str, name: str, value: object
) -> None:
    Instance.objects.update(instance_statuses=True, webhook_statuses=True)
    body = json.dumps({"chatId": ANNA, "phone": "17680561234", name: value}).encode()
    response = client.generic("POST", address(method), body, "application/json")
    assert response.status_code in (200, 404)


@pytest.mark.parametrize(("times", "found"), [("min_time=1714564802", [3]), ("max_time=1714564801", [1, 2])])
def test_times_in_milliseconds_mean_the_same(
    client: Client, instance: Instance, times: str, found: list[int]
) -> None:
    receive(instance, 3)
    for number in (1, 2, 3):
        Message.objects.filter(number=number).update(time=f"2024-05-01T12:00:0{number - 1}Z")
    for spelling in (times, f"{times}.25", f"{times}250"):
        assert numbers(client.get(f"{address('messages')}&{spelling}")) == found


def test_a_chat_id_that_cannot_exist_has_no_messages(client: Client, instance: Instance) -> None:
    receive(instance, 2)
    for chat_id in ("x", "0123456789", "1" * 200):
        assert numbers(client.get(f"{address('messages')}&chatId={chat_id}")) == []
    assert numbers(client.get(f"{address('messages')}&chatId=")) == [1, 2]
    assert numbers(client.get(f"{address('messages')}&chatId=%2B1-768-056-1234")) == [1, 2]


# `phones` as JSON text, beside `chatIds`


@pytest.mark.parametrize(
    "people",
    [
        {"phones": '["17680561234", "19990001122"]'},
        {"phones": "[17680561234, 19990001122]"},
        {"chatIds": f'["{ANNA}", "{BEN}"]'},
        {"phones": '["15550003333"]', "chatIds": f'["{ANNA}","{BEN}"]'},  # good chatIds win
        {"phones": "string", "chatIds": [ANNA, BEN]},
        {"phones": ["17680561234", "19990001122"], "chatIds": ["string"]},
        {"phones": ["17680561234", "19990001122"], "chatIds": None},
        {"phones": ["17680561234", "19990001122"], "chatIds": []},
    ],
)
def test_phones_as_json_text_beside_chat_ids(post: Call, people: dict[str, object]) -> None:
    made = post("group", groupName="Friends", **people)
    assert made["created"] is True
    members = Chat.objects.get(chat_id=made["chatId"]).participants.values_list("member", flat=True)
    assert set(members) == {"15550001111@c.us", ANNA, BEN}


def test_phones_as_json_text_in_a_form(client: Client, instance: Instance) -> None:
    form = {"groupName": "Friends", "phones": '["17680561234"]', "chatIds": f'["{BEN}"]'}
    assert client.post(address("group"), form).json()["created"] is True
    assert Chat.objects.get().participants.filter(member=BEN).exists()
    assert not Chat.objects.get().participants.filter(member=ANNA).exists()


@pytest.mark.parametrize("phones", ['["17680561234", 19990001122]', "[17680561234,19990001122]"])
def test_every_list_of_phones_may_be_json_text(post: Call, phones: str) -> None:
    post("sendMessage", phone="17680561234", body="hello", mentionedPhones=phones)
    assert OutgoingMessage.objects.get().metadata == {"mentionedPhones": ["17680561234", "19990001122"]}
    assert post("sendContact", phone="17680561234", contactId=phones)["sent"] is True


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ({"phones": "string", "chatIds": "string"}, "chatId should look like"),
        ({"phones": '["17680561234"'}, PHONE_SENTENCE),
        ({"phones": '[["17680561234"]]'}, "`phones` must be"),
    ],
)
def test_neither_good_phones_nor_good_chat_ids(post: Call, people: dict[str, object], message: str) -> None:
    answer = post("group", groupName="Friends", **people)
    assert (answer["created"], answer["message"][: len(message)]) == (False, message)


# Numbers pasted from contacts

PASTED = {
    "directional embedding": "\u202a+17680561234\u202c",
    "directional isolate": "\u2066+17680561234\u2069",
    "no-break space": "+1\u00a0768\u00a0056\u00a01234",
    "narrow no-break space": "1\u202f768\u202f0561234",
    "non-breaking hyphen": "1\u2011768\u2011056\u20111234",
    "en dash": "1\u2013768\u2013056\u20131234",
    "byte order mark": "\ufeff17680561234",
    "soft hyphen": "1768\u00ad0561234",
    "plain spaces and hyphens": " +1 768-056-1234 ",
    "00": "0017680561234",
    "00 with spaces": "00 1 768 056 1234",
    "chat id": "\u200e17680561234@c.us\u200f",
}


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED)
def test_numbers_pasted_from_contacts(post: Call, pasted: str) -> None:
    assert post("sendMessage", phone=pasted, body="hello")["message"] == f"Sent to {ANNA}"
    assert post("sendMessage", chatId=pasted, body="hello")["message"] == f"Sent to {ANNA}"


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED)
def test_numbers_pasted_from_contacts_into_every_other_argument(
    client: Client, post: Call, instance: Instance, pasted: str
) -> None:
    assert post("banTest", phone=pasted)["phone"] == "17680561234"
    assert client.get(
        "/checkPhone", {"instanceId": " 12345\u202c", "token": "secret", "phone": pasted}
    ).json() == {"result": "exists"}
    post("sendMessage", phone=pasted, body="hello", mentionedPhones=[pasted])
    assert OutgoingMessage.objects.get().metadata == {"mentionedPhones": ["17680561234"]}
    assert post("sendContact", phone=pasted, contactId=pasted)["sent"] is True
    made = post("group", groupName="Friends", phones=[pasted])
    assert made["created"] is True
    group = f"\u202a{made['chatId'].replace('-', chr(0x2011))}\u202c"
    assert post("removeGroupParticipant", groupId=group, participantPhone=pasted)["remove"] is True


def test_other_numbers_that_were_pasted(post: Call, get: Call, instance: Instance) -> None:
    assert post("settings", sendDelay="\u202a5\u202c")["sendDelay"] == 5
    receive(instance, 3)
    assert len(get("messages", limit="\u00a02\u202c")["messages"]) == 2
    assert (
        post("sendLocation", phone=ANNA, lat="\u201133.8\u202c", lng="\u00a0151.2", address="x")["sent"]
        is True
    )
    assert OutgoingMessage.objects.get().body == "-33.8;151.2"


def test_a_minus_is_no_dash_of_a_number(client: Client, instance: Instance) -> None:
    for value in ("-5", "\u20115"):
        response = client.post(address("settings"), {"sendDelay": value})
        assert response.status_code == 400


@pytest.mark.parametrize(
    "phone", ["0768056123", "07680561234", "\u202a0768 0561234", "07680561234@c.us", "+0768056123"]
)
@pytest.mark.parametrize("name", ["phone", "chatId"])
def test_a_phone_that_begins_with_0_has_no_chat(client: Client, post: Call, name: str, phone: str) -> None:
    message = (
        PHONE_SENTENCE
        if name == "phone"
        else "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us"
    )
    assert post("sendMessage", body="hello", **{name: phone}) == {"sent": False, "message": message}
    assert not OutgoingMessage.objects.exists()


# {"body":["a","b"]}


def test_an_array_where_a_text_belongs(client: Client, instance: Instance) -> None:
    body = b'{"phone":17680561234,"body":["a","b"]}'
    assert post_json(client, "sendMessage", body) == b'{"sent":false,"message":"body takes a text"}'
    assert not OutgoingMessage.objects.exists()


def text_arguments() -> list[tuple[str, Argument]]:
    """The text arguments of the methods that change something or that must have them."""
    lists = {"messageId", "contactId"}
    special = {"chatId", "phone", "groupId", "labelId", "color", "body", "audio", "participantChatId"}
    return [
        (name, argument)
        for name, method in METHODS.items()
        for argument in method.arguments
        if argument.schema == {"type": "string"} or "maxLength" in argument.schema
        if not method.only_reads
        and argument.wire not in special | (lists if name != "deleteMessage" else set())
    ]


@pytest.mark.parametrize(("method", "argument"), text_arguments())
def test_every_text_argument_refuses_an_array(method: str, argument: Argument) -> None:
    for array in (["a", "b"], ["a"], [["a"]], {"a": "b"}):
        with pytest.raises(BadArgument, match=f"^{argument.wire} takes a text$"):
            argument.read({argument.wire.lower(): array})


@pytest.mark.parametrize("key", ["phone", "chatId"])
def test_several_recipients_are_not_one(post: Call, key: str) -> None:
    answer = post("sendMessage", body="hello", **{key: ["17680561234", "19990001122"]})
    assert answer["sent"] is False
    assert not OutgoingMessage.objects.exists()


def test_a_key_that_is_repeated_in_a_form_is_no_array(client: Client, instance: Instance) -> None:
    client.generic("POST", address("sendMessage"), b"phone=17680561234&body=a&body=b", FORM)
    assert OutgoingMessage.objects.get().body == "b"
