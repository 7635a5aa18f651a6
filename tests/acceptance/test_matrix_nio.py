"""A person with matrix-nio, a client that others wrote, talks to the bot behind the webhook over a real homeserver."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import nio

from tests.messengers.linked_instance import LinkedInstance
from tests.messengers.matrix import MatrixAccount
from tests.product import Product
from tests.receiver import Answer, Received, Receiver
from tests.servers.synapse import Person, Synapse

SECONDS = 120.0
PICTURE = b"\x89PNG\r\n\x1a\n" + b"a small picture" * 20


class Bot:
    """Answers each message of a person with its body, before it responds to the hook."""

    def __init__(self) -> None:
        self.instance: LinkedInstance | None = None
        self.heard: list[dict[str, Any]] = []
        self.acks: list[str] = []

    def __call__(self, received: Received) -> Answer:
        assert self.instance is not None
        hook = received.json()
        self.acks += [ack["status"] for ack in hook.get("ack", [])]
        for message in hook.get("messages", []):
            if not message["fromMe"]:
                self.heard.append(message)
                answer = {"chatId": message["chatId"], "body": f"You wrote: {message['body']}"}
                self.instance.call("sendMessage", quotedMsgId=message["id"], **answer)
        return 200, {}, b""


class Client:
    """The person's client: what it has seen, by its own reading of /sync."""

    def __init__(self, person: Person) -> None:
        self.client = nio.AsyncClient(person.synapse.url, person.user)
        self.client.access_token, self.client.user_id = person.token, person.user
        self.seen: list[nio.RoomMessage] = []
        self.client.add_event_callback(self.see, nio.RoomMessage)

    async def see(self, _room: nio.MatrixRoom, event: nio.RoomMessage) -> None:
        self.seen.append(event)

    async def wait_for(self, look: Callable[[], Any], what: str) -> Any:
        async with asyncio.timeout(SECONDS):
            while not (found := look()):
                assert isinstance(await self.client.sync(timeout=500), nio.SyncResponse), what
        return found

    async def send(self, room: str, **content: Any) -> str:
        sent = await self.client.room_send(room, "m.room.message", content)
        assert isinstance(sent, nio.RoomSendResponse), sent
        return str(sent.event_id)


def test_a_person_with_matrix_nio_talks_to_the_bot(product: Product, synapse: Synapse) -> None:
    bot = Bot()
    with Receiver(bot) as receiver:
        account = MatrixAccount(synapse, people=1, seen_at=synapse.url)
        bot.instance = LinkedInstance(
            product, "matrix", account, webhookUrl=receiver.url, ackNotificationsOn=True
        )
        asyncio.run(talk(bot, Client(account.person), account))


async def talk(bot: Bot, person: Client, account: MatrixAccount) -> None:
    [room] = account.rooms
    try:
        asked = await person.send(room, msgtype="m.text", body="hello")
        answer = await person.wait_for(
            lambda: next((event for event in person.seen if event.sender == account.account.user), None),
            "the answer",
        )
        assert isinstance(answer, nio.RoomMessageText) and answer.body.endswith("You wrote: hello")
        relation = answer.source["content"]["m.relates_to"]
        assert relation == {"m.in_reply_to": {"event_id": asked}}

        assert isinstance(
            await person.client.room_read_markers(room, answer.event_id, answer.event_id),
            nio.RoomReadMarkersResponse,
        )
        await person.wait_for(lambda: "viewed" in bot.acks, "the receipt as an ack")

        uploaded, _ = await person.client.upload(
            io.BytesIO(PICTURE), "image/png", "view.png", filesize=len(PICTURE)
        )
        assert isinstance(uploaded, nio.UploadResponse), uploaded
        await person.send(room, msgtype="m.image", body="view.png", url=uploaded.content_uri)
        await person.wait_for(
            lambda: any(one["type"] == "image" for one in bot.heard), "the picture as a hook"
        )

        assert bot.instance is not None
        data = "data:image/png;base64,iVBORw0KGgo="
        await asyncio.to_thread(
            bot.instance.call, "sendFile", chatId=account.chat_ids[0], body=data, filename="dot.png"
        )
        picture = await person.wait_for(
            lambda: next(
                (
                    event
                    for event in person.seen
                    if isinstance(event, nio.RoomMessageImage) and event.sender == account.account.user
                ),
                None,
            ),
            "the picture",
        )
        got = await person.client.download(picture.url)
        assert isinstance(got, nio.DownloadResponse) and got.body == b"\x89PNG\r\n\x1a\n"
    finally:
        await person.client.close()
