"""Errors have the format that the client accepts, and the icon has the URL that browsers request."""

import pytest
from django.test import Client

from chatapi.ui.error_texts import MAX_ERROR_PAGE_BYTES
from hooks.models import Endpoint
from instances.models import Instance

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("address", ["/Instance12345/sendMessage", "/x/instance12345/sendMessage", "/a/b/c"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_program_with_a_wrong_address_is_answered_json(client: Client, verb: str, address: str) -> None:
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = client.generic(verb, address, b"{}", "application/json", headers=headers)
        assert (answer.status_code, answer.json()) == (404, {"error": "There is nothing at this URL."})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.django_db
def test_a_person_gets_a_page(client: Client) -> None:
    answer = client.get("/x/instance12345/sendMessage", headers=HTML)
    assert answer.status_code == 404
    assert "404.html" in [template.name for template in answer.templates]


def test_the_icon_is_where_browsers_look_for_it(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    assert answer.content.startswith(b"<svg")


@pytest.mark.parametrize("htmx", [False, True])
def test_a_refused_form_with_long_fields_is_not_shown_again(client: Client, htmx: bool, db: None) -> None:
    """A field of 1 MB, shown again with its quotes escaped, would be a page of 6 MB."""
    response = client.post(
        "/accounts/login/",
        {"login": '"' * 1_000_000, "password": "x"},
        headers={"HX-Request": "true"} if htmx else {"Accept": "text/html"},
    )

    assert response.status_code == 400
    assert "The form was refused, and its fields are too long to be shown again." in response.text
    assert len(response.content) <= MAX_ERROR_PAGE_BYTES


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Instance.DoesNotExist("deleted"), 404),
        (Endpoint.DoesNotExist("deleted"), 404),
        (ValueError("a bug"), 500),
    ],
)
def test_an_instance_that_is_deleted_during_a_request_is_not_found(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("chatapi.monitoring.health.worst_problem", fail)
    assert Client(raise_request_exception=False).get("/readyz").status_code == status
