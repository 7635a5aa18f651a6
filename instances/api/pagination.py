"""Pages of a list by a cursor: no COUNT, and a row that comes in between moves no page."""

from typing import Any

from django.conf import settings
from rest_framework import exceptions, pagination
from rest_framework.request import Request

from chatapi.ui.numbers import parse_digits

PAGE = 50
LARGEST_PAGE = 100


class OldestFirst(pagination.CursorPagination):
    """`{"next": url|null, "previous": url|null, "results": […]}`; `limit` rows a page, 50 unless told, at most 100."""

    ordering: Any = "id"
    page_size = PAGE
    page_size_query_param = "limit"
    max_page_size = LARGEST_PAGE
    page_size_query_description = f"How many rows a page has, 1 to {LARGEST_PAGE}."
    cursor_query_description = "Take it from `next` or `previous`; it is not to be built by hand."

    def get_page_size(self, request: Request) -> int:
        given = parse_digits(request.query_params.get("limit", str(PAGE)))
        if given is None or not 1 <= given <= LARGEST_PAGE:
            raise exceptions.ValidationError({"limit": f"It takes a whole number from 1 to {LARGEST_PAGE}."})
        return given

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
        except exceptions.NotFound:
            cursor = None
            broken = True
        else:
            # DRF would compare whatever a made-up cursor holds with the id, and fail with a 500
            position: Any = cursor.position if cursor else None  # a text, whatever the stubs say
            broken = position is not None and parse_digits(position) is None
        if broken:
            raise exceptions.ValidationError(
                {"cursor": "It takes a cursor from `next` or `previous` of an answer."}
            )
        return cursor

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        self.base_url = settings.SITE_URL + request.get_full_path()  # whatever Host the caller said
        return page


class NewestFirst(OldestFirst):
    """The same for a log."""

    ordering = "-id"
