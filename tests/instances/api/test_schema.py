"""The OpenAPI document is complete, and docs/openapi.yaml is up to date."""

import re
from io import StringIO
from pathlib import Path

import yaml
from django.core.management import call_command
from django.test import Client

from chatapi.rest_urls import urlpatterns

SNAPSHOT = Path(__file__).parent.parent.parent.parent / "docs" / "openapi.yaml"


def generated() -> str:
    """The output of `manage.py spectacular`. Fails on warnings and if the document is invalid."""
    out = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    return out.getvalue()


def test_the_document_in_docs_is_todays() -> None:
    assert SNAPSHOT.read_text() == generated(), "manage.py spectacular --file docs/openapi.yaml"


def test_every_operation_has_words_examples_and_its_refusals() -> None:
    document = yaml.safe_load(generated())
    operations = [
        operation
        for path, methods in document["paths"].items()
        if path.startswith("/api/")  # the others: tests/instances/contract/test_documentation.py
        for name, operation in methods.items()
        if name in ("get", "post", "put", "patch", "delete")
    ]
    assert len(operations) == 119
    for operation in operations:
        assert operation["summary"]
        assert operation["security"] == [{"accountKey": []}]
        assert {"401", "429"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            if "$ref" in response:
                response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
            content = response.get("content", {}).get("application/json")
            assert status == "204" or content["examples"]
    addresses = {
        re.sub(r"<(?:str|path):(\w+)>", r"{\1}", str(pattern.pattern))
        for pattern in urlpatterns
        if pattern.name
    }
    assert {path for path in document["paths"] if path.startswith("/api/")} == {
        f"/api/v1/{address}" for address in addresses
    }


def test_anybody_may_read_the_document_and_its_page(db: None) -> None:
    assert Client().get("/api/schema/").status_code == 200
    page = Client().get("/api/docs/try/")
    assert page.status_code == 200
    fetched = re.findall(r'<(?:script|link|img)\b[^>]*\b(?:src|href)="([^"]*)"', page.text)
    assert fetched
    assert [address for address in fetched if not address.startswith("/")] == []  # it works offline
