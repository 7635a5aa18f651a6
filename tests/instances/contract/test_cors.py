"""Any origin may call, without credentials; HEAD and OPTIONS work (contract.md §1)."""

import pytest
from django.test import Client

from instances.models import Instance


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/instance12345/status?token=secret", 200),
        ("/instance12345/status?token=wrong", 401),
        ("/instance99999/status?token=secret", 404),
        ("/instance12345/nosuch?token=secret", 404),
    ],
)
def test_every_answer_may_be_read_by_any_origin(
    client: Client, instance: Instance, address: str, status: int
) -> None:
    response = client.get(address, headers={"Origin": "https://example.com"})
    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers or "Cookie" not in response.headers["Vary"]


def test_a_preflight_needs_no_token(client: Client, db: None) -> None:
    headers = {
        "Origin": "https://example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-requested-with",
    }
    response = client.options("/instance12345/sendMessage", headers=headers)
    assert (response.status_code, response.json()) == (200, {})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, HEAD, OPTIONS"
    assert response.headers["Access-Control-Allow-Headers"] == "content-type,x-requested-with"


def test_head_answers_like_get_without_a_body(client: Client, instance: Instance) -> None:
    response = client.head("/instance12345/status?token=secret")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Type"] == "application/json"
