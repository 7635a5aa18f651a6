"""WAHA's HTTP API: the paths, and what it refuses."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from tests.doubles.waha.state import Counter, Fault, Json, Session
from tests.doubles.web_server import ErrorResponse, WebServer

FILES = ("sendImage", "sendFile", "sendVideo", "sendVoice")
CHAT = re.compile(r"[0-9]+(-[0-9]+)?@(c\.us|g\.us|lid|newsletter)|status@broadcast")
# Path below a group → the type of the event that it makes.
GROUP_CHANGES = {
    "participants/add": "join",
    "participants/remove": "leave",
    "admin/promote": "promote",
    "admin/demote": "demote",
}
# One white pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII="
)


class WahaError(ErrorResponse):
    """An error response."""

    def __init__(self, code: int, message: str | list[str], more: Json | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.more = code, message, more

    def response(self) -> Response:
        body = self.more or {"statusCode": self.status, "message": self.message}
        return Response(json.dumps(body), self.status, content_type="application/json")


class Waha(WebServer):
    """The server, with all its sessions. `scans` is the phone that scans each new code at once, if there is one."""

    def __init__(
        self, api_key: str = "an-api-key-of-waha", *, engine: str = "WEBJS", scans: str = ""
    ) -> None:
        self.api_key, self.engine, self.scans = api_key, engine, scans
        self.keys = {api_key}  # that are accepted
        self.sessions: dict[str, Session] = {}
        self.deleted_sessions: list[Session] = []  # the last events of each may still be on their way
        self.counter = Counter()
        super().__init__(self.counter.lock)
        self.is_away = False  # it responds 503 to everything
        self.redirects_to = ""  # the URL of another server, where it sends every request with 307

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        for session in [*self.sessions.values(), *self.deleted_sessions]:
            session.deliverer.stop()

    def add_session(self, name: str, config: Json | None = None, *, phone: str = "15550001111") -> Session:
        """Add a session that works, as after a scan; it sends no event of that."""
        session = Session(name, self.counter, self.url, self.engine, config or {})
        session.me = {"id": f"{phone}@c.us", "pushName": "Tea Shop"}
        session.status = "WORKING"
        self.sessions[name] = session
        return session

    @property
    def only(self) -> Session:
        """The one session that there is."""
        [session] = self.sessions.values()
        return session

    # -- HTTP

    def respond(self, request: Request) -> Response:
        body = request.get_json(silent=True)
        path = [unquote(part) for part in request.path.strip("/").split("/")]
        if self.redirects_to:
            return Response("", 307, {"Location": self.redirects_to + request.full_path.removesuffix("?")})
        if self.is_away:
            raise WahaError(503, "Service Unavailable")
        if path == ["ping"]:
            return ok({"message": "pong"})
        given = request.headers.get("X-Api-Key", "")
        if given not in self.keys:
            raise WahaError(401, "Unauthorized")
        if path[0] != "api":
            raise WahaError(404, f"Cannot {request.method} {request.path}")
        return self.route(request, request.method, path[1:], body if isinstance(body, dict) else {})

    def route(self, request: Request, method: str, path: list[str], body: Json) -> Response:
        match (method, *path):
            case ("GET", "sessions"):
                wants_all = request.args.get("all") == "true"
                found = [one for one in self.sessions.values() if wants_all or one.status != "STOPPED"]
                return ok([info(one) for one in found])
            case ("POST", "sessions"):
                return self.create(body)
            case (_, "sessions", name):
                return self.on_session(method, name, body)
            case ("GET", "sessions", name, "me"):
                return ok(self.session(name, 404).me)
            case ("POST", "sessions", name, action):
                return self.act(name, action)
            case ("GET", name, "auth", "qr"):
                return self.show_code(request, self.in_status(name, "SCAN_QR_CODE"))
            case ("POST", name, "auth", "request-code"):
                return self.request_code(self.in_status(name, "SCAN_QR_CODE"), body)
            case ("GET", name, "auth", "passkey", "confirmation"):
                return ok({"code": self.in_status(name, "PASSKEY_CONFIRMATION_REQUIRED").pairing_code})
            case ("GET", "files", name, file):
                return self.download(self.session(name, 404), file)
            case ("GET", "contacts", "check-exists"):
                return self.check_exists(request)
            case ("GET", "version"):
                return ok({"version": "2026.9.1", "engine": self.engine, "tier": "CORE", "browser": ""})
            case ("POST", "sendSeen" | "startTyping" | "stopTyping"):
                self.in_status(body.get("session"), "WORKING").calls.append((path[0], body))
                return ok({"success": True}, 201)
            case ("PUT", "reaction"):
                self.in_status(body.get("session"), "WORKING").calls.append((path[0], body))
                return ok({"success": True})
            case ("POST", kind) if kind.startswith(("send", "forward")):
                return self.send(kind, body)
        return self.of_session(request, method, path, body)

    def of_session(self, request: Request, method: str, path: list[str], body: Json) -> Response:
        """Respond to what is below `/api/{session}/`."""
        session = self.in_status(path[0], "WORKING")
        match (method, *path[1:]):
            case ("GET", "chats", "overview"):
                return self.overview(session, request)
            case ("GET", "chats", chat, "messages"):
                return self.messages(session, chat, request)
            case ("DELETE", "chats", _, "messages", message):
                session.deleted.append(message)
                return ok({"success": True})
            case ("GET", "lids", "pn", number):
                return ok({"lid": {pn: lid for lid, pn in session.lids.items()}.get(number), "pn": number})
            case ("GET", "lids", lid):
                session.calls.append((f"lids/{lid}", {}))
                return ok({"lid": lid, "pn": session.lids.get(lid)})
            case ("POST", "groups"):
                group = f"{120_363_000_000_000_100 + self.counter.next()}@g.us"
                people = {one["id"]: "participant" for one in body["participants"]}
                session.join(group, body["name"], {(session.me or {})["id"]: "superadmin"} | people)
                return ok({"gid": {"_serialized": group}, "title": body["name"]}, 201)
            case ("POST", "groups", "join"):
                return ok({"id": session.invite_codes.get(body["code"], session.group)}, 201)
            case ("POST", "groups", group, *rest) if change := GROUP_CHANGES.get("/".join(rest)):
                session.calls.append(("/".join(path[1:]), body))
                session.change_participants(group, change, *(one["id"] for one in body["participants"]))
                return ok({"success": True}, 201)
            case ("POST", "groups", group, "leave"):
                session.calls.append(("/".join(path[1:]), body))
                session.leave(group)
                return ok({"success": True}, 201)
            case ("POST", "presence"):
                session.calls.append(("/".join(path[1:]), body))
                return ok({"success": True}, 201)
        raise WahaError(404, f"Cannot {method} {request.path}")

    # -- sessions

    def session(self, name: object, status: int = 422) -> Session:
        found = self.sessions.get(str(name))
        if found is None:
            message = "Session not found" if status == 404 else f'Session "{name}" does not exist'
            raise WahaError(status, message)
        return found

    def in_status(self, name: object, *expected: str) -> Session:
        session = self.session(name)
        if session.status not in expected:
            said = "Session status is not as expected. Try again later or restart the session"
            found = {"error": said, "session": session.name, "status": session.status}
            raise WahaError(422, said, {**found, "expected": list(expected)})
        return session

    def create(self, body: Json) -> Response:
        name = body.get("name") or f"session_{self.counter.next():026x}"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,54}", name):
            raise WahaError(400, "name must match /^[a-zA-Z0-9_-]*$/ regular expression")
        with self.counter.lock:
            if name in self.sessions:
                raise WahaError(422, f"Session '{name}' already exists. Use PUT to update it.")
            session = Session(name, self.counter, self.url, self.engine, body.get("config") or {})
            self.sessions[name] = session
        if body.get("start", True):
            self.start(session)
        return ok(info(session), 201)

    def start(self, session: Session) -> None:
        session.start()
        if self.scans and session.status == "SCAN_QR_CODE":
            session.scan(self.scans)

    def on_session(self, method: str, name: str, body: Json) -> Response:
        if method == "DELETE":
            if found := self.sessions.pop(name, None):
                self.deleted_sessions.append(found)
                found.change("STOPPED")
            return Response("", 200)
        session = self.session(name, 404)
        if method == "PUT":
            was_running = session.status != "STOPPED"
            session.config = body.get("config") or {}
            if was_running:
                self.start(session)
        shown = info(session)
        session.looks += method == "GET"
        if method == "GET" and session.stumbles:
            session.stumbles -= 1
            shown["status"] = "STARTING"
        return ok(shown)

    def act(self, name: str, action: str) -> Response:
        session = self.session(name, 404)
        was_running = session.status != "STOPPED"
        match action:
            case "start" if not was_running:
                self.start(session)
            case "stop":
                session.stop()
            case "restart":
                self.start(session)
            case "logout":
                session.log_out()
                if was_running:
                    self.start(session)
        return ok(info(session), 201)

    def show_code(self, request: Request, session: Session) -> Response:
        if request.args.get("format") == "raw":
            return ok({"value": session.qr})
        if "application/json" in request.headers.get("Accept", ""):
            return ok({"mimetype": "image/png", "data": base64.b64encode(PNG).decode()})
        return Response(PNG, content_type="image/png")

    def request_code(self, session: Session, body: Json) -> Response:
        digits = str(body.get("phoneNumber", ""))
        if not digits.isdigit():
            raise WahaError(400, "phoneNumber must be digits")
        session.calls.append(("request-code", body))
        return ok({"code": f"{digits[-4:]}-{self.counter.next():04}"}, 201)

    # -- messages

    def send(self, kind: str, body: Json) -> Response:
        session = self.in_status(body.get("session"), "WORKING")
        fault = session.faults.popleft() if session.faults else None
        if fault is not None and not fault.is_accepted:
            time.sleep(fault.seconds)
            return fault_response(fault)
        check_message(kind, body)
        key = session.new_key("3EB0")
        given = str(body["chatId"])
        chat = session.other_ids.get(given.partition("@")[0], given)
        with self.counter.lock:
            session.sent.append({**body, "kind": kind, "key": key})
        own = session.message(chat, body.get("text", ""), from_me=True, key=key, source="api")
        session.emit("message.any", own)
        if fault is not None:
            time.sleep(fault.seconds)
            return fault_response(fault)
        return ok(created(self.engine, chat, key, own), 201)

    def check_exists(self, request: Request) -> Response:
        session = self.in_status(request.args.get("session"), "WORKING")
        phone = request.args.get("phone", "")
        session.calls.append(("check-exists", {"phone": phone}))
        if phone in session.without_account:
            return ok({"numberExists": False})
        return ok({"numberExists": True, "chatId": session.other_ids.get(phone, f"{phone}@c.us")})

    def overview(self, session: Session, request: Request) -> Response:
        limit, offset = int(request.args.get("limit", 20)), int(request.args.get("offset", 0))
        with self.counter.lock:
            chats: list[Json] = [
                {
                    "id": chat,
                    "name": chat,
                    "picture": "https://example.com/picture.jpg",
                    "lastMessage": messages[-1],
                    "_chat": {},
                }
                for chat, messages in session.history.items()
                if messages
            ]
        chats.sort(key=lambda chat: -chat["lastMessage"]["timestamp"])
        return ok(chats[offset : offset + limit])

    def messages(self, session: Session, chat: str, request: Request) -> Response:
        """Respond with the messages of a chat, the newest first."""
        start = float(request.args.get("filter.timestamp.gte", 0))
        limit, offset = int(request.args.get("limit", 10)), int(request.args.get("offset", 0))
        with self.counter.lock:
            found = [one for one in session.history.get(chat, []) if one["timestamp"] >= start]
        return ok(found[::-1][offset : offset + limit])

    @staticmethod
    def download(session: Session, name: str) -> Response:
        file = session.files.get(name)
        if file is None:
            raise WahaError(404, "File not found")
        if file.failures:
            file.failures -= 1
            raise WahaError(500, "Internal Server Error")
        return Response(file.content, content_type=file.content_type)


def check_message(kind: str, body: Json) -> None:
    """Refuse what WAHA's validation refuses."""
    chat = body.get("chatId")
    if not isinstance(chat, str) or not CHAT.fullmatch(chat):
        raise WahaError(400, "chatId is not valid")
    needed = {
        "sendText": ("text",),
        "sendLocation": ("latitude", "longitude", "title"),
        "sendContactVcard": ("contacts",),
        "forwardMessage": ("messageId",),
        **dict.fromkeys(FILES, ("file",)),
    }.get(kind)
    if needed is None:
        raise WahaError(404, f"Cannot POST /api/{kind}")
    missing = [name for name in needed if name not in body]
    if missing:
        raise WahaError(400, [f"{name} should not be empty" for name in missing])
    if kind == "sendText" and not isinstance(body["text"], str):
        raise WahaError(400, "text must be a string")
    if kind == "sendContactVcard" and not all(
        one.get("vcard") or one.get("fullName") for one in body["contacts"]
    ):
        raise WahaError(400, "contacts must have a vcard")
    if kind in FILES:
        check_file(body["file"])
    if kind in ("sendVoice", "sendVideo") and not isinstance(body.get("convert"), bool):
        raise WahaError(400, "convert must be a boolean value")
    reply = body.get("reply_to")
    if reply is not None and not re.fullmatch(r"(true|false)_[^_]+_[^_]+(_[^_]+)?", reply):
        raise WahaError(500, f"Could not get the quoted message {reply}")


def check_file(file: Any) -> None:
    if not isinstance(file, dict) or not file.get("mimetype"):
        raise WahaError(400, "file.mimetype should not be empty")
    if ("url" in file) == ("data" in file):
        raise WahaError(400, "either file.url or file.data is needed")
    if "data" in file:
        try:
            base64.b64decode(file["data"], validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise WahaError(400, "file.data must be base64 encoded") from None


def created(engine: str, chat: str, key: str, message: Json) -> Json:
    """Returns the created message, in the form of the engine."""
    whole = f"true_{chat}_{key}"
    match engine:
        case "WEBJS":
            named = {"fromMe": True, "remote": chat, "id": key, "_serialized": whole}
            return {"id": named, "ack": 0, "body": message["body"], "_data": {"id": named}}
        case "NOWEB":
            remote = chat.replace("@c.us", "@s.whatsapp.net")
            return {
                "key": {"remoteJid": remote, "fromMe": True, "id": key},
                "message": {},
                "status": "PENDING",
            }
    return {**message, "id": whole}


def info(session: Session) -> Json:
    return {
        "name": session.name,
        "me": session.me,
        "assignedWorker": "waha",
        "presence": None,
        "timestamps": {"activity": session.milliseconds()},
        "status": session.status,
        "config": session.config,
    }


def ok(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def fault_response(fault: Fault) -> Response:
    if fault.body is not None:
        response = Response(fault.body, fault.status, content_type="text/html")
    elif fault.status >= 500:
        exception = {"message": fault.said or "Protocol error"}
        body = {"statusCode": fault.status, "timestamp": "2026-01-01T00:00:00.000Z", "exception": exception}
        response = ok(body, fault.status)
    else:
        response = WahaError(fault.status, fault.said).response()
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response
