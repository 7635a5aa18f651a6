"""Every refusal of the REST API has one shape: `{"error": sentence}`, and `fields` where one is at fault.

`fields` maps the name of a field or a query parameter to what is wrong with it and what it takes.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler, set_rollback

logger = logging.getLogger(__name__)
OUR_FAULT = "This failed on our side and was logged; what you sent may be right. Try again in a moment."


class Conflict(exceptions.APIException):
    """409: the request is well formed, but the instance is not in a state for it; says what to do first."""

    status_code = status.HTTP_409_CONFLICT


class TooLarge(exceptions.APIException):
    """413: the body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE

    def __init__(self) -> None:
        super().__init__(
            f"The body is too large: at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes are read."
        )


def sentences(detail: Any, name: str = "") -> dict[str, str]:
    """DRF's nested lists and dicts of errors as one flat dict: `settings.sendDelay` → what it takes."""
    if isinstance(detail, Mapping):
        flat: dict[str, str] = {}
        for key, value in detail.items():
            whole = key == api_settings.NON_FIELD_ERRORS_KEY
            flat |= sentences(value, name if whole else f"{name}.{key}" if name else str(key))
        return flat
    if isinstance(detail, list):
        return {name: " ".join(text for item in detail for text in sentences(item, name).values())}
    return {name: str(detail)}


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler (REST_FRAMEWORK, EXCEPTION_HANDLER): its statuses and headers, our body."""
    if isinstance(error, RequestDataTooBig):
        error = TooLarge()
    response = exception_handler(error, context)
    if response is None:
        # A fault of ours. Django would answer with a page; whoever parses JSON gets JSON here too.
        logger.exception("api_failed", exc_info=error)
        set_rollback()
        return Response({"error": OUR_FAULT}, status.HTTP_500_INTERNAL_SERVER_ERROR)
    if isinstance(error, exceptions.ValidationError):
        found = sentences(error.detail)
        response.data = {
            "error": " ".join(
                text if not name or text.startswith(name) else f"{name}: {text}"
                for name, text in found.items()
            ),
            "fields": {name: text for name, text in found.items() if name},
        }
    elif isinstance(error, exceptions.Throttled):
        response.data = {"error": f"Too many calls. Try again in {response.headers['Retry-After']} s."}
    else:
        response.data = {"error": str(response.data["detail"])}
    return response
