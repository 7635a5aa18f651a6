"""All errors of the REST API: `{"error": sentence}`, with `fields` if a field or query parameter is invalid.

`fields` maps its name to what it must be.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    ObjectDoesNotExist,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from psycopg.errors import ForeignKeyViolation
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler, set_rollback

from accounts.quotas import QuotaExceeded
from chatapi.encryption.cipher import UNREADABLE, UnreadableSecret
from chatapi.ui.error_texts import limit_fields, shorten
from instances.api.parsing import TooLarge
from instances.limits import disk_space

logger = logging.getLogger(__name__)
TOO_MANY_FIELDS = (
    f"The request has too many fields or parameters; send at most {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS}."
)
SERVER_ERROR = "The server failed and logged the error; your request may be valid. Try again in a moment."


class Conflict(exceptions.APIException):
    """409: the request is valid, but the current state does not allow it. The error says what to do first."""

    status_code = status.HTTP_409_CONFLICT


class InsufficientStorage(exceptions.APIException):
    """507: the disk of the site is almost full."""

    status_code = disk_space.STATUS


def flatten_errors(detail: Any, name: str = "") -> dict[str, str]:
    """Flattens DRF's nested lists and dicts of errors into one dict: `settings.sendDelay` → its error."""
    if isinstance(detail, Mapping):
        flat: dict[str, str] = {}
        for key, value in detail.items():
            is_whole = key == api_settings.NON_FIELD_ERRORS_KEY
            flat |= flatten_errors(value, name if is_whole else f"{name}.{key}" if name else str(key))
        return flat
    if isinstance(detail, list):
        return {name: " ".join(text for item in detail for text in flatten_errors(item, name).values())}
    return {name: str(detail)}


def handle_exception(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler (REST_FRAMEWORK, EXCEPTION_HANDLER): DRF's status codes and headers, our body.

    Bodies are at most MAX_ERROR_BYTES long: each quotes input, and a body may name thousands of unknown fields.
    """
    if isinstance(error, QuotaExceeded):
        error = Conflict(str(error))
    elif isinstance(error, RequestDataTooBig):
        error = TooLarge()
    elif isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        error = exceptions.ParseError(TOO_MANY_FIELDS)
    elif isinstance(error, SuspiciousOperation | BadRequest):
        error = exceptions.ParseError(f"The request is invalid: {error}")
    elif isinstance(error, ObjectDoesNotExist) or isinstance(error.__cause__, ForeignKeyViolation):
        # As chatapi/error_pages.py: a view responds 404 itself to an id that it does not find.
        logger.warning("A row was deleted during the request (%s)", error)
        error = exceptions.NotFound(
            "The instance, or another object of this call, was deleted during the call."
        )
    if isinstance(error, UnreadableSecret):
        logger.error("%s", error)
        return Response({"error": UNREADABLE}, status.HTTP_503_SERVICE_UNAVAILABLE)
    response = exception_handler(error, context)
    if response is None:
        # A bug. Django would respond with an HTML page; clients of the API parse JSON.
        logger.exception("api_failed", exc_info=error)
        set_rollback()
        return Response({"error": SERVER_ERROR}, status.HTTP_500_INTERNAL_SERVER_ERROR)
    if isinstance(error, exceptions.ValidationError):
        found = flatten_errors(error.detail)
        shown = limit_fields(found)
        sentences = [
            text if not name or text.startswith((name, f"`{name}`")) else f"{name}: {text}"
            for name, text in shown.items()
        ]
        if len(found) > len(shown):
            sentences.append("There are more errors.")
        response.data = {
            "error": " ".join(sentences),
            "fields": {name: text for name, text in shown.items() if name},
        }
    elif isinstance(error, exceptions.Throttled):
        response.data = {"error": f"Too many calls. Try again in {response.headers['Retry-After']} s."}
    else:
        response.data = {"error": shorten(str(response.data["detail"]))}
    return response
