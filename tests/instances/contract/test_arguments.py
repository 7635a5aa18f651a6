"""What real clients send, and must be accepted: one test for each row of the table in contract.md §1."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from instances.models import Instance, OutgoingMessage

FORM = "application/x-www-form-urlencoded"
SEND = "/instance12345/sendMessage?token=secret"


def sent() -> tuple[str, str]:
    """The destination and the body of the only message in the queue."""
    return OutgoingMessage.objects.values_list("chat_id", "body").get()


HELLO = ("17680561234@c.us", "hello")


def test_get_for_everything_with_arguments_in_the_query(client: Client, instance: Instance) -> None:
    client.get(f"{SEND}&phone=17680561234&body=hello")
    assert sent() == HELLO


def test_get_webhook_with_the_argument_sets_it(client: Client, instance: Instance) -> None:
    client.get("/instance12345/webhook?token=secret&webhookUrl=https://example.com/hook")
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.url == "https://example.com/hook"


def test_get_with_a_json_body(client: Client, instance: Instance) -> None:
    client.generic("GET", SEND, b'{"phone":17680561234,"body":"hello"}', "application/json")
    assert sent() == HELLO


def test_post_with_arguments_in_the_query_alone(client: Client, instance: Instance) -> None:
    client.post(f"{SEND}&phone=17680561234&body=hello")
    assert sent() == HELLO


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "text/json", FORM, "text/plain", ""]
)
def test_json_body_whatever_it_is_called(client: Client, instance: Instance, kind: str) -> None:
    client.generic("POST", SEND, b' {"phone":"17680561234","body":"hello"}', kind)
    assert sent() == HELLO


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=utf-8", ""])
def test_form_body(client: Client, instance: Instance, verb: str, kind: str) -> None:
    client.generic(verb, SEND, b"phone=17680561234&body=hello", kind)
    assert sent() == HELLO


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_multipart_body(client: Client, instance: Instance, verb: str) -> None:
    body = encode_multipart(BOUNDARY, {"phone": "17680561234", "body": "hello"})
    client.generic(verb, SEND, body, MULTIPART_CONTENT)
    assert sent() == HELLO


def test_multipart_with_a_file_where_a_text_belongs(client: Client, instance: Instance) -> None:
    file = SimpleUploadedFile("cat.png", b"\x89PNG")
    response = client.post(SEND, {"phone": "17680561234", "body": file})
    assert response.json() == {"sent": False, "message": "body takes a text"}
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize("kind", ["application/json", FORM, ""])
def test_post_settings_with_an_empty_body_means_read(client: Client, instance: Instance, kind: str) -> None:
    response = client.generic("POST", "/instance12345/settings?token=secret", b"", kind)
    assert response.status_code == 200
    assert list(response.json())[:2] == ["sendDelay", "webhookUrl"]
    assert "update" not in response.json()


def test_get_that_says_json_and_has_no_body(client: Client, instance: Instance) -> None:
    response = client.generic("GET", "/instance12345/status?token=secret", b"", "application/json")
    assert (response.status_code, response.json()) == (200, {"accountStatus": "authenticated"})


@pytest.mark.parametrize("method", ["logout", "reboot", "settings", "clearMessagesQueue"])
@pytest.mark.parametrize("body", [b"[]", b" [ ]\n", b"null", b'""'])
def test_post_of_nothing_as_json_which_is_an_empty_array_in_php(
    client: Client, instance: Instance, method: str, body: bytes
) -> None:
    response = client.generic("POST", f"/instance12345/{method}?token=secret", body, "application/json")
    assert response.status_code == 200
    assert "error" not in response.json()


@pytest.mark.parametrize("key", ["chatId", "chatID", "chatid", "CHATID"])
def test_keys_in_any_case(client: Client, instance: Instance, key: str) -> None:
    client.post(SEND, {key: "17680561234@c.us", "BODY": "hello"}, content_type="application/json")
    assert sent() == HELLO


@pytest.mark.parametrize(
    "phone",
    ["17680561234@c.us", "+17680561234", "17680561234", 17680561234, 17680561234.0, " 17680561234 "],
)
def test_phone_holds_a_chat_id_or_a_plus_a_number_or_a_text(
    client: Client, instance: Instance, phone: object
) -> None:
    client.post(SEND, {"phone": phone, "body": "hello"}, content_type="application/json")
    assert sent() == HELLO


def test_a_plus_that_the_query_made_a_space(client: Client, instance: Instance) -> None:
    client.get(f"{SEND}&phone=+17680561234&body=hello")
    assert sent() == HELLO


def test_chat_id_wins_over_phone(client: Client, instance: Instance) -> None:
    client.post(SEND, {"phone": "19990001122", "chatId": "17680561234@c.us", "body": "hello"})
    assert sent() == HELLO


@pytest.mark.parametrize(
    "phones", ["17680561234,19990001122", "17680561234, +19990001122", ["17680561234", 19990001122]]
)
def test_phones_are_one_text_a_comma_list_or_an_array(
    client: Client, instance: Instance, phones: object
) -> None:
    body = {"phone": 17680561234, "body": "hello", "mentionedPhones": phones}
    client.post(SEND, body, content_type="application/json")
    assert OutgoingMessage.objects.get().metadata == {"mentionedPhones": ["17680561234", "19990001122"]}


def test_phones_as_php_writes_an_array_into_a_form(client: Client, instance: Instance) -> None:
    form = b"phone=17680561234&body=hello&mentionedPhones[]=17680561234&mentionedPhones[]=19990001122"
    client.generic("POST", SEND, form, FORM)
    assert OutgoingMessage.objects.get().metadata == {"mentionedPhones": ["17680561234", "19990001122"]}


@pytest.mark.parametrize("value", [True, "true", "True", 1, "1"])
def test_true_in_every_spelling(client: Client, instance: Instance, value: object) -> None:
    client.post(
        "/instance12345/settings?token=secret", {"parallelHooks": value}, content_type="application/json"
    )
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.parallel is True


@pytest.mark.parametrize("value", [False, "false", "False", 0, "0"])
def test_false_in_every_spelling(client: Client, instance: Instance, value: object) -> None:
    Instance.objects.update(ack_notifications_on=True)
    body = {"ackNotificationsOn": value}
    client.post("/instance12345/settings?token=secret", body, content_type="application/json")
    instance.refresh_from_db()
    assert instance.ack_notifications_on is False


@pytest.mark.parametrize("query", ["full=true", "full=1", "full", "FULL=True"])
def test_booleans_in_the_query(client: Client, instance: Instance, query: str) -> None:
    assert "statusData" in client.get(f"/instance12345/status?token=secret&{query}").json()


@pytest.mark.parametrize("query", ["full=0", "full=false", ""])
def test_booleans_that_are_false_in_the_query(client: Client, instance: Instance, query: str) -> None:
    response = client.get(f"/instance12345/status?token=secret&{query}")
    assert response.json() == {"accountStatus": "authenticated"}


def test_an_upgrade_to_h2c_is_ignored(client: Client, instance: Instance) -> None:
    headers = {
        "Upgrade": "h2c",
        "Connection": "Upgrade, HTTP2-Settings",
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
    }
    response = client.get("/instance12345/status?token=secret", headers=headers)
    assert (response.status_code, response.json()) == (200, {"accountStatus": "authenticated"})


def test_the_body_wins_over_the_query(client: Client, instance: Instance) -> None:
    client.post(
        f"{SEND}&body=query", {"phone": "17680561234", "body": "hello"}, content_type="application/json"
    )
    assert sent() == HELLO


def test_arguments_nobody_knows_are_ignored(client: Client, instance: Instance) -> None:
    body = {"phone": "17680561234", "body": "hello", "priority": "high"}
    assert client.post(SEND, body, content_type="application/json").json()["sent"] is True


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (b'{"phone":17680561234,"body":"a\\u0000b"}', "a\ufffdb"),
        (b'{"phone":17680561234,"body":"a\\ud800b"}', "a\ufffd\ufffd\ufffdb"),
        ('{"phone":17680561234,"body":"Привет 👋"}'.encode(), "Привет 👋"),
        (b'{"phone":17680561234,"body":12}', "12"),
        (b'\xef\xbb\xbf{"phone":17680561234,"body":"mark"}', "mark"),
    ],
)
def test_texts_that_a_database_cannot_hold_do_not_fail(
    client: Client, instance: Instance, body: bytes, stored: str
) -> None:
    assert client.generic("POST", SEND, body, "application/json").status_code == 200
    assert OutgoingMessage.objects.get().body == stored
