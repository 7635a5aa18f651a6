"""Cursor pagination: no COUNT query, and new rows do not shift the pages."""

from datetime import UTC
from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_datetime
from rest_framework import exceptions, pagination
from rest_framework.request import Request

from chatapi.ui.numbers import parse_digits

PAGE_SIZE = 50
MAX_PAGE_SIZE = 100


class OldestFirst(pagination.CursorPagination):
    """`{"next": url|null, "previous": url|null, "results": […]}`; `limit` rows per page: 50 by default, at most 100."""

    ordering: Any = "id"
    page_size = PAGE_SIZE
    page_size_query_param = "limit"
    max_page_size = MAX_PAGE_SIZE
    page_size_query_description = f"The number of rows on a page, 1 to {MAX_PAGE_SIZE}."
    cursor_query_description = "An opaque value from `next` or `previous`."

    def get_page_size(self, request: Request) -> int:
        given = parse_digits(request.query_params.get("limit", str(PAGE_SIZE)))
        if given is None or not 1 <= given <= MAX_PAGE_SIZE:
            raise exceptions.ValidationError({"limit": f"Must be a whole number from 1 to {MAX_PAGE_SIZE}."})
        return given

    @staticmethod
    def is_position(text: str) -> bool:
        """Whether this can be a value of the column by which the rows are sorted."""
        return parse_digits(text) is not None

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
        except exceptions.NotFound:
            cursor = None
            is_invalid = True
        else:
            # DRF compares the value in a made-up cursor with the column, and fails with a 500.
            position: Any = cursor.position if cursor else None  # a string; the stubs are wrong
            is_invalid = position is not None and not self.is_position(position)
        if is_invalid:
            raise exceptions.ValidationError(
                {"cursor": "Must be a cursor from `next` or `previous` of a response."}
            )
        return cursor

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        self.base_url = settings.SITE_URL + request.get_full_path()  # does not depend on the Host header
        return page

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Returns the schema of a page for the OpenAPI document. DRF's own is that of OpenAPI 3.0."""
        page = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**page, "description": "The URL of the next page.", "example": None},
                "previous": {**page, "description": "The URL of the page before.", "example": None},
                "results": schema,
            },
        }


class NewestFirst(OldestFirst):
    """The same, newest first."""

    ordering = "-id"


class LastFailedFirst(OldestFirst):
    """The same, by the time of the failure, the last one first. A message that was resent may fail again later."""

    ordering = ("-failed_at", "-id")

    @staticmethod
    def is_position(text: str) -> bool:
        try:
            at = parse_datetime(text)
            return at is not None and at.tzinfo is not None and bool(at.astimezone(UTC))
        except (ValueError, OverflowError):
            return False
