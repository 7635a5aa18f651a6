"""What the double of Telegram knows: bots, people, chats, messages, files, and updates that were not confirmed."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

# Updates that a bot gets only if it has asked for them.
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


class ApiError(Exception):
    """A response with `ok: false`."""

    def __init__(self, status: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters


@dataclass
class User:
    """A person or a bot."""

    id: int
    first_name: str
    username: str = ""
    is_bot: bool = False
    is_deactivated: bool = False

    def to_json(self) -> dict[str, Any]:
        names = {"username": self.username} if self.username else {}
        return {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name, **names}


@dataclass
class StoredFile:
    id: str
    unique_id: str
    name: str
    content_type: str
    content: bytes
    path: str
    url: str = ""  # it was given as a link, which is not fetched

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass
class Chat:
    """A chat as one bot sees it."""

    id: int
    type: str  # private, group, supergroup
    title: str = ""
    person: User | None = None
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    statuses: dict[int, str] = field(
        default_factory=dict
    )  # of members of a group, as far as a test has set them
    administrators: list[tuple[User, str]] = field(default_factory=list)  # with their status
    refusal: str = ""  # the description of the 403 that the bot gets
    moved_to: int | None = None
    starts: deque[float] = field(default_factory=deque)  # of the bot's messages, for its limit
    actions: list[str] = field(default_factory=list)
    reactions: dict[int, list[Any]] = field(default_factory=dict)
    arrivals: dict[int, float] = field(default_factory=dict)  # of messages, by time.monotonic()

    def to_json(self) -> dict[str, Any]:
        if self.person is not None:
            return {"id": self.id, "type": "private", "first_name": self.person.first_name}
        return {"id": self.id, "type": self.type, "title": self.title}


@dataclass
class Webhook:
    url: str
    secret: str = ""
    max_connections: int = 40
    last_error_date: int = 0
    last_error_message: str = ""


@dataclass
class Bot:
    """A bot with its chats, and its updates in order."""

    token: str
    user: User
    changed: threading.Condition  # of the state's lock; for what concerns this bot
    chats: dict[int, Chat] = field(default_factory=dict)
    updates: deque[dict[str, Any]] = field(default_factory=deque)
    next_update: int = 870_000_001
    next_message: int = 1
    allowed_updates: list[str] | None = None
    webhook: Webhook | None = None
    poll: int = 0  # counts getUpdates; a later one ends an earlier one
    poll_end: str = ""  # why the running getUpdates ends
    is_revoked: bool = False
    starts: deque[float] = field(default_factory=deque)
    webhook_generation: int = 0
    latency: float = 0.0  # seconds before the response to a message

    def receives(self, kind: str) -> bool:
        return kind in self.allowed_updates if self.allowed_updates else kind not in NOT_BY_DEFAULT


@dataclass
class Limits:
    """How many messages Telegram takes. `None`: of no interest to the test."""

    per_bot: tuple[int, float] = (30, 1.0)
    per_chat: tuple[int, float] = (1, 1.0)
    per_group: tuple[int, float] = (20, 60.0)


class State:
    """All of it, with the lock that every reader and writer holds."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.bots: dict[str, Bot] = {}
        self.files: dict[str, StoredFile] = {}
        self.limits: Limits | None = None
        self.numbers = itertools.count(1)
        self.is_stopping = False

    def bot(self, token: str) -> Bot:
        """Returns the bot with this token. Raises ApiError."""
        number, _, secret = token.partition(":")
        if not number.isdigit() or len(secret) < 30:
            raise ApiError(404, "Not Found")
        bot = self.bots.get(token)
        if bot is None or bot.is_revoked:
            raise ApiError(401, "Unauthorized")
        return bot

    def chat(self, bot: Bot, chat_id: Any) -> Chat:
        """Returns the chat if the bot may write to it. Raises ApiError."""
        try:
            chat = bot.chats.get(int(chat_id))
        except (TypeError, ValueError):
            raise ApiError(400, "Bad Request: chat_id is empty" if not chat_id else CHAT_NOT_FOUND) from None
        if chat is None:
            raise ApiError(400, CHAT_NOT_FOUND)
        if chat.moved_to is not None:
            raise ApiError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.moved_to,
            )
        if chat.person is not None and chat.person.is_deactivated:
            raise ApiError(403, "Forbidden: user is deactivated")
        if chat.refusal:
            raise ApiError(403, chat.refusal)
        return chat

    def count_message(self, bot: Bot, chat: Chat) -> None:
        """Count a message of the bot against the limits. Raises ApiError."""
        if self.limits is None:
            return
        now = time.monotonic()
        of_chat = self.limits.per_chat if chat.type == "private" else self.limits.per_group
        for starts, (messages, seconds) in ((bot.starts, self.limits.per_bot), (chat.starts, of_chat)):
            while starts and starts[0] <= now - seconds:
                starts.popleft()
            if len(starts) >= messages:
                wait = max(1, round(starts[0] + seconds - now + 0.5))
                raise flood(wait)
        bot.starts.append(now)
        chat.starts.append(now)

    def store_file(self, name: str, content_type: str, content: bytes, url: str = "") -> StoredFile:
        number = next(self.numbers)
        extension = name.rpartition(".")[2] if "." in name else "bin"
        stored = StoredFile(
            f"AgACAgIAAxkBAAI{number:08d}",
            f"AQAD{number:08d}",
            name,
            content_type,
            content,
            f"documents/file_{number}.{extension}",
            url,
        )
        self.files[stored.id] = stored
        return stored

    def add_message(
        self, bot: Bot, chat: Chat, sender: User, content: dict[str, Any], *, date: int | None = None
    ) -> dict[str, Any]:
        """Add a message to the chat and return it."""
        if chat.type == "supergroup":  # it numbers its messages itself
            number = max(chat.messages, default=0) + 1
        else:
            number, bot.next_message = bot.next_message, bot.next_message + 1
        message = {
            "message_id": number,
            "from": sender.to_json(),
            "chat": chat.to_json(),
            "date": int(time.time()) if date is None else date,
            **content,
        }
        chat.messages[number] = message
        chat.arrivals[number] = time.monotonic()
        return message

    def add_update(self, bot: Bot, kind: str, content: dict[str, Any]) -> None:
        """Add an update for the bot, if it receives this kind."""
        with self.lock:
            if bot.receives(kind):
                bot.updates.append({"update_id": bot.next_update, kind: content})
                bot.next_update += 1
            bot.changed.notify_all()


CHAT_NOT_FOUND = "Bad Request: chat not found"


def flood(seconds: int) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
