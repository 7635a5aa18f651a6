"""Personal WhatsApp over the whole product: a code is scanned, a person writes, the bot answers, the person reads."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from instances.models.receiving import CALLBACK_WAITING_SQL
from tests.doubles.waha import Session, Waha
from tests.faults.product_instance import database_of
from tests.messengers.bot import answering_bot
from tests.product import Product
from tests.receiver import Receiver

ANN, OWN = "17680561234@c.us", "15550001111@c.us"
HIDDEN, GROUP = "98765432101234@lid", "120363000000000001@g.us"
PICTURE = b"\x89PNG\r\n" + bytes(range(256)) * 400


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Waha]]:
    with Waha("key-of-the-first-server") as first, Waha("key-of-the-second-server") as second:
        yield [first, second]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, servers: list[Waha]) -> Iterator[Product]:
    """The product, which has two WAHA servers."""
    folder: Path = tmp_path_factory.mktemp("waha")
    waha = ",".join(f"{server.url}={server.api_key}" for server in servers)
    with Product(folder, WAHA_SERVERS=waha, HOOKS_ALLOW_NETWORKS="127.0.0.0/8") as running:
        yield running


class Linked:
    """An instance with a session at one of the servers, over REST and the wire contract; its code is not scanned."""

    def __init__(self, product: Product, servers: list[Waha], webhook: str, **values: str) -> None:
        self.product = product
        instances = f"{product.url}/api/v1/instances/"
        made = self.call("POST", instances, {"name": "Tea shop", "channel": "waha"})
        self.home = f"{instances}{made['id']}/"
        self.contract = f"{product.url}/instance{made['id']}"
        self.token = made["token"]
        self.call("PATCH", self.home, {"webhookUrl": webhook, "ackNotificationsOn": True})
        before = {name for server in servers for name in server.sessions}
        self.call("PUT", f"{self.home}link/", {"values": values})
        [(self.server, self.session)] = [
            (server, session)
            for server in servers
            for name, session in list(server.sessions.items())
            if name not in before
        ]

    def call(self, method: str, url: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.product.demo['uid']}"}
        response = requests.request(method, url, json=body, headers=headers, timeout=60)
        assert response.ok, response.text
        return response.json() if response.content else None

    def get(self, method: str, **query: Any) -> requests.Response:
        return requests.get(f"{self.contract}/{method}", {"token": self.token, **query}, timeout=60)

    def status(self) -> str:
        found: str = self.get("status", no_wakeup=1).json()["accountStatus"]
        return found

    def send(self, method: str, **arguments: Any) -> Any:
        url = f"{self.contract}/{method}?token={self.token}"
        response = requests.post(url, json=arguments, timeout=60)
        assert response.json()["sent"], response.text
        return response.json()

    def participants(self, group: str) -> set[str]:
        return set(self.get("dialog", chatId=group).json()["metadata"]["participants"])

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("messages", last=1).json()["messages"]
        return found

    def wait_for_code(self) -> None:
        """Wait for a code to scan, and until all that the session has reported is recorded.

        The receiver may see the code before the session's report that it is starting, the older one, is recorded.
        """

        def is_shown() -> bool:
            is_delivered = self.session.events[-1] in self.session.deliverer.delivered
            return (
                is_delivered and not waiting_callbacks(self.product) and "qrCode" in self.get("status").json()
            )

        wait_until(is_shown, "a code is shown")

    def scan(self) -> Session:
        """Scan the code, and wait until the instance is connected."""
        self.session.scan()
        wait_until(lambda: self.status() == "authenticated", "the instance is connected")
        return self.session


def wait_until(is_so: Callable[[], object], what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def waiting_callbacks(product: Product) -> int:
    with psycopg.connect(database_of(product.environment)) as session:
        [count] = session.execute(
            f"SELECT count(*) FROM instances_storedcallback WHERE {CALLBACK_WAITING_SQL}"
        ).fetchone() or [0]
        return int(count)


def sent_to(session: Session, chat: str) -> list[dict[str, Any]]:
    return [one for one in session.sent if one["chatId"] == chat]


def test_a_code_is_shown_renewed_expires_and_is_scanned(product: Product, servers: list[Waha]) -> None:
    with Receiver() as receiver:
        linked = Linked(product, servers, receiver.url)
        session = linked.session
        linked.wait_for_code()
        assert linked.status() == "got qr code"
        first = linked.get("qr_code")
        assert first.content.startswith(b"\x89PNG")
        assert linked.get("status").json()["qrCode"].startswith("data:image/png;base64,")
        session.next_code()
        wait_until(lambda: linked.get("qr_code").content != first.content, "the next code")
        while session.status == "SCAN_QR_CODE":
            session.next_code()
        wait_until(
            lambda: linked.get("status", full=1).json()["statusData"]["substatus"] == "expired", "it expires"
        )
        assert linked.get("qr_code").status_code == 404
        answer = requests.post(f"{linked.contract}/expiry?token={linked.token}", timeout=60).json()
        assert answer["result"] == "Expiry request sent to WhatsApp"
        linked.wait_for_code()
        linked.scan()
        assert linked.get("qr_code").status_code == 404
        assert linked.get("me").json()["id"] == "15550001111@c.us"
        answer = requests.post(f"{linked.contract}/logout?token={linked.token}", timeout=60).json()
        assert answer["result"] == "Logout request sent to WhatsApp"
        wait_until(lambda: linked.status() == "got qr code", "a code after the log-out")


def test_instances_are_shared_out_among_the_servers(product: Product, servers: list[Waha]) -> None:
    with Receiver() as receiver:
        counts = [len(server.sessions) for server in servers]
        for _ in range(2):
            Linked(product, servers, receiver.url)
        now = [len(server.sessions) for server in servers]
        assert sum(now) == sum(counts) + 2 and max(now) - min(now) <= 1


def test_a_person_writes_the_bot_answers_and_the_person_reads_it(
    product: Product, servers: list[Waha]
) -> None:
    heard = list[dict[str, Any]]()

    def send(method: str, **arguments: Any) -> None:
        linked.send(method, **arguments)

    with Receiver(answering_bot(send, heard)) as receiver:
        linked = Linked(product, servers, receiver.url)
        session = linked.scan()
        question = session.write(ANN, "Is there tea? 🍵")
        wait_until(lambda: sent_to(session, ANN), "the bot's answer reaches the person")
        [answer] = sent_to(session, ANN)
        assert answer["text"] == "You said: Is there tea? 🍵"
        assert answer["reply_to"] == question["id"]

        for ack in (3, 2, 1, 3):  # reordered and repeated
            session.acknowledge(answer["key"], ack)
        wait_until(lambda: any(one.get("status") == "viewed" for one in heard), "the ack reaches the bot")
        [shown] = [one for one in linked.messages() if one["fromMe"]]
        assert (shown["ack"], shown["self"]) == (3, 1)

        session.write(ANN, "my cup", **session.file(PICTURE, "image/png", "cup.png"))
        wait_until(lambda: any(one.get("caption") == "my cup" for one in heard), "the picture's hook")
        [picture] = [one for one in heard if one.get("caption") == "my cup"]
        path = picture["body"].partition("/media/")[2]
        assert requests.get(f"{product.url}/media/{path}", timeout=60).content == PICTURE

        linked.send("sendFile", phone=ANN, body=picture["body"], filename="cup.png", caption="yours")
        wait_until(lambda: any(one["kind"] == "sendImage" for one in session.sent), "a file goes back")
        [sent] = [one for one in session.sent if one["kind"] == "sendImage"]
        assert base64.b64decode(sent["file"]["data"]) == PICTURE

        session.type_in_app(ANN, "typed on it")
        session.call(ANN)
        wait_until(lambda: any(one.get("type") == "call_log" for one in heard), "the missed call")
        wait_until(lambda: any(one.get("body") == "typed on it" for one in heard), "what was typed")
        [typed] = [one for one in linked.messages() if one["body"] == "typed on it"]
        assert (typed["fromMe"], typed["self"]) == (True, 0)

        session.lids = {HIDDEN: ANN}
        session.join(GROUP, "Trip", {ANN: "admin", OWN: "participant"})
        session.write(GROUP, "by my other id", participant=HIDDEN)
        wait_until(lambda: any(one.get("body") == "by my other id" for one in heard), "the group's message")
        wait_until(lambda: (f"lids/{HIDDEN}", {}) in session.calls, "the receiver asks who that is")
        wait_until(lambda: linked.participants(GROUP) == {ANN, OWN}, "Ann is one participant")


def test_forged_and_repeated_events_change_nothing(product: Product, servers: list[Waha]) -> None:
    with Receiver() as receiver:
        linked = Linked(product, servers, receiver.url)
        session = linked.scan()
        [webhook] = session.config["webhooks"]
        forged = {**webhook, "hmac": {"key": "another-key"}}
        event = session.event("message.any", session.message(ANN, "forged"))
        assert not session.deliverer.post(forged, event)
        session.write(ANN, "one")
        session.write(ANN, "two")
        written = [one for one in session.events if one["event"] == "message.any"]
        for repeated in (written[-1], written[-2], written[-1]):
            session.deliverer.add(repeated)
        again = session.event("message.any", written[-1]["payload"])  # of the same message, another event
        session.deliverer.add(again)
        wait_until(lambda: again in session.deliverer.delivered, "all are delivered")
        wait_until(lambda: not waiting_callbacks(product), "all are processed")
        assert sorted(message["body"] for message in linked.messages()) == ["one", "two"]


def test_a_session_that_is_logged_out_on_the_phone_stops_the_queue_until_a_scan(
    product: Product, servers: list[Waha]
) -> None:
    with Receiver() as receiver:
        linked = Linked(product, servers, receiver.url)
        session = linked.scan()
        session.log_out()
        session.next_code()
        wait_until(lambda: linked.status() == "got qr code", "the log-out")
        linked.send("sendMessage", phone=ANN, body="waits")
        assert sent_to(session, ANN) == []
        linked.scan()
        wait_until(lambda: sent_to(session, ANN), "it is sent after the scan")
        assert [one["text"] for one in sent_to(session, ANN)] == ["waits"]


def test_a_number_with_another_id_at_whatsapp(product: Product, servers: list[Waha]) -> None:
    with Receiver() as receiver:
        linked = Linked(product, servers, receiver.url)
        session = linked.scan()
        session.other_ids["5511987654321"] = "551187654321@c.us"
        for index, body in enumerate(("one", "two")):
            linked.send("sendMessage", phone="5511987654321", body=body)
            wait_until(lambda index=index: len(linked.messages()) == index + 1, "it is sent")  # type: ignore[misc]
        assert [one["chatId"] for one in session.sent] == ["551187654321@c.us"] * 2
        assert [path for path, _ in session.calls].count("check-exists") == 1
        session.write("551187654321@c.us", "thanks")
        wait_until(lambda: len(linked.messages()) == 3, "the reply is received")
        assert {message["chatId"] for message in linked.messages()} == {"5511987654321@c.us"}
