"""Sessions at the double of a WAHA server, whose codes are scanned at once. It pushes to the product."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from tests.doubles.waha import Session, Waha
from tests.hooks.dispatch.dispatching import wait_until
from tests.messengers.double_service import DoubleService

TYPES = {
    "sendText": "chat",
    "sendImage": "image",
    "sendVideo": "video",
    "sendVoice": "ptt",
    "sendFile": "document",
    "sendLocation": "location",
    "sendContactVcard": "vcard",
}


class PersonalNumber:
    """Implements FallibleAccount."""

    def __init__(self, service: WahaService, number: int, people: int) -> None:
        self.service, self.double = service, service.double
        self.name, self.phone = f"shop-{number}", f"1555000{number:04}"
        self.people = [f"1768056{person:04}@c.us" for person in range(people)]
        self.written = itertools.count()
        self.restore()

    @property
    def session(self) -> Session:
        return self.double.sessions[self.name]

    @property
    def chat_ids(self) -> list[str]:
        return self.people

    @property
    def names(self) -> list[str]:
        return [f"Person {person}" for person in range(len(self.people))]

    @property
    def link_values(self) -> Mapping[str, str]:
        url = self.service.seen_at or self.service.url
        return {"url": url, "api_key": self.api_key, "session": self.name}

    def is_linked(self, callback_url: str) -> None:
        if self.session.status == "SCAN_QR_CODE":
            self.session.scan(self.phone)

    def write(self, person: int, body: str, *, key: str) -> None:
        self.deliver(person, body, key=key)

    def deliver(self, person: int, body: str, *, key: str, **more: Any) -> None:
        """WAHA sends an event again until it is taken, and later ones meanwhile: this waits. Every second one twice."""
        message = self.session.write(self.people[person], body, name=self.names[person], key=key, **more)
        event = self.wait(message)
        if next(self.written) % 2:
            self.session.deliverer.add(event)

    def wait(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Returns the last event with this payload, after it was delivered."""
        event = next(one for one in reversed(self.session.events) if one["payload"] is payload)
        delivered = self.session.deliverer.delivered
        wait_until(lambda: any(one is event for one in reversed(delivered)), "the event is taken", 120)
        return event

    def sent(self, person: int) -> list[dict[str, Any]]:
        return [one for one in self.session.sent if one["chatId"] == self.people[person]]

    def texts(self, person: int) -> list[str]:
        return [one["text"] for one in self.sent(person) if one["kind"] == "sendText"]

    def types(self, person: int) -> list[str]:
        return [TYPES[one["kind"]] for one in self.sent(person)]

    def revoke(self) -> None:
        self.double.keys.discard(self.api_key)

    def restore(self) -> None:
        self.api_key = f"api-key-{self.double.counter.next()}-of-{self.name}"
        self.double.keys.add(self.api_key)

    def write_lost_file(self, person: int, *, key: str) -> None:
        file = self.session.file(b"a picture", "image/jpeg")
        self.session.files.clear()
        self.deliver(person, "", key=key, **file)

    def read(self, person: int) -> None:
        for message in self.sent(person):
            self.wait(self.session.acknowledge(message["key"], 3))


class WahaService(DoubleService[Waha]):
    """Implements HttpService."""

    send_path, poll_path = "/api/sendText", ""

    def __init__(self) -> None:
        super().__init__(Waha())
        self.numbers = itertools.count(1)

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def add_account(self, people: int) -> PersonalNumber:
        return PersonalNumber(self, next(self.numbers), people)
