"""Schemathesis reads docs/openapi.yaml and sends what it allows, and what it forbids, to every operation.

No answer is a fault of ours, each is JSON, and each status is one that the document tells of. The examples are the
same in every run; each is rolled back, so that all of them find what the first one found.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import APIOperation, BaseSchema, GenerationMode
from schemathesis.core.result import Ok

from hooks.models import Hook
from instances.actions.messages import receive_message
from instances.actions.settings import change_settings
from testing_tools.verification.actions.bins import open_bin
from testing_tools.verification.actions.captures import capture
from testing_tools.verification.models import Capture
from tests.instances.api.conftest import ApiClient

DOCUMENT = Path(__file__).parent.parent.parent.parent / "docs" / "openapi.yaml"
EXAMPLES = 6  # of each operation and kind; half a minute in total
# What no operation says of itself: a verb that it has not, a body that is too long, another media type.
EVERYWHERE = {405, 413, 415}


def operations_of(schema: BaseSchema) -> list[APIOperation]:
    """Returns the operations of the document; fails if one of them is invalid."""
    operations = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result.err()
        operations.append(result.ok())
    return operations


schema = schemathesis.openapi.from_path(DOCUMENT)
# the wire contract's stand in the same document; tests/instances/contract/test_schemathesis.py plays them
OPERATIONS = operations_of(schema.include(path_regex="^/api/"))
KINDS = {"allowed": GenerationMode.POSITIVE, "forbidden": GenerationMode.NEGATIVE}


def send(case: Any, key: str) -> Any:
    """The case as the `requests` library would send it, but to Django's own client."""
    made = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    path, _, query = str(made.path_url).partition("?")
    body = made.body or b""
    return Client(raise_request_exception=False).generic(
        str(made.method),
        path,
        body.encode() if isinstance(body, str) else body,
        made.headers.get("Content-Type", "application/json"),
        QUERY_STRING=query,
        headers={"Authorization": f"Bearer {key}"},
    )


@pytest.fixture
def real_ids(alice: ApiClient) -> dict[str, str]:
    """Existing ids by the beginning of the path, whose last parameter they are."""
    change_settings(alice.instance, changes={"webhookUrl": "https://example.com/hook"})
    receive_message(alice.instance, sender="17680561234", body="hello")
    hook = Hook.objects.filter(endpoint_id=alice.instance.pk).latest("pk")
    bin = open_bin(alice.instance)
    capture(bin.key, method="POST", body=b"{}")
    return {
        "/api/v1/instances/{id}": str(alice.instance.number),
        "/api/v1/hooks/{id}": hook.public_id.hex,
        "/api/v1/bins/{key}": bin.key,
        "/api/v1/bins/{key}/captures/{captureId}": Capture.objects.get(bin=bin).public_id,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_operation_fails(operation: Any, kind: str, alice: ApiClient, real_ids: dict[str, str]) -> None:
    documented = {int(status) for status in operation.definition.raw["responses"]}
    cases = operation.as_strategy(generation_mode=KINDS[kind])

    @given(case=cases, exists=strategies.sampled_from([True, True, False]))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def try_one(case: Any, exists: bool) -> None:
        for beginning, real in real_ids.items():
            if exists and operation.path.startswith(beginning):
                case.path_parameters[re.findall(r"{(\w+)}", beginning)[-1]] = real
        with transaction.atomic():
            response = send(case, alice.key)
            transaction.set_rollback(True)
        assert response.status_code < 500, response.content
        assert response.status_code in documented | EVERYWHERE | {404}, response.content
        assert response.status_code == 204 or isinstance(response.json(), dict | list)

    try_one()
