"""Parses JSON within limits. DRF's parser accepts any size and depth, and text that cannot be encoded as UTF-8."""

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http.request import UnreadablePostError
from rest_framework import exceptions, parsers

from instances.api.errors import TooLarge


class BoundedJSONParser(parsers.JSONParser):
    """JSON up to DATA_UPLOAD_MAX_MEMORY_SIZE bytes. Longer bodies get 413; invalid JSON gets 400 with line and column.

    A lone surrogate, which JSON can escape as \\ud800, also gets 400: UTF-8 and PostgreSQL cannot store it.
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
            raise exceptions.ParseError("JSON parse error - a lone surrogate is not a character") from None
        except UnreadablePostError:
            raise exceptions.ParseError("The body is incomplete.") from None
        except RecursionError:
            raise exceptions.ParseError("JSON parse error - nested too deeply") from None
