"""JSON in, bounded: DRF's own parser reads a body of any size and any depth, and text that can't be written back."""

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http.request import UnreadablePostError
from rest_framework import exceptions, parsers

from instances.api.errors import TooLarge


class BoundedJSONParser(parsers.JSONParser):
    """JSON up to DATA_UPLOAD_MAX_MEMORY_SIZE bytes; 413 above, 400 with line and column when it is not JSON.

    Half a surrogate pair, which JSON may escape as \\ud800, is a character for neither UTF-8 nor PostgreSQL: 400 too.
    """

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge
        try:
            data = super().parse(stream, media_type, parser_context)
            json.dumps(data, ensure_ascii=False).encode()
            return data
        except UnicodeEncodeError:
            raise exceptions.ParseError(
                "JSON parse error - half a surrogate pair is not a character"
            ) from None
        except UnreadablePostError:
            raise exceptions.ParseError("The body broke off.") from None
        except RecursionError:
            raise exceptions.ParseError("JSON parse error - nested too deeply") from None
