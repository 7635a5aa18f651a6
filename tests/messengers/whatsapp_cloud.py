"""Numbers at the double of WhatsApp's Cloud API, which pushes to the product."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any

import requests

from tests.doubles.whatsapp_cloud import Number, WhatsAppCloud
from tests.messengers.double_service import DoubleService

TRIES = 3_000  # of a callback, each after 0.1 s: the product may be away for five minutes


class BusinessNumber:
    """Implements FallibleAccount."""

    def __init__(self, double: WhatsAppCloud, people: int) -> None:
        self.double = double
        self.number: Number = double.add_number()
        self.people = [f"1768056{person:04}" for person in range(people)]

    @property
    def chat_ids(self) -> list[str]:
        return [f"{phone}@c.us" for phone in self.people]

    @property
    def names(self) -> list[str]:
        return [f"Person {person}" for person in range(len(self.people))]

    @property
    def link_values(self) -> Mapping[str, str]:
        number = self.number
        return {
            "phone_number_id": number.phone_number_id,
            "access_token": number.token,
            "app_secret": number.app_secret,
            "verify_token": number.verify_token,
            "business_account_id": number.business_account_id,
        }

    def is_linked(self, callback_url: str) -> None:
        assert self.number.is_subscribed and self.number.verify(callback_url)

    def write(self, person: int, body: str, *, key: str) -> None:
        message = self.number.message(self.people[person], body=body, id=f"wamid.{key}")
        push_like_meta(self.number, self.number.messages([message], {message["from"]: self.names[person]}))

    def texts(self, person: int) -> list[str]:
        return [one["text"]["body"] for one in self.number.received(self.people[person]) if "text" in one]

    def types(self, person: int) -> list[str]:
        found = [one["type"] for one in self.number.received(self.people[person])]
        return ["chat" if type == "text" else type for type in found]

    def revoke(self) -> None:
        self.number.is_revoked = True

    def restore(self) -> None:
        self.number.is_revoked, self.number.token = False, f"{self.number.token}-new"

    def write_lost_file(self, person: int, *, key: str) -> None:
        media_id = self.double.add_file(b"a picture", "image/jpeg")
        self.double.files[media_id].is_gone = True
        image = {"id": media_id, "mime_type": "image/jpeg"}
        message = self.number.message(self.people[person], "image", id=f"wamid.{key}", image=image)
        push_like_meta(self.number, self.number.messages([message], {message["from"]: self.names[person]}))

    def read(self, person: int) -> None:
        for message in self.number.received(self.people[person]):
            push_like_meta(self.number, self.number.report(message["id"], "read", push=False))


def push_like_meta(number: Number, body: dict[str, Any]) -> None:
    """Send a callback until it gets 200, as Meta does; every second one twice."""
    raw, headers = number.signed(body)
    for attempt in range(TRIES):
        try:
            response = requests.post(number.callback_url, data=raw, headers=headers, timeout=30)
        except requests.RequestException:
            response = None
        if response is not None and response.status_code == 200:
            if attempt or zlib.crc32(raw) % 2:
                return
        elif attempt:
            time.sleep(0.1)
    raise AssertionError("the callback is never accepted")


class WhatsAppService(DoubleService[WhatsAppCloud]):
    """Implements HttpService."""

    send_path, poll_path = "/messages", ""

    def __init__(self) -> None:
        super().__init__(WhatsAppCloud())

    @property
    def settings(self) -> Mapping[str, str]:
        return {"WHATSAPP_URL": self.seen_at or self.url}

    def add_account(self, people: int) -> BusinessNumber:
        return BusinessNumber(self.double, people)
