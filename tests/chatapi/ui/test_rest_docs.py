"""The docs page of REST: every operation of the OpenAPI document, readable without a script."""

import html
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from accounts.actions.keys import issue_key
from instances.models import Instance
from instances.pages.docs import rest
from instances.pages.docs.openapi_document import DOCUMENT, parse
from tests.factories import InstanceFactory

PAGE = "/api/docs/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(owner__email="alice@example.org", name="Shop", number=12345, token="t0psecret")


@pytest.fixture
def alice(client: Client, instance: Instance) -> Client:
    client.force_login(instance.owner.owner)
    return client


def page_of(client: Client, query: str = "", **headers: Any) -> str:
    response = client.get(PAGE + query, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def operations_on(page: str) -> list[str]:
    return re.findall(r'<article class="method" id="(\w+)"', page)


def article_of(page: str, operation: str) -> str:
    article = page[page.index(f'<article class="method" id="{operation}"') :]
    return article[: article.index("</article>")]


def words_of(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def copied(page: str, operation: str) -> str:
    (line,) = re.findall(r'data-copy="(curl[^"]*)"', article_of(page, operation))
    return html.unescape(line)


def test_every_operation_and_webhook_of_the_document_is_on_the_page(alice: Client) -> None:
    document = parse(DOCUMENT.read_bytes())
    described = [
        operation["operationId"]
        for path, by_verb in (*document["paths"].items(), *document["webhooks"].items())
        if path.startswith("/api/v1/") or path in document["webhooks"]
        for operation in by_verb.values()
    ]
    page = page_of(alice)
    assert sorted(operations_on(page)) == sorted(described)
    anchors = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors


def test_an_operation_has_its_parameters_fields_and_response(alice: Client) -> None:
    page = page_of(alice)
    listed = words_of(article_of(page, "listHooks"))
    assert "GET /api/v1/hooks/" in listed
    assert "limit integer. The number of rows on a page, 1 to 100." in listed
    assert "kind some of message , ack , status , chat (Chat change). The kind" in listed
    added = words_of(article_of(page, "addEndpoint"))
    assert "url required" in added
    assert "filters.chatKinds" in added
    assert (
        "Responds with 201; if it fails, with 400 , 401 , 403 , 404 , 409 , 413 , 415 , 429 , 508 ." in added
    )
    assert '"instanceId": "1203344556"' in html.unescape(article_of(page, "addEndpoint"))


def test_a_webhook_has_its_headers_fields_and_examples(alice: Client) -> None:
    page = page_of(alice)
    section = words_of(page[page.index('id="webhooks"') :])
    assert "webhook-attempt required string. The number of the attempt" in section
    assert "410 Not delivered, and not retried." in section
    article = article_of(page, "chatHook")
    listed = words_of(article)
    assert "chatUpdate[].old required object, or null. Null if the chat is new." in listed
    assert "chatUpdate[].new.metadata.participants required list of strings. Chat ids" in listed
    assert html.unescape(article).count('"instanceId": "1203344556"') == 2  # of two examples, to copy
    assert operations_on(page_of(alice, "?q=webhook+queueNumber")) == ["ackHook"]


def test_fields_of_lists_are_named_by_their_place() -> None:
    (hooks,) = (group for group in rest.find_operations("listHooks"))
    names = [field.name for field in hooks.operations[0].reply_fields]
    assert {"results", "results[].id", "results[].attempts", "results[].attempts[].outcome"} <= set(names)
    assert len(names) == len(set(names))


def test_fields_that_are_only_read_are_no_fields_of_a_body() -> None:
    for group in rest.reference().groups:
        for operation in group.operations:
            if operation.verb in ("POST", "PATCH", "PUT"):
                assert "createdAt" not in [field.name for field in operation.fields], operation.anchor


def test_every_status_that_refuses_a_call_is_explained_once(alice: Client) -> None:
    page = page_of(alice)
    explained = re.findall(r'<span class="verb nums">(\d+)</span>', page)
    assert explained == sorted(set(explained))
    refused = {
        status
        for group in rest.reference().groups
        for operation in group.operations
        for status in operation.failures
    }
    assert set(explained) == refused


def test_the_calls_name_the_chosen_instance_and_no_key(alice: Client, instance: Instance) -> None:
    _, key = issue_key(instance.owner, acting_user=None)
    page = page_of(alice)
    assert copied(page, "readInstance") == (
        f"curl {settings.SITE_URL}/api/v1/instances/12345/ \\\n  -H 'Authorization: Bearer YOUR_ACCOUNT_KEY'"
    )
    assert key not in page
    assert instance.token not in page


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("testEndpoint", "instances/12345/endpoints/1099511627776/test/"),
        ("replayCapture", "bins/k7m2p9qx/captures/Zx8mB0dYxJb5i1oKZ4bq3H/replay/"),
        ("shareBin", "bins/k7m2p9qx/shares/"),
        ("revokeShare", "bins/k7m2p9qx/shares/SHARE_ID/"),
    ],
)
def test_the_calls_contain_the_ids_of_the_examples(operation: str, path: str) -> None:
    """Each id is that of the parameter: not the id of the hook or of the link in the example of the response."""
    (group,) = rest.find_operations(operation)
    (found,) = [each for each in group.operations if each.anchor == operation]
    assert f"/api/v1/{path} " in rest.add_curl(found, 12345).curl


def test_what_is_copied_is_a_call_that_works(
    live_server: LiveServer, tmp_path: Path, transactional_db: None
) -> None:
    instance = InstanceFactory(number=12345)
    _, key = issue_key(instance.owner, acting_user=None)
    page = page_of(Client(), "?q=changeInstance")
    line = copied(page, "changeInstance").replace("YOUR_ACCOUNT_KEY", key)
    line = line.replace(settings.SITE_URL, live_server.url)
    found = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert '"id": "12345"' in found.stdout.replace('":"', '": "')


def test_the_search_finds_paths_and_fields(alice: Client) -> None:
    assert operations_on(page_of(alice, "?q=rotate-secret")) == ["rotateAlertSecret", "rotateEndpointSecret"]
    assert "addEndpoint" in operations_on(page_of(alice, "?q=CHATKINDS"))
    found = page_of(alice, "?q=<script>alert(1)</script>", **{"HX-Request": "true"})
    assert found.lstrip().startswith('<div class="docs" id="found">')
    assert "No matches" in found
    assert "<script>alert" not in found


def test_its_buttons_lead_to_the_document_and_to_swagger_ui(client: Client) -> None:
    page = page_of(client)
    for path in ("/api/schema/?format=json", "/api/docs/try/"):
        assert f'href="{path}"' in page
        assert client.get(path).status_code == 200
