"""What WhatsApp sends to the callback URL: the challenge, signatures, and the events of every type."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from instances.channels.receiving import CallbackRequest, Reply, Store
from instances.channels.requests import Link
from instances.channels.whatsapp_cloud.callbacks import signature
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.channels.whatsapp_cloud.graph import APP_SECRET, TOKEN, VERIFY_TOKEN
from instances.models import AccountStatus, Ack
from instances.received_events import (
    ChatMoved,
    Media,
    MessageAcked,
    MessageFailed,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
    StatusReported,
)
from tests.doubles.whatsapp_cloud import Number, WhatsAppCloud

CHANNEL = WhatsAppCloudChannel()
ANN, USER = "17680561234", "US.13491208655302741918"


@pytest.fixture
def number() -> Iterator[Number]:
    whatsapp = WhatsAppCloud()
    yield whatsapp.add_number()
    whatsapp.server.server_close()


def link(number: Number) -> Link:
    credentials = {TOKEN: number.token, APP_SECRET: number.app_secret, VERIFY_TOKEN: number.verify_token}
    return Link(1001, f"{number.phone}@c.us", credentials, external_id=number.phone_number_id)


def post(number: Number, body: Any, *, secret: str | None = None) -> CallbackRequest:
    raw, headers = number.signed(body, secret=secret)
    return CallbackRequest("POST", "", tuple(headers.items()), raw)


def check(number: Number, request: CallbackRequest) -> Store | Reply:
    return CHANNEL.check_callback(link(number), request)


def read(number: Number, body: Any) -> list[ReceivedEvent]:
    return list(CHANNEL.read_callback(link(number), post(number, body)))


def received(number: Number, type: str = "text", *, who: str = ANN, **more: Any) -> ReceivedEvent:
    content: Any = {"id": "wamid.1"} | more
    message = number.message(who, type, **content)
    [event] = read(number, number.messages([message], {who: "Ann"}))
    return event


def test_the_published_vector_of_signatures() -> None:
    body = b'{"object":"whatsapp_business_account","entry":[]}'
    expected = "c6f9cab4a429d2f621d2b43235ccdc1f8c353f3e7902d9b6dbcacf4e84b22ff3"
    assert signature(body, "app-secret-demo") == f"sha256={expected}"


def test_the_challenge(number: Number) -> None:
    right = f"hub.mode=subscribe&hub.verify_token={number.verify_token}&hub.challenge=1158201444"
    assert check(number, CallbackRequest("GET", right, (), b"")) == Reply(body="1158201444")
    for wrong in (
        right.replace(number.verify_token, "guessed"),
        right.replace("subscribe", "other"),
        "hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=&hub.challenge=1",
    ):
        reply = check(number, CallbackRequest("GET", wrong, (), b""))
        assert isinstance(reply, Reply) and reply.status == 403 and "115" not in reply.body
    without = dataclasses.replace(link(number), credentials={})
    empty = CallbackRequest("GET", "hub.mode=subscribe&hub.verify_token=&hub.challenge=1", (), b"")
    assert isinstance(reply := CHANNEL.check_callback(without, empty), Reply) and reply.status == 403


def test_a_person_who_opens_the_url_gets_an_explanation(number: Number) -> None:
    reply = check(number, CallbackRequest("GET", "", (), b""))
    assert isinstance(reply, Reply) and reply.status == 200
    assert "It works" in reply.body and number.verify_token not in reply.body


def test_the_signature_is_over_the_raw_bytes(number: Number) -> None:
    body = number.messages([number.message(ANN, body="Grüße 👋")], {ANN: "Ann"})
    request = post(number, body)
    assert b"\\u00fc" in request.body
    assert isinstance(check(number, request), Store)
    rewritten = dataclasses.replace(request, body=json.dumps(body, ensure_ascii=False).encode())
    unsigned = dataclasses.replace(request, headers=())
    for wrong, status in (
        (unsigned, 401),
        (rewritten, 403),
        (post(number, body, secret="another"), 403),
        (dataclasses.replace(request, headers=(("X-Hub-Signature-256", "sha256=\xff"),)), 403),
    ):
        reply = check(number, wrong)
        assert isinstance(reply, Reply) and reply.status == status


def test_a_callback_of_another_number_of_the_app_is_not_stored(number: Number) -> None:
    other = number.server.add_number(app_secret=number.app_secret)
    theirs = other.messages([other.message(ANN, body="hi")], {ANN: "Ann"})
    reply = check(number, post(number, theirs))
    assert isinstance(reply, Reply) and (reply.status, reply.body) == (
        200, "Not stored: it is of another phone number id.\n",
    )  # fmt: skip
    assert read(number, theirs) == []
    ours = number.messages([number.message(ANN, body="ours")], {ANN: "Ann"})
    both = {**ours, "entry": theirs["entry"] + ours["entry"]}
    assert isinstance(check(number, post(number, both)), Store)
    assert [event.body for event in read(number, both) if isinstance(event, MessageReceived)] == ["ours"]


def test_a_repeated_callback_has_the_same_key_in_any_order(number: Number) -> None:
    def key(*messages: Any) -> str:
        checked = check(number, post(number, number.messages(messages, {ANN: "Ann"})))
        assert isinstance(checked, Store)
        return checked.key

    one, two = number.message(ANN, body="1"), number.message(ANN, body="2")
    assert key(one, two) == key(two, one) != key(one)
    sent = number.report("wamid.1", "sent", push=False)
    read_ = number.report("wamid.1", "read", push=False)
    keys = [getattr(check(number, post(number, body)), "key", "") for body in (sent, read_)]
    assert keys[0] and keys[1] and keys[0] != keys[1]


def test_several_entries_changes_and_messages_in_one_callback(number: Number) -> None:
    one, two, three = (number.message(ANN, body=str(index)) for index in range(3))
    body = number.messages([one, two], {ANN: "Ann"})
    body["entry"][0]["changes"] += number.report("wamid.9", "read", push=False)["entry"][0]["changes"]
    body["entry"] += number.messages([three], {ANN: "Ann"})["entry"]
    events = read(number, body)
    assert [getattr(event, "body", getattr(event, "ack", None)) for event in events] == [
        "0", "1", Ack.VIEWED, "2",
    ]  # fmt: skip


def test_a_text_with_what_it_quotes(number: Number) -> None:
    context = {"from": number.phone, "id": "wamid.quoted"}
    event = received(number, body="hi", context=context, timestamp="1700000000")
    assert event == MessageReceived(
        key="wamid.1", sender=f"{ANN}@c.us", body="hi", sender_name="Ann", quoted="wamid.quoted",
        time=datetime.fromtimestamp(1_700_000_000, UTC),
    )  # fmt: skip
    for given, expected in (({"forwarded": True}, 1), ({"frequently_forwarded": True}, 5), ({}, 0)):
        found = received(number, body="hi", context=given)
        assert isinstance(found, MessageReceived) and found.forwarded == expected


@pytest.mark.parametrize(
    ("kind", "more", "type"),
    [
        ("image", {"caption": "look"}, "image"),
        ("video", {}, "video"),
        ("audio", {"voice": True}, "ptt"),
        ("audio", {"voice": False}, "audio"),
        ("document", {"filename": "a.pdf", "caption": "read"}, "document"),
        ("sticker", {"animated": False}, "sticker"),
    ],
)
def test_files(number: Number, kind: str, more: dict[str, Any], type: str) -> None:
    digest = hashlib.sha256(b"content")
    file = {"id": "4711", "mime_type": "x/y", "sha256": digest.hexdigest(), "url": "https://example.com"}
    described: Any = {kind: file | more}
    event = received(number, kind, **described)
    assert isinstance(event, MessageReceived)
    assert (event.type, event.caption) == (type, more.get("caption"))
    assert event.media == Media("4711", "x/y", more.get("filename", ""), 0, digest.hexdigest())


@pytest.mark.parametrize(
    ("kind", "content", "type", "body"),
    [
        ("location", {"latitude": 52.52, "longitude": 13.405}, "location", "52.52;13.405"),
        ("button", {"text": "Yes", "payload": "y"}, "chat", "Yes"),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "One"}}, "chat", "One"),
        ("interactive", {"type": "list_reply", "list_reply": {"id": "1", "title": "Two"}}, "chat", "Two"),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": "{}"}}, "chat", "Sent"),
        ("order", {"text": "Please", "product_items": [
            {"product_retailer_id": "tea", "quantity": 2, "item_price": 3.5, "currency": "EUR"}]},
         "chat", "Please\n2 × tea 3.5 EUR"),
        ("hologram", {}, "chat", "[A message of a type that the Cloud API does not show: hologram.]"),
    ],
)  # fmt: skip
def test_other_types(number: Number, kind: str, content: dict[str, Any], type: str, body: str) -> None:
    described: Any = {kind: content}
    event = received(number, kind, **described)
    assert isinstance(event, MessageReceived) and (event.type, event.body) == (type, body)


def test_contacts_are_vcards(number: Number) -> None:
    ben = {
        "name": {"formatted_name": "Ben; Doe", "first_name": "Ben"},
        "phones": [{"phone": "+49 151", "type": "WORK", "wa_id": "4915112345678"}],
    }
    event = received(number, "contacts", contacts=[ben, ben])
    assert isinstance(event, MessageReceived) and event.type == "vcard"
    card = "BEGIN:VCARD\nVERSION:3.0\nN:;Ben;;;\nFN:Ben\\; Doe\nTEL;TYPE=WORK;waid=4915112345678:+49 151\nEND:VCARD"
    assert event.body == f"{card}\n{card}"


def test_a_reaction_quotes_its_message_and_a_removed_one_is_no_event(number: Number) -> None:
    event = received(number, "reaction", reaction={"message_id": "wamid.q", "emoji": "👍"})
    assert isinstance(event, MessageReceived) and (event.body, event.quoted) == ("👍", "wamid.q")
    removed = number.message(ANN, "reaction", reaction={"message_id": "wamid.q"})
    assert read(number, number.messages([removed], {ANN: "Ann"})) == []


def test_an_edit_quotes_its_message_and_a_revocation_is_no_event(number: Number) -> None:
    new = {"original_message_id": "wamid.old", "message": {"type": "text", "text": {"body": "better"}}}
    event = received(number, "edit", edit=new)
    assert isinstance(event, MessageReceived) and (event.body, event.quoted) == ("better", "wamid.old")
    revoked = number.message(ANN, "revoke", revoke={"original_message_id": "wamid.old"})
    assert read(number, number.messages([revoked], {ANN: "Ann"})) == []


def test_people_without_a_number_and_groups(number: Number) -> None:
    event = received(number, who=USER, body="hi")
    assert isinstance(event, MessageReceived)
    assert (event.sender, event.sender_name) == (f"user:{USER}@c.us", "Ann")
    in_group = received(number, body="hi", group_id="Y2FwaV9ncm91cA==")
    assert isinstance(in_group, MessageReceived)
    assert (in_group.sender, in_group.chat_id) == (f"{ANN}@c.us", "user:Y2FwaV9ncm91cA==@g.us")


def test_a_person_who_changes_the_number_keeps_the_chat(number: Number) -> None:
    system = {"body": "Ann changed", "wa_id": "4915112345678", "type": "user_changed_number"}
    message = number.message(ANN, "system", system=system)
    assert read(number, number.messages([message], {})) == [ChatMoved(f"{ANN}@c.us", "4915112345678")]


def test_statuses_are_acks_and_failures(number: Number) -> None:
    for word, ack in (
        ("sent", Ack.SENT),
        ("delivered", Ack.DELIVERED),
        ("read", Ack.VIEWED),
        ("played", Ack.VIEWED),
    ):
        body = number.report("wamid.1", word, push=False)
        assert read(number, body) == [MessageAcked(messenger_id="wamid.1", ack=ack)]
    [failed] = read(number, number.report("wamid.1", "failed", error=131047, push=False))
    assert isinstance(failed, MessageFailed) and failed.messenger_id == "wamid.1"
    assert failed.reason.endswith("WhatsApp: Details of 131047 (131047)")
    assert read(number, number.report("wamid.1", "warning", push=False)) == []


def test_a_status_with_an_id_of_this_product_names_its_message(number: Number) -> None:
    for tracker, expected in (
        ("true_17680561234@c.us_3EB0", MessageAcked("true_17680561234@c.us_3EB0", Ack.DELIVERED)),
        ("of another program", MessageAcked(messenger_id="wamid.1", ack=Ack.DELIVERED)),
    ):
        number.accepted = [{"id": "wamid.1", "to": ANN, "biz_opaque_callback_data": tracker}]
        assert read(number, number.report("wamid.1", "delivered", push=False)) == [expected]


def test_what_is_typed_in_the_app_and_what_becomes_of_the_account(number: Number) -> None:
    [event] = read(number, number.type_in_app(ANN, "by hand", id="wamid.echo"))
    assert isinstance(event, MessageTyped)
    assert (event.key, event.chat_id, event.body) == ("wamid.echo", f"{ANN}@c.us", "by hand")
    assert read(number, number.disable()) == [StatusReported(AccountStatus.INIT)]
    assert read(number, number.account("DISABLED_UPDATE", "REINSTATE")) == [
        StatusReported(AccountStatus.AUTHENTICATED)
    ]


def test_odd_content_is_no_exception(number: Number) -> None:
    odd: list[dict[str, Any]] = [
        {},
        {"type": "text"},
        {"type": "text", "text": []},
        {"type": 7},
        {"from": {}, "id": None},
        {"type": "image", "image": None},
        {"type": "contacts", "contacts": 7},
        {"timestamp": "9" * 30},
        {"type": "order", "order": {"product_items": [1]}},
        {"context": 7, "type": "system", "system": 1},
    ]
    for message in odd:
        read(number, number.messages([message], {}))
    values: list[dict[str, Any]] = [
        {"messages": 7},
        {"statuses": [{}]},
        {"contacts": [7]},
        {"metadata": 7},
        {"message_echoes": [{}]},
    ]
    for value in values:
        for field in ("messages", "smb_message_echoes", "account_update", "message_template_status_update"):
            read(number, number.entry(field, value))
