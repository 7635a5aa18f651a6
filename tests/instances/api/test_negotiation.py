"""Accept and `?format=`: the usual values are not parsed, and all have the response of DRF's own negotiation."""

import pytest
from django.test import Client
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.views import APIView

from tests.instances.api.conftest import ApiClient

ACCEPTED = [
    None, "*/*", "application/json", "application/*", "application/json; indent=4", "text/html, */*;q=0.1",
    "Application/JSON", " */*", "application/json, text/plain, */*", "*/*;q=0.5", "application/json;q=0.9",
]  # fmt: skip
REFUSED = ["text/html", "image/png", "application/xml", "", "application/json,".ljust(5000, "x") + ",", "/"]


@pytest.mark.parametrize("accept", [*ACCEPTED, *REFUSED])
@pytest.mark.parametrize("query", ["", "?format=json", "?format=xml", "?format=", "?page=1"])
def test_every_value_has_the_response_of_drf(
    alice: ApiClient, monkeypatch: pytest.MonkeyPatch, accept: str | None, query: str
) -> None:
    headers = {"Authorization": f"Bearer {alice.key}"} | ({} if accept is None else {"Accept": accept})
    ours = Client().get(f"/api/v1/instances/{query}", headers=headers)
    monkeypatch.setattr(APIView, "content_negotiation_class", DefaultContentNegotiation)
    drfs = Client().get(f"/api/v1/instances/{query}", headers=headers)
    assert (ours.status_code, ours.content) == (drfs.status_code, drfs.content)
    assert ours.headers["Content-Type"] == drfs.headers["Content-Type"]


@pytest.mark.parametrize("accept", ACCEPTED)
def test_json_is_accepted(alice: ApiClient, accept: str | None) -> None:
    status, data = alice.call("GET", "instances/", **({} if accept is None else {"Accept": accept}))
    assert status == 200
    assert str(alice.instance.number) in str(data)


def test_another_format_is_406(alice: ApiClient) -> None:
    assert alice.call("GET", "instances/", Accept="text/html")[0] == 406
