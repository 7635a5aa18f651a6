"""The double of WhatsApp's Cloud API, judged by pywa: its client and its reader of callbacks, but for the URL."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pywa import WhatsApp, types
from pywa.errors import (
    ExpiredAccessToken,
    ReEngagementMessage,
    TooManyMessages,
    WhatsAppError,
)
from pywa.handlers import (
    CallbackButtonHandler,
    CallbackSelectionHandler,
    MessageHandler,
    MessageStatusHandler,
)
from pywa.types import CallbackButton, CallbackSelection, Message, MessageStatus
from pywa.types.media import Media as PywaMedia

from tests.doubles.whatsapp_cloud import Fault, Number, WhatsAppCloud

ANN = "17680561234"
USER = "US.13491208655302741918"
PICTURE = b"\x89PNG\r\n" + bytes(range(256))


@pytest.fixture
def number() -> Iterator[Number]:
    with WhatsAppCloud() as whatsapp:
        yield whatsapp.add_number()


@pytest.fixture
def client(number: Number) -> Iterator[WhatsApp]:
    """pywa's client of the number. It writes the URL of the Graph API into its session, where it is changed."""
    with httpx.Client(timeout=30) as session:
        client = WhatsApp(
            number.phone_number_id,
            number.token,
            session=session,
            server=None,
            verify_token=number.verify_token,
            app_secret=number.app_secret,
            waba_id=number.business_account_id,
        )
        session.base_url = httpx.URL(f"{number.server.url}/v23.0")
        yield client


def test_the_client_sends_every_type(client: WhatsApp, number: Number) -> None:
    sent = client.send_message(ANN, "hello", tracker="our-id")
    client.send_message(ANN, "an answer", reply_to_message_id=sent.id)
    client.send_location(ANN, latitude=52.52, longitude=13.405, name="Berlin")
    name = types.Contact.Name(formatted_name="Ben", first_name="Ben")
    client.send_contact(ANN, types.Contact(name=name, phones=[types.Contact.Phone(phone="+49151")]))
    client.send_reaction(ANN, "👍", sent.id)
    client.send_image(ANN, PICTURE, mime_type="image/png", caption="look")
    client.send_document(ANN, "https://example.com/a.pdf", filename="a.pdf")
    assert [one["type"] for one in number.received(ANN)] == [
        "text", "text", "location", "contacts", "reaction", "image", "document",
    ]  # fmt: skip
    first, second, *_, picture, _document = number.received(ANN)
    assert (first["id"], first["biz_opaque_callback_data"]) == (sent.id, "our-id")
    assert second["context"] == {"message_id": sent.id}
    assert number.server.files[picture["image"]["id"]].content == PICTURE
    client.mark_message_as_read("wamid.x")
    assert [one["message_id"] for one in number.reads] == ["wamid.x"]


def test_the_client_fetches_a_file_and_reads_the_number(client: WhatsApp, number: Number) -> None:
    media_id = number.server.add_file(PICTURE, "image/png")
    url = client.get_media_url(media_id)
    assert (url.mime_type, url.file_size, url.sha256) == (
        "image/png", len(PICTURE), hashlib.sha256(PICTURE).hexdigest(),
    )  # fmt: skip
    assert client.get_media_bytes(url.url) == PICTURE
    info = client.get_business_phone_number()
    assert (info.id, info.verified_name) == (number.phone_number_id, "Chat Shop")


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        (Fault(code=190), ExpiredAccessToken, 401),
        (Fault(code=131056), TooManyMessages, 400),
        (Fault(code=131047), ReEngagementMessage, 400),
        (Fault(code=135000), WhatsAppError, 400),
        (Fault(status=502), WhatsAppError, 502),
    ],
    ids=["token", "pair", "window", "generic", "gateway"],
)
def test_the_client_knows_the_errors(
    client: WhatsApp, number: Number, fault: Fault, error: type[WhatsAppError], status: int
) -> None:
    number.faults.append(fault)
    with pytest.raises(error) as raised:
        client.send_message(ANN, "hello")
    assert raised.value.status_code == status
    if fault.code is not None:
        assert (raised.value.code, raised.value.details) == (fault.code, f"Details of {fault.code}")
    assert client.send_message(ANN, "again").id == number.accepted[-1]["id"]


class Heard:
    """Has pywa's handlers read callbacks."""

    def __init__(self, client: WhatsApp) -> None:
        self.client, self.updates = client, list[Any]()
        for handler in (
            MessageHandler,
            MessageStatusHandler,
            CallbackButtonHandler,
            CallbackSelectionHandler,
        ):
            client.add_handlers(handler(self.add))

    def add(self, _: WhatsApp, update: Any) -> None:
        self.updates.append(update)

    def hear(self, number: Number, body: dict[str, Any]) -> Any:
        raw, headers = number.signed(body)
        assert self.client.webhook_update_validator(raw, headers["X-Hub-Signature-256"]) is None
        text, status = self.client.webhook_update_handler(raw)
        assert status == 200, text
        return self.updates.pop()


def test_the_reader_of_callbacks_reads_every_message(client: WhatsApp, number: Number) -> None:
    heard = Heard(client)

    def hear(type: str = "text", **more: Any) -> Any:
        return heard.hear(number, number.messages([number.message(ANN, type, **more)], {ANN: "Ann"}))

    message = hear(body="Grüße 👋", context={"from": number.phone, "id": "wamid.quoted", "forwarded": True})
    assert isinstance(message, Message)
    assert (message.text, message.from_user.wa_id, message.from_user.name) == ("Grüße 👋", ANN, "Ann")
    assert (message.forwarded, message.reply_to_message and message.reply_to_message.id) == (
        True, "wamid.quoted",
    )  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(PICTURE).digest()).decode()
    file = {"id": "4711", "mime_type": "image/png", "sha256": digest}
    for kind in ("image", "video", "document", "sticker", "audio"):
        media = hear(kind, **{kind: file}).media
        assert isinstance(media, PywaMedia) and media.id == "4711"
    place = hear("location", location={"latitude": 52.52, "longitude": 13.405, "name": "Berlin"})
    assert (place.location.latitude, place.location.name) == (52.52, "Berlin")
    contacts = [{"name": {"formatted_name": "Ben", "first_name": "Ben"}, "phones": [{"phone": "+49151"}]}]
    assert hear("contacts", contacts=contacts).contacts[0].name.formatted_name == "Ben"
    assert hear("reaction", reaction={"message_id": "wamid.x", "emoji": "👍"}).reaction.emoji == "👍"
    assert hear("button", button={"text": "Yes", "payload": "yes"}).__class__ is CallbackButton
    row = {"type": "list_reply", "list_reply": {"id": "1", "title": "One", "description": ""}}
    assert (
        hear("interactive", interactive=row, context={"from": number.phone, "id": "wamid.list"}).__class__
        is CallbackSelection
    )


def test_the_reader_reads_a_person_without_a_number(client: WhatsApp, number: Number) -> None:
    message = Heard(client).hear(number, number.messages([number.message(USER, body="hi")], {USER: "Bo"}))
    assert (message.from_user.bsuid, message.from_user.wa_id, message.text) == (USER, None, "hi")


def test_the_reader_reads_statuses(client: WhatsApp, number: Number) -> None:
    heard = Heard(client)
    sent = client.send_message(ANN, "hello", tracker="our-id")
    for word in ("sent", "delivered", "read"):
        status = heard.hear(number, number.report(sent.id, word, push=False))
        assert isinstance(status, MessageStatus)
        assert (status.id, str(status.status), status.tracker) == (sent.id, word, "our-id")
    failed = heard.hear(number, number.report(sent.id, "failed", error=131047, push=False))
    assert isinstance(failed.error, ReEngagementMessage)


def test_a_forged_callback_is_refused(client: WhatsApp, number: Number) -> None:
    raw, headers = number.signed(
        number.messages([number.message(ANN, body="hi")], {ANN: "Ann"}), secret="other"
    )
    refused = client.webhook_update_validator(raw, headers["X-Hub-Signature-256"])
    assert refused is not None and refused[1] == 403
