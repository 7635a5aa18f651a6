"""Parses JSON within limits. DRF's parser accepts any size and depth, and text that cannot be encoded as UTF-8."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.conf import settings
from django.http.request import UnreadablePostError
from rest_framework import exceptions, parsers, status
from rest_framework.utils.json import strict_constant

from chatapi.ui.json_limits import JsonTooComplex, check_complexity
from chatapi.ui.numbers import parse_digits


class TooLarge(exceptions.APIException):
    """413: the body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE

    def __init__(self) -> None:
        super().__init__(f"The body must be at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")


DECODER = json.JSONDecoder(parse_constant=strict_constant)


def parse_utf8(body: bytes) -> Any:
    """Returns what BoundedJSONParser returns for a body in UTF-8. Raises ValueError if that may have an error."""
    text = body.decode()
    check_complexity(text)
    data = DECODER.decode(text)
    check_surrogates(body, data)
    return data


def check_surrogates(body: bytes, data: Any) -> None:
    """Raises UnicodeEncodeError for a lone surrogate, which only an escape in the body can have produced."""
    if b"\\u" in body:
        json.dumps(data, ensure_ascii=False).encode()


class BoundedJSONParser(parsers.JSONParser):
    """JSON up to DATA_UPLOAD_MAX_MEMORY_SIZE bytes. Longer bodies get 413; invalid JSON gets 400 with line and column.

    A lone surrogate, which JSON can escape as \\ud800, also gets 400: UTF-8 and PostgreSQL cannot store it.
    """

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {})["request"]
        if (parse_digits(request.META.get("CONTENT_LENGTH")) or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge
        try:
            body = stream.read()
            check_complexity(body.decode(errors="replace"))
            data = super().parse(BytesIO(body), media_type, parser_context)
            check_surrogates(body, data)
            return data
        except JsonTooComplex as error:
            raise exceptions.ParseError(f"JSON parse error - {error}") from None
        except UnicodeEncodeError:
            raise exceptions.ParseError("JSON parse error - a lone surrogate is not a character") from None
        except UnreadablePostError:
            raise exceptions.ParseError("The body is incomplete.") from None
