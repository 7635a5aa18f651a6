"""A double of Telegram's Bot API: `with Telegram() as telegram:` runs it in threads on a free port.

The side of the people is here: they write, send files, edit, react, block a bot, and read what it sent. What bots call
is in methods.py; `faults` are orders to fail (faults.py). python-telegram-bot judges it: test_telegram.py.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Self

from tests.doubles.telegram.faults import Fault, flood
from tests.doubles.telegram.methods import media_json
from tests.doubles.telegram.server import Server
from tests.doubles.telegram.state import Bot, Chat, Limits, State, User
from tests.doubles.telegram.webhooks import Deliverer, post_update

__all__ = ["Bot", "Chat", "Fault", "Limits", "Telegram", "User", "flood"]

# Of administrators and of restricted members, in updates.
RIGHTS = (
    "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
    "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
    "can_edit_stories", "can_delete_stories",
)  # fmt: skip
PERMISSIONS = (
    "is_member", "can_change_info", "can_invite_users", "can_pin_messages", "can_send_messages", "can_send_polls",
    "can_send_other_messages", "can_add_web_page_previews", "can_manage_topics", "can_send_audios",
    "can_send_documents", "can_send_photos", "can_send_videos", "can_send_video_notes", "can_send_voice_notes",
)  # fmt: skip
KINDS = {"image": "photo", "ptt": "voice"}  # of files: the product's words, where they differ


class Telegram:
    """All bots, people and groups of a test. Each method may be called from any thread."""

    def __init__(self) -> None:
        self.state = State()
        self.server = Server(self.state)
        self.faults: list[Fault] = self.server.faults
        self.reach: dict[str, str] = {}  # origin of webhooks → URL on this machine
        self.deliverers: dict[str, Deliverer] = {}
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.state.lock:
            self.state.is_stopping = True
            for bot in self.state.bots.values():
                bot.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        for deliverer in self.deliverers.values():
            deliverer.join(10)

    @property
    def limits(self) -> Limits | None:
        """What is enforced; None: no limit."""
        return self.state.limits

    @limits.setter
    def limits(self, limits: Limits | None) -> None:
        self.state.limits = limits

    # -- bots

    def add_bot(self, username: str = "shop_bot") -> Bot:
        """Create a bot, as BotFather does."""
        number = 700_000_000 + next(self.state.numbers)
        token = f"{number}:AAF-double_of_telegram_{number:012d}"
        bot = Bot(token, User(number, "Shop", username, is_bot=True), threading.Condition(self.state.lock))
        self.state.bots[token] = bot
        deliverer = self.deliverers[token] = Deliverer(self.state, bot, self.reach)
        deliverer.start()
        return bot

    def revoke(self, bot: Bot) -> None:
        """Make the token invalid."""
        with self.state.lock:
            bot.is_revoked = True
            bot.changed.notify_all()

    def order(self, fault: Fault) -> None:
        with self.state.lock:
            self.faults.append(fault)

    def calls(self, bot: Bot) -> list[str]:
        """Returns the methods that were called with this bot's token, in order."""
        return [method for token, method in list(self.server.calls) if token == bot.token]

    def push_again(self, bot: Bot, update: dict[str, Any], *, secret: str | None = None) -> int:
        """Send an update to the webhook, now and once; returns the status of the response."""
        assert bot.webhook is not None
        return post_update(
            self.reach, bot.webhook.url, bot.webhook.secret if secret is None else secret, update
        )

    def pushed(self, bot: Bot) -> list[dict[str, Any]]:
        """Returns the updates that the bot's webhook has accepted."""
        return list(self.deliverers[bot.token].delivered)

    # -- people and groups

    def add_person(self, name: str = "Ann", *, id: int = 0) -> User:
        return User(id or 100_000_000 + next(self.state.numbers), name)

    def private_chat(self, bot: Bot, person: User) -> Chat:
        """Returns the chat of a person with a bot. The person has started the bot."""
        with self.state.lock:
            return bot.chats.setdefault(person.id, Chat(person.id, "private", person=person))

    def add_group(self, bot: Bot, title: str = "Holidays", *, id: int = 0, type: str = "group") -> Chat:
        """Create a group with the bot in it."""
        number = next(self.state.numbers)
        id = id or (-4_000_000 - number if type == "group" else -1_001_000_000_000 - number)
        chat = bot.chats[id] = Chat(id, type, title)
        return chat

    def write(
        self,
        bot: Bot,
        person: User,
        text: str = "",
        *,
        chat: Chat | None = None,
        reply_to: int = 0,
        date: int | None = None,
        **content: Any,
    ) -> dict[str, Any]:
        """Write to the bot, or in a group; returns the message. `content` is more of it, as Telegram names it."""
        with self.state.lock:
            where = chat or self.private_chat(bot, person)
            if text:
                content["text"] = text
            if reply_to:
                content["reply_to_message"] = where.messages[reply_to]
            message = self.state.add_message(bot, where, person, content, date=date)
            self.state.add_update(bot, "message", message)
            return message

    def send_file(
        self,
        bot: Bot,
        person: User,
        kind: str,
        content: bytes,
        name: str,
        *,
        content_type: str = "",
        **more: Any,
    ) -> dict[str, Any]:
        """Send a file: photo, document, audio, voice, video, animation or sticker."""
        stored = self.state.store_file(name, content_type, content)
        return self.write(bot, person, **{kind: media_json(kind, stored)}, **more)

    def edit(self, bot: Bot, person: User, number: int, text: str, *, chat: Chat | None = None) -> None:
        with self.state.lock:
            where = chat or self.private_chat(bot, person)
            edited = where.messages[number] = {
                **where.messages[number], "text": text, "edit_date": int(time.time())
            }  # fmt: skip
            self.state.add_update(bot, "edited_message", edited)

    def react(self, bot: Bot, person: User, number: int, emoji: str, *, chat: Chat | None = None) -> None:
        """React to a message; an empty emoji takes the reaction back."""
        where = chat or self.private_chat(bot, person)
        new = [{"type": "emoji", "emoji": emoji}] if emoji else []
        self.state.add_update(
            bot,
            "message_reaction",
            {
                "chat": where.to_json(), "message_id": number, "user": person.to_json(), "date": int(time.time()),
                "old_reaction": [], "new_reaction": new,
            },
        )  # fmt: skip

    def block(self, bot: Bot, person: User) -> None:
        self._change_membership(bot, person, "kicked", "Forbidden: bot was blocked by the user")

    def unblock(self, bot: Bot, person: User) -> None:
        self._change_membership(bot, person, "member", "")

    def _change_membership(self, bot: Bot, person: User, status: str, refusal: str) -> None:
        with self.state.lock:
            chat = self.private_chat(bot, person)
            old = "kicked" if chat.refusal else "member"
            chat.refusal = refusal
            self.state.add_update(bot, "my_chat_member", membership(bot, chat, person, old, status))

    def add_to_group(self, bot: Bot, person: User, group: Chat, *, status: str = "member") -> None:
        """Have a person add the bot to a group, or give it another status there."""
        with self.state.lock:
            old, group.refusal = group.statuses.get(bot.user.id, "left"), ""
            group.statuses[bot.user.id] = status
            self.state.add_update(bot, "my_chat_member", membership(bot, group, person, old, status))
            if old == "left":
                self.write(bot, person, chat=group, new_chat_members=[bot.user.to_json()])

    def join_group(self, bot: Bot, person: User, group: Chat, *, status: str = "member") -> None:
        """Have a person join a group, leave it ("left", "kicked") or get another status there.

        The bot gets a message if someone comes or goes, and the person's status if it is an administrator itself.
        """
        with self.state.lock:
            old = group.statuses.get(person.id, "left")
            group.statuses[person.id] = status
            was_in, is_in = (one not in ("left", "kicked") for one in (old, status))
            if group.statuses.get(bot.user.id) == "administrator":
                self.state.add_update(
                    bot, "chat_member", membership(bot, group, person, old, status, of=person)
                )
            if is_in and not was_in:
                self.write(bot, person, chat=group, new_chat_members=[person.to_json()])
            if was_in and not is_in:
                self.write(bot, person, chat=group, left_chat_member=person.to_json())

    def rename_group(self, bot: Bot, person: User, group: Chat, title: str) -> None:
        with self.state.lock:
            group.title = title
            self.write(bot, person, chat=group, new_chat_title=title)

    def remove_from_group(self, bot: Bot, person: User, group: Chat) -> None:
        with self.state.lock:
            group.refusal = f"Forbidden: bot was kicked from the {group.type} chat"
            group.statuses[bot.user.id] = "kicked"
            self.state.add_update(bot, "my_chat_member", membership(bot, group, person, "member", "kicked"))

    def migrate(self, bot: Bot, person: User, group: Chat) -> Chat:
        """Upgrade a group to a supergroup, which has another id; returns it. The bot joins it, and does not leave."""
        with self.state.lock:
            new = self.add_group(bot, group.title, type="supergroup")
            new.statuses |= group.statuses | {bot.user.id: "member"}
            group.moved_to = new.id
            self.state.add_update(bot, "my_chat_member", membership(bot, new, person, "left", "member"))
            self.write(bot, person, chat=group, migrate_to_chat_id=new.id)
            self.write(bot, person, chat=new, migrate_from_chat_id=group.id)
            return new

    def sent(self, bot: Bot, chat: User | Chat) -> list[dict[str, Any]]:
        """Returns what the bot has sent to a person or group, in order, without what was deleted."""
        with self.state.lock:
            where = bot.chats.get(chat.id)
            found = list(where.messages.values()) if where else []
        return [message for message in found if message["from"]["id"] == bot.user.id]

    def content_of(self, file_id: str) -> bytes:
        return self.state.files[file_id].content


def membership(
    bot: Bot, chat: Chat, person: User, old: str, new: str, *, of: User | None = None
) -> dict[str, Any]:
    """Returns what `person` has made of a member, by default of the bot."""
    user = (of or bot.user).to_json()

    def member(status: str) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if status in ("kicked", "restricted"):
            more["until_date"] = 0
        if status == "restricted":
            more |= dict.fromkeys(PERMISSIONS, False)  # among them is_member
        if status == "administrator":
            more |= dict.fromkeys(RIGHTS, False)
        return {"user": user, "status": status, **more}

    return {
        "chat": chat.to_json(), "from": person.to_json(), "date": int(time.time()),
        "old_chat_member": member(old), "new_chat_member": member(new),
    }  # fmt: skip
