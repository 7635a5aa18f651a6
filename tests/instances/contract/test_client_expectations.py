"""What more clients were found to need: the table of that name in contract.md §1, one test or more for each row.

Replies are compared as bytes where the order of their keys matters: some old clients read them with a pattern.
"""

import base64
import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

import instances.contract.urls  # noqa: F401 - registers the methods
from hooks.models import Hook, Kind
from instances.actions.media import store_media
from instances.actions.messages import receive_message, type_on_phone
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.contract.arguments import Argument
from instances.contract.errors import BadArgument
from instances.contract.registry import METHODS
from instances.models import Chat, Instance, Message, OutgoingMessage
from instances.sending import outgoing
from tests.instances.contract.conftest import Call
from tests.receiver import Receiver

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


# `settings/{name}`


SETTING_VALUES: dict[str, Any] = {
    "sendDelay": 5,
    "webhookUrl": "https://example.com/hook",
    "instanceStatuses": True,
    "webhookStatuses": True,
    "statusNotificationsOn": True,
    "ackNotificationsOn": True,
    "chatUpdateOn": True,
    "videoUploadOn": True,
    "proxy": "10.0.0.7:1080",
    "guaranteedHooks": True,
    "ignoreOldMessages": True,
    "oldMessagesPeriod": 10,
    "processArchive": True,
    "disableDialogsArchive": True,
    "parallelHooks": True,
}


def test_every_setting_is_tried(get: Call) -> None:
    assert list(SETTING_VALUES) == list(get("settings"))


@pytest.mark.parametrize("how", ["json", "form", "query", "get", "get json", "root", "slashes", "case"])
@pytest.mark.parametrize("name", SETTING_VALUES)
def test_settings_by_name(client: Client, get: Call, name: str, how: str) -> None:
    value = SETTING_VALUES[name]
    path = address(f"settings/{name}")
    word = str(int(value)) if value is True else str(value)
    body = json.dumps({name: value, "other": 1}).encode()
    match how:
        case "json":
            response = client.generic("POST", path, body, "application/json")
        case "form":
            response = client.generic("POST", path, f"{name}={word}".encode(), FORM)
        case "query":
            response = client.post(f"{path}&{name}={word}")
        case "get":
            response = client.get(f"{path}&{name}={word}")
        case "get json":
            response = client.generic("GET", path, body, "application/json")
        case "root":
            root = f"/settings/{name}/?instanceId=12345&token=secret"
            response = client.generic("POST", root, body, "application/json")
        case "slashes":
            slashes = f"/instance12345//settings//{name}//?token=secret"
            response = client.generic("POST", slashes, body, "application/json")
        case "case":
            response = client.generic(
                "POST", address(f"settings/{name.upper()}"), body.lower(), "application/json"
            )
    changed = {name: value}
    assert response.status_code == 200
    assert list(response.json().items())[-2:] == [("update", changed), ("updated", changed)]
    now = get("settings")
    assert {**response.json(), **now} == response.json()
    assert now[name] == value
    assert client.get(path).content == client.get(address("settings")).content


def test_settings_by_name_change_this_one_alone(client: Client, get: Call) -> None:
    before = get("settings")
    body = b'{"sendDelay":5,"ackNotificationsOn":1}'
    reply = post_json(client, "settings/ackNotificationsOn", body)
    assert reply.endswith(b',"update":{"ackNotificationsOn":true},"updated":{"ackNotificationsOn":true}}')
    assert get("settings") == {**before, "ackNotificationsOn": True}


def test_settings_by_name_under_the_misspelling_of_the_article(client: Client, get: Call) -> None:
    post_json(client, "settings/recognotificationson", b'{"recognotificationson":1}')
    post_json(client, "settings/recognotificationson", b'{"ackNotificationsOn":1}')
    assert get("settings")["ackNotificationsOn"] is True


def test_settings_by_name_name_a_wrong_value(client: Client, get: Call) -> None:
    response = client.post(address("settings/sendDelay"), {"sendDelay": "soon"})
    error = "`sendDelay` must be a whole number of seconds from 0 to 31536000."
    assert (response.status_code, response.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    "path", ["settings/nosuch", "settings/sendDelay/more", "messages/last", "status/full"]
)
def test_only_settings_have_names_in_their_path(client: Client, instance: Instance, path: str) -> None:
    response = client.get(address(path))
    assert (response.status_code, response.json()) == (404, {"error": f"Unknown method {path}"})


# POST `settings` with null, an empty form value, or no known key


@pytest.mark.parametrize("name", SETTING_VALUES)
def test_post_settings_with_null_or_an_empty_form_value(
    client: Client, post: Call, get: Call, name: str
) -> None:
    post("settings", **SETTING_VALUES)
    for path in ("settings", f"settings/{name}"):
        for body in (json.dumps({name: None}).encode(), f"{name}=".encode()):
            kind = "application/json" if body.startswith(b"{") else FORM
            response = client.generic("POST", address(path), body, kind)
            assert response.status_code == 200
            assert response.content.endswith(b',"update":{},"updated":{}}')
        assert client.get(f"{address(path)}&{name}=").status_code == 200
    assert get("settings") == SETTING_VALUES


def test_post_settings_with_null_beside_a_value(post: Call) -> None:
    post("settings", **SETTING_VALUES)
    answer = post("settings", **{**dict.fromkeys(SETTING_VALUES), "sendDelay": 7})
    assert (answer["updated"], answer["webhookUrl"]) == ({"sendDelay": 7}, SETTING_VALUES["webhookUrl"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'{"nosuch":1}', "application/json"), (b"nosuch=1", FORM), (b"{}", "application/json")],
)
def test_post_settings_with_no_known_key(client: Client, get: Call, body: bytes, kind: str) -> None:
    response = client.generic("POST", address("settings"), body, kind)
    assert response.json() == {**get("settings"), "update": {}, "updated": {}}
    assert response.content.endswith(b',"update":{},"updated":{}}')


# `webhookUrl` is given back as it was set


@pytest.mark.parametrize(
    ("url", "requested"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://example.com?a=1", "https://example.com/?a=1"),
        ("https://Example.com/Hook", "https://example.com/Hook"),
        ("HTTPS://example.com:8443", "https://example.com:8443/"),
        ("https://bücher.example/hook", "https://xn--bcher-kva.example/hook"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://example.com/hook", "https://example.com/hook"),
    ],
)
@pytest.mark.parametrize("method", ["webhook", "settings", "settings/webhookUrl"])
def test_webhook_url_is_given_back_as_it_was_set(
    post: Call, get: Call, instance: Instance, method: str, url: str, requested: str
) -> None:
    answer = post(method, webhookUrl=f" {url} ")
    if method == "webhook":
        assert answer == {"set": True, "message": url}
        assert post(method, webhookUrl=url) == {"set": False, "message": url}
    else:
        assert (answer["webhookUrl"], answer["updated"]) == (url, {"webhookUrl": url})
        assert post(method, webhookUrl=url)["updated"] == {}
    assert get("webhook") == {"set": False, "message": url, "webhookUrl": url}
    assert get("settings")["webhookUrl"] == url
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.url == requested
    post("webhook", webhookUrl="https://example.org/")
    assert get("webhook")["webhookUrl"] == "https://example.org/"
    post("webhook", webhookUrl="")
    assert get("webhook")["webhookUrl"] is None


# `add` in the replies about participants


@pytest.mark.parametrize("key", ["remove", "promote", "demote"])
def test_add_in_the_replies_about_participants(
    client: Client, post: Call, instance: Instance, key: str
) -> None:
    group = post("group", groupName="Friends", phones=["17680561234", "19990001122"])["chatId"]
    if key == "demote":
        post("promoteGroupParticipant", groupId=group, participantChatId=BEN)
    body = json.dumps({"groupId": group, "participantChatId": BEN}).encode()
    good = post_json(client, f"{key}GroupParticipant", body)
    assert good.startswith(f'{{"{key}":true,"add":true,"message":"'.encode())
    assert json.loads(good)["groupId"] == group
    bad = post_json(client, f"{key}GroupParticipant", b'{"groupId":"1-2","participantChatId":"x"}')
    assert bad.startswith(f'{{"{key}":false,"add":false,"message":"'.encode())
    Instance.objects.update(account_status="got qr code")
    waiting = post_json(client, f"{key}GroupParticipant", body)
    assert waiting.startswith(f'{{"{key}":true,"add":true,"message":"Status of the account'.encode())


# `result` in the replies of the buttons

BUTTON_SENTENCES = [
    ("logout", "authenticated", "", "Logout request sent to WhatsApp"),
    ("takeover", "loading", "conflict", "Takeover request sent to WhatsApp"),
    ("takeover", "authenticated", "", 'Takeover request not sent because reason don\'t equals "conflict"'),
    ("expiry", "authenticated", "", 'Expiry request not sent because substatus don\'t equals "expired"'),
    ("retry", "loading", "syncing", "Retry request sent to WhatsApp"),
    ("retry", "authenticated", "", 'Retry request not sent because reason don\'t equals "syncing"'),
]


@pytest.mark.parametrize(("method", "status", "reason", "sentence"), BUTTON_SENTENCES)
def test_result_in_the_replies_of_the_buttons(
    client: Client, instance: Instance, method: str, status: str, reason: str, sentence: str
) -> None:
    Instance.objects.update(account_status=status, loading_reason=reason)
    shown = json.dumps(sentence)
    assert post_json(client, method, b"") == f'{{"accountStatus":{shown},"result":{shown}}}'.encode()


def test_result_in_the_reply_of_expiry(client: Client, instance: Instance) -> None:
    Instance.objects.update(account_status="got qr code", substatus="expired")
    assert post_json(client, "expiry", b"") == (
        b'{"accountStatus":"Expiry request sent to WhatsApp","result":"Expiry request sent to WhatsApp"}'
    )


# `readChat` for a valid chat that has not begun


@pytest.mark.parametrize("chat_id", [ANNA, "17680561234-1479621234@g.us"])
def test_read_chat_for_a_valid_chat_that_has_not_begun(
    client: Client, instance: Instance, chat_id: str
) -> None:
    reply = post_json(client, "readChat", json.dumps({"chatId": chat_id}).encode())
    assert reply == f'{{"read":true,"message":null,"chatId":"{chat_id}"}}'.encode()
    assert not Chat.objects.exists()


# `"ack":null` of incoming messages


@pytest.mark.parametrize("method", ["messages", "messagesHistory"])
def test_ack_of_incoming_messages_is_null_in_the_list_and_absent_in_hooks(
    client: Client, post: Call, instance: Instance, method: str
) -> None:
    post("settings", webhookUrl="https://example.com/hook")
    receive(instance, 1)
    post("sendMessage", chatId=ANNA, body="hello")
    outgoing.send_due()
    found = {message["fromMe"]: message for message in client.get(address(method)).json()["messages"]}
    assert list(found[False].items())[-1] == ("ack", None)
    assert list(found[True])[-1] == "ack" and found[True]["ack"] >= 1
    hook = next(hook for hook in Hook.objects.filter(kind=Kind.MESSAGE) if b'"fromMe":false' in hook.body)
    assert b'"ack"' not in bytes(hook.body)


# GET `banSettings`, `setName`, `dialog`, `sendLocation`


def test_ban_settings_when_nothing_is_set(client: Client, instance: Instance) -> None:
    reply = client.get(address("banSettings")).content
    assert reply == b'{"banPhoneMask":null,"preBanMessage":null,"set":false}'
    client.get(f"{address('banSettings')}&banPhoneMask=^44")
    reply = client.get(address("banSettings")).content
    assert reply == b'{"banPhoneMask":"^44","preBanMessage":null,"set":false}'


@pytest.mark.parametrize("key", ["name", "pushname", "pushName"])
def test_set_name_by_pushname(post: Call, get: Call, key: str) -> None:
    assert post("setName", **{key: "Shop"}) == {"success": True, "name": "Shop", "pushname": "Shop"}
    assert get("me")["name"] == "Shop"


def test_dialog_metadata_has_labels_and_participants_info(post: Call, get: Call, instance: Instance) -> None:
    receive_message(instance, sender=ANNA, sender_name="Anna", body="hi")
    group = post("group", groupName="Friends", phones=["17680561234", "19990001122"])["chatId"]
    labels = [post("createLabel", name=name)["label"]["id"] for name in ("New", "Paid")]
    for label in reversed(labels):
        post("labelChat", chatId=group, labelId=label)
    post("setName", name="Shop")
    metadata = get("dialog", chatId=group)["metadata"]
    assert list(metadata)[-2:] == ["labels", "participantsInfo"]
    assert metadata["labels"] == labels
    assert metadata["participantsInfo"] == [
        {"id": "15550001111@c.us", "name": "Shop"},
        {"id": ANNA, "name": "Anna"},
        {"id": BEN, "name": "19990001122"},
    ]
    person = get("dialog", chatId=ANNA)["metadata"]
    assert (person["labels"], person["participantsInfo"]) == ([], [])
    assert get("dialogs")["dialogs"] == [get("dialog", chatId=group), get("dialog", chatId=ANNA)]


def test_chat_updates_have_the_keys_of_the_article(post: Call, instance: Instance) -> None:
    post("settings", webhookUrl="https://example.com/hook", chatUpdateOn=True)
    post("group", groupName="Friends", phones=["17680561234"])
    body = json.loads(bytes(Hook.objects.get(kind=Kind.CHAT).body))
    metadata = body["chatUpdate"][0]["new"]["metadata"]
    assert list(metadata) == ["isGroup", "participants", "admins", "groupInviteLink"]


@pytest.mark.parametrize("method", ["sendLocation", "location"])
@pytest.mark.parametrize("more", [{}, {"address": None}, {"address": ""}, {"address": " "}])
def test_send_location_without_address(post: Call, method: str, more: dict[str, object]) -> None:
    assert post(method, chatId=ANNA, lat=55.75, lng="37.61", **more)["message"] == f"Sent to {ANNA}"
    assert OutgoingMessage.objects.values_list("type", "body", "caption").get() == (
        "location",
        "55.75;37.61",
        None,
    )


def test_location_is_an_alias_of_send_location(client: Client, instance: Instance) -> None:
    query = "instanceId=12345&token=secret&phone=17680561234&lat=1&lng=2&address=x"
    response = client.get(f"/location?{query}")
    assert response.json()["sent"] is True
    assert OutgoingMessage.objects.get().caption == "x"


# `instanceStatuses` while its flag is off


def test_instance_statuses_while_its_flag_is_off(client: Client, instance: Instance) -> None:
    response = client.get(address("instanceStatuses"))
    assert (response.status_code, response.content) == (
        200,
        b'{"data":[],"message":"instanceStatuses is off. Switch it on in settings; the history starts then."}',
    )


def test_webhook_status_while_its_flag_is_off(client: Client, instance: Instance) -> None:
    response = client.get(f"{address('webhookStatus')}&msgId=x")
    assert response.status_code == 200
    assert response.content == (
        b'{"msgId":"x","time":null,"status":null,'
        b'"message":"webhookStatuses is off. Switch it on in settings; the history starts then."}'
    )


# `status?full=1` while the battery is low or syncing


@pytest.mark.parametrize(
    ("substatus", "battery", "shown"),
    [
        ("battery_low", 20, "battery_low_1"),
        ("battery_low", 5, "battery_low_1"),
        ("battery_low", 4, "battery_low_2"),
        ("battery_low", 0, "battery_low_2"),
        ("battery_low", 90, "battery_low_1"),
        ("battery_low_1", 10, "battery_low_1"),
        ("battery_low_2", 5, "battery_low_1"),
        ("battery_low_2", 4, "battery_low_2"),
        ("battery_low_2", 90, "battery_low_2"),
        ("phone", 3, "phone"),
    ],
)
def test_full_status_while_the_battery_is_low(
    get: Call, instance: Instance, substatus: str, battery: int, shown: str
) -> None:
    change_settings(instance, changes={"instanceStatuses": True, "statusNotificationsOn": True})
    change_settings(instance, changes={"webhookUrl": "https://example.com/hook"})
    change_status(instance, substatus=substatus)
    Instance.objects.update(battery=battery)
    data = get("status", full=1)["statusData"]
    assert (data["substatus"], "reason" in data) == (shown, False)
    assert f'"substatus":"{substatus}"'.encode() in bytes(Hook.objects.get(kind=Kind.STATUS).body)
    assert [change["status"] for change in get("instanceStatuses")["data"]] == [substatus]


@pytest.mark.parametrize(("status", "substatus", "reason"), [
    ("loading", "syncing", ""), ("loading", "normal", "syncing"), ("authenticated", "syncing", ""),
])  # fmt: skip
def test_full_status_while_syncing(
    client: Client, instance: Instance, status: str, substatus: str, reason: str
) -> None:
    Instance.objects.update(account_status=status, substatus=substatus, loading_reason=reason)
    data = client.get(f"{address('status')}&full=1").json()["statusData"]
    assert (data["substatus"], data["reason"]) == ("loading", "syncing")
    assert list(data) == ["substatus", "title", "msg", "submsg", "reason", "actions"]


def test_full_status_has_no_reason_where_there_is_none(client: Client, instance: Instance) -> None:
    reply = client.get(f"{address('status')}&full=1").content
    assert b'"reason"' not in reply
    assert reply.startswith(
        b'{"accountStatus":"authenticated","statusData":{"substatus":"normal","title":"Connected",'
    )


# Files


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def message_of(get: Call) -> dict[str, Any]:
    """The only message, after the queue was sent."""
    outgoing.send_due()
    (message,) = get("messages")["messages"]
    return message


def served(client: Client, message: dict[str, Any]) -> Any:
    """The response of the message's media link."""
    return client.get(message["body"].removeprefix("http://localhost:8000"))


PAGE = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"


@pytest.mark.parametrize("how", ["data", "url", "form"])
@pytest.mark.parametrize("name", ["offer.html", "offer.htm", "offer.HTML", "drawing.svg", "invoice.xml"])
def test_files_that_end_in_html(client: Client, instance: Instance, get: Call, how: str, name: str) -> None:
    kind = "text/html; charset=utf-8"
    with Receiver([(200, {"Content-Type": kind}, PAGE)]) as server:
        body: Any = {
            "data": data_uri(kind, PAGE),
            "url": server.url,
            "form": SimpleUploadedFile(name, PAGE, content_type=kind),
        }[how]
        answer = client.post(address("sendFile"), {"phone": "17680561234", "body": body, "filename": name})
    assert answer.json()["sent"] is True
    message = message_of(get)
    assert (message["type"], message["caption"]) == ("document", name)
    assert message["body"].endswith("/" + name.replace("HTML", "html"))
    response = served(client, message)
    assert b"".join(response) == PAGE
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_a_page_in_place_of_another_file_is_still_refused(post: Call) -> None:
    for name, kind in (("photo.jpg", "image/jpeg"), ("photo.jpg", "text/html"), ("report", "text/html")):
        answer = post("sendFile", phone=ANNA, body=data_uri(kind, PAGE), filename=name)
        assert answer["sent"] is False


@pytest.mark.parametrize("coding", ["aws-chunked", "UTF-8", "binary"])
def test_files_by_url_whose_content_encoding_is_none(
    client: Client, post: Call, get: Call, coding: str
) -> None:
    headers = {"Content-Type": "application/pdf", "Content-Encoding": coding}
    with Receiver([(200, headers, b"%PDF-1.7 hello")]) as server:
        assert post("sendFile", phone=ANNA, body=server.url, filename="a.pdf")["sent"] is True
    assert b"".join(served(client, message_of(get))) == b"%PDF-1.7 hello"


@pytest.mark.parametrize(
    ("kind", "filename", "content_type", "type"),
    [
        ("video/webm;codecs=vp8,opus", "clip.webm", "video/webm", "video"),
        ('video/webm;codecs="vp8, opus"', "clip.webm", "video/webm", "video"),
        ("video/x-matroska;codecs=avc1,opus", "clip.mkv", "video/x-matroska", "video"),
        ("audio/webm;codecs=opus", "voice.webm", "audio/webm", "audio"),
        ("audio/ogg; codecs=opus", "voice.ogg", "audio/ogg", "audio"),
        ("audio/mp4;codecs=mp4a.40.2", "voice.mp4", "audio/mp4", "audio"),
        ("application/pdf;name=a,b.pdf;charset=utf-8", "a.pdf", "application/pdf", "document"),
    ],
)
def test_data_uris_as_browsers_record_them(
    client: Client, post: Call, get: Call, kind: str, filename: str, content_type: str, type: str
) -> None:
    post("settings", videoUploadOn=True)
    content = bytes(range(250)) * 4
    answer = post("sendFile", phone=ANNA, body=data_uri(kind, content), filename=filename)
    assert answer["sent"] is True
    message = message_of(get)
    response = served(client, message)
    assert (message["type"], response.headers["Content-Type"]) == (type, content_type)
    assert b"".join(response) == content


@pytest.mark.parametrize(
    "body", ["data:", "data:;base64", "data:image/jpeg,plain", "data:video/webm;codecs=vp8,opus,AAAA"]
)
def test_data_uris_without_base64_are_refused(post: Call, body: str) -> None:
    answer = post("sendFile", phone=ANNA, body=body, filename="a.webm")
    assert answer == {
        "sent": False,
        "message": "File was not sent: the data: URI is not valid; it must begin with data:image/jpeg;base64,…",
    }


@pytest.mark.parametrize(
    ("name", "declared", "served_as"),
    [
        ("voice.webm", "audio/webm", "audio/webm"),
        ("voice.webm", "audio/webm;codecs=opus", "audio/webm"),
        ("voice.mp4", "audio/mp4", "audio/mp4"),
        ("voice.ogg", "audio/ogg", "audio/ogg"),
        ("voice.ogg", "audio/opus", "audio/ogg"),
    ],
)
@pytest.mark.parametrize("how", ["url", "form", "data"])
def test_voice_webm_served_as_audio(
    client: Client, instance: Instance, get: Call, how: str, name: str, declared: str, served_as: str
) -> None:
    content = bytes(500)
    with Receiver([(200, {"Content-Type": declared}, content)]) as server:
        audio: Any = {
            "url": f"{server.url}/{name}",
            "form": SimpleUploadedFile(name, content, content_type=declared),
            "data": data_uri(declared, content),
        }[how]
        answer = client.post(address("sendPTT"), {"phone": "17680561234", "audio": audio})
    assert answer.json()["sent"] is True
    message = message_of(get)
    assert (message["type"], served(client, message).headers["Content-Type"]) == ("ptt", served_as)


# Documents received without a caption


def test_documents_received_without_a_caption(post: Call, get: Call, instance: Instance) -> None:
    post("settings", webhookUrl="https://example.com/hook")
    media = store_media(instance, content=io.BytesIO(b"%PDF-1.7"), filename="счёт № 5.pdf")
    picture = store_media(instance, content=io.BytesIO(b"\xff\xd8\xff"), filename="photo.jpg")
    receive_message(instance, sender=ANNA, type="document", media=media)
    receive_message(instance, sender=ANNA, type="document", media=media, caption="Our offer")
    receive_message(instance, sender=ANNA, type="document", body="https://example.com/my%20offer.pdf?x=1")
    receive_message(instance, sender=ANNA, type="image", media=picture)
    type_on_phone(instance, chat_id=ANNA, type="document", media=media)
    captions = ["счёт № 5.pdf", "Our offer", "my offer.pdf", None, "счёт № 5.pdf"]
    assert [message["caption"] for message in get("messages")["messages"]] == captions
    bodies = [bytes(hook.body) for hook in Hook.objects.filter(kind=Kind.MESSAGE).order_by("pk")]
    assert [json.loads(body)["messages"][0]["caption"] for body in bodies] == captions


@pytest.mark.parametrize("caption", [None, ""])
def test_documents_that_are_sent_have_the_file_name_as_their_caption_too(
    post: Call, get: Call, caption: str | None
) -> None:
    body = data_uri("application/pdf", b"%PDF-1.7")
    post("sendFile", phone=ANNA, body=body, filename="offer.pdf", caption=caption)
    assert message_of(get)["caption"] == "offer.pdf"


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
