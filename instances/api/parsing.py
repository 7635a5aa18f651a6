"""JSON in, bounded: DRF's own parser reads a body of any size and any depth."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework import exceptions, parsers

from instances.api.errors import TooLarge


class BoundedJSONParser(parsers.JSONParser):
    """JSON up to DATA_UPLOAD_MAX_MEMORY_SIZE bytes; 413 above, 400 with line and column when it is not JSON."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise exceptions.ParseError("JSON parse error - nested too deeply") from None
