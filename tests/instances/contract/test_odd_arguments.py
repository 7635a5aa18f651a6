"""Every method of the wire contract with odd values of its arguments, in a query, a form and JSON.

No value is a fault of ours, and no error is longer than 16 KB.
"""

import json
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.actions.keys import issue_key
from chatapi.ui.error_texts import MAX_ERROR_BYTES
from instances.actions.messages import receive_message
from instances.contract.registry import METHODS, Method
from instances.contract.urls import urlpatterns  # noqa: F401 - registers the methods
from instances.models import Instance
from tests.odd_values import ODD_TEXTS, ODD_VALUES

EXAMPLES = 6  # of each method, half of them as JSON
UNIQUE = [method for name, method in sorted(METHODS.items()) if method.name == name]

TEXTS = st.sampled_from(ODD_TEXTS)
VALID = st.sampled_from(["17680561234", "17680561234@c.us", "hello", "1"])


@pytest.fixture(autouse=True)
def own_address(settings: Any) -> None:
    """`outputIP` connects a socket to find its own address, which tests must not do."""
    settings.OUTPUT_IP = "192.0.2.7"


def encodable(text: str) -> str:
    """As a client can send it in a query: half a surrogate pair has no UTF-8."""
    return text.encode(errors="replace").decode()


def names_of(method: Method) -> list[str]:
    return sorted(
        {name for argument in method.arguments for name in argument.names} | {"phone", "instanceId"}
    )


@pytest.mark.parametrize("method", UNIQUE, ids=lambda method: method.name)
def test_no_value_of_an_argument_fails(method: Method, instance: Instance) -> None:
    receive_message(instance, sender="17680561234", body="hello")
    key = issue_key(instance.owner, acting_user=instance.owner.owner)[1]
    url = f"/{method.name}?uid={key}" if method.by_uid else f"/instance12345/{method.name}?token=secret"
    client = Client(raise_request_exception=False)

    @given(
        arguments=st.fixed_dictionaries(
            {name: st.one_of(TEXTS, st.sampled_from(ODD_VALUES), VALID) for name in names_of(method)}
        ),
        form=st.sampled_from(["json", "json", "form", "query"]),
    )
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def run(arguments: dict[str, Any], form: str) -> None:
        texts = {name: encodable(str(value)[:50_000]) for name, value in arguments.items()}
        with transaction.atomic():
            if form == "json":
                response = client.post(url, to_json(arguments), content_type="application/json")
            elif form == "form":
                response = client.post(url, texts)
            else:
                response = client.get(url, {"token": "secret", "uid": key, **texts})
            transaction.set_rollback(True)
        content = b"".join(response) if response.streaming else response.content
        assert response.status_code < 500, content
        if response.status_code >= 400:
            assert len(content) <= MAX_ERROR_BYTES
            assert json.loads(content)["error"]

    run()


def to_json(value: Any) -> str:
    """JSON, also of a number with more digits than Python prints."""
    return json.dumps(value, default=str).replace('"' + "9" * 5_000 + '"', "9" * 5_000)


URLS = ["http://[::1/x", "http://[::1/x.ogg", "http://[v1.x]/a.ogg", "http://a:99999999/a.ogg", "http://[/"]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("sendPTT", "audio"),
        ("sendFile", "body"),
        ("sendLink", "body"),
        ("webhook", "webhookUrl"),
        ("group", "image"),
    ],
)
def test_what_is_no_url_is_refused_in_words(method: str, argument: str, url: str, instance: Instance) -> None:
    given = {
        "phone": "17680561234",
        "chatId": "17680561234@c.us",
        "title": "a",
        "filename": "a.ogg",
        argument: url,
    }

    response = Client(raise_request_exception=False).post(
        f"/instance12345/{method}?token=secret", to_json(given), content_type="application/json"
    )

    assert response.status_code < 500, response.content
