"""WhatsApp's Cloud API as a small real server: the Graph API of phone numbers, and their people.

`with WhatsAppCloud() as whatsapp:` serves it at `whatsapp.url`; `whatsapp.add_number()` returns a Number, whose methods
are what its people do. They send callbacks, signed with the app's secret, to the number's `callback_url`, if it has one
and its business account is subscribed. Ids and times are counted, so a test sees the same ones in each run.

`number.faults` has the next responses to messages, one after the other: an error code of Meta's table, a status, a
response that is no JSON, or a time without a response.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Request, Response

from instances.channels.receiving import CallbackRequest
from tests.doubles.web_server import ErrorResponse, WebServer

Json = dict[str, Any]
MEDIA_TYPES = ("image", "video", "audio", "document", "sticker")
# Code → status and message, as Meta documents them. Others get 400.
ERRORS = {
    0: (401, "AuthException"),
    3: (500, "API Method"),
    4: (429, "API Too Many Calls"),
    10: (403, "Permission Denied"),
    100: (400, "Invalid parameter"),
    190: (401, "Error validating access token: the session is invalid."),
    200: (403, "API Permission"),
    368: (403, "Temporarily blocked for policies violations"),
    80007: (400, "Rate limit issues"),
    130429: (429, "Rate limit hit"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131016: (503, "Service unavailable"),
    131047: (400, "Re-engagement message"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: (500, "Account in maintenance mode"),
}
START = 1_700_000_000  # unix seconds; each id is a second later


@dataclass
class Fault:
    """The response to one request for a message, instead of a success."""

    code: int | None = None
    status: int | None = None
    retry_after: int | None = None
    seconds: float = 0.0  # without a response
    body: bytes | None = None  # instead of JSON
    is_accepted: bool = False  # the message is sent nevertheless: only the response is lost


@dataclass
class Upload:
    """A file at WhatsApp."""

    content: bytes
    content_type: str
    filename: str = ""
    is_gone: bool = False
    is_damaged: bool = False
    expired_urls: int = 0  # so many requests to its URL get 404


@dataclass
class Number:
    """A business phone number, with its app."""

    server: WhatsAppCloud
    phone_number_id: str
    phone: str
    business_account_id: str
    token: str
    app_secret: str
    verify_token: str = "a-verify-token"
    name: str = "Chat Shop"
    callback_url: str = ""
    is_subscribed: bool = False
    is_revoked: bool = False
    permissions: tuple[str, ...] = ("whatsapp_business_messaging", "whatsapp_business_management")
    has_window: bool = False  # only those who wrote within 24 h get messages without a template
    faults: deque[Fault] = field(default_factory=deque)
    latency: float = 0.0  # seconds before the response to a message
    accepted: list[Json] = field(default_factory=list)  # messages, with their ids …
    arrivals: list[float] = field(default_factory=list)  # … and when they arrived, by time.monotonic()
    reads: list[Json] = field(default_factory=list)  # marks as read, and typing indicators
    written: set[str] = field(default_factory=set)  # who has written
    other_ids: dict[str, str] = field(default_factory=dict)  # number → its id at WhatsApp
    replies: list[requests.Response] = field(default_factory=list)  # to callbacks
    templates: list[Json] = field(default_factory=list)

    # -- what people get

    def received(self, who: str) -> list[Json]:
        """Returns the messages to this number or person, in order."""
        return [one for one in self.accepted if who in (one.get("to"), one.get("recipient"))]

    # -- what people do

    def message(self, who: str, type: str = "text", *, id: str = "", **more: Any) -> Json:
        """Returns a message object. `body` is short for that of a text."""
        if type == "text" and "body" in more:
            more["text"] = {"body": more.pop("body")}
        self.written.add(who)
        key = "from" if who.isdigit() else "from_user_id"
        return {
            "id": id or self.server.new_id("wamid."),
            "timestamp": self.server.now(),
            key: who,
            "type": type,
        } | more

    def write(self, who: str, type: str = "text", *, name: str = "Ann", **more: Any) -> Json:
        """Write to the number, and send the callback; returns the message object."""
        message = self.message(who, type, **more)
        self.push(self.messages([message], {who: name}))
        return message

    def send_file(self, who: str, type: str, content: bytes, content_type: str, **more: Any) -> Json:
        """Send a file to the number; `caption`, `filename` and `voice` as in the message object."""
        media_id = self.server.add_file(content, content_type)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        described: Any = {type: {"id": media_id, "mime_type": content_type, "sha256": digest} | more}
        return self.write(who, type, **described)

    def report(self, wamid: str, status: str, *, error: int | None = None, push: bool = True) -> Json:
        """Report a status of a message; returns the callback's body."""
        sent = next((one for one in self.accepted if one["id"] == wamid), {})
        found: Json = {
            "id": wamid,
            "status": status,
            "timestamp": self.server.now(),
            "recipient_id": sent.get("to", ""),
        }
        if status != "failed":
            found["conversation"] = {"id": "conversation-1", "origin": {"type": "service"}}
            found["pricing"] = {
                "billable": True,
                "pricing_model": "PMP",
                "category": "service",
                "type": "regular",
            }
        if tracker := sent.get("biz_opaque_callback_data"):
            found["biz_opaque_callback_data"] = tracker
        if error is not None:
            _, message = ERRORS.get(error, (400, f"Error {error}"))
            details = {"details": f"Details of {error}"}
            found["errors"] = [{"code": error, "title": message, "message": message, "error_data": details}]
        contacts = (
            [{"wa_id": sent["to"], "user_id": f"US.{sent['to']}", "profile": {"name": "Ann"}}]
            if sent.get("to")
            else []
        )
        body = self.change("messages", {"contacts": contacts, "statuses": [found]})
        if push:
            self.push(body)
        return body

    def type_in_app(self, who: str, body: str, *, id: str = "") -> Json:
        """Write to a person in the WhatsApp Business app; returns the callback's body."""
        echo = {"from": self.phone, "to": who, "id": id or self.server.new_id("wamid."), "type": "text"}
        return self.change(
            "smb_message_echoes",
            {"message_echoes": [echo | {"timestamp": self.server.now(), "text": {"body": body}}]},
        )

    def disable(self) -> Json:
        """Meta disables the business account; returns the callback's body."""
        return self.account("DISABLED_UPDATE", "DISABLE")

    def account(self, event: str, state: str) -> Json:
        value = {"phone_number": self.phone, "event": event, "ban_info": {"waba_ban_state": state}}
        return self.entry("account_update", value)

    # -- callbacks

    def messages(self, messages: Iterable[Json], names: Mapping[str, str]) -> Json:
        """Returns the body of a callback with these messages."""
        contacts = [
            {
                "profile": {"name": name},
                **({"wa_id": who} if who.isdigit() else {}),
                "user_id": f"US.{who}" if who.isdigit() else who,
            }
            for who, name in names.items()
        ]
        return self.change("messages", {"contacts": contacts, "messages": list(messages)})

    def change(self, name: str, value: Json) -> Json:
        metadata = {"display_phone_number": self.phone, "phone_number_id": self.phone_number_id}
        return self.entry(name, {"messaging_product": "whatsapp", "metadata": metadata} | value)

    def entry(self, name: str, value: Json) -> Json:
        entry = {"id": self.business_account_id, "changes": [{"field": name, "value": value}]}
        return {"object": "whatsapp_business_account", "entry": [entry]}

    def signed(self, body: Json, *, secret: str | None = None) -> tuple[bytes, dict[str, str]]:
        """Returns the bytes of a callback and its headers. Meta escapes what is not ASCII."""
        raw = json.dumps(body).encode()
        digest = hmac.new((secret or self.app_secret).encode(), raw, hashlib.sha256).hexdigest()
        return raw, {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}

    def callback(self, body: Json, *, secret: str | None = None) -> CallbackRequest:
        """Returns a callback as this product's channel gets it."""
        raw, headers = self.signed(body, secret=secret)
        return CallbackRequest("POST", "", tuple(headers.items()), raw)

    def push(self, body: Json, *, secret: str | None = None) -> requests.Response | None:
        """Send a callback to the number's URL, if its business account is subscribed; returns the response."""
        if not (self.callback_url and self.is_subscribed):
            return None
        raw, headers = self.signed(body, secret=secret)
        response = requests.post(self.callback_url, data=raw, headers=headers, timeout=30)
        self.replies.append(response)
        return response

    def verify(self, url: str) -> bool:
        """Set the callback URL as Meta's dashboard does: only if the URL returns the challenge."""
        query = {
            "hub.mode": "subscribe",
            "hub.verify_token": self.verify_token,
            "hub.challenge": "1158201444",
        }
        response = requests.get(url, query, timeout=30)
        is_right = response.status_code == 200 and response.text == "1158201444"
        if is_right:
            self.callback_url = url
        return is_right


class GraphError(ErrorResponse):
    """An error response of the Graph API."""

    def __init__(
        self, code: int, details: str = "", *, subcode: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(details)
        self.code, self.details, self.subcode, self.status = code, details, subcode, status

    def response(self) -> Response:
        status, message = ERRORS.get(self.code, (400, f"(#{self.code}) Error"))
        found: Json = {
            "message": f"(#{self.code}) {message}",
            "type": "OAuthException",
            "code": self.code,
            "error_data": {"messaging_product": "whatsapp", "details": self.details or message},
            "fbtrace_id": "A-trace-id",
        }
        if self.subcode is not None:
            found["error_subcode"] = self.subcode
            found["message"] = self.details
        return Response(json.dumps({"error": found}), self.status or status, content_type="application/json")


class WhatsAppCloud(WebServer):
    """The server, with all its numbers."""

    def __init__(self) -> None:
        self.numbers: dict[str, Number] = {}
        self.files: dict[str, Upload] = {}
        self.counter = itertools.count(1)
        super().__init__(threading.RLock())

    def add_number(self, **more: Any) -> Number:
        number = next(self.counter)
        defaults: Json = {
            "phone_number_id": f"10{number:013}",
            "phone": f"1555{number:07}",
            "business_account_id": f"20{number:013}",
            "token": f"EAAG-token-of-number-{number}",
            "app_secret": f"app-secret-of-number-{number}",
        }
        added = Number(self, **(defaults | more))
        self.numbers[added.phone_number_id] = added
        return added

    def new_id(self, prefix: str) -> str:
        with self.lock:
            return f"{prefix}{base64.b64encode(f'message {next(self.counter):08}'.encode()).decode()}"

    def now(self) -> str:
        with self.lock:
            return str(START + next(self.counter))

    def add_file(self, content: bytes, content_type: str, filename: str = "") -> str:
        with self.lock:
            media_id = str(900_000_000 + next(self.counter))
            self.files[media_id] = Upload(content, content_type, filename)
        return media_id

    # -- the Graph API

    def respond(self, request: Request) -> Response:
        if found := re.fullmatch(r"/files/(\d+)", request.path):
            return self.download(request, found[1])
        path = re.fullmatch(r"/v(\d+)\.0/([^/]+)(?:/([a-z_]+))?", request.path)
        if not path:
            raise GraphError(2500, "Unknown path components", status=400)
        number = self.authorized(request)
        match (request.method, path[2], path[3]):
            case ("POST", number.phone_number_id, "messages"):
                return self.take_message(number, request)
            case ("POST", number.phone_number_id, "media"):
                return self.take_file(number, request)
            case ("GET", number.phone_number_id, None):
                self.require(number, "whatsapp_business_management")
                return ok({
                    "id": number.phone_number_id,
                    "display_phone_number": f"+{number.phone[0]} {number.phone[1:4]}-{number.phone[4:]}",
                    "verified_name": number.name,
                    "quality_rating": "GREEN",
                    "code_verification_status": "VERIFIED",
                    "platform_type": "CLOUD_API",
                    "status": "CONNECTED",
                })  # fmt: skip
            case (_, number.business_account_id, _):
                return self.business_account(number, request, path[3] or "")
            case ("GET", media_id, None) if media_id in self.files:
                return self.describe_file(media_id)
            case ("DELETE", media_id, None) if media_id in self.files:
                del self.files[media_id]
                return ok({"success": True})
        raise GraphError(
            100,
            f"Unsupported {request.method.lower()} request. Object with ID '{path[2]}' does not exist, cannot be "
            "loaded due to missing permissions, or does not support this operation.",
            subcode=33,
        )

    def authorized(self, request: Request) -> Number:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        number = next((one for one in self.numbers.values() if hmac.compare_digest(one.token, given)), None)
        if number is None or number.is_revoked:
            raise GraphError(190, "Error validating access token: Session has expired.")
        proof = request.args.get("appsecret_proof")
        expected = hmac.new(number.app_secret.encode(), number.token.encode(), hashlib.sha256).hexdigest()
        if proof is not None and proof != expected:
            raise GraphError(100, "Invalid appsecret_proof provided in the API argument", status=400)
        return number

    @staticmethod
    def require(number: Number, permission: str) -> None:
        if permission not in number.permissions:
            raise GraphError(10, f"(#10) Application does not have permission for this action: {permission}")

    def business_account(self, number: Number, request: Request, edge: str) -> Response:
        self.require(number, "whatsapp_business_management")
        account = number.business_account_id
        match (request.method, edge):
            case ("POST", "subscribed_apps"):
                number.is_subscribed = True
                given = request.get_json(silent=True) or request.form
                if (url := given.get("override_callback_uri")) and not number.verify(str(url)):
                    raise GraphError(2200, "The callback URL could not be validated.")
                return ok({"success": True})
            case ("GET", "subscribed_apps"):
                apps = (
                    [{"whatsapp_business_api_data": {"id": "1", "name": "Chat"}}]
                    if number.is_subscribed
                    else []
                )
                return ok({"data": apps})
            case ("DELETE", "subscribed_apps"):
                number.is_subscribed = False
                return ok({"success": True})
            case ("GET", "phone_numbers"):
                same = [one for one in self.numbers.values() if one.business_account_id == account]
                return ok(
                    {"data": [{"id": one.phone_number_id, "display_phone_number": one.phone} for one in same]}
                )
            case ("GET", "message_templates"):
                start, limit = int(request.args.get("after", "0")), int(request.args.get("limit", "25"))
                end = start + limit
                paging: Json = {"cursors": {"before": str(start), "after": str(end)}}
                if end < len(number.templates):
                    paging["next"] = f"{self.url}{request.path}?after={end}"
                return ok({"data": number.templates[start:end], "paging": paging})
            case ("GET", ""):
                return ok({"id": number.business_account_id, "name": number.name})
        raise GraphError(100, "Unsupported request.")

    def take_message(self, number: Number, request: Request) -> Response:
        self.require(number, "whatsapp_business_messaging")
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or body.get("messaging_product") != "whatsapp":
            raise GraphError(100, "(#100) The parameter messaging_product is required.")
        if body.get("status") == "read":
            number.reads.append(body)
            return ok({"success": True})
        fault = number.faults.popleft() if number.faults else None
        if fault is not None and not fault.is_accepted:
            time.sleep(fault.seconds)
            return fault_response(fault)
        self.check_message(number, body)
        with self.lock:
            given = str(body.get("to") or body.get("recipient"))
            to = number.other_ids.get(given.lstrip("+"), given.lstrip("+"))
            message = {**body, "to" if "to" in body else "recipient": to, "id": self.new_id("wamid.")}
            number.accepted.append(message)
            number.arrivals.append(time.monotonic())
        time.sleep(number.latency)
        if fault is not None:
            time.sleep(fault.seconds)
            return fault_response(fault)
        contact = {"input": given, "wa_id": to} if "to" in body else {"input": given, "user_id": given}
        return ok({
            "messaging_product": "whatsapp",
            "contacts": [contact],
            "messages": [{"id": message["id"], "message_status": "accepted"}],
        })  # fmt: skip

    def check_message(self, number: Number, body: Json) -> None:
        """Refuse what Meta refuses."""
        to, recipient, type = body.get("to"), body.get("recipient"), body.get("type", "text")
        is_group = body.get("recipient_type") == "group"
        if not (to or recipient):
            raise GraphError(131008, "Parameter 'to' is required.")
        if to and not is_group and not re.fullmatch(r"\+?[0-9]{5,20}", str(to)):
            raise GraphError(131009, f"Parameter 'to' is no phone number: {to}")
        if recipient and not re.fullmatch(r"[A-Z]{2}\.[A-Za-z0-9.]{1,128}", str(recipient)):
            raise GraphError(131009, f"Parameter 'recipient' is no user id: {recipient}")
        if str(to).lstrip("+") == number.phone:
            raise GraphError(131021, "Sender and recipient are the same.")
        content = body.get(type)
        if not isinstance(content, dict | list) or not content:
            raise GraphError(131008, f"Parameter '{type}' is required.")
        if len(str(body.get("biz_opaque_callback_data", ""))) > 512:
            raise GraphError(131009, "biz_opaque_callback_data is too long.")
        if isinstance(content, dict):
            self.check_content(type, content)
        elif type != "contacts" or not all(self.is_contact(one) for one in content):
            raise GraphError(131009, "A contact needs formatted_name and one more part of its name.")
        if number.has_window and type != "template" and str(to).lstrip("+") not in number.written:
            raise GraphError(131047, "More than 24 hours have passed since the customer last replied.")

    def check_content(self, type: str, content: Json) -> None:
        match type:
            case "text":
                text = content.get("body")
                if not isinstance(text, str) or not 0 < len(text) <= 4096:
                    raise GraphError(100, "text.body must have 1 to 4096 characters.")
            case _ if type in MEDIA_TYPES:
                if ("id" in content) == ("link" in content):
                    raise GraphError(131009, "Either id or link.")
                if "id" in content and content["id"] not in self.files:
                    raise GraphError(131053, f"Media {content['id']} was not found.")
                if "caption" in content and type in ("audio", "sticker"):
                    raise GraphError(100, f"Unexpected key 'caption' on param '{type}'.")
                if "filename" in content and type != "document":
                    raise GraphError(100, f"Unexpected key 'filename' on param '{type}'.")
                if len(content.get("caption", "")) > 1024:
                    raise GraphError(131009, "caption is too long.")
            case "location":
                if not all(isinstance(content.get(key), int | float) for key in ("latitude", "longitude")):
                    raise GraphError(131009, "latitude and longitude are numbers.")
            case "reaction":
                if not content.get("message_id"):
                    raise GraphError(131008, "reaction.message_id is required.")
            case "template":
                if not content.get("name") or not (content.get("language") or {}).get("code"):
                    raise GraphError(132001, "Template name does not exist in the translation.")
            case "interactive":
                pass
            case _:
                raise GraphError(131051, f"Unsupported message type: {type}")

    @staticmethod
    def is_contact(contact: Any) -> bool:
        name = contact.get("name", {}) if isinstance(contact, dict) else {}
        return bool(name.get("formatted_name")) and len(name) >= 2

    def take_file(self, number: Number, request: Request) -> Response:
        self.require(number, "whatsapp_business_messaging")
        file = request.files.get("file")
        if request.form.get("messaging_product") != "whatsapp" or not isinstance(file, FileStorage):
            raise GraphError(100, "(#100) The parameters messaging_product and file are required.")
        fault = number.faults.popleft() if number.faults else None
        if fault is not None:
            time.sleep(fault.seconds)
            return fault_response(fault)
        content_type = (request.form.get("type") or file.mimetype).partition(";")[0]
        return ok({"id": self.add_file(file.read(), content_type, file.filename or "")})

    def describe_file(self, media_id: str) -> Response:
        file = self.files[media_id]
        if file.is_gone:
            raise GraphError(100, f"Object with ID '{media_id}' does not exist.", subcode=33)
        return ok({
            "messaging_product": "whatsapp",
            "url": f"{self.url}/files/{media_id}",
            "mime_type": file.content_type,
            "sha256": hashlib.sha256(file.content).hexdigest(),
            "file_size": len(file.content),
            "id": media_id,
        })  # fmt: skip

    def download(self, request: Request, media_id: str) -> Response:
        self.authorized(request)
        file = self.files.get(media_id)
        if file is None or file.is_gone:
            return Response("", 404)
        if file.expired_urls:
            file.expired_urls -= 1
            return Response("", 404)
        content = file.content[::-1] if file.is_damaged else file.content
        return Response(content, content_type=file.content_type)


def ok(body: Json) -> Response:
    return Response(json.dumps(body), content_type="application/json")


def fault_response(fault: Fault) -> Response:
    if fault.body is not None:
        response = Response(fault.body, fault.status or 200, content_type="text/html")
    elif fault.code is not None:
        response = GraphError(fault.code, f"Details of {fault.code}", status=fault.status).response()
    else:
        response = Response("", fault.status or 500)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response
