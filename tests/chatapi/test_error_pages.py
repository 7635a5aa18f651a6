"""Errors have the format that the client accepts, and the icon has the URL that browsers request."""

import pytest
from django.test import Client

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
