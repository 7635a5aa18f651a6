"""Schemathesis reads the wire contract's part of docs/openapi.yaml, and sends what it allows and what it forbids.

As api/test_schemathesis.py does for REST: no answer is a fault of ours, each is JSON or a picture, and each
status is one that the document tells of. The examples are the same in every run; each is rolled back.
"""

from typing import Any

import pytest
import requests
import schemathesis
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from accounts.actions.keys import issue_key
from instances.actions.messages import receive_message
from instances.models import Instance
from tests.instances.api.test_schemathesis import DOCUMENT, EVERYWHERE, operations_of

EXAMPLES = 2  # of each operation and kind; 15 s in total
PNG = b"\x89PNG"

schema = schemathesis.openapi.from_path(DOCUMENT)
OPERATIONS = operations_of(schema.exclude(path_regex="^/api/"))
KINDS = {"allowed": GenerationMode.POSITIVE, "forbidden": GenerationMode.NEGATIVE}


@pytest.fixture(autouse=True)
def no_look_out(settings: Any) -> None:
    """`outputIP` connects a socket to find its own address, which tests must not do."""
    settings.OUTPUT_IP = "192.0.2.7"


def send(case: Any, opener: str) -> Any:
    """Sends the case with Django's test client and the token or key. The last value of a repeated key counts."""
    made = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    path, _, query = str(made.path_url).partition("?")
    body = made.body or b""
    return Client(raise_request_exception=False).generic(
        str(made.method),
        path,
        body.encode() if isinstance(body, str) else body,
        made.headers.get("Content-Type", "application/json"),
        QUERY_STRING=f"{query}&{opener}",
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_method_fails(operation: Any, instance: Instance) -> None:
    receive_message(instance, sender="17680561234", body="hello")
    key = issue_key(instance.owner, acting_user=instance.owner.owner)[1]
    opener = "token=secret" if "{instanceId}" in operation.path else f"uid={key}"
    documented = {int(status) for status in operation.definition.raw["responses"]}

    for mode in KINDS.values():

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def try_one(case: Any) -> None:
            if "{instanceId}" in operation.path:
                case.path_parameters["instanceId"] = "12345"
            with transaction.atomic():
                response = send(case, opener)
                transaction.set_rollback(True)
            assert response.status_code < 500, response.content
            assert response.status_code in documented | EVERYWHERE, response.content
            assert response.content.startswith(PNG) or isinstance(response.json(), dict)

        try_one()
