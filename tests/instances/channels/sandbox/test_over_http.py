"""The sandbox's requests to its messenger, and what each response means."""

from __future__ import annotations

import json

import pytest

from hooks.http import Response
from instances.channels.requests import (
    Failed,
    File,
    Link,
    MessageToSend,
    Refused,
    Request,
    Result,
    Scope,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.channels.sandbox import over_http
from tests.instances.channels.responses import response

ANN = "17680561234@c.us"
LINK = Link(1001, "4915112345678@c.us", {"token": "the-token"})
MESSAGE = MessageToSend("true_17680561234@c.us_3EB0", ANN, "chat", "Grüße")
PICTURE = File("a.png", "image/png", 12, "1/a.png", "https://example.com/a.png")


def test_a_message_is_one_post_with_its_idempotency_key() -> None:
    request = over_http.prepare(MESSAGE, LINK)
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8089/instances/1001/messages")
    assert request.headers == {
        "Authorization": "Bearer the-token",
        "Idempotency-Key": "true_17680561234@c.us_3EB0",
        "Content-Type": "application/json",
    }
    assert json.loads(request.body) == {"chatId": ANN, "type": "chat", "body": "Grüße"}


def test_what_a_message_has_besides_its_body_is_in_the_request() -> None:
    message = MessageToSend(
        "id", ANN, "chat", "hi", quoted={"id": "q", "body": "b", "type": "chat"}, metadata={"a": 1},
        forwarded=2, caption="c",
    )  # fmt: skip
    assert json.loads(over_http.prepare(message, LINK).body) == {
        "chatId": ANN, "type": "chat", "body": "hi", "caption": "c", "metadata": {"a": 1}, "forwarded": 2,
        "quoted": {"id": "q", "body": "b", "type": "chat"},
    }  # fmt: skip


def test_a_file_is_uploaded_and_then_named() -> None:
    message = MessageToSend("id", ANN, "image", PICTURE.link, file=PICTURE)
    upload = over_http.prepare(message, LINK)
    assert (upload.url, upload.body_path, upload.is_upload) == (
        "http://127.0.0.1:8089/instances/1001/files",
        "1/a.png",
        True,
    )
    assert over_http.read(upload, response(201, {"id": "f1"})) == Uploaded("f1")
    request = over_http.prepare(message, LINK, "f1")
    assert not request.is_upload
    assert json.loads(request.body)["file"] == {"id": "f1", "filename": "a.png"}


def test_a_deletion_is_one_delete() -> None:
    request = over_http.prepare(MessageToSend("own-id", ANN, "chat", "", deletes="true_a@c.us_1"), LINK)
    assert (request.method, request.url, request.headers["Idempotency-Key"]) == (
        "DELETE",
        "http://127.0.0.1:8089/instances/1001/messages/true_a%40c.us_1",
        "own-id",
    )
    assert over_http.read(request, response(200, {"deleted": False})) == Sent((), needs_carry_out=True)


@pytest.mark.parametrize(
    ("got", "result"),
    [
        (response(201, {"id": "m1"}), Sent(messenger_id="m1", needs_carry_out=True)),
        (response(200, b"<html>Sign in</html>"), Failed("The response does not confirm the message.")),
        (response(201, {"id": 7}), Failed("The response does not confirm the message.")),
        (response(401, {"error": "The token was revoked."}), Unlinked("The token was revoked.")),
        (response(401), Unlinked("The token is not valid.")),
        (response(429, {"error": "Slow\n down.", "scope": "chat"}, retry_after="7"),
         Wait("Slow down.", Scope.CHAT, 7.0)),
        (response(429, b"", Retry_After="9999999"), Wait("The messenger responded with 429.", Scope.NUMBER, 86400.0)),
        (response(429, b"", Retry_After="soon"), Wait("The messenger responded with 429.", Scope.NUMBER, None)),
        (response(429, b"", Retry_After="Wed, 21 Oct 2026 07:28:05 GMT", Date="Wed, 21 Oct 2026 07:28:00 GMT"),
         Wait("The messenger responded with 429.", Scope.NUMBER, 5.0)),
        (response(503, {"error": "Maintenance."}, Retry_After="30"), Wait("Maintenance.", Scope.NUMBER, 30.0)),
        (response(503, {"error": "Maintenance."}), Failed("Maintenance.")),
        (response(422, {"error": "The chat does not exist."}), Refused("The chat does not exist.")),
        (response(404, b"<html>"), Failed("The response with 404 is not one of the sandbox messenger.")),
        (response(408, {"error": "Too late."}), Failed("Too late.")),
        (response(500), Failed("The response with 500 is not one of the sandbox messenger.")),
        (response(302), Failed("The response with 302 is not one of the sandbox messenger.")),
        (response(None), Failed("The response with 0 is not one of the sandbox messenger.")),
    ],
)  # fmt: skip
def test_each_response_has_a_meaning(got: Response, result: Result) -> None:
    assert over_http.read(Request("POST", "http://127.0.0.1/"), got) == result
