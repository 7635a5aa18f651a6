"""The work and the memory that one request to REST or to its document can cause, and the length of its errors."""

import json
import tracemalloc

import pytest
from django.core.management import call_command
from django.test import Client

from chatapi import api_docs
from chatapi.ui.error_texts import MAX_ERROR_BYTES, MAX_FIELDS, limit_fields
from chatapi.ui.json_limits import (
    MAX_JSON_DEPTH,
    MAX_JSON_VALUES,
    JsonTooComplex,
    check_complexity,
)
from tests.instances.api.conftest import ApiClient

MANY_FIELDS = {f"field{number}": 1 for number in range(49_000)}


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("PATCH", ""),
        ("PATCH", "sandbox/phone/"),
        ("POST", "sandbox/messages/"),
    ],
)
def test_thousands_of_unknown_fields_get_a_short_error(alice: ApiClient, verb: str, path: str) -> None:
    """Two megabytes of them once became a response of 108 MB, with 430 MB of memory."""
    data = json.dumps(MANY_FIELDS)
    client = Client(headers={"Authorization": f"Bearer {alice.key}"})
    client.get(f"/api/v1/{alice.home}")

    tracemalloc.start()
    try:
        response = client.generic(verb, f"/api/v1/{alice.home}{path}", data, content_type="application/json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert response.status_code == 400
    assert len(response.content) <= MAX_ERROR_BYTES
    fields = response.json()["fields"]
    assert fields["field0"].startswith("Unknown field. The fields are: ")
    assert 1 < len(fields) <= MAX_FIELDS
    assert response.json()["error"].endswith("There are more errors.")
    assert peak < 40 * len(data)


def test_a_body_with_too_many_values_is_not_parsed(alice: ApiClient) -> None:
    data = "[" + "{}," * 600_000 + "1]"
    client = Client(headers={"Authorization": f"Bearer {alice.key}"})

    tracemalloc.start()
    try:
        response = client.generic("PATCH", f"/api/v1/{alice.home}", data, content_type="application/json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert response.status_code == 400
    assert response.json() == {"error": f"JSON parse error - it has more than {MAX_JSON_VALUES} values"}
    assert peak < 8 * len(data)  # parsed, it would be 45 times as long


def test_long_names_and_values_are_quoted_in_part(alice: ApiClient) -> None:
    long = "\x01" * 200_000
    for data in (
        {long: 1},
        {"name": long},
        {"settings": {long: 1}},
        {f"{n}{long[:900]}": 1 for n in range(300)},
    ):
        response = Client(headers={"Authorization": f"Bearer {alice.key}"}).patch(
            f"/api/v1/{alice.home}", data, content_type="application/json"
        )
        assert response.status_code == 400
        assert len(response.content) <= MAX_ERROR_BYTES


def test_too_many_parameters_and_fields_are_400(alice: ApiClient) -> None:
    client = Client(headers={"Authorization": f"Bearer {alice.key}"}, raise_request_exception=False)
    query = "&".join(f"a{number}=1" for number in range(1_001))
    form = {f"a{number}": "1" for number in range(1_001)}

    for response in (
        client.get(f"/api/v1/hooks/?{query}"),
        client.post(f"/api/v1/{alice.home}sandbox/messages/", form),
    ):
        assert response.status_code == 400
        assert response.json() == {
            "error": "The request has too many fields or parameters; send at most 1000."
        }


def test_errors_of_all_fields_fit_into_a_response() -> None:
    shown = limit_fields({f"{number}" + "n" * 10_000: "e" * 10_000 for number in range(10_000)})

    assert 1 <= len(shown) <= MAX_FIELDS
    assert len(json.dumps(shown)) < MAX_ERROR_BYTES / 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[" * (MAX_JSON_DEPTH + 1), "it is nested too deeply"),
        ('{"a":' * (MAX_JSON_DEPTH + 1), "it is nested too deeply"),
        ("[" + "1," * MAX_JSON_VALUES + "1]", f"it has more than {MAX_JSON_VALUES} values"),
        ("[" + "[]," * MAX_JSON_VALUES + "1]", f"it has more than {MAX_JSON_VALUES} values"),
        ("[" + '"",' * 1_000_000 + "1]", f"it has more than {MAX_JSON_VALUES} values"),
        ('["\\\\",' + '"a",' * MAX_JSON_VALUES + "1]", f"it has more than {MAX_JSON_VALUES} values"),
    ],
    ids=["arrays", "objects", "numbers", "empty arrays", "empty texts", "after an escaped backslash"],
)
def test_complex_json_is_recognized(text: str, error: str) -> None:
    with pytest.raises(JsonTooComplex, match=error):
        check_complexity(text)


@pytest.mark.parametrize(
    "value",
    [
        {"body": ",[{" * 200_000},
        {"body": '\\",\\\\,"' * 20_000},
        [[0]] * 10_000,
        {str(number): {"a": [1, 2]} for number in range(9_000)},
    ],
)
def test_text_with_commas_and_brackets_is_not_complex(value: object) -> None:
    check_complexity(json.dumps(value))


# -- the OpenAPI document


def test_the_document_is_read_once_and_responds_with_304(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Client().get("/api/schema/")
    monkeypatch.setattr(api_docs, "DOCUMENT", api_docs.DOCUMENT / "missing")  # it must not be read again
    again = Client().get("/api/schema/")
    known = Client().get("/api/schema/", headers={"If-None-Match": first.headers["ETag"]})

    assert first.content == again.content
    assert first.headers["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["ETag"] == first.headers["ETag"]


def test_the_document_is_also_json() -> None:
    by_format = Client().get("/api/schema/?format=json")
    by_header = Client().get("/api/schema/", headers={"Accept": "application/json"})
    with_any = Client().get("/api/schema/", headers={"Accept": "text/html,*/*;q=0.8"})

    assert by_format.json() == by_header.json()
    assert by_format.json()["info"]["title"] == "Chat API"
    assert by_header.headers["ETag"] != with_any.headers["ETag"]
    assert with_any.content.startswith(b"openapi: 3")
    assert "Accept" in with_any.headers["Vary"]


def test_the_json_is_what_the_generator_writes(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", format="openapi-json")

    assert json.loads(capsys.readouterr().out) == Client().get("/api/schema/?format=json").json()


@pytest.mark.parametrize("verb", ["OPTIONS", "POST", "PUT", "TRACE"])
@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_other_verbs_than_get_are_405(verb: str, path: str, db: None) -> None:
    assert Client(raise_request_exception=False).generic(verb, path).status_code == 405
