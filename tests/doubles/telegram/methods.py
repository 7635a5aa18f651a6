"""The methods of the Bot API, by name: each is a function of the server's state, the bot and the arguments."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from tests.doubles.telegram.state import ApiError, Bot, Chat, State, StoredFile, Webhook

MAX_TEXT, MAX_CAPTION = 4096, 1024  # characters
MAX_UPLOAD, MAX_PHOTO, MAX_DOWNLOAD = 50 * 1024**2, 10 * 1024**2, 20 * 1024**2  # bytes
WEBHOOK_PORTS = (None, 443, 80, 88, 8443)
URL = re.compile(r"(https?)://[^/:]+(?::(\d+))?(/.*)?")

Arguments = dict[str, Any]
Method = Callable[[State, Bot, Arguments], Any]
METHODS: dict[str, Method] = {}
MEDIA = {
    "sendPhoto": "photo", "sendDocument": "document", "sendAudio": "audio", "sendVoice": "voice",
    "sendVideo": "video", "sendAnimation": "animation", "sendSticker": "sticker",
}  # fmt: skip


def method(function: Method) -> Method:
    words = function.__name__.split("_")
    METHODS[(words[0] + "".join(word.capitalize() for word in words[1:])).lower()] = function
    return function


def json_value(arguments: Arguments, name: str) -> Any:
    """Returns an argument that is JSON, or a text of JSON as in a form."""
    value = arguments.get(name)
    if isinstance(value, str) and value:
        try:
            return json.loads(value)
        except ValueError:
            raise ApiError(400, f"Bad Request: can't parse {name} JSON object") from None
    return value


def is_true(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "yes")


# -- the bot itself


@method
def get_me(state: State, bot: Bot, arguments: Arguments) -> Any:
    return bot.user.to_json() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
    }


@method
def set_webhook(state: State, bot: Bot, arguments: Arguments) -> Any:
    url, secret = str(arguments.get("url") or ""), str(arguments.get("secret_token") or "")
    if not url:
        return delete_webhook(state, bot, arguments)
    match = URL.fullmatch(url)
    if match is None:
        raise ApiError(400, "Bad Request: bad webhook: Failed to resolve host: Name or service not known")
    if match[1] != "https":
        raise ApiError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
    if (int(match[2]) if match[2] else None) not in WEBHOOK_PORTS:
        raise ApiError(
            400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"
        )
    if len(secret) > 256:
        raise ApiError(400, "Bad Request: secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise ApiError(400, "Bad Request: secret token contains unallowed characters")
    take_allowed_updates(bot, arguments)
    if is_true(arguments.get("drop_pending_updates")):
        bot.updates.clear()
    bot.webhook = Webhook(url, secret, int(arguments.get("max_connections") or 40))
    bot.webhook_generation += 1
    end_poll(bot, "terminated by setWebhook request")
    return True


@method
def delete_webhook(state: State, bot: Bot, arguments: Arguments) -> Any:
    if is_true(arguments.get("drop_pending_updates")):
        bot.updates.clear()
    bot.webhook = None
    bot.webhook_generation += 1
    bot.changed.notify_all()
    return True


@method
def get_webhook_info(state: State, bot: Bot, arguments: Arguments) -> Any:
    hook = bot.webhook or Webhook("")
    info: dict[str, Any] = {
        "url": hook.url,
        "has_custom_certificate": False,
        "pending_update_count": len(bot.updates),
    }
    if hook.url:
        info |= {"max_connections": hook.max_connections, "ip_address": "127.0.0.1"}
    if hook.last_error_message:
        info |= {"last_error_date": hook.last_error_date, "last_error_message": hook.last_error_message}
    if bot.allowed_updates:
        info["allowed_updates"] = bot.allowed_updates
    return info


@method
def get_chat(state: State, bot: Bot, arguments: Arguments) -> Any:
    chat = state.chat(bot, arguments.get("chat_id"))
    return chat.to_json() | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": {}}


@method
def get_chat_administrators(state: State, bot: Bot, arguments: Arguments) -> Any:
    """All but other bots."""
    chat: Chat = state.chat(bot, arguments.get("chat_id"))
    return [
        {"user": user.to_json(), "status": status, "is_anonymous": False}
        for user, status in chat.administrators
    ]


def take_allowed_updates(bot: Bot, arguments: Arguments) -> None:
    allowed = json_value(arguments, "allowed_updates")
    if allowed is not None:
        bot.allowed_updates = [str(kind) for kind in allowed]


def end_poll(bot: Bot, why: str) -> None:
    bot.poll += 1
    bot.poll_end = why
    bot.changed.notify_all()


@method
def get_updates(state: State, bot: Bot, arguments: Arguments) -> Any:
    """Waits up to `timeout` seconds, with the lock released."""
    if bot.webhook is not None:
        raise ApiError(
            409,
            "Conflict: can't use getUpdates method while webhook is active; "
            "use deleteWebhook to delete the webhook first",
        )
    end_poll(
        bot,
        "terminated by other getUpdates request; make sure that only one bot instance is running",
    )
    mine = bot.poll
    take_allowed_updates(bot, arguments)
    offset, limit = int(arguments.get("offset") or 0), int(arguments.get("limit") or 100)
    if offset < 0:
        while len(bot.updates) > -offset:
            bot.updates.popleft()
    while bot.updates and bot.updates[0]["update_id"] < offset:
        bot.updates.popleft()
    until = time.monotonic() + min(float(arguments.get("timeout") or 0), 50.0)
    while not bot.updates and not state.is_stopping and time.monotonic() < until:
        bot.changed.wait(max(0.0, until - time.monotonic()))
        if bot.is_revoked:
            raise ApiError(401, "Unauthorized")
        if bot.poll != mine:
            raise ApiError(409, f"Conflict: {bot.poll_end}")
    return list(bot.updates)[: max(1, min(limit, 100))]


# -- messages


def send(state: State, bot: Bot, arguments: Arguments, content: Callable[[], dict[str, Any]]) -> Any:
    """Add a message of the bot; returns it."""
    chat = state.chat(bot, arguments.get("chat_id"))
    reply = json_value(arguments, "reply_parameters")
    quoted: dict[str, Any] = {}
    if reply:
        found = chat.messages.get(int(reply["message_id"]))
        if found is not None:
            quoted = {"reply_to_message": {k: v for k, v in found.items() if k != "reply_to_message"}}
        elif not is_true(reply.get("allow_sending_without_reply")):
            raise ApiError(400, "Bad Request: message to be replied not found")
    made = content()
    state.count_message(bot, chat)
    return state.add_message(bot, chat, bot.user, made | quoted)


@method
def send_message(state: State, bot: Bot, arguments: Arguments) -> Any:
    text = str(arguments.get("text") or "").strip()

    def content() -> dict[str, Any]:
        if not text:
            raise ApiError(400, "Bad Request: message text is empty")
        if len(text) > MAX_TEXT:
            raise ApiError(400, "Bad Request: message is too long")
        return {"text": text}

    return send(state, bot, arguments, content)


def caption_of(arguments: Arguments) -> dict[str, Any]:
    caption = str(arguments.get("caption") or "").strip()
    if len(caption) > MAX_CAPTION:
        raise ApiError(400, "Bad Request: message caption is too long")
    return {"caption": caption} if caption else {}


def file_of(state: State, kind: str, arguments: Arguments) -> StoredFile:
    """Returns the file of a message: uploaded, known by its id, or given as a link."""
    value = arguments.get(kind)
    if isinstance(value, str) and value.startswith("attach://"):
        value = arguments.get(value.removeprefix("attach://"))
    if isinstance(value, StoredFile):
        if value.size > MAX_UPLOAD or (kind == "photo" and value.size > MAX_PHOTO):
            raise ApiError(413, "Request Entity Too Large")
        if not value.size:
            raise ApiError(400, "Bad Request: file must be non-empty")
        return value
    if not value:
        raise ApiError(400, f"Bad Request: there is no {kind} in the request")
    if known := state.files.get(str(value)):
        return known
    if str(value).startswith(("http://", "https://")):
        return state.store_file(str(value).rpartition("/")[2], "", b"linked", str(value))
    raise ApiError(400, "Bad Request: wrong remote file identifier specified: Wrong character in the string")


def media_json(kind: str, stored: StoredFile) -> Any:
    """Returns the object of a file within a message."""
    base = {"file_id": stored.id, "file_unique_id": stored.unique_id, "file_size": stored.size}
    named = {"file_name": stored.name, "mime_type": stored.content_type or "application/octet-stream"}
    match kind:
        case "photo":
            small = base | {"file_id": f"{stored.id}-small", "file_size": 1, "width": 90, "height": 90}
            return [small, base | {"width": 1280, "height": 960}]
        case "document":
            return base | named
        case "audio":
            return base | named | {"duration": 3}
        case "voice":
            return base | {"duration": 3, "mime_type": stored.content_type or "audio/ogg"}
        case "video" | "animation":
            return base | named | {"width": 640, "height": 480, "duration": 3}
    return base | {
        "width": 512, "height": 512, "type": "regular", "is_animated": False, "is_video": False, "emoji": "🙂"
    }  # fmt: skip


def media_sender(kind: str) -> Method:
    def send_media(state: State, bot: Bot, arguments: Arguments) -> Any:
        def content() -> dict[str, Any]:
            return {kind: media_json(kind, file_of(state, kind, arguments))} | caption_of(arguments)

        return send(state, bot, arguments, content)

    return send_media


METHODS |= {name.lower(): media_sender(kind) for name, kind in MEDIA.items()}


def location_of(arguments: Arguments) -> dict[str, float]:
    try:
        latitude, longitude = float(arguments["latitude"]), float(arguments["longitude"])
    except (KeyError, ValueError):
        raise ApiError(400, "Bad Request: location must be specified") from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ApiError(400, "Bad Request: wrong location")
    return {"latitude": latitude, "longitude": longitude}


@method
def send_location(state: State, bot: Bot, arguments: Arguments) -> Any:
    return send(state, bot, arguments, lambda: {"location": location_of(arguments)})


@method
def send_venue(state: State, bot: Bot, arguments: Arguments) -> Any:
    def content() -> dict[str, Any]:
        place = location_of(arguments)
        texts = {name: str(arguments.get(name) or "") for name in ("title", "address")}
        if not texts["title"]:
            raise ApiError(400, "Bad Request: title must be non-empty")
        return {"location": place, "venue": {"location": place, **texts}}

    return send(state, bot, arguments, content)


@method
def send_contact(state: State, bot: Bot, arguments: Arguments) -> Any:
    def content() -> dict[str, Any]:
        names = ("phone_number", "first_name", "last_name", "vcard")
        given = {name: str(arguments[name]) for name in names if arguments.get(name)}
        for name in names[:2]:
            if name not in given:
                raise ApiError(400, f"Bad Request: contact {name.replace('_', ' ')} must be non-empty")
        if len(given.get("vcard", "").encode()) > 2048:
            raise ApiError(400, "Bad Request: VCARD_TOO_LONG")
        return {"contact": given}

    return send(state, bot, arguments, content)


@method
def forward_message(state: State, bot: Bot, arguments: Arguments) -> Any:
    source = state.chat(bot, arguments.get("from_chat_id"))
    found = source.messages.get(int(arguments.get("message_id") or 0))
    if found is None:
        raise ApiError(400, "Bad Request: message to forward not found")
    skipped = {"message_id", "from", "chat", "date", "reply_to_message"}
    content = {name: value for name, value in found.items() if name not in skipped}
    origin = {"type": "user", "sender_user": found["from"], "date": found["date"]}
    return send(state, bot, arguments, lambda: content | {"forward_origin": origin})


@method
def delete_message(state: State, bot: Bot, arguments: Arguments) -> Any:
    chat = state.chat(bot, arguments.get("chat_id"))
    found = chat.messages.get(int(arguments.get("message_id") or 0))
    if found is None:
        raise ApiError(400, "Bad Request: message to delete not found")
    if time.time() - found["date"] > 48 * 3600:
        raise ApiError(400, "Bad Request: message can't be deleted for everyone")
    del chat.messages[found["message_id"]]
    return True


@method
def set_message_reaction(state: State, bot: Bot, arguments: Arguments) -> Any:
    chat = state.chat(bot, arguments.get("chat_id"))
    number = int(arguments.get("message_id") or 0)
    if number not in chat.messages:
        raise ApiError(400, "Bad Request: message to react not found")
    chat.reactions[number] = json_value(arguments, "reaction") or []
    return True


@method
def send_chat_action(state: State, bot: Bot, arguments: Arguments) -> Any:
    chat: Chat = state.chat(bot, arguments.get("chat_id"))
    action = str(arguments.get("action") or "")
    if not re.fullmatch("typing|(upload|record)_(photo|video|voice|document)|find_location", action):
        raise ApiError(400, "Bad Request: wrong parameter action in request")
    chat.actions.append(action)
    return True


@method
def leave_chat(state: State, bot: Bot, arguments: Arguments) -> Any:
    chat = state.chat(bot, arguments.get("chat_id"))
    if chat.type == "private":
        raise ApiError(400, "Bad Request: chat member status can't be changed in private chats")
    chat.refusal = f"Forbidden: bot is not a member of the {chat.type} chat"
    return True


@method
def get_file(state: State, bot: Bot, arguments: Arguments) -> Any:
    stored = state.files.get(str(arguments.get("file_id") or ""))
    if stored is None:
        raise ApiError(400, "Bad Request: invalid file_id")
    if stored.size > MAX_DOWNLOAD:
        raise ApiError(400, "Bad Request: file is too big")
    return {
        "file_id": stored.id,
        "file_unique_id": stored.unique_id,
        "file_size": stored.size,
        "file_path": stored.path,
    }
