"""python-telegram-bot, unmodified, judges the double: it reads what the double sends, and the double what it sends."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import telegram
from telegram import error
from telegram.request import HTTPXRequest

from tests.doubles.telegram import Bot, Fault, Limits, Telegram, flood

Job = Callable[[telegram.Bot], Awaitable[Any]]


@pytest.fixture
def double() -> Iterator[Telegram]:
    with Telegram() as running:
        yield running


def plain_http() -> HTTPXRequest:
    """The library's own client; without TLS it need not read the certificates, which takes seconds."""
    return HTTPXRequest(
        read_timeout=60, write_timeout=60, connect_timeout=60, pool_timeout=60, httpx_kwargs={"verify": False}
    )


def call(double: Telegram, bot: Bot, job: Job) -> Any:
    """Returns what the library's client gets."""

    async def run() -> Any:
        client = telegram.Bot(
            bot.token,
            base_url=f"{double.url}/bot",
            base_file_url=f"{double.url}/file/bot",
            request=plain_http(),
            get_updates_request=plain_http(),
        )
        async with client:
            return await job(client)

    return asyncio.run(run())


def test_the_library_reads_who_the_bot_is(double: Telegram) -> None:
    bot = double.add_bot("shop_bot")
    me = call(double, bot, lambda client: client.get_me())
    assert (me.id, me.username, me.is_bot) == (bot.user.id, "shop_bot", True)


def test_the_library_sends_every_kind_of_message(double: Telegram) -> None:
    bot = double.add_bot()
    ann = double.add_person("Ann")
    first = double.write(bot, ann, "Grüße 👋")

    async def job(client: telegram.Bot) -> list[telegram.Message]:
        content, name = b"some bytes", "notes.txt"
        return [
            await client.send_message(ann.id, "two\nlines", reply_to_message_id=first["message_id"]),
            await client.send_photo(ann.id, io.BytesIO(content), caption="a photo", filename="p.jpg"),
            await client.send_document(ann.id, io.BytesIO(content), filename=name, caption="fü"),
            await client.send_audio(ann.id, "https://example.com/a.mp3"),
            await client.send_voice(ann.id, io.BytesIO(content)),
            await client.send_video(ann.id, io.BytesIO(content)),
            await client.send_animation(ann.id, io.BytesIO(content)),
            await client.send_sticker(ann.id, io.BytesIO(content)),
            await client.send_location(ann.id, 52.52, 13.405),
            await client.send_venue(ann.id, 52.52, 13.405, "Shop", "Main street 1"),
            await client.send_contact(ann.id, "+4915112345678", "Ben", vcard="BEGIN:VCARD\nEND:VCARD"),
            await client.forward_message(ann.id, ann.id, first["message_id"]),
        ]

    made = call(double, bot, job)
    kinds = [
        "text", "photo", "document", "audio", "voice", "video", "animation", "sticker", "location", "venue", "contact",
        "text",
    ]  # fmt: skip
    assert [kind for kind, message in zip(kinds, made, strict=True) if not getattr(message, kind)] == []
    assert made[0].reply_to_message.text == "Grüße 👋" and made[-1].forward_origin is not None
    sent = double.sent(bot, ann)
    assert [message["message_id"] for message in sent] == [message.message_id for message in made]
    assert sent[0]["text"] == "two\nlines"
    assert sent[2]["document"]["file_name"] == "notes.txt" and sent[2]["caption"] == "fü"
    assert double.content_of(sent[2]["document"]["file_id"]) == b"some bytes"


def test_the_library_deletes_reacts_and_shows_that_it_types(double: Telegram) -> None:
    bot, ann = double.add_bot(), double.add_person()
    theirs = double.write(bot, ann, "hello")

    async def job(client: telegram.Bot) -> None:
        made = await client.send_message(ann.id, "a mistake")
        assert await client.delete_message(ann.id, made.message_id)
        assert await client.set_message_reaction(ann.id, theirs["message_id"], "👍")
        assert await client.send_chat_action(ann.id, "typing")

    call(double, bot, job)
    chat = double.private_chat(bot, ann)
    assert double.sent(bot, ann) == [] and chat.actions == ["typing"]
    assert chat.reactions[theirs["message_id"]][0]["emoji"] == "👍"


def test_the_library_reads_every_update(double: Telegram) -> None:
    bot, ann = double.add_bot(), double.add_person("Ann")

    async def job(client: telegram.Bot) -> tuple[telegram.Update, ...]:
        assert await client.get_updates(timeout=0, allowed_updates=telegram.Update.ALL_TYPES) == ()
        first = double.write(bot, ann, "hello")
        group = double.add_group(bot, "Trip")
        for kind in ("photo", "document", "audio", "voice", "video", "animation", "sticker"):
            double.send_file(bot, ann, kind, b"12345", f"{kind}.bin", content_type="image/png", caption="c")
        double.write(bot, ann, chat=group, location={"latitude": 1.0, "longitude": 2.0})
        double.write(bot, ann, contact={"phone_number": "+49151", "first_name": "Ben"})
        double.write(bot, ann, "a reply", reply_to=first["message_id"])
        double.edit(bot, ann, first["message_id"], "hello!")
        double.react(bot, ann, first["message_id"], "👍")
        double.block(bot, ann)
        double.unblock(bot, ann)
        double.migrate(bot, ann, group)
        double.add_to_group(bot, ann, group, status="administrator")
        double.join_group(bot, double.add_person("Ben"), group)
        double.rename_group(bot, ann, group, "Trip to Rome")
        return await client.get_updates(timeout=5)

    updates = call(double, bot, job)
    assert [update.update_id for update in updates] == list(
        range(updates[0].update_id, updates[0].update_id + 23)
    )
    assert updates[0].message.text == "hello" and updates[0].effective_user.first_name == "Ann"
    assert updates[1].message.photo[-1].width == 1280 and updates[2].message.document.file_name
    assert updates[11].edited_message.text == "hello!"
    assert updates[12].message_reaction.new_reaction[0].emoji == "👍"
    assert updates[13].my_chat_member.new_chat_member.status == "kicked"
    assert updates[16].message.migrate_to_chat_id == updates[17].effective_chat.id
    assert updates[15].my_chat_member.chat.id == updates[17].effective_chat.id, "joined, and never left"
    assert updates[18].my_chat_member.new_chat_member.status == "administrator"
    assert updates[19].message.new_chat_members[0].id == bot.user.id
    assert updates[20].chat_member.new_chat_member.user.first_name == "Ben"
    assert updates[21].message.new_chat_members[0].first_name == "Ben"
    assert updates[22].message.new_chat_title == "Trip to Rome"


def test_updates_are_confirmed_by_the_next_poll_and_waited_for(double: Telegram) -> None:
    bot, ann = double.add_bot(), double.add_person()
    for number in range(3):
        double.write(bot, ann, str(number))

    async def job(client: telegram.Bot) -> list[list[str | None]]:
        first = await client.get_updates(limit=2, timeout=0)
        again = await client.get_updates(limit=2, timeout=0)
        rest = await client.get_updates(offset=first[-1].update_id + 1, timeout=0)
        threading.Timer(0.2, lambda: double.write(bot, ann, "late")).start()
        late = await client.get_updates(offset=rest[-1].update_id + 1, timeout=10)
        return [[update.message.text for update in found] for found in (first, again, rest, late)]  # type: ignore[union-attr]

    assert call(double, bot, job) == [["0", "1"], ["0", "1"], ["2"], ["late"]]


def test_the_library_downloads_a_file(double: Telegram) -> None:
    bot, ann = double.add_bot(), double.add_person()
    message = double.send_file(bot, ann, "document", b"\x00whole\xff", "notes.txt")

    async def job(client: telegram.Bot) -> bytes:
        file = await client.get_file(message["document"]["file_id"])
        return bytes(await file.download_as_bytearray())

    assert call(double, bot, job) == b"\x00whole\xff"


def test_the_library_raises_its_errors(double: Telegram) -> None:
    bot, ann = double.add_bot(), double.add_person()
    double.private_chat(bot, ann)
    group = double.add_group(bot)
    double.migrate(bot, ann, group)

    async def job(client: telegram.Bot) -> None:
        async def raised(kind: type[error.TelegramError], text: str = "hello", to: int = ann.id) -> Any:
            with pytest.raises(kind) as caught:
                await client.send_message(to, text)
            return caught.value

        assert "Chat not found" in str(await raised(error.BadRequest, to=5))
        assert "too long" in str(await raised(error.BadRequest, "x" * 4097))
        assert (await raised(error.ChatMigrated, to=group.id)).new_chat_id == group.moved_to
        double.block(bot, ann)
        assert "blocked by the user" in str(await raised(error.Forbidden))
        double.unblock(bot, ann)
        double.order(flood(7, method="sendMessage"))
        assert (await raised(error.RetryAfter))._retry_after.total_seconds() == 7
        for kind in ("reset", "garbage"):
            double.order(Fault(kind, method="sendMessage"))
            await raised(error.NetworkError)
        double.order(Fault("error", method="sendMessage", status=500))
        await raised(error.NetworkError)
        double.limits = Limits(per_chat=(1, 3600.0))
        await client.send_message(ann.id, "within the limit")
        await raised(error.RetryAfter)
        double.revoke(bot)
        await raised(error.InvalidToken)

    call(double, bot, job)


def test_a_second_poll_ends_the_first(double: Telegram) -> None:
    bot = double.add_bot()

    async def job(client: telegram.Bot) -> None:
        first = asyncio.create_task(client.get_updates(timeout=50))
        while not bot.poll:
            await asyncio.sleep(0.01)
        await client.get_updates(timeout=0)
        with pytest.raises(error.Conflict, match="terminated by other getUpdates"):
            await first

    call(double, bot, job)


class Hook(BaseHTTPRequestHandler):
    """A webhook that refuses the first two deliveries."""

    got: list[tuple[int, bytes, str]]
    statuses: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.statuses.pop(0) if self.statuses else 200
        self.got.append((status, body, self.headers["X-Telegram-Bot-Api-Secret-Token"]))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_the_webhook_gets_updates_in_order_until_it_accepts_them(double: Telegram) -> None:
    class OwnHook(Hook):
        got = []
        statuses = [500, 404]

    hook = HTTPServer(("127.0.0.1", 0), OwnHook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    double.reach["https://bots.example.com"] = f"http://127.0.0.1:{hook.server_port}"
    bot, ann = double.add_bot(), double.add_person()
    double.write(bot, ann, "before")

    async def job(client: telegram.Bot) -> None:
        with pytest.raises(error.BadRequest, match=r"(?i)https url"):
            await client.set_webhook("http://bots.example.com/hook")
        with pytest.raises(error.BadRequest, match=r"(?i)unallowed characters"):
            await client.set_webhook("https://bots.example.com/hook", secret_token="a b")
        await client.set_webhook("https://bots.example.com/hook", secret_token="the-secret")
        with pytest.raises(error.Conflict, match=r"(?i)webhook is active"):
            await client.get_updates(timeout=0)
        double.write(bot, ann, "after")
        for _ in range(3000):
            if (await client.get_webhook_info()).pending_update_count == 0:
                break
            await asyncio.sleep(0.02)
        info = await client.get_webhook_info()
        assert (info.url, info.pending_update_count) == ("https://bots.example.com/hook", 0)
        assert info.last_error_message == "Wrong response from the webhook: 404 Not Found"
        await client.delete_webhook()
        assert await client.get_updates(timeout=0) == ()

    call(double, bot, job)
    hook.shutdown()
    hook.server_close()
    assert [status for status, _, _ in OwnHook.got] == [500, 404, 200, 200]
    assert {secret for _, _, secret in OwnHook.got} == {"the-secret"}
    updates = [telegram.Update.de_json(json.loads(body), None) for _, body, _ in OwnHook.got]
    assert [update.message.text for update in updates if update.message] == ["before"] * 3 + ["after"]
