"""The usual call of a contact's message, a text in JSON with a key that was right before: one statement, without DRF.

All other calls get the response of the view, which also knows the errors. The body is checked by the serializer's own
fields, the key and the instance by the statement. The frame of DRF took half of the CPU of such a call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone

from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from instances import payloads
from instances.api import recent_keys
from instances.api.errors import handle_exception
from instances.api.negotiation import JSON, USUAL
from instances.api.parsing import parse_utf8
from instances.api.sandbox.message_serializers import read_text
from instances.api.throttling import AccountThrottle
from instances.channels.sandbox.actions.write_at_once import write_text

View = Callable[..., HttpResponse]
JSON_TYPES = (JSON, "application/json; charset=utf-8", "application/json;charset=utf-8")
MAX_BYTES = 131_072  # of a body; longer ones are read by the view
BEARER = "Bearer "


class Caller(NamedTuple):
    """The user of a call, as the request log reads it."""

    pk: int


def usual_calls_at_once(view: View) -> View:
    """Returns the view with this way for usual calls."""

    @wraps(view)
    def respond(request: HttpRequest, id: str) -> HttpResponse:
        response = respond_at_once(request, id) if request.method == "POST" else None
        return view(request, id=id) if response is None else response

    return respond


def respond_at_once(request: HttpRequest, id: str) -> HttpResponse | None:
    """The response to a usual call; None, and nothing is written, if it is none."""
    meta = request.META
    number = parse_digits(id, max_digits=INSTANCE_NUMBER_DIGITS)
    authorization: str = meta.get("HTTP_AUTHORIZATION", "")
    key = authorization.removeprefix(BEARER)
    if (
        number is None
        or len(key) == len(authorization)
        or meta.get("CONTENT_TYPE") not in JSON_TYPES
        or meta.get("QUERY_STRING")
        or meta.get("HTTP_ACCEPT", JSON) not in USUAL
        or "HTTP_WEBHOOK_ID" in meta  # may be a hook of this site
    ):
        return None
    owner_id = recent_keys.owner_of(key)
    given = None if owner_id is None else read_text(read_json(request))
    if owner_id is None or given is None or not AccountThrottle().allow_call(request, owner_id):
        return None
    request.user = Caller(owner_id)  # type: ignore[assignment]  # the view sets its own
    try:
        written = write_text(
            number=number,
            key=key,
            owner_id=owner_id,
            sender=given["from"],
            sender_name=given["name"],
            body=given["body"],
            now=timezone.now(),
        )
    except Exception as error:  # noqa: BLE001 - the view would write again what may have been written
        failed = handle_exception(error, {})
        return json_response(payloads.encode(failed.data), failed.status_code)
    if written is None:
        return None
    # as DRF's renderer, for JavaScript
    content = written.json.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return json_response(content.encode(), 201)


def json_response(content: bytes, status: int) -> HttpResponse:
    return HttpResponse(content, status=status, content_type=JSON, headers={"Allow": "POST, OPTIONS"})


def read_json(request: HttpRequest) -> Any:
    """The body's data; None if the view has to read it. It stays readable for the view."""
    if not 0 < (parse_digits(request.META.get("CONTENT_LENGTH")) or 0) <= MAX_BYTES:
        return None
    try:
        return parse_utf8(request.body)
    except UnreadablePostError:
        request._read_started = False  # type: ignore[attr-defined]  # the view reads it again and responds
        return None
    except ValueError:
        return None
