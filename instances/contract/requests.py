"""What a client has sent, as one mapping of arguments: query, JSON, form or multipart, in any mixture.

The table "What real clients send" of contract.md, section 1, is the specification; tests/contract has
a test for each of its rows. The verb plays no part: a GET may have a body, a POST may have none.
"""

import json
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.http.request import UnreadablePostError

from instances.contract.arguments import Several
from instances.contract.errors import WireError


def query_of(request: HttpRequest) -> dict[str, Any]:
    """The query's arguments, keys in lower case."""
    try:
        return flatten(request.GET.lists())
    except TooManyFieldsSent:
        raise WireError(400, "The query has too many arguments.") from None


def body_of(request: HttpRequest, *, large: bool = False) -> dict[str, Any]:
    """The body's arguments, keys in lower case; of a multipart body also its files. Raises WireError.

    Of a method that takes files the multipart form may be as long as the server lets in at all (REQUEST_MAX_BYTES),
    and a body that holds a file as a data: URI, which is all in memory, MEDIA_BODY_MAX_BYTES.
    """
    kind = (request.content_type or "").lower()
    length = length_of(request)
    try:
        if kind == "multipart/form-data":
            return multipart(request)
        if length > (settings.MEDIA_BODY_MAX_BYTES if large else settings.DATA_UPLOAD_MAX_MEMORY_SIZE):
            raise RequestDataTooBig
        raw = request.read()
        # Half a form reads as a whole one with a shorter text, and its client, who got no answer, sends it again.
        if len(raw) < length:
            raise WireError(400, "The body broke off.")
        if "json" in kind:
            return from_json(raw)
        # `curl -d '{…}'` and some SDKs call their JSON a form, or nothing at all
        if raw.lstrip()[:1] == b"{":
            return from_json(raw)
        return flatten(QueryDict(raw, encoding="utf-8").lists())
    except RequestDataTooBig:
        more = " Send a long file by its address or as a multipart form." if large else ""
        raise WireError(413, f"The request is too long.{more}") from None
    except (TooManyFieldsSent, TooManyFilesSent):
        raise WireError(400, "The form has too many fields.") from None
    except MultiPartParserError as error:
        raise WireError(400, f"The multipart body can't be read: {error}") from None
    except UnreadablePostError:
        raise WireError(400, "The body broke off.") from None


def length_of(request: HttpRequest) -> int:
    """Content-Length; what is no number is none, as Django has it."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 18 else 0


def drain(request: HttpRequest) -> None:
    """Reads what is left of the body: a web server closes the connection of one that nobody has read.

    So a client that was told 401 can go on by the same connection.
    """
    try:
        while request.read(65_536):
            pass
    except UnreadablePostError:
        pass  # the client has gone


def multipart(request: HttpRequest) -> dict[str, Any]:
    """A form with files. Django's own way to it is for POST alone, and takes one that broke off for a whole one."""
    body: Any = Whole(request)  # the stubs want a whole request; the parser only ever reads from it
    fields, files = MultiPartParser(request.META, body, request.upload_handlers, "utf-8").parse()
    return flatten(fields.lists()) | flatten(files.lists())


class Whole:
    """The stream of a body that raises UnreadablePostError when it ends before its Content-Length."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.left = length_of(request)

    def read(self, size: int) -> bytes:
        block = self.request.read(size)
        self.left -= len(block)
        if size and not block and self.left > 0:
            raise UnreadablePostError
        return block


def from_json(raw: bytes) -> dict[str, Any]:
    """A JSON object; nothing at all counts as an empty one, and so does `[]`, as PHP writes an array without keys."""
    if not raw.strip():
        return {}
    try:
        data = json.loads(raw)
    except UnicodeDecodeError as error:
        raise WireError(400, f"The body is not JSON: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise WireError(400, "The body is not JSON that can be read: it is nested too deeply.") from None
    except json.JSONDecodeError as error:  # its text ends in "line 1 column 7 (char 6)"
        raise WireError(400, f"The body is not JSON: {error}") from None
    except ValueError:
        raise WireError(400, "The body is not JSON that can be read: a number has too many digits.") from None
    if data in (None, [], ""):
        return {}
    if not isinstance(data, dict):
        raise WireError(400, "The body is JSON, but not an object.")
    return {key.lower(): value for key, value in data.items()}


def flatten(lists: Iterable[tuple[Any, list[Any]]]) -> dict[str, Any]:
    """One value a key; a list where a key came more than once or, as PHP writes it, as `phones[]`."""
    arguments: dict[str, Any] = {}
    for key, found in lists:
        name, bracket, _ = str(key).lower().partition("[")
        if bracket:
            arguments.setdefault(name, []).extend(found)
        elif found:
            arguments[name] = found[0] if len(found) == 1 else Several(found)
    return arguments
