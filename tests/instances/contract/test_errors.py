"""The table "Errors" of contract.md §1, and that every response is a JSON object."""

import io
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from instances.models import Instance, OutgoingMessage
from tests.factories import InstanceFactory

SEND = "/instance12345/sendMessage?token=secret"
BAD_PHONE = {
    "sent": False,
    "message": "phone parameter should contain only numbers, start from country code and be 9-14 characters long",
}
EMPTY = {
    "sent": False,
    "message": "Message was not sent: empty body. Please provide message text in body parameter in JSON POST.",
}


def test_a_body_that_is_not_json_though_it_says_so(client: Client, instance: Instance) -> None:
    response = client.generic("POST", SEND, b'{"a": oops}', "application/json")
    assert response.status_code == 400
    assert response.json() == {"error": "The body is not JSON: Expecting value: line 1 column 7 (char 6)"}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[1]", "The body must be a JSON object."),
        (b'"text"', "The body must be a JSON object."),
        (b'{"a":"\xff"}', "The body is not JSON: not UTF-8 at byte 6"),
        (b"[" * 100_000, "The body is not valid JSON: it is nested too deeply."),
        (b"phone=17680561234", "The body is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_other_bodies_that_are_no_json_object(
    client: Client, instance: Instance, body: bytes, error: str
) -> None:
    response = client.generic("POST", SEND, body, "application/json")
    assert (response.status_code, response.json()) == (400, {"error": error})
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize(
    "phone",
    [
        "12345678",
        "123456789012345",
        "1768056123a",
        "1.768.056.1234",
        "(1)7680561234",
        "++17680561234",
        "+0017680561234",
        "00017680561234",
        "07680561234",
        "07680561234@c.us",
        ["17680561234", "19990001122"],
        "",
        None,
        True,
        [],
        {"a": 1},
        1.5,
        -17680561234,
    ],
)
def test_a_malformed_phone(client: Client, instance: Instance, phone: object) -> None:
    response = client.post(SEND, {"phone": phone, "body": "hello"}, content_type="application/json")
    assert (response.status_code, response.json()) == (200, BAD_PHONE)
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize("phone", ["123456789", "12345678901234"])
def test_a_phone_of_9_to_14_digits(client: Client, instance: Instance, phone: str) -> None:
    response = client.post(SEND, {"phone": phone, "body": "hello"}, content_type="application/json")
    assert response.json()["message"] == f"Sent to {phone}@c.us"


def test_neither_phone_nor_chat_id(client: Client, instance: Instance) -> None:
    response = client.post(SEND, {"body": "hello"}, content_type="application/json")
    assert (response.status_code, response.json()) == (200, BAD_PHONE)


def test_a_malformed_chat_id(client: Client, instance: Instance) -> None:
    response = client.post(SEND, {"chatId": "unknown", "body": "hello"}, content_type="application/json")
    assert response.json() == {
        "sent": False,
        "message": "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us",
    }


@pytest.mark.parametrize("body", [{}, {"body": ""}, {"body": "  "}, {"body": None}])
def test_an_empty_text(client: Client, instance: Instance, body: dict[str, object]) -> None:
    response = client.post(SEND, {"phone": "17680561234", **body}, content_type="application/json")
    assert (response.status_code, response.json()) == (200, EMPTY)
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize("name", ["sendMessage", "settings", "webhook", "messages", "me", "qr_code"])
def test_an_instance_that_is_not_paid(client: Client, db: None, name: str) -> None:
    InstanceFactory(number=12345, token="secret", paid=False)
    response = client.get(f"/instance12345/{name}?token=secret&phone=17680561234&body=hello&sendDelay=7")
    assert response.status_code == 402
    assert response.json() == {"error": "Instance is not paid. Please pay for it in your account."}
    assert not OutgoingMessage.objects.exists()
    assert Instance.objects.get().send_delay == 0


def test_status_still_answers_when_not_paid(client: Client, db: None) -> None:
    InstanceFactory(number=12345, token="secret", paid=False)
    response = client.get("/instance12345/status?token=secret")
    assert (response.status_code, response.json()) == (200, {"accountStatus": "not_paid"})


def test_too_many_calls(client: Client, instance: Instance, settings: Settings) -> None:
    settings.CONTRACT_CALLS_PER_MINUTE = 0
    response = client.get("/instance12345/status?token=secret")
    seconds = int(response.headers["Retry-After"])
    assert 1 <= seconds <= 60
    assert (response.status_code, response.json()) == (
        429,
        {"error": f"Too many calls. Try again in {seconds} seconds."},
    )


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
def test_verbs_that_no_client_uses(client: Client, instance: Instance, verb: str) -> None:
    response = client.generic(verb, "/instance12345/status?token=secret")
    assert response.status_code == 405
    assert response.json() == {"error": f"{verb} is not allowed here; use GET or POST."}
    assert response.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_a_fault_of_the_server_is_json_too(
    client: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.contract.instance.settings.read_contract_settings", lambda instance: 1 / 0)
    response = client.get("/instance12345/settings?token=secret")
    assert response.status_code == 500
    assert response.json() == {"error": "Internal error. It was logged on the server."}


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/instance12345/settings?token=secret", 200),
        ("/instance12345/settings?token=wrong", 401),
        ("/instance99999/settings?token=secret", 404),
        ("/instance12345/nosuch?token=secret", 404),
    ],
)
def test_the_body_is_read_to_its_end_so_that_the_connection_stays_open(
    client: Client, instance: Instance, address: str, status: int
) -> None:
    body = io.BytesIO(b'{"sendDelay": 7}')
    environment: dict[str, Any] = {
        "wsgi.input": body,
        "CONTENT_LENGTH": "16",
        "CONTENT_TYPE": "application/json",
    }
    assert client.generic("POST", address, **environment).status_code == status
    assert body.tell() == 16


def test_a_body_beyond_the_limit(client: Client, instance: Instance, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = client.post(SEND, {"phone": "17680561234", "body": "x" * 100}, content_type="application/json")
    assert (response.status_code, response.json()) == (413, {"error": "The request is too long."})
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", "text/plain"])
def test_a_body_that_broke_off_is_not_sent_by_halves(client: Client, instance: Instance, kind: str) -> None:
    half = b"phone=17680561234&body=Pay+10"  # of "Pay 1000"
    broken: dict[str, Any] = {"wsgi.input": io.BytesIO(half), "CONTENT_LENGTH": str(len(half) + 2)}
    response = client.generic("POST", SEND, half, kind, **broken)
    assert (response.status_code, response.json()) == (400, {"error": "The body is incomplete."})
    assert not OutgoingMessage.objects.exists()


def test_half_a_surrogate_pair_in_an_address_is_refused_in_words(client: Client, instance: Instance) -> None:
    response = client.generic(
        "POST",
        "/instance12345/webhook?token=secret",
        rb'{"webhookUrl":"http://\ud800/"}',
        "application/json",
    )
    assert (response.status_code, response.json()) == (
        200,
        {
            "set": False,
            "message": "`webhookUrl` must be an http or https URL, or null: ? is not a host name.",
        },
    )
