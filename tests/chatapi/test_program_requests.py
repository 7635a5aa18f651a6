"""Requests of programs skip the middleware of pages, but not what their responses depend on."""

import pytest
from allauth.core import context
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from chatapi.middleware import program_headers
from chatapi.program_requests import ProgramHandler, with_request_context
from instances.models import Instance


@pytest.fixture
def handler() -> ProgramHandler:
    found = ProgramHandler()
    found.load_middleware()
    return found


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_an_instance_that_is_deleted_meanwhile_is_404(handler: ProgramHandler, accept: str) -> None:
    request = RequestFactory().get("/api/v1/instances/1/", headers={"Accept": accept})
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


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/channels/sandbox/a'", "/channels/", "/channels/x/y/z", "/api/v1/x y/'"])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_a_url_of_programs_that_is_not_there_is_404_without_a_page(path: str, accept: str) -> None:
    """A page needs the middleware of pages."""
    response = Client().get(path, headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"]) == (404, "application/json")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/account/", "/instance1/status", "/channels/x/y", "/api/v1/none/"])
def test_responses_of_programs_are_not_stored_and_have_no_scripts_and_no_frame(path: str) -> None:
    headers = Client().get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "nonce" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers


def test_what_a_view_has_set_stays() -> None:
    own = HttpResponse(headers={"cache-control": "max-age=5", "X-FRAME-OPTIONS": "SAMEORIGIN"})
    response = program_headers(lambda request: own)(RequestFactory().get("/api/v1/"))
    assert response.headers["Cache-Control"] == "max-age=5"
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
