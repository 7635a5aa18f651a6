"""The sessions of a server, and what phones and people do: each is an event for the webhooks."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.waha.webhooks import Deliverer

Json = dict[str, Any]
ENGINES = ("WEBJS", "NOWEB", "GOWS")
START = 1_700_000_000  # unix seconds; each message is a second later
CODES = 6  # that are shown one after the other; the first for 60 s, the others for 20 s
ACK_NAMES = {-1: "ERROR", 0: "PENDING", 1: "SERVER", 2: "DEVICE", 3: "READ", 4: "PLAYED"}


@dataclass
class Fault:
    """The response to one request for a message, instead of a success."""

    status: int = 500
    said: str = ""
    retry_after: int | None = None
    seconds: float = 0.0  # without a response
    body: bytes | None = None  # instead of JSON
    is_accepted: bool = False  # the message is sent nevertheless: only the response is lost


@dataclass
class Stored:
    """A file that WAHA has downloaded from WhatsApp."""

    content: bytes
    content_type: str
    failures: int = 0  # so many requests get 500


class Counter:
    """Ids and times of a server, and the lock of its state."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)

    def next(self) -> int:
        with self.lock:
            return next(self.numbers)


@dataclass
class Session:
    """One WhatsApp account at the server."""

    name: str
    counter: Counter
    url: str  # of the server
    engine: str
    config: Json = field(default_factory=dict)
    status: str = "STOPPED"
    statuses: deque[Json] = field(default_factory=lambda: deque(maxlen=3))
    me: Json | None = None
    code: int = 0  # the number of the QR code that is shown; 0: none
    pairing_code: str = ""  # that a passkey has to be confirmed with
    faults: deque[Fault] = field(default_factory=deque)
    sent: list[Json] = field(default_factory=list)  # requests for messages that were accepted, with `key`
    calls: list[tuple[str, Json]] = field(default_factory=list)  # path and body of other requests
    history: dict[str, list[Json]] = field(default_factory=dict)  # messages by chat
    deleted: list[str] = field(default_factory=list)
    without_account: set[str] = field(default_factory=set)  # numbers
    other_ids: dict[str, str] = field(default_factory=dict)  # number → chat id at WhatsApp
    lids: dict[str, str] = field(default_factory=dict)  # id that hides a number → chat id of the number
    invite_codes: dict[str, str] = field(default_factory=dict)
    group: str = "120363000000000001@g.us"  # that an unknown invite code opens
    files: dict[str, Stored] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)  # all that there were
    is_offline: bool = False  # events are lost
    stumbles: int = 0  # so many looks at the session find it starting
    looks: int = 0  # requests for the session's state

    def __post_init__(self) -> None:
        self.deliverer = Deliverer(self)

    # -- the life of a session

    def change(self, status: str, data: Json | None = None) -> None:
        with self.counter.lock:
            self.status = status
            self.statuses.append({"status": status, "timestamp": self.milliseconds()})
            payload = {"name": self.name, "status": status, "statuses": list(self.statuses), "data": data}
        self.emit("session.status", payload)

    def start(self) -> None:
        """Start: with a known phone it is working at once, otherwise it shows a code."""
        self.change("STARTING")
        if self.me:
            self.change("WORKING")
        else:
            self.code = 0
            self.next_code()

    def stop(self) -> None:
        self.code = 0
        self.change("STOPPED")

    def next_code(self) -> None:
        """Show the next QR code; after the last one the session has failed."""
        self.code += 1
        if self.code > CODES:
            self.code = 0
            self.change("FAILED")
        else:
            self.change("SCAN_QR_CODE")

    @property
    def qr(self) -> str:
        """The text of the code that is shown."""
        return f"2@code-{self.code}-of-{self.name}," + ",".join("A" * 44 for _ in range(3))

    def scan(self, phone: str = "15550001111", name: str = "Tea Shop") -> None:
        """Scan the code with a phone."""
        self.code = 0
        self.me = {"id": f"{phone}@c.us", "pushName": name}
        self.change("STARTING")
        self.change("WORKING")

    def ask_for_passkey(self, code: str) -> None:
        """WhatsApp wants the code on the screen to be compared with that of the phone."""
        self.pairing_code = code
        self.change("PASSKEY_CONFIRMATION_REQUIRED", {"code": code})

    def log_out_on_phone(self) -> None:
        """Remove the linked device on the phone."""
        self.me = None
        self.change("FAILED")

    def log_out(self) -> None:
        self.me = None

    # -- what people do

    def message(
        self, chat: str, body: str = "", *, from_me: bool = False, key: str = "", **more: Any
    ) -> Json:
        """Returns a message, which is in the history from now on."""
        own = (self.me or {}).get("id", "15550001111@c.us")
        author = more.pop("participant", None)
        key = key or self.new_key("AC")
        whole = f"{'true' if from_me else 'false'}_{chat}_{key}" + (f"_{author}" if author else "")
        found: Json = {
            "id": whole,
            "timestamp": self.seconds(),
            "from": own if from_me else chat,
            "fromMe": from_me,
            "source": more.pop("source", "app"),
            "to": chat if from_me else own,
            "body": body,
            "hasMedia": False,
            "media": None,
            "ack": 1 if from_me else 0,
            "ackName": ACK_NAMES[1 if from_me else 0],
            "vCards": [],
            "_data": {},
            **({"participant": author} if author else {}),
            **more,
        }
        with self.counter.lock:
            self.history.setdefault(chat, []).append(found)
        return found

    def write(self, chat: str, body: str = "", *, name: str = "Ann", **more: Any) -> Json:
        """Write to the account; returns the message."""
        known: Json = {"notifyName": name} if self.engine == "WEBJS" else {"pushName": name}
        known = {"Info": {"PushName": name}} if self.engine == "GOWS" else known
        message = self.message(chat, body, _data=known | more.pop("_data", {}), **more)
        self.report(message)
        return message

    def type_in_app(self, chat: str, body: str, **more: Any) -> Json:
        """Write on the account's own phone."""
        message = self.message(chat, body, from_me=True, source="app", **more)
        self.report(message)
        return message

    def report(self, message: Json) -> None:
        if not message["fromMe"]:
            self.emit("message", message)
        self.emit("message.any", message)

    def file(self, content: bytes, content_type: str, filename: str | None = None) -> Json:
        """Returns what a message with this file has; WAHA calls itself localhost."""
        number = self.counter.next()
        name = f"{number:08X}.bin"
        self.files[name] = Stored(content, content_type)
        url = f"http://localhost:3000/api/files/{self.name}/{name}"
        return {"hasMedia": True, "media": {"url": url, "mimetype": content_type, "filename": filename}}

    def acknowledge(self, key: str, ack: int, *, chat: str = "", event: str = "message.ack") -> Json:
        """Report an ack of a message of the account."""
        found = next((one for one in self.sent if one["key"] == key), {})
        where = chat or found.get("chatId", "17680561234@c.us")
        own = (self.me or {}).get("id", "15550001111@c.us")
        payload = {
            "id": f"true_{where}_{key}",
            "from": own,
            "to": where,
            "fromMe": True,
            "ack": ack,
            "ackName": ACK_NAMES[ack],
        }
        self.emit(event, payload)
        return payload

    def react(self, chat: str, emoji: str, message_id: str, *, from_me: bool = False) -> Json:
        message = self.message(chat, from_me=from_me)
        self.history[chat].pop()
        wanted = ("id", "timestamp", "from", "fromMe", "source", "to")
        payload = {key: message[key] for key in wanted}
        payload["reaction"] = {"text": emoji, "messageId": message_id}
        self.emit("message.reaction", payload)
        return payload

    def edit(self, message: Json, body: str) -> Json:
        """A person changes a message."""
        _, chat, key = message["id"].split("_")[:3]
        payload = {**self.message(chat, body), "editedMessageId": key}
        self.history[chat].pop()
        self.emit("message.edited", payload)
        return payload

    def revoke(self, message: Json) -> None:
        key = message["id"].split("_")[2]
        self.emit("message.revoked", {"after": None, "before": message, "revokedMessageId": key})

    def call(self, caller: str, *, key: str = "", event: str = "call.received") -> Json:
        """Call the account; `event` says what has become of a call."""
        payload = {
            "id": key or self.new_key("CALL"),
            "from": caller,
            "timestamp": self.seconds(),
            "isVideo": False,
            "isGroup": False,
            "_data": {},
        }
        self.emit(event, payload)
        return payload

    # -- groups

    @property
    def group_time(self) -> int:
        """The time in events of groups: only WEBJS knows when it was, in seconds."""
        return self.seconds() if self.engine == "WEBJS" else self.milliseconds()

    @staticmethod
    def participant(person: str, role: str, numbers: Mapping[str, str]) -> Json:
        """Returns a participant; `numbers` has the numbers of those who hide them, as far as WAHA knows them."""
        return {
            "id": person,
            "pn": numbers.get(person, person if person.endswith("@c.us") else None),
            "role": role,
        }

    def join(self, group: str, subject: str, people: Json, numbers: Mapping[str, str] | None = None) -> None:
        """The account is in a group now; `people` has the role of each member."""
        found = {
            "id": group,
            "subject": subject,
            "description": "",
            "membersCanAddNewMember": True,
            "membersCanSendMessages": True,
            "newMembersApprovalRequired": False,
            "participants": [self.participant(*one, numbers or {}) for one in people.items()],
        }
        self.emit("group.v2.join", {"timestamp": self.group_time, "group": found, "_data": {}})

    def leave(self, group: str) -> None:
        """The account has left a group, or was removed."""
        self.emit("group.v2.leave", {"timestamp": self.group_time, "group": {"id": group}, "_data": {}})

    def rename(self, group: str, subject: str | None) -> None:
        """Someone changes the name of a group; None: something else of it."""
        found = {
            "id": group,
            **({"subject": subject} if subject is not None else {"description": "about us"}),
        }
        self.emit("group.v2.update", {"timestamp": self.group_time, "group": found, "_data": {}})

    def change_participants(
        self, group: str, type: str, *people: str, numbers: Mapping[str, str] | None = None
    ) -> None:
        """People join, leave, or are made admins or ordinary participants."""
        role = {"leave": "left", "promote": "admin"}.get(type, "participant")
        payload = {
            "type": type,
            "timestamp": self.group_time,
            "group": {"id": group},
            "participants": [self.participant(one, role, numbers or {}) for one in people],
            "_data": {},
        }
        self.emit("group.v2.participants", payload)

    # -- events

    def event(self, name: str, payload: Json) -> Json:
        """Returns an event as it is sent to webhooks."""
        return {
            "id": f"evt_{self.counter.next():026x}",
            "timestamp": self.milliseconds(),
            "event": name,
            "session": self.name,
            "metadata": self.config.get("metadata", {}),
            "me": self.me,
            "payload": payload,
            "environment": {
                "version": "2026.9.1",
                "engine": self.engine,
                "tier": "CORE",
                "browser": "",
                "platform": "linux/x86",
                "worker": {"id": "waha"},
            },
            "engine": self.engine,
        }

    def emit(self, name: str, payload: Json) -> None:
        """Send an event to the webhooks that want it."""
        event = self.event(name, payload)
        self.events.append(event)
        if not self.is_offline:
            self.deliverer.add(event)

    def new_key(self, prefix: str) -> str:
        return f"{prefix}{self.counter.next():018X}"

    def seconds(self) -> int:
        return START + self.counter.next()

    def milliseconds(self) -> int:
        return self.seconds() * 1000
