"""The token: where it is accepted, the error without it, and that it is never shown."""

import logging

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from instances.models import Instance

WRONG_TOKEN = {"error": "Wrong token. Please provide token as a GET parameter."}
NO_INSTANCE = {"error": "Instance not found"}


def test_the_token_stands_in_the_query_of_a_get(client: Client, instance: Instance) -> None:
    assert client.get("/instance12345/status?token=secret").status_code == 200


def test_the_token_stands_in_the_query_of_a_post(client: Client, instance: Instance) -> None:
    assert client.post("/instance12345/settings?token=secret").status_code == 200


@pytest.mark.parametrize("header", ["Bearer secret", "bearer secret"])
def test_the_token_may_stand_in_the_authorization_header(
    client: Client, instance: Instance, header: str
) -> None:
    assert client.get("/instance12345/status", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize(
    "query", ["?token=wrong", "?token=secre", "?token=secretly", "?token=%D1%8F%ED%A0%80", "?token=", ""]
)
def test_a_missing_or_wrong_token_is_a_401(client: Client, instance: Instance, query: str) -> None:
    response = client.post(
        f"/instance12345/settings{query}", {"sendDelay": 7}, content_type="application/json"
    )
    assert (response.status_code, response.json()) == (401, WRONG_TOKEN)
    instance.refresh_from_db()
    assert instance.send_delay == 0


def test_another_instances_token_is_a_401(client: Client, instance: Instance) -> None:
    Instance.objects.create(owner=instance.owner, number=777, token="other")
    assert client.get("/instance12345/status?token=other").json() == WRONG_TOKEN


@pytest.mark.parametrize(
    "address",
    [
        "/instance99999/status?token=secret",
        "/instance99999999999999999999999999/status?token=secret",
        "/status?instanceId=99999&token=secret",
        "/status?instanceId=abc&token=secret",
        "/status?token=secret",
    ],
)
def test_an_unknown_instance_is_a_404(client: Client, instance: Instance, address: str) -> None:
    response = client.get(address)
    assert (response.status_code, response.json()) == (404, NO_INSTANCE)


@pytest.mark.parametrize("number", [12345, 99999])
def test_without_a_token_nothing_is_looked_up_so_nobody_learns_which_instances_exist(
    client: Client, instance: Instance, django_assert_num_queries: DjangoAssertNumQueries, number: int
) -> None:
    with django_assert_num_queries(0):
        response = client.get(f"/instance{number}/status")
    assert (response.status_code, response.json()) == (401, WRONG_TOKEN)


def test_the_token_is_never_logged(
    client: Client, instance: Instance, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.contract.instance.settings.read_contract_settings", lambda instance: 1 / 0)
    with caplog.at_level(logging.DEBUG):
        assert client.get("/instance12345/settings?token=secret").status_code == 500
        assert client.get("/instance12345/status?token=secretly").status_code == 401
    assert "division by zero" in caplog.text
    assert "secret" not in caplog.text
