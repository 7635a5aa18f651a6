"""Reads the arguments of a request into one mapping: query, JSON, form or multipart, in any combination.

The specification is the table "What real clients send" of contract.md §1; tests/instances/contract tests each of its
rows. The verb does not matter: a GET may have a body, and a POST need not have one.
"""

import json
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.http.request import UnreadablePostError

from chatapi.ui.json_limits import JsonTooComplex, check_complexity
from chatapi.ui.numbers import parse_digits
from instances.contract.arguments import EmptyFormValue, RepeatedValues
from instances.contract.errors import WireError

INCOMPLETE_BODY = "The body is incomplete."
TOO_LONG = "The request is too long."
# "%" in a form: parsing takes 190 bytes of memory for each, 4 GB for the longest form. A text of 65,536 characters has
# at most 262,144, and a form with a data: URI of 16 MB about 700,000.
MAX_ESCAPES = 300_000


def read_query(request: HttpRequest) -> dict[str, Any]:
    """The query's arguments, with keys in lower case. Raises WireError."""
    try:
        return flatten(request.GET.lists())
    except TooManyFieldsSent:
        raise WireError(400, "The query has too many arguments.") from None


class Body:
    """The body's arguments, which are read when they are first needed."""

    def __init__(self, request: HttpRequest, *, accepts_files: bool) -> None:
        self.request = request
        self.accepts_files = accepts_files
        self.result: dict[str, Any] | WireError | None = None

    def read(self) -> dict[str, Any]:
        """Returns the arguments as read_body() does. Raises WireError, the same one each time."""
        if self.result is None:
            try:
                self.result = read_body(self.request, accepts_files=self.accepts_files)
            except WireError as error:
                self.result = error
        if isinstance(self.result, WireError):
            raise self.result
        return self.result


def read_body(request: HttpRequest, *, accepts_files: bool = False) -> dict[str, Any]:
    """The body's arguments, with keys in lower case, and the files of a multipart form. Raises WireError.

    If the method accepts files, a multipart form may be as long as the server allows (REQUEST_MAX_BYTES). Any other
    body is held in memory and may have MEDIA_BODY_MAX_BYTES, enough for a file as a data: URI.
    """
    content_type = (request.content_type or "").lower()
    length = content_length(request)
    limit = settings.MEDIA_BODY_MAX_BYTES if accepts_files else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        if content_type == "multipart/form-data":
            return read_multipart(request)
        if length > limit:
            raise RequestDataTooBig
        raw = request.read()
        # Half a form is a valid form with a shorter text, and its client, which got no response, sends it again.
        if len(raw) < length:
            raise WireError(400, INCOMPLETE_BODY)
        if "json" in content_type:
            return parse_json(raw)
        # `curl -d '{…}'` and some SDKs send JSON as a form, or without a content type.
        if raw.lstrip()[:1] == b"{":
            return parse_json(raw)
        if raw.count(b"%") > MAX_ESCAPES * (4 if accepts_files else 1):
            raise WireError(413, "The form has too many escaped characters. Send JSON or a multipart form.")
        return flatten(QueryDict(raw, encoding="utf-8").lists())
    except RequestDataTooBig:
        hint = " Send a long file by its URL or as a multipart form." if accepts_files else ""
        raise WireError(413, TOO_LONG + hint) from None
    except (TooManyFieldsSent, TooManyFilesSent):
        raise WireError(400, "The form has too many fields.") from None
    except MultiPartParserError as error:
        raise WireError(400, f"The multipart body is invalid: {error}") from None
    except UnreadablePostError:
        raise WireError(400, INCOMPLETE_BODY) from None


def content_length(request: HttpRequest) -> int:
    """Content-Length. 0 if it is not a number, as in Django."""
    return parse_digits(request.META.get("CONTENT_LENGTH")) or 0


def discard_body(request: HttpRequest) -> None:
    """Reads the rest of the body. A web server closes the connection if a body was not read.

    A client that got a 401 can then reuse its connection.
    """
    try:
        while request.read(65_536):
            pass
    except UnreadablePostError:
        pass  # the client has disconnected


def read_multipart(request: HttpRequest) -> dict[str, Any]:
    """The fields and files of a multipart form. Django parses forms of POST only, and accepts incomplete ones."""
    body: Any = CompleteBody(request)  # the stubs want an HttpRequest; the parser only calls read()
    fields, files = MultiPartParser(request.META, body, request.upload_handlers, "utf-8").parse()
    return flatten(fields.lists()) | flatten(files.lists())


class CompleteBody:
    """A stream of the body. Raises UnreadablePostError if the body ends before its Content-Length."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.remaining = content_length(request)

    def read(self, size: int) -> bytes:
        block = self.request.read(size)
        self.remaining -= len(block)
        if size and not block and self.remaining > 0:
            raise UnreadablePostError
        return block


def parse_json(raw: bytes) -> dict[str, Any]:
    """A JSON object. An empty body counts as an empty object, and so does `[]`: PHP encodes an empty array so."""
    if not raw.strip():
        return {}
    try:
        text = raw.decode(json.detect_encoding(raw), "surrogatepass")
        check_complexity(text)
        data = json.loads(text)
    except JsonTooComplex as error:
        raise WireError(400, f"The body is not valid JSON: {error}.") from None
    except UnicodeDecodeError as error:
        raise WireError(400, f"The body is not JSON: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise WireError(400, "The body is not valid JSON: it is nested too deeply.") from None
    except json.JSONDecodeError as error:  # its text ends with "line 1 column 7 (char 6)"
        raise WireError(400, f"The body is not JSON: {error}") from None
    except ValueError:
        raise WireError(400, "The body is not valid JSON: a number has too many digits.") from None
    if data in (None, [], ""):
        return {}
    if not isinstance(data, dict):
        raise WireError(400, "The body must be a JSON object.")
    return {key.lower(): value for key, value in data.items()}


def flatten(lists: Iterable[tuple[Any, list[Any]]]) -> dict[str, Any]:
    """One value per key. A list if the key was repeated, or was sent as `phones[]`, the way PHP writes arrays.

    An empty value is an EmptyFormValue.
    """
    arguments: dict[str, Any] = {}
    for key, values in lists:
        found = [EmptyFormValue() if value == "" else value for value in values]
        name, bracket, _ = str(key).lower().partition("[")
        if bracket:
            before = arguments.get(name, [])  # a text if the key was sent without brackets as well
            arguments[name] = [*(before if isinstance(before, list) else [before]), *found]
        elif found:
            arguments[name] = found[0] if len(found) == 1 else RepeatedValues(found)
    return arguments
