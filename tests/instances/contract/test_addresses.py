"""All three URL forms reach the same methods (contract.md §1)."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from instances.models import Instance

AUTHENTICATED = {"accountStatus": "authenticated"}


def ask(client: Client, address: str) -> Any:
    """A GET whose path keeps its doubled slashes: the test client treats `//x` as a host."""
    parts = urlsplit("http://testserver" + address)
    return client.generic("GET", "/", PATH_INFO=parts.path, QUERY_STRING=parts.query)


@pytest.mark.parametrize(
    "address",
    [
        "/instance12345/status?token=secret",
        "/instance12345/status/?token=secret",
        "//instance12345//status/?token=secret",
        "//instance12345//status?token=secret",
        "/instance12345///status//?token=secret",
        "/instance012345/status?token=secret",
        "/status?instanceId=12345&token=secret",
        "/status/?instanceId=12345&token=secret",
        "//status//?instanceId=12345&token=secret",
        "/status?instanceid=12345&TOKEN=secret",
    ],
)
def test_every_form_reaches_the_method(client: Client, instance: Instance, address: str) -> None:
    response = ask(client, address)
    assert (response.status_code, response.json()) == (200, AUTHENTICATED)


@pytest.mark.parametrize("address", ["/instance12345/settings", "//instance12345//settings", "/settings/"])
def test_a_post_is_never_redirected(client: Client, instance: Instance, address: str) -> None:
    query = "token=secret&instanceId=12345"
    response = client.generic(
        "POST", "/", b'{"sendDelay": 7}', "application/json", PATH_INFO=address, QUERY_STRING=query
    )
    assert response.status_code == 200
    instance.refresh_from_db()
    assert instance.send_delay == 7


@pytest.mark.parametrize("name", ["message", "sendMessage"])
def test_message_is_another_name_of_send_message(client: Client, instance: Instance, name: str) -> None:
    response = client.get(f"/instance12345/{name}?token=secret&phone=17680561234&body=hi")
    assert response.json()["message"] == "Sent to 17680561234@c.us"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/instance12345/nosuch?token=secret", "nosuch"),
        ("/nosuch?instanceId=12345&token=secret", "nosuch"),
        ("/instance12345/Status?token=secret", "Status"),
        ("/instance12345/?token=secret", ""),
        ("/instance12345?token=secret", ""),
        ("/instance12345/status/more?token=secret", "status/more"),
        ("/robots.txt", "robots.txt"),
    ],
)
def test_an_unknown_method_is_a_404_in_json(
    client: Client, instance: Instance, address: str, name: str
) -> None:
    response = ask(client, address)
    assert (response.status_code, response.json()) == (404, {"error": f"Unknown method {name}"})


def test_a_person_who_mistypes_a_page_gets_a_page(client: Client, db: None) -> None:
    response = client.get("/nosuchpage", headers={"Accept": "text/html,*/*"})
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_browser_with_a_token_gets_json(client: Client, instance: Instance) -> None:
    response = client.get("/nosuch?instanceId=12345&token=secret", headers={"Accept": "text/html,*/*"})
    assert (response.status_code, response.json()) == (404, {"error": "Unknown method nosuch"})
