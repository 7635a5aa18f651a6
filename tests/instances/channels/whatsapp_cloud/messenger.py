"""WhatsApp for the conformance tests: numbers at the double, and the people who write to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instances.actions.channel_links import save_link
from instances.actions.status import change_status
from instances.channels.receiving import CallbackRequest, Store
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.channels.whatsapp_cloud.graph import APP_SECRET, TOKEN, VERIFY_TOKEN
from instances.models import AccountStatus, Instance
from tests.doubles.whatsapp_cloud import MEDIA_TYPES, Fault, Number, WhatsAppCloud
from tests.instances.channels.recorder import record_with_files

CHANNEL = WhatsAppCloudChannel()
KINDS = {"ptt": "audio", "chat": "text", "vcard": "contacts"}


def digits(chat_id: str) -> str:
    return chat_id.partition("@")[0]


def credentials_of(number: Number) -> dict[str, str]:
    return {TOKEN: number.token, APP_SECRET: number.app_secret, VERIFY_TOKEN: number.verify_token}


def written(message: Mapping[str, Any]) -> str:
    """Returns the body of a message of the wire contract that has this content."""
    kind = message["type"]
    content = message[kind]
    if kind == "text":
        return str(content["body"])
    if kind == "location":
        return f"{content['latitude']};{content['longitude']}"
    if kind == "contacts":
        name, phone = content[0]["name"]["formatted_name"], content[0]["phones"][0]["phone"]
        return f"BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL:{phone}\nEND:VCARD"
    return str(content.get("link", ""))


class WhatsAppMessenger:
    """Implements NetworkMessenger. The double is started when it is first used, and ends with the process."""

    def __init__(self) -> None:
        self.started: WhatsAppCloud | None = None
        self.by_instance: dict[int, Number] = {}

    @property
    def double(self) -> WhatsAppCloud:
        if self.started is None:
            self.started = WhatsAppCloud().__enter__()
        return self.started

    @property
    def settings(self) -> dict[str, str]:
        return {"WHATSAPP_URL": self.double.url}

    def number(self, instance: Instance) -> Number:
        if instance.number not in self.by_instance:
            self.by_instance[instance.number] = self.double.add_number()
        return self.by_instance[instance.number]

    def link(self, instance: Instance) -> None:
        number = self.number(instance)
        save_link(
            instance,
            credentials=credentials_of(number),
            external_id=number.phone_number_id,
            acting_user=None,
        )
        change_status(instance, account_status=AccountStatus.AUTHENTICATED)

    def log_out(self, instance: Instance) -> None:
        self.deliver(instance, self.number(instance).disable())

    def write(self, instance: Instance, *, chat_id: str, name: str, type: str, body: str, key: str) -> None:
        number, who, kind = self.number(instance), digits(chat_id), KINDS.get(type, type)
        content: Any = {"body": body}
        if kind in MEDIA_TYPES:
            media_id = self.double.add_file(b"%PDF-1.4 a file of Ann", "application/pdf")
            content = {"id": media_id, "mime_type": "application/pdf", "voice": type == "ptt"}
        elif kind == "location":
            latitude, longitude = body.split(";")
            content = {"latitude": float(latitude), "longitude": float(longitude)}
        elif kind == "contacts":
            content = [{"name": {"formatted_name": "Ben"}, "phones": [{"phone": "+4915112345678"}]}]
        message = number.message(who, kind, id=f"wamid.{key}", **{kind: content})
        self.deliver(instance, number.messages([message], {who: name}))

    def type_on_phone(self, instance: Instance, *, chat_id: str, body: str, key: str) -> None:
        self.deliver(instance, self.number(instance).type_in_app(digits(chat_id), body, id=f"wamid.{key}"))

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        number = self.number(instance)
        [wamid] = [one["id"] for one in number.accepted if one.get("biz_opaque_callback_data") == message_id]
        word = {"viewed": "read"}.get(status, status)
        self.deliver(instance, number.report(wamid, word, push=False))

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        return [written(one) for one in self.number(instance).received(digits(chat_id))]

    def received_files(self, instance: Instance) -> list[int]:
        found = [one[one["type"]] for one in self.number(instance).accepted if one["type"] in MEDIA_TYPES]
        return [len(self.double.files[content["id"]].content) for content in found if "id" in content]

    def remove_account(self, instance: Instance, phone: str) -> None:
        raise AssertionError("the Cloud API does not tell who uses WhatsApp")

    def revoke(self, instance: Instance) -> None:
        self.number(instance).is_revoked = True

    def limit(self, instance: Instance, *, seconds: int) -> None:
        self.number(instance).faults.append(Fault(code=130429, retry_after=seconds))

    def deliver(self, instance: Instance, body: dict[str, Any]) -> None:
        """Check, read and record a callback with its files, as the web server and a receiver do."""
        raw, headers = self.number(instance).signed(body)
        request, link = CallbackRequest("POST", "", tuple(headers.items()), raw), CHANNEL.link(instance)
        checked = CHANNEL.check_callback(link, request)
        assert isinstance(checked, Store), checked
        record_with_files(instance, CHANNEL, link, CHANNEL.read_callback(link, request))


class Pusher:
    """Implements PushingMessenger: what WhatsApp sends to one number's callback URL."""

    def __init__(self) -> None:
        whatsapp = WhatsAppCloud()
        whatsapp.server.server_close()  # it is only asked for callbacks
        self.number = whatsapp.add_number()
        self.credentials: Mapping[str, str] = credentials_of(self.number)
        self.external_id = self.number.phone_number_id

    def callback(self, *, key: str, body: str) -> CallbackRequest:
        message = self.number.message("17680561234", body=body, id=key)
        raw, headers = self.number.signed(self.number.messages([message], {"17680561234": "Ann"}))
        return CallbackRequest("POST", "", tuple(headers.items()), raw)

    def handshake(self) -> tuple[CallbackRequest, str] | None:
        query = f"hub.mode=subscribe&hub.challenge=4711&hub.verify_token={self.number.verify_token}"
        return CallbackRequest("GET", query, (), b""), "4711"
