"""The delivery log over REST: hooks with their complete attempts, filters, pages."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from hooks.models import Attempt, Hook, Kind, Outcome, Side, SkipReason, State, Trigger, new_public_id
from tests.instances.api.conftest import ApiClient

NINE = datetime(2030, 1, 1, 9, tzinfo=UTC)


def hook(owner: ApiClient, **fields: Any) -> Hook:
    """A delivered message hook of the caller's instance, but for `fields`."""
    delivered = {
        "kind": Kind.MESSAGE, "body": b'{"messages":[]}', "state": State.DELIVERED, "attempts_made": 1,
        "created_at": NINE, "finished_at": NINE, "last_outcome": Outcome.OK, "last_status": 200,
        "last_host": "example.com",
    }  # fmt: skip
    made: dict[str, Any] = delivered | fields
    made.setdefault("public_id", new_public_id(made["created_at"]))
    return Hook.objects.create(endpoint=owner.instance.endpoint, **made)


def failed(owner: ApiClient, **fields: Any) -> Hook:
    return hook(
        owner, **{"state": State.FAILED, "last_outcome": Outcome.NOT_200, "last_status": 500} | fields
    )


def skipped(owner: ApiClient, **fields: Any) -> Hook:
    unsent = {"attempts_made": 0, "last_outcome": "", "last_status": None, "last_host": ""}
    return hook(owner, **unsent | {"state": State.SKIPPED, "skip_reason": SkipReason.NO_ADDRESS} | fields)


def attempt(of: Hook, **fields: Any) -> Attempt:
    answered = {
        "number": 1, "started_at": NINE, "url": "https://example.com/hook?a=1", "address": "203.0.113.7",
        "request_headers": [["webhook-id", of.webhook_id], ["webhook-attempt", "1/20"]], "status": 500,
        "response_headers": [["content-type", "text/plain"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]],
        "response_body": b"KeyError", "response_size": 8, "outcome": Outcome.NOT_200, "side": Side.ENDPOINT,
        "name_ms": 3.1, "connect_ms": 20.4, "tls_ms": 41.9, "first_byte_ms": 63.0, "total_ms": 63.2,
    }  # fmt: skip
    return Attempt.objects.create(hook=of, **answered | fields)


def test_a_hook_is_shown_with_its_attempts_whole(alice: ApiClient) -> None:
    made = hook(
        alice, kind=Kind.ACK, body='{"ack":["ü"]}'.encode(), message="true_1@c.us_3EB0", chat="1@c.us",
        attempts_made=2, attempts_allowed=20,
    )  # fmt: skip
    attempt(made)
    attempt(
        made, number=2, started_at=NINE + timedelta(seconds=5), trigger=Trigger.RETRY, status=200, side="",
        outcome=Outcome.OK, response_body=b"\xff\x00", response_size=2, response_headers=[], name_ms=None, tls_ms=None,
    )  # fmt: skip
    assert alice.get(f"hooks/{made.webhook_id}/") == (
        200,
        {
            "id": made.webhook_id,
            "instanceId": str(alice.instance.number),
            "endpointId": str(alice.instance.pk),
            "kind": "ack",
            "state": "delivered",
            "explanation": "Delivered, attempt 2 of 20: example.com responded with 200.",
            "skipReason": None,
            "suggestedUrl": None,
            "suggestedSetting": None,
            "messageId": "true_1@c.us_3EB0",
            "chatId": "1@c.us",
            "simulated": False,
            "attemptsMade": 2,
            "attemptsAllowed": 20,
            "nextAttemptAt": None,
            "createdAt": "2030-01-01T09:00:00Z",
            "finishedAt": "2030-01-01T09:00:00Z",
            "body": '{"ack":["ü"]}',
            "bodyEncoding": "text",
            "bodyDroppedAt": None,
            "attempts": [
                {
                    "number": 1,
                    "trigger": "event",
                    "startedAt": "2030-01-01T09:00:00Z",
                    "address": "203.0.113.7",
                    "request": {
                        "method": "POST",
                        "url": "https://example.com/hook?a=1",
                        "headers": {"webhook-id": made.webhook_id, "webhook-attempt": "1/20"},
                        "body": '{"ack":["ü"]}',
                        "bodyEncoding": "text",
                    },
                    "answer": {
                        "status": 500,
                        "headers": [
                            ["content-type", "text/plain"],
                            ["set-cookie", "a=1"],
                            ["set-cookie", "b=2"],
                        ],
                        "body": "KeyError",
                        "bodyEncoding": "text",
                        "decodedBody": None,
                        "decodedFrom": None,
                        "decodingNote": None,
                        "size": 8,
                    },
                    "times": {
                        "nameMs": 3.1,
                        "connectMs": 20.4,
                        "tlsMs": 41.9,
                        "firstByteMs": 63.0,
                        "totalMs": 63.2,
                    },
                    "verdict": "not_200",
                    "outcome": "not_200",
                    "failedPhase": None,
                    "side": "endpoint",
                    "error": None,
                    "explanation": "example.com responded with 500: your server failed while handling it.",
                    "nextStep": "Check your server's error log for this time. "
                    "Respond with 200 to acks and unknown families too.",
                    "suggestedUrl": None,
                },
                {
                    "number": 2,
                    "trigger": "retry",
                    "startedAt": "2030-01-01T09:00:05Z",
                    "address": "203.0.113.7",
                    "request": {
                        "method": "POST",
                        "url": "https://example.com/hook?a=1",
                        "headers": {"webhook-id": made.webhook_id, "webhook-attempt": "1/20"},
                        "body": '{"ack":["ü"]}',
                        "bodyEncoding": "text",
                    },
                    "answer": {
                        "status": 200,
                        "headers": [],
                        "body": "/wA=",
                        "bodyEncoding": "base64",
                        "decodedBody": None,
                        "decodedFrom": None,
                        "decodingNote": "Some bytes are not UTF-8; as text they are shown as \ufffd.",
                        "size": 2,
                    },
                    "times": {
                        "nameMs": None,
                        "connectMs": 20.4,
                        "tlsMs": None,
                        "firstByteMs": 63.0,
                        "totalMs": 63.2,
                    },
                    "verdict": "delivered",
                    "outcome": "ok",
                    "failedPhase": None,
                    "side": None,
                    "error": None,
                    "explanation": "Delivered: example.com responded with 200.",
                    "nextStep": "",
                    "suggestedUrl": None,
                },
            ],
        },
    )


def test_an_attempt_that_reached_nobody_has_no_answer(alice: ApiClient) -> None:
    made = failed(alice, last_outcome=Outcome.TIMEOUT, last_status=None)
    attempt(
        made, status=None, address="", response_headers=[], response_body=b"", response_size=0,
        outcome=Outcome.TIMEOUT, side=Side.BETWEEN, error="connect", name_ms=0.1, connect_ms=None, tls_ms=None,
        first_byte_ms=None, total_ms=5000.0,
    )  # fmt: skip
    [shown] = alice.get(f"hooks/{made.webhook_id}/")[1]["attempts"]
    assert shown["answer"] is None
    assert shown["address"] is None
    assert (shown["outcome"], shown["side"], shown["error"]) == ("timeout", "between", None)
    assert (shown["verdict"], shown["failedPhase"]) == ("not_reached", "connect")
    assert shown["times"] == {
        "nameMs": 0.1, "connectMs": None, "tlsMs": None, "firstByteMs": None, "totalMs": 5000.0
    }  # fmt: skip


def test_a_skipped_hook_says_why(alice: ApiClient) -> None:
    _, shown = alice.get(f"hooks/{skipped(alice).webhook_id}/")
    assert (shown["state"], shown["skipReason"], shown["attempts"]) == ("skipped", "no_address", [])
    assert shown["explanation"] == "Not sent: the instance had no webhook URL."


def test_a_hook_is_also_found_by_its_uuid(alice: ApiClient) -> None:
    made = hook(alice)
    assert alice.get(f"hooks/{made.public_id}/") == alice.get(f"hooks/{made.webhook_id}/")


@pytest.mark.parametrize("id", ["1", "hook_", "hook_x", "hook_{'0'}"])
def test_no_hook_is_found_by_anything_else(alice: ApiClient, id: str) -> None:
    hook(alice)
    assert alice.get(f"hooks/{quote(id)}/")[0] == 404


def listed(caller: ApiClient, query: str = "") -> list[str]:
    status, page = caller.get(f"hooks/?{query}")
    assert status == 200
    return [row["id"] for row in page["results"]]


def test_the_log_is_newest_first_and_ones_own(alice: ApiClient, bob: ApiClient) -> None:
    Hook.objects.all().delete()  # linking made some
    first, second = hook(alice), skipped(alice)
    other = failed(bob)
    attempt(first)
    assert listed(alice) == [second.webhook_id, first.webhook_id]
    assert listed(bob) == [other.webhook_id]
    assert alice.get("hooks/")[1]["results"][1] == alice.get(f"hooks/{first.webhook_id}/")[1]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=failed", ["down"]),
        ("state=failed&state=skipped", ["skipped", "down"]),
        ("kind=ack", ["ack"]),
        ("outcome=ok", ["ack", "good"]),
        ("outcome=timeout&outcome=ok", ["ack", "down", "good"]),
        ("status=200", ["ack", "good"]),
        ("answer=2xx", ["ack", "good"]),
        ("answer=200", ["ack", "good"]),
        ("answer=not-200", []),
        ("answer=4xx&answer=5xx", []),
        ("answer=none", ["down"]),
        ("answer=2xx&answer=none", ["ack", "down", "good"]),
        ("host=EXAMPLE.com", ["ack", "good"]),
        ("message=true_1@c.us_3EB0", ["ack"]),
        ("chat=1@c.us", ["ack"]),
        ("simulated=true", ["good"]),
        ("simulated=false", ["ack", "skipped", "down"]),
        ("createdAfter=2030-01-01T09:00:01Z", ["ack", "skipped"]),
        ("createdAfter=2030-01-01T10:00:01%2B01:00", ["ack", "skipped"]),
        ("createdBefore=2030-01-01T09:00:01Z", ["down", "good"]),
        ("createdAfter=2030-01-01T09:00:01Z&createdBefore=2030-01-01T09:00:02Z", ["skipped"]),
        ("instance={alice}", ["ack", "skipped", "down", "good"]),
        ("instance={bob}", []),
        ("instance=0", []),
        ("instance=99999999999", []),
        ("state=delivered&kind=message&host=example.com", ["good"]),
    ],
)
def test_the_filters(alice: ApiClient, bob: ApiClient, query: str, names: list[str]) -> None:
    Hook.objects.all().delete()
    second = timedelta(seconds=1)
    made = {
        "good": hook(alice, simulated=True),
        "down": failed(alice, last_outcome=Outcome.TIMEOUT, last_status=None, last_host="example.org"),
        "skipped": skipped(alice, created_at=NINE + second),
        "ack": hook(
            alice, kind=Kind.ACK, message="true_1@c.us_3EB0", chat="1@c.us", created_at=NINE + 2 * second
        ),
    }
    hook(bob)
    query = query.format(alice=alice.instance.number, bob=bob.instance.number)
    assert listed(alice, query) == [made[name].webhook_id for name in names]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (
            "state=broken",
            {
                "state": "Must be one or more of: queued, sending, retrying, delivered, failed, skipped, cancelled."
            },
        ),
        ("answer=500", {"answer": "Must be one or more of: 200, 2xx, not-200, 3xx, 4xx, 5xx, none."}),
        ("status=ok", {"status": "Enter a whole number."}),
        ("status=99", {"status": "Ensure this value is greater than or equal to 100."}),
        ("createdAfter=yesterday", {"createdAfter": "Enter a valid date/time."}),
        ("instance=mine", {"instance": "Must be the id of an instance: digits only."}),
        ("simulated=perhaps", {"simulated": "Must be `true` or `false`."}),
        (
            "sate=failed",
            {
                "sate": "Unknown filter. The filters are: state, kind, outcome, answer, status, instance, endpoint, "
                "message, chat, host, simulated, createdAfter, createdBefore, cursor, limit."
            },
        ),
    ],
)
def test_a_wrong_filter_is_refused_instead_of_overlooked(alice: ApiClient, query: str, fields: dict) -> None:
    [(name, text)] = fields.items()
    assert alice.get(f"hooks/?{query}") == (400, {"error": f"{name}: {text}", "fields": fields})


def test_pages_go_on_where_they_were_when_new_hooks_come_in(alice: ApiClient) -> None:
    made = [hook(alice).webhook_id for _ in range(5)]
    seen = []
    path = "hooks/?limit=2&kind=message"
    while path:
        _, page = alice.get(path)
        seen += [row["id"] for row in page["results"]]
        hook(alice)
        path = (page["next"] or "").removeprefix("http://localhost:8000/api/v1/")
    assert seen == made[::-1]


def test_a_page_takes_as_many_queries_whatever_it_holds(
    alice: ApiClient, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        attempt(hook(alice) if number % 2 else failed(alice))
    alice.get("hooks/")
    # the key, the instances, the keys of the page, its hooks, their attempts
    with django_assert_num_queries(9):
        assert len(alice.get("hooks/")[1]["results"]) == 20 + 2  # linking made two


def test_bodies_are_the_exact_bytes(alice: ApiClient) -> None:
    body = json.dumps({"messages": [{"body": "“quotes” \u2028 \\ \n"}]}, ensure_ascii=False).encode()
    assert alice.get(f"hooks/{hook(alice, body=body).webhook_id}/")[1]["body"].encode() == body
