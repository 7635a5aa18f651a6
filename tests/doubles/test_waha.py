"""The double of WAHA, judged by waha-py: the client and the models that are generated from WAHA's OpenAPI document.

The document makes objects of some texts (the names of events, content types of voice messages, presence), and requires
what the server leaves out for a chat with one person: these are filled in or left out here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from waha import WahaClient, models

from instances.channels.requests import Link, MessageToSend, Request
from instances.channels.waha.channel import WahaChannel
from tests.doubles.waha import ENGINES, Fault, Session, Waha

ANN, BEN, LID = "17680561234@c.us", "4915112345678@c.us", "98765432101234@lid"
GROUP = "120363000000000001@g.us"
REQUIRED = {"participant": "", "mediaUrl": ""}
PICTURE = base64.b64encode(b"\x89PNG\r\n").decode()
CARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nTEL:+49151\nEND:VCARD"


@pytest.fixture(params=ENGINES)
def waha(request: pytest.FixtureRequest) -> Iterator[Waha]:
    with Waha(engine=request.param) as server:
        yield server


@pytest.fixture
def session(waha: Waha) -> Session:
    return waha.add_session("default")


@pytest.fixture
def client(waha: Waha) -> Iterator[WahaClient]:
    client = WahaClient(waha.url, api_key=waha.api_key)
    yield client
    client.close()


def without_config(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "config"}


def test_the_client_makes_a_session_and_reads_its_code(client: WahaClient, waha: Waha) -> None:
    made = client.sessions.create({"name": "shop", "config": {"metadata": {"a": "b"}}})
    assert models.SessionDTO.model_validate(without_config(made)).status == models.Status.SCAN_QR_CODE
    assert made["config"] == {"metadata": {"a": "b"}}
    code = models.QRCodeValue.model_validate(client.auth.get_qr("shop", {"format": "raw"}))
    assert code.value == waha.only.qr
    assert models.Base64File.model_validate(client.auth.get_qr("shop")).mimetype == "image/png"
    assert client.auth.request_code("shop", {"phoneNumber": "15550001111"})["code"]
    waha.only.scan()
    me = models.MeInfo.model_validate(client.sessions.get_me("shop"))
    assert (me.id, me.pushName) == ("15550001111@c.us", "Tea Shop")
    for action in (client.sessions.restart, client.sessions.stop, client.sessions.start):
        models.SessionDTO.model_validate(without_config(action("shop")))
    assert waha.only.status == "WORKING"
    assert client.sessions.logout("shop")["status"] == "SCAN_QR_CODE"
    assert [one["name"] for one in client.sessions.list({"all": "true"})] == ["shop"]
    client.sessions.delete("shop")
    assert client.sessions.list({"all": "true"}) == []


def test_the_client_sends_every_type(client: WahaClient, session: Session) -> None:
    to: dict[str, Any] = {"session": "default", "chatId": ANN}
    file = models.BinaryFile(mimetype="image/png", filename="a.png", data=PICTURE).model_dump()
    chatting = client.chatting
    chatting.send_text(models.MessageTextRequest(**to, text="hello"))
    chatting.send_image({**to, "file": file, "caption": "look"})
    chatting.send_file({**to, "file": {"mimetype": "application/pdf", "url": "https://example.com/a.pdf"}})
    chatting.send_voice({**to, "file": {"mimetype": "audio/ogg", "data": PICTURE}, "convert": False})
    chatting.send_video({**to, "file": {"mimetype": "video/mp4", "data": PICTURE}, "convert": True})
    chatting.send_location(
        models.MessageLocationRequest(**to, latitude=52.52, longitude=13.405, title="Berlin")
    )
    chatting.send_contact_vcard({**to, "contacts": [models.VCardContact(vcard=CARD).model_dump()]})
    chatting.send_seen({**to})
    chatting.set_reaction({"session": "default", "messageId": f"false_{ANN}_3AB0", "reaction": "👍"})
    assert [one["kind"] for one in session.sent] == [
        "sendText", "sendImage", "sendFile", "sendVoice", "sendVideo", "sendLocation", "sendContactVcard",
    ]  # fmt: skip
    assert [path for path, _ in session.calls] == ["sendSeen", "reaction"]
    found = client.contacts.check_exists({"phone": "17680561234", "session": "default"})
    assert models.WANumberExistResult.model_validate(found).chatId == ANN
    client.chats.delete_message("default", ANN, f"true_{ANN}_3EB0")
    assert session.deleted == [f"true_{ANN}_3EB0"]


def test_the_client_manages_groups_and_reads_the_history(client: WahaClient, session: Session) -> None:
    client.groups.create_group("default", {"name": "Trip", "participants": [{"id": ANN}]})
    client.groups.leave_group("default", GROUP)
    client.presence.set_presence("default", {"chatId": ANN, "presence": "typing"})
    assert [path for path, _ in session.calls] == [f"groups/{GROUP}/leave", "presence"]
    for index in range(3):
        session.write(ANN, str(index))
    [chat] = client.chats.get_chats_overview("default", {"limit": 10})
    assert models.ChatSummary.model_validate(chat).id == ANN
    messages = client.chats.get_chat_messages("default", ANN, {"limit": 2})
    read = [models.WAMessage.model_validate(REQUIRED | one) for one in messages]
    assert [one.body for one in read] == ["2", "1"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(400, "bad"), 400),
        (Fault(429, "slow"), 429),
        (Fault(500, "Protocol error"), 500),
        (Fault(502), 502),
    ],
)
def test_the_client_gets_the_errors(client: WahaClient, session: Session, fault: Fault, status: int) -> None:
    session.faults.append(fault)
    with pytest.raises(httpx.HTTPStatusError) as raised:
        client.chatting.send_text({"session": "default", "chatId": ANN, "text": "hello"})
    assert raised.value.response.status_code == status
    session.change("STARTING")
    with pytest.raises(httpx.HTTPStatusError) as raised:
        client.chatting.send_text({"session": "default", "chatId": ANN, "text": "hello"})
    assert raised.value.response.json()["expected"] == ["WORKING"]


def test_a_wrong_key_is_refused(waha: Waha) -> None:
    client = WahaClient(waha.url, api_key="another")
    with pytest.raises(httpx.HTTPStatusError) as raised:
        client.sessions.list()
    client.close()
    assert raised.value.response.status_code == 401


def read(session: Session, envelope: type[BaseModel], payload: type[BaseModel]) -> Any:
    """Returns the payload of the last event as the models read it."""
    event = session.events[-1]
    filled = (REQUIRED if "participant" in payload.model_fields else {}) | event["payload"]
    envelope.model_validate({**event, "event": {}, "payload": filled})
    return payload.model_validate(filled)


def test_the_models_read_every_event(session: Session) -> None:
    first = session.write(ANN, "Grüße 👋")
    message = read(session, models.WAHAWebhookMessageAny, models.WAMessage)
    assert (message.from_, message.body, message.fromMe) == (ANN, "Grüße 👋", False)
    session.write(GROUP, "hi", participant=ANN)
    assert read(session, models.WAHAWebhookMessageAny, models.WAMessage).participant == ANN
    session.write(ANN, "cup", **session.file(b"content", "image/png", "cup.png"))
    media = read(session, models.WAHAWebhookMessageAny, models.WAMessage).media
    assert (media.mimetype, media.filename) == ("image/png", "cup.png")
    session.type_in_app(ANN, "on the phone")
    assert read(session, models.WAHAWebhookMessageAny, models.WAMessage).source.value == "app"
    session.react(ANN, "👍", first["id"])
    reaction = read(session, models.WAHAWebhookMessageReaction, models.WAMessageReaction)
    assert (reaction.reaction.text, reaction.reaction.messageId) == ("👍", first["id"])
    session.edit(first, "Grüße!")
    assert read(session, models.WAHAWebhookMessageEdited, models.WAMessageEditedBody).body == "Grüße!"
    session.call(ANN)
    assert read(session, models.WAHAWebhookCallReceived, models.CallData).from_ == ANN
    session.call(ANN, event="call.accepted")
    assert read(session, models.WAHAWebhookCallAccepted, models.CallData).from_ == ANN
    session.call(ANN, event="call.rejected")
    assert read(session, models.WAHAWebhookCallRejected, models.CallData).from_ == ANN
    session.revoke(first)
    revoked = session.events[-1]["payload"]
    models.WAMessageRevokedBody.model_validate({**revoked, "before": REQUIRED | revoked["before"]})
    for ack in (-1, 0, 1, 2, 3, 4):
        session.acknowledge("3EB0A1", ack)
        assert read(session, models.WAHAWebhookMessageAck, models.WAMessageAckBody).ack.value == ack


def test_the_models_read_every_event_of_groups(session: Session) -> None:
    session.join(GROUP, "Trip", {ANN: "admin", LID: "participant"}, {LID: BEN})
    joined = read(session, models.WebhookGroupV2Join, models.GroupV2JoinEvent)
    assert (joined.group.id, joined.group.subject) == (GROUP, "Trip")
    assert [(one.id, one.pn, one.role.value) for one in joined.group.participants] == [
        (ANN, ANN, "admin"),
        (LID, BEN, "participant"),
    ]
    for type in ("join", "leave", "promote", "demote"):
        session.change_participants(GROUP, type, BEN)
        changed = read(session, models.WebhookGroupV2Participants, models.GroupV2ParticipantsEvent)
        assert (changed.group.id, changed.type.value) == (GROUP, type)
        assert [one.id for one in changed.participants] == [BEN]
    session.rename(GROUP, "Holidays")
    updated = read(session, models.WebhookGroupV2Update, models.GroupV2UpdateEvent)
    assert updated.group == {"id": GROUP, "subject": "Holidays"}
    session.leave(GROUP)
    assert read(session, models.WebhookGroupV2Leave, models.GroupV2LeaveEvent).group.id == GROUP


def test_what_a_client_changes_in_a_group_is_an_event(client: WahaClient, session: Session) -> None:
    client.groups.create_group("default", {"name": "Trip", "participants": [{"id": ANN}]})
    client.groups.add_participants("default", GROUP, {"participants": [{"id": BEN}]})
    client.groups.promote_to_admin("default", GROUP, {"participants": [{"id": BEN}]})
    client.groups.leave_group("default", GROUP)
    assert [one["event"] for one in session.events] == [
        "group.v2.join", "group.v2.participants", "group.v2.participants", "group.v2.leave",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [each.value for each in models.Status])
def test_the_models_read_every_state(session: Session, status: str) -> None:
    session.change(status)
    body = read(session, models.WAHAWebhookSessionStatus, models.WASessionStatusBody)
    assert (body.status.value, body.statuses[-1].status.value) == (status, status)


@pytest.mark.parametrize(
    ("type", "body", "model"),
    [
        ("chat", "hello", models.MessageTextRequest),
        ("image", "https://example.com/a.jpg", models.MessageImageRequest),
        ("document", "https://example.com/a.pdf", models.MessageFileRequest),
        ("location", "52.52;13.405", models.MessageLocationRequest),
    ],
)
def test_the_models_read_what_this_product_sends(type: str, body: str, model: type[BaseModel]) -> None:
    quoted = {"id": f"false_{ANN}_A", "body": "?", "type": "chat", "messenger_id": "3AB0"}
    message = MessageToSend(f"true_{ANN}_3EB0", ANN, type, body, caption="look", quoted=quoted)
    link = Link(1, "15550001111@c.us", options={"url": "https://waha.example", "session": "default"})
    prepared = WahaChannel().prepare(message, link)
    assert isinstance(prepared, Request)
    found = model.model_validate(json.loads(prepared.body))
    assert found.model_dump()["reply_to"] == f"false_{ANN}_3AB0"
