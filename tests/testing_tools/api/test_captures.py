"""Captures over REST: list, wait for the next one, read, annotate, delete, restore, replay."""

import base64
import gzip
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks import signing
from instances.limits import manual_request_limit, waiting_calls
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import BODY_LIMIT, Bin, Capture
from tests.instances.api.conftest import ApiClient
from tests.receiver import Receiver
from tests.testing_tools.api.conftest import capture

pytestmark = pytest.mark.django_db

BINARY = b"\x00\xff\r\n\x1f"
HEADERS = [("X-Twice", "b"), ("content-type", "application/x-odd"), ("X-Twice", "a")]


def path(found: Capture, action: str = "") -> str:
    return f"bins/{found.bin.key}/captures/{found.public_id}/{action}"


def test_a_capture_is_read_whole(alice: ApiClient, bin: Bin) -> None:
    found = capture(
        bin, BINARY, method="PUT", path="/a%2Fb", query="x=1&y", headers=HEADERS, http_version="1.1",
        remote_address="203.0.113.7",
    )  # fmt: skip
    status, whole = alice.get(path(found))
    assert status == 200
    assert whole == {
        "id": found.public_id,
        "number": 1,
        "receivedAt": whole["receivedAt"],
        "method": "PUT",
        "path": "/a%2Fb",
        "httpVersion": "1.1",
        "remoteAddress": "203.0.113.7",
        "kind": "other",
        "label": found.label,
        "summary": found.summary,
        "attempt": "",
        "size": 5,
        "tooLarge": False,
        "answer": {"status": 200, "note": ""},
        "note": "",
        "readAt": None,
        "query": "x=1&y",
        "headers": [list(pair) for pair in HEADERS],
        "body": base64.b64encode(BINARY).decode(),
        "bodyEncoding": "base64",
        "decodedBody": None,
        "decodedFrom": None,
        "decodingNote": "Some bytes are not UTF-8; as text they are shown as �.",
        "signature": {"state": "none", "explanation": "There is no webhook-signature header."},
        "explanation": "PUT with 5 B of bytes, not a hook of this product, not signed",
    }
    assert Capture.objects.get(pk=found.pk).read_at is None


def test_a_packed_body_is_also_returned_as_text(alice: ApiClient, bin: Bin) -> None:
    packed = gzip.compress('{"name": "Zoë"}'.encode())
    whole = alice.get(path(capture(bin, packed, headers=[("Content-Encoding", "gzip")])))[1]
    assert base64.b64decode(whole["body"]) == packed
    assert (whole["decodedBody"], whole["decodedFrom"]) == ('{"name": "Zoë"}', "gzip")


def test_the_signature_of_a_hook_is_checked(alice: ApiClient, bin: Bin) -> None:
    body = b'{"ack":[{"id":"true_1@c.us_A","queueNumber":1,"chatId":"1@c.us","status":"viewed"}],"instanceId":"1"}'
    headers = signing.headers(
        webhook_id="hook_1", body=body, secret=alice.instance.endpoint.secret, at=timezone.now(), number=2, allowed=20
    )  # fmt: skip
    whole = alice.get(path(capture(bin, body, headers=list(headers.items()))))[1]
    assert (whole["kind"], whole["attempt"], whole["signature"]["state"]) == ("ack", "2/20", "valid")
    assert whole["explanation"] == "Ack viewed for true_1@c.us_A, attempt 2 of 20, signature valid"


def test_the_list_has_the_filter_and_the_order_of_the_page(alice: ApiClient, bin: Bin) -> None:
    for number in range(3):
        capture(bin, b"hello %d" % number, path="/odd" if number % 2 else "/even")
    listing = f"bins/{bin.key}/captures/"
    rows = alice.get(listing)[1]["results"]
    assert [row["number"] for row in rows] == [3, 2, 1]
    assert "body" not in rows[0]
    assert [row["number"] for row in alice.get(f"{listing}?q=path:/even")[1]["results"]] == [3, 1]
    assert [row["number"] for row in alice.get(f'{listing}?q=body:"hello 1"')[1]["results"]] == [2]

    page = alice.get(f"{listing}?q=-path:/odd&limit=1")[1]
    rest = Client().get(page["next"], headers={"Authorization": f"Bearer {alice.key}"}).json()
    assert [row["number"] for row in (*page["results"], *rest["results"])] == [3, 1]


@pytest.mark.parametrize(
    ("query", "field", "error"),
    [
        ("q=colour:red", "q", "These terms have no effect: colour:red. "),
        ("q=status:abc", "q", "These terms have no effect: status:abc. "),
        ("q=" + "x" * 301, "q", "no more than 300 characters"),
        ("kind=ack", "kind", "Unknown field. The fields are: q, cursor, limit."),
        ("limit=0", "limit", "Must be a whole number from 1 to 100."),
        ("cursor=x", "cursor", "Must be a cursor"),
    ],
)
def test_a_parameter_without_effect_is_an_error(
    alice: ApiClient, bin: Bin, query: str, field: str, error: str
) -> None:
    status, answer = alice.get(f"bins/{bin.key}/captures/?{query}")
    assert status == 400
    assert error in answer["fields"][field]


def test_the_next_capture_is_the_oldest_after_a_number(alice: ApiClient, bin: Bin) -> None:
    next_path = f"bins/{bin.key}/captures/next/"
    assert alice.get(next_path) == (200, {"capture": None, "lastNumber": 0})
    for number in range(3):
        capture(bin, b"hello %d" % number, path="/odd" if number % 2 else "/even")
    first = alice.get(next_path)[1]
    assert (first["capture"]["body"], first["lastNumber"]) == ("hello 0", 1)
    odd = alice.get(f"{next_path}?after=0&q=path:/odd")[1]
    assert (odd["capture"]["body"], odd["lastNumber"]) == ("hello 1", 2)
    assert alice.get(f"{next_path}?after=2&q=path:/odd")[1] == {"capture": None, "lastNumber": 3}
    assert alice.get(f"{next_path}?after=9")[1] == {"capture": None, "lastNumber": 9}
    for wrong in ("wait=31", "wait=-1", "after=-1", "after=x", "q=colour:red", "limit=1"):
        assert alice.get(f"{next_path}?{wrong}")[0] == 400


def test_a_call_that_waits_is_served_again_by_the_web_server(alice: ApiClient, bin: Bin) -> None:
    """So it holds no thread meanwhile, and counts for its account; tests/faults/test_waiting.py has real sockets."""

    def wait(seconds: int, waited: float) -> Any:
        client = Client(headers={"Authorization": f"Bearer {alice.key}"})
        client.defaults[waiting_calls.WAITED] = waited  # type: ignore[assignment]  # the web server's number
        return client.get(f"/api/v1/bins/{bin.key}/captures/next/?wait={seconds}")

    repeat = wait(30, 0.0).repeat
    assert repeat == waiting_calls.Repeat(waiting_calls.FIRST_PAUSE, alice.account.pk)
    assert not hasattr(wait(30, 30.0), "repeat")
    capture(bin)
    assert not hasattr(wait(30, 0.0), "repeat")


def test_a_note_is_written(alice: ApiClient, bin: Bin) -> None:
    found = capture(bin)
    assert alice.patch(path(found), {"note": " slow one "})[1]["note"] == "slow one"
    assert alice.patch(path(found), {"note": "x" * 501})[0] == 400
    assert Capture.objects.get(pk=found.pk).note == "slow one"


def test_a_capture_that_is_dropped_while_it_is_changed_is_no_error(bin: Bin) -> None:
    found = capture(bin)
    Capture.objects.all().delete()
    capture_actions.write_note(found, text="late")
    capture_actions.mark_read(found)
    assert not Capture.objects.exists()


def test_captures_are_deleted_and_restored(alice: ApiClient, bin: Bin) -> None:
    found = [capture(bin, path="/odd" if number % 2 else "/even") for number in range(3)]
    base = f"bins/{bin.key}/captures/"
    status, deleted = alice.call("DELETE", path(found[1]))
    assert (status, deleted["removed"]) == (200, 1)
    assert alice.get(path(found[1]))[0] == 404
    assert alice.post(f"{base}clear/", {"q": "colour:red"})[0] == 400
    cleared = alice.post(f"{base}clear/", {})[1]
    assert cleared["removed"] == 2
    assert alice.get(base)[1]["results"] == []

    assert alice.post(f"{base}restore/", {"deletedAt": cleared["deletedAt"]}) == (200, {"restored": 2})
    assert alice.post(f"{base}restore/", {"deletedAt": cleared["deletedAt"]})[0] == 409
    assert alice.post(f"{base}restore/", {"deletedAt": deleted["deletedAt"]}) == (200, {"restored": 1})
    assert [row["number"] for row in alice.get(base)[1]["results"]] == [3, 2, 1]
    assert alice.post(f"{base}clear/", {"q": "path:/even"})[1]["removed"] == 2


def test_a_capture_is_replayed_as_it_is_and_changed(alice: ApiClient, bin: Bin) -> None:
    found = capture(bin, BINARY, method="PUT", headers=HEADERS)
    changes = {
        "method": "PATCH", "headers": [["X-New", "1"]], "body": base64.b64encode(b"\xfe").decode(),
        "bodyEncoding": "base64",
    }  # fmt: skip
    with Receiver([(202, {}, b"taken"), (200, {}, b"")]) as receiver:
        status, replayed = alice.post(path(found, "replay/"), {"url": receiver.url})
        changed = alice.post(path(found, "replay/"), {"url": receiver.url, **changes})[1]
        first, second = receiver.wait_for(2)
    assert status == 200
    assert (first.method, first.body, first.headers["content-type"]) == ("PUT", BINARY, "application/x-odd")
    assert (second.method, second.body, second.headers["x-new"]) == ("PATCH", b"\xfe", "1")
    assert "x-twice" not in second.headers
    assert replayed["request"] == {
        "method": "PUT",
        "url": receiver.url,
        "headers": [list(pair) for pair in HEADERS],
        "body": base64.b64encode(BINARY).decode(),
        "bodyEncoding": "base64",
    }
    assert (replayed["answer"]["status"], replayed["answer"]["body"]) == (202, "taken")
    assert (replayed["verdict"], replayed["side"]) == ("not_200", "endpoint")
    assert replayed["address"] == f"127.0.0.1:{receiver.port}"
    assert (changed["verdict"], changed["side"], changed["nextStep"]) == ("delivered", None, "")


def test_a_replay_that_reaches_nothing_says_why(alice: ApiClient, bin: Bin) -> None:
    status, replayed = alice.post(path(capture(bin), "replay/"), {"url": "http://127.0.0.1:9/hook"})
    assert status == 200
    assert (replayed["answer"], replayed["verdict"], replayed["failedPhase"]) == (
        None,
        "not_reached",
        "connect",
    )
    assert replayed["explanation"] and replayed["nextStep"]


@pytest.mark.parametrize(
    ("data", "field", "error"),
    [
        ({}, "url", "required"),
        ({"url": "ftp://example.com/"}, "url", "http"),
        ({"url": "http://127.0.0.1:9/", "method": "FROB"}, "method", "FROB cannot be sent. Use one of GET"),
        ({"url": "http://127.0.0.1:9/", "headers": [["A b", "1"]]}, "headers", "Header 1 has an invalid name."),
        ({"url": "http://127.0.0.1:9/", "headers": [["X-A", "1\r\nX-B: 2"]]}, "headers", "control character"),
        ({"url": "http://127.0.0.1:9/", "headers": [["X-A", "1"]] * 101}, "headers", "101 headers are too many"),
        ({"url": "http://127.0.0.1:9/", "body": "%", "bodyEncoding": "base64"}, "body", "Must be base64"),
        ({"url": "http://127.0.0.1:9/", "body": "x" * 1_050_000}, "body", "longer than 1 MB"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else None,
)  # fmt: skip
def test_an_invalid_replay_is_not_sent(
    alice: ApiClient, bin: Bin, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], field: str, error: str
) -> None:
    monkeypatch.setattr("hooks.http.send", lambda *_: pytest.fail("It was sent."))
    status, answer = alice.post(path(capture(bin), "replay/"), data)
    assert status == 400
    assert error in answer["fields"][field]


def test_a_body_that_was_not_stored_is_not_replayed_as_empty(alice: ApiClient, bin: Bin) -> None:
    found = capture(bin, b"x" * (BODY_LIMIT + 1))
    assert alice.get(path(found))[1]["tooLarge"] is True
    status, answer = alice.post(path(found, "replay/"), {"url": "http://127.0.0.1:9/"})
    assert (status, answer["fields"]) == (
        400,
        {"body": "The captured body was not stored. Replay the request with a body of your own."},
    )
    assert alice.post(path(found, "replay/"), {"url": "http://127.0.0.1:9/", "body": ""})[0] == 200


def test_replays_have_the_limit_of_the_page(
    alice: ApiClient, bin: Bin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 0)
    status, answer = alice.post(path(capture(bin), "replay/"), {"url": "http://127.0.0.1:9/"})
    assert status == 409
    assert answer["error"].startswith("You have sent more than 0 requests in a minute. Try again in ")
