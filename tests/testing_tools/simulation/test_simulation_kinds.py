"""Each kind of simulated hook has, byte for byte, the body of a real one; its form and JSON are kept in sync."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatapi.ui.json_text import BadJson, Place, parse, place_of
from hooks.actions.endpoints import configure
from hooks.models import Hook, Kind
from instances.actions.chats.chats import change_chat
from instances.actions.messages import receive_message, record_ack, type_on_phone
from instances.actions.sending.accept import send_message
from instances.actions.status import change_status
from instances.models import Ack, Chat, Instance, Media, Message, Substatus
from instances.sending.outgoing import send_due
from testing_tools.simulation import drafts, form_values
from testing_tools.simulation.examples import CHAT_ID, GROUP_ID, GROUP_NAME, QUOTED_TEXT, SENDER_NAME, example
from testing_tools.simulation.form_fields import fields_of
from testing_tools.simulation.kinds import MAIN_KINDS, MORE_KINDS, SimulationKind, hook_kind
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/simulation/"
PHONE = CHAT_ID.removesuffix("@c.us")
RECEIVED = ("chat", "image", "ptt", "document", "audio", "video", "location", "vcard", "sticker", "call_log")


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(
        owner=AccountFactory(email="alice@example.org"),
        number=12345,
        url="http://127.0.0.1:9/hook",
        video_upload_on=True,
        ack_notifications_on=True,
        status_notifications_on=True,
        chat_update_on=True,
    )


def last_body(instance: Instance, kind: Kind = Kind.MESSAGE) -> bytes:
    return bytes(Hook.objects.filter(endpoint_id=instance.pk, kind=kind).latest("pk").body)


def as_real(simulated: bytes, real: bytes, *keys: str) -> bytes:
    """The simulated body with the parts of the real one that differ in each event: ids and times."""
    text, made = simulated.decode(), parse(real.decode())
    mine = parse(text)
    for key in keys:
        before, after = mine["messages"][0][key], made["messages"][0][key]
        text = text.replace(json.dumps(before), json.dumps(after))
    return text.encode()


def test_the_page_offers_every_kind_once():
    shown = [*(kind for kind, _, _ in MAIN_KINDS), *(kind for _, kinds in MORE_KINDS for kind, _ in kinds)]
    assert sorted(shown) == sorted(SimulationKind)


@pytest.mark.parametrize("type", RECEIVED)
def test_a_received_message_of_each_type_has_the_bytes_of_a_real_one(instance, type):
    simulated = example(instance, "message" if type == "chat" else type)
    item = json.loads(simulated)["messages"][0]
    receive_message(
        instance,
        sender=PHONE,
        sender_name=SENDER_NAME,
        type=type,
        body=item["body"],
        caption=item["caption"],
    )
    real = last_body(instance)
    assert as_real(simulated, real, "id", "time") == real
    assert item["type"] == type


def test_a_quoted_and_a_forwarded_message_have_the_bytes_of_real_ones(instance):
    simulated = example(instance, SimulationKind.QUOTED)
    item = json.loads(simulated)["messages"][0]
    quoted = {"id": item["quotedMsgId"], "body": QUOTED_TEXT, "type": "chat"}
    who: dict[str, Any] = {"sender": PHONE, "sender_name": SENDER_NAME}
    receive_message(instance, **who, body=item["body"], quoted=quoted)
    real = last_body(instance)
    assert as_real(simulated, real, "id", "time") == real
    simulated = example(instance, SimulationKind.FORWARDED)
    receive_message(instance, **who, body=item["body"], forwarded=1)
    real = last_body(instance)
    assert as_real(simulated, real, "id", "time") == real


def test_a_message_in_a_group_has_the_bytes_of_a_real_one(instance):
    Chat.objects.create(instance=instance, chat_id=GROUP_ID, name=GROUP_NAME, is_group=True)
    simulated = example(instance, SimulationKind.GROUP)
    body = json.loads(simulated)["messages"][0]["body"]
    receive_message(instance, sender=PHONE, sender_name=SENDER_NAME, body=body, chat_id=GROUP_ID)
    real = last_body(instance)
    assert as_real(simulated, real, "id", "time") == real
    assert json.loads(real)["messages"][0]["id"].endswith("_17680561234@c.us")


def test_outgoing_messages_have_the_bytes_of_real_ones(instance):
    Chat.objects.create(instance=instance, chat_id=CHAT_ID, name=SENDER_NAME)
    simulated = example(instance, SimulationKind.TYPED)
    type_on_phone(instance, chat_id=PHONE, body="Yes, it is.")
    real = last_body(instance)
    assert as_real(simulated, real, "id", "time") == real
    simulated = example(instance, SimulationKind.BY_API)
    send_message(instance, chat_id=PHONE, body="Yes, it is.")
    send_due()
    real = last_body(instance)
    assert as_real(simulated, real, "id", "time") == real


@pytest.mark.parametrize(
    ("what", "ack"), [("sent", Ack.SENT), ("delivered", Ack.DELIVERED), ("viewed", Ack.VIEWED)]
)
def test_an_ack_has_the_bytes_of_the_real_one(instance, what, ack):
    send_message(instance, chat_id=PHONE, body="hello")
    send_due()
    message = Message.objects.get()
    simulated = example(instance, what)
    if ack > (message.ack or 0):
        record_ack(instance, message_id=message.message_id, status=ack.label)
    real = [
        bytes(hook.body)
        for hook in Hook.objects.filter(kind=Kind.ACK)
        if json.loads(bytes(hook.body))["ack"][0]["status"] == ack.label
    ]
    assert real == [simulated]


def test_a_status_change_has_the_bytes_of_a_real_one(instance):
    simulated = example(instance, SimulationKind.STATUS)
    change_status(instance, substatus=Substatus.PHONE)
    real = last_body(instance, Kind.STATUS)
    time = json.loads(simulated)["instanceStatus"][0]["time"]
    made = json.loads(real)["instanceStatus"][0]["time"]
    assert simulated.replace(str(time).encode(), str(made).encode()) == real


def test_a_new_and_a_changed_chat_have_the_bytes_of_real_ones(instance):
    simulated = json.loads(example(instance, SimulationKind.NEW_CHAT))
    at = timezone.now() - timedelta(hours=1)
    receive_message(instance, sender=PHONE, sender_name=SENDER_NAME, body="hello", time=at)
    simulated["chatUpdate"][0]["new"]["last_time"] = int(at.timestamp())
    assert json.dumps(simulated, separators=(",", ":")).encode() == last_body(instance, Kind.CHAT)
    changed = example(instance, SimulationKind.CHAT)
    change_chat(instance, chat_id=CHAT_ID, name="Anna Example (new)")
    assert last_body(instance, Kind.CHAT) == changed


def test_a_file_is_the_newest_of_the_instance(instance):
    assert json.loads(example(instance, SimulationKind.IMAGE))["messages"][0]["body"].endswith("/photo.jpg")
    kept = Media.objects.create(
        instance=instance, filename="blue.png", extension=".png", content_type="image/png", size=8, path="1/x"
    )
    receive_message(instance, sender=PHONE, type="image", media=kept)
    assert json.loads(example(instance, SimulationKind.IMAGE))["messages"][0]["body"] == kept.link


def test_a_video_is_not_uploaded_while_the_flag_is_off(instance):
    instance.video_upload_on = False
    assert json.loads(example(instance, SimulationKind.VIDEO))["messages"][0]["body"] == "upload disabled"


@pytest.mark.parametrize("what", SimulationKind.values)
def test_every_kind_can_be_chosen_written_and_read(alice, instance, what):
    page = alice.get(PAGE, {"instance": 12345, "what": what})
    draft = page.context["draft"]
    assert (draft.error, page.context["kind"]) == ("", what)
    assert {field.name for field in fields_of(what)} <= draft.values.keys() | {"caption", "quoted"}
    form = {"what": what, "url": "", "body": draft.text, **{f.name: v for f, v in draft.fields}}
    # the form says what the JSON says, so writing it changes nothing
    assert alice.post(f"{PAGE}json/?instance=12345", form, headers=HTMX).status_code == 204
    assert alice.post(f"{PAGE}fields/?instance=12345", form, headers=HTMX).status_code == 200
    assert hook_kind(what) in Kind


def written(instance: Instance, what: str, **fields: str) -> dict:
    """The item of the JSON after these values were entered in the form."""
    draft = drafts.example_draft(instance, what)
    after = drafts.with_values(instance, what, draft.text, draft.values | fields)
    item = form_values.first_item(what, parse(after.text))
    assert item is not None
    return item


def test_a_direct_chat_becomes_a_group_and_back(instance):
    item = written(instance, "image", group="yes")
    assert (item["chatId"], item["chatName"], item["author"]) == (GROUP_ID, GROUP_NAME, "17680561234@c.us")
    assert item["id"].startswith(f"false_{GROUP_ID}_")
    assert item["id"].endswith("_17680561234@c.us")
    item = written(instance, "group", group="yes", group_name="Garden", sender="4912345678901")
    assert (item["chatName"], item["id"].split("_")[3]) == ("Garden", "4912345678901@c.us")
    item = written(instance, "group", group="")
    assert (item["chatId"], item["chatName"]) == ("17680561234@c.us", "Anna Example")
    assert item["id"].startswith("false_17680561234@c.us_")
    assert item["id"].count("_") == 2


def test_a_quote_is_added_with_its_text_and_removed_without(instance):
    item = written(instance, "message", quoted="So?", forwarded="4", text="Yes")
    assert (item["quotedMsgBody"], item["quotedMsgType"], item["isForwarded"], item["body"]) == (
        "So?",
        "chat",
        4,
        "Yes",
    )
    assert item["quotedMsgId"].startswith("true_17680561234@c.us_3EB0")
    item = written(instance, "quoted", quoted="")
    assert [item[key] for key in ("quotedMsgBody", "quotedMsgId", "quotedMsgType")] == [None, None, None]


def test_the_recipient_is_in_the_chat_and_the_id(instance):
    item = written(instance, "by_api", recipient="+49 123 45678901")
    assert (item["chatId"], item["chatName"]) == ("4912345678901@c.us", "4912345678901")
    assert (item["author"], item["id"].split("_")[1]) == (instance.own_chat_id, "4912345678901@c.us")


def test_statuses_and_chat_names_are_written(instance):
    item = written(instance, "status", new_status="loading", new_substatus="syncing", old_substatus="offline")
    assert item["new"] == {"accountStatus": "loading", "substatus": "syncing"}
    assert item["old"] == {"accountStatus": "authenticated", "substatus": "offline"}
    item = written(instance, "chat_change", new_name="Bob", old_name="Rob")
    assert (item["new"]["name"], item["old"]["name"]) == ("Bob", "Rob")
    assert written(instance, "new_chat", new_name="Bob")["old"] is None


def test_the_position_of_an_error_is_shown(alice):
    text = '{\n  "messages": [}\n'
    with pytest.raises(BadJson) as refusal:
        parse(text)
    assert place_of(text, refusal.value) == Place(17, 2, '  "messages": [', "}", "", "{")
    page = alice.post(
        f"{PAGE}fields/?instance=12345", {"what": "message", "body": text}, headers=HTMX
    ).content.decode()
    assert "Line 2, column 16: expecting value." in page
    assert 'data-goto="17"' in page
    assert "[<mark>}</mark>" in page


def test_a_position_is_counted_as_browsers_do():
    text = '["\U0001f600",\r\n "\U0001f600" x]'
    with pytest.raises(BadJson) as refusal:
        parse(text)
    place = place_of(text, refusal.value)
    assert (place.at, place.line, place.before, place.there) == (13, 2, ' "\U0001f600" ', "x")


def test_the_kind_and_the_destination_are_in_the_pages_url(alice, instance):
    form = {"what": "image", "url": "https://other.example/hook"}
    response = alice.post(f"{PAGE}choose/?instance=12345", form, headers=HTMX)
    address = f"{PAGE}?instance=12345&what=image&url=https%3A%2F%2Fother.example%2Fhook"
    assert response["HX-Replace-Url"] == address
    context = alice.get(address).context
    assert (context["kind"], context["url"], context["origin"]) == (
        "image",
        "https://other.example/hook",
        "other",
    )
    response = alice.post(f"{PAGE}url/?instance=12345", {"what": "image", "use": "bin"}, headers=HTMX)
    assert response["HX-Replace-Url"] == f"{PAGE}?instance=12345&what=image&to=bin"
    assert alice.get(response["HX-Replace-Url"]).context["origin"] == "bin"
    response = alice.post(f"{PAGE}url/?instance=12345", {"what": "sent", "use": "own"}, headers=HTMX)
    assert response["HX-Replace-Url"] == f"{PAGE}?instance=12345&what=sent"


def test_a_destination_with_a_query_is_not_in_the_pages_url(alice):
    form = {"what": "message", "url": "https://other.example/hook?key=secret"}
    response = alice.post(f"{PAGE}url/?instance=12345", form, headers=HTMX)
    assert response["HX-Replace-Url"] == f"{PAGE}?instance=12345&what=message"


def test_a_chat_change_is_logged_with_its_chat(instance):
    assert drafts.subject_of(example(instance, SimulationKind.NEW_CHAT)) == {
        "message": "",
        "chat": "17680561234@c.us",
    }
    assert drafts.subject_of(example(instance, SimulationKind.STATUS)) == {"message": "", "chat": ""}


def test_a_status_can_be_chosen_without_a_url(alice, instance):
    configure(instance.endpoint, url="")
    assert alice.get(PAGE, {"instance": 12345, "what": "status"}).status_code == 200


def test_a_group_fills_in_its_name(alice, instance):
    draft = drafts.example_draft(instance, "message")
    form = {"what": "message", "body": draft.text, **draft.values, "group": "yes"}
    headers = HTMX | {"HX-Trigger-Name": "group"}
    page = alice.post(f"{PAGE}json/?instance=12345", form, headers=headers).content.decode()
    assert 'id="fields" hx-swap-oob="true"' in page
    assert 'name="group_name" value="Neighbours"' in page
