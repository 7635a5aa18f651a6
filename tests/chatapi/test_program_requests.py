"""Requests of programs skip the middleware of pages, but not what their responses depend on."""

import pytest
from allauth.core import context
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from chatapi.program_requests import ProgramHandler, with_request_context
from instances.models import Instance


@pytest.fixture
def handler() -> ProgramHandler:
    found = ProgramHandler()
    found.load_middleware()
    return found


def test_an_instance_that_is_deleted_meanwhile_is_404(handler: ProgramHandler) -> None:
    request = RequestFactory().get("/api/v1/instances/1/")
    response = handler.process_exception_by_middleware(Instance.DoesNotExist("deleted"), request)
    assert response.status_code == 404
    assert handler.process_exception_by_middleware(ZeroDivisionError(), request) is None


def test_notices_can_read_where_a_program_is() -> None:
    seen: list[HttpRequest | None] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(context.request)
        return HttpResponse()

    request = RequestFactory().get("/api/v1/instances/")
    with_request_context(view)(request)
    assert seen == [request]
    assert context.request is None
