"""The scopes of account keys: each call needs one, the error names it, and secrets are null without theirs."""

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actions.keys import issue_key
from accounts.models import Scope
from chatapi.rest_scopes import SCOPES
from chatapi.rest_urls import ROUTES
from instances.api.scopes import with_scopes
from instances.contract.registry import METHODS
from instances.models import Instance
from tests.instances.api.conftest import ApiClient
from tests.instances.api.test_access import TABLE, methods

VALUES = dict.fromkeys(
    ("endpoint", "share", "hook_share", "phone", "chat", "group", "bin", "capture", "message", "deleted"), "1"
)
VALUES |= dict.fromkeys(
    (
        "spare",
        "member",
        "listener",
        "hook",
        "waiting",
        "received",
        "job",
        "paused",
        "queued",
        "failed",
        "issue",
        "run",
    ),
    "x",
)


def with_key(client: ApiClient, *scopes: Scope) -> ApiClient:
    """The client with a new key that has these scopes."""
    client.key = issue_key(client.account, scopes=scopes, acting_user=None)[1]
    return client


def test_every_route_and_method_has_a_scope() -> None:
    found = {(name, method.upper()) for _, view, name in ROUTES for method in methods(view)}
    assert {(name, method) for name, row in SCOPES.items() for method in row} == found
    assert all(
        method.scopes for method in METHODS.values() if method.name.endswith(("Instance", "Instances"))
    )


@pytest.mark.parametrize("scope", Scope)
def test_a_call_without_its_scope_is_refused_and_names_it(alice: ApiClient, scope: Scope) -> None:
    client = with_key(alice, scope)
    before = Instance.objects.values().get()
    refused = 0
    for path, method, body, _ in TABLE:
        address = path.format(instance=alice.instance.number, **VALUES)
        status, response = client.call(method, address, body)
        if status == 403:
            named = response["error"].removeprefix("This call needs the scope `").split("`")[0]
            assert named in set(Scope) - {scope}, response
            assert f"has only `{scope}`" in response["error"]
            refused += 1
    mine = sum(needed == scope for row in SCOPES.values() for needed in row.values())
    assert refused == len(TABLE) - mine
    assert scope != Scope.READ or Instance.objects.values().get() == before


def test_a_call_that_is_not_in_the_table_is_refused(alice: ApiClient) -> None:
    class Forgotten(APIView):
        def get(self, request: Any) -> Response:
            return Response({"reached": True})

    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {alice.key}"})
    response: HttpResponse = with_scopes(Forgotten.as_view(), {})(request)
    assert response.status_code == 403
    assert Forgotten.as_view()(request).status_code == 403


def test_other_verbs_respond_as_before(alice: ApiClient) -> None:
    client = with_key(alice, Scope.READ)
    assert client.call("DELETE", "account/")[0] == 405
    assert client.call("OPTIONS", "account/")[0] == 200
    assert client.call("HEAD", "account/")[0] == 200
    assert with_key(alice, Scope.SEND).call("HEAD", "account/")[0] == 403


def test_each_route_describes_its_calls(alice: ApiClient) -> None:
    paths = {path.format(instance=alice.instance.number, **VALUES) for path, *_ in TABLE}
    found = {alice.call("OPTIONS", path)[0] for path in paths}
    assert found == {200}


def test_secrets_are_null_without_their_scopes(alice: ApiClient) -> None:
    whole = alice.get(alice.home)[1]
    assert (whole["token"], whole["webhookSecret"]) == (alice.instance.token, alice.instance.endpoint.secret)
    endpoints = f"{alice.home}endpoints/"
    assert alice.get(endpoints)[1]["results"][0]["secret"] == alice.instance.endpoint.secret
    client = with_key(alice, Scope.READ, Scope.SEND)
    read = client.get(alice.home)[1]
    assert read == whole | {"token": None, "webhookSecret": None}
    assert client.get("instances/")[1]["results"] == [read]
    assert client.get(endpoints)[1]["results"][0]["secret"] is None
    assert client.get(f"{alice.home}link/")[1]["callbackUrl"] is None
    client = with_key(alice, Scope.READ, Scope.MANAGE)
    read = client.get(alice.home)[1]
    assert read == whole | {"token": None}
    created = client.post("instances/", {})[1]
    assert created["token"] is None and created["webhookSecret"]


def test_methods_of_the_contract_need_their_scopes(alice: ApiClient) -> None:
    def call(name: str, *scopes: Scope) -> tuple[int, str]:
        response = Client().get(f"/{name}?uid={with_key(alice, *scopes).key}")
        return response.status_code, str(response.json().get("error", ""))

    assert call("listInstances", Scope.READ)[0] == 200
    status, error = call("listInstances", Scope.SEND, Scope.MANAGE)
    assert (status, error.split(",")[0]) == (403, "This call needs the scope `read`")
    # its result has the token, which may do everything at the instance
    status, error = call("newInstance", Scope.MANAGE)
    assert (status, error.split(",")[0]) == (403, "This call needs the scope `read`")
    assert call("newInstance", *Scope)[0] == 200
    assert call("deleteInstance", Scope.READ)[0] == 403
    assert call("deleteInstance", Scope.MANAGE) == (404, "Instance not found")
