"""Parameters and examples of the bins' operations in the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from instances.api import schema
from testing_tools.verification.filters import FIELDS, MAX_LENGTH

BIN_KEY = OpenApiParameter(
    "key", str, OpenApiParameter.PATH, description="The bin's key: the 8 characters after `/bin/` in its URL."
)
CAPTURE_ID = OpenApiParameter("captureId", str, OpenApiParameter.PATH, description="The capture's `id`.")
SHARE_ID = OpenApiParameter("shareId", str, OpenApiParameter.PATH, description="The link's `id`.")
FILTER_HELP = (
    f"The filter of the bin's page, up to {MAX_LENGTH} characters: `field:value` terms and words, which must all "
    'match; `-` negates a term. For example `kind:ack status:5xx -path:/test body:"two words"`. '
    f"The fields: {', '.join(FIELDS)}."
)
FILTER = OpenApiParameter("q", str, description=FILTER_HELP)

BIN_URL = "https://chat.example.com/bin/k7m2p9qx"
ANSWER = {
    "status": 200,
    "headers": [["Content-Type", "application/json"]],
    "body": '{"ok": true}',
    "delay": 0.0,
    "failFirst": 3,
    "failsLeft": 2,
    "cors": False,
}
BIN = {
    "key": "k7m2p9qx",
    "url": BIN_URL,
    "instanceId": "1203344556",
    "createdAt": "2030-01-01T09:00:00Z",
    "lastNumber": 17,
    "answer": ANSWER,
}
BIN_WITH_COUNTS = BIN | {"captures": 17, "dropped": 0}
CAPTURE_ROW = {
    "id": "Zx8mB0dYxJb5i1oKZ4bq3H",
    "number": 17,
    "receivedAt": "2030-01-01T09:00:00.190000Z",
    "method": "POST",
    "path": "",
    "httpVersion": "1.1",
    "remoteAddress": "203.0.113.7",
    "kind": "ack",
    "label": "Ack: delivered",
    "summary": "true_17680561234@c.us_3EB0957AD66BAFF57D1D",
    "attempt": "1/20",
    "size": len(schema.HOOK_BODY),
    "tooLarge": False,
    "answer": {"status": 500, "note": "configured failure 1 of 3"},
    "note": "",
    "readAt": None,
}
CAPTURE = CAPTURE_ROW | {
    "query": "",
    "headers": [["Content-Type", "application/json"], ["webhook-attempt", "1/20"]],
    "body": schema.HOOK_BODY,
    "bodyEncoding": "text",
    "decodedBody": None,
    "decodedFrom": None,
    "decodingNote": None,
    "signature": {
        "state": "valid",
        "explanation": "Signed with this instance's secret within 5 minutes of the arrival.",
    },
    "explanation": "Ack delivered for true_17680561234@c.us_3EB0957AD66BAFF57D1D, attempt 1 of 20, signature valid",
}
HOOK: dict[str, Any] = schema.HOOK
ATTEMPT = HOOK["attempts"][0]
REPLAY = {
    "address": "203.0.113.7:443",
    "request": {
        "method": "POST",
        "url": "https://example.com/hook",
        "headers": [["Content-Type", "application/json"], ["webhook-attempt", "1/20"]],
        "body": schema.HOOK_BODY,
        "bodyEncoding": "text",
    },
    **{
        name: ATTEMPT[name]
        for name in (
            "answer", "times", "verdict", "outcome", "failedPhase", "side", "error", "explanation",
            "nextStep",
        )
    },
}  # fmt: skip
SHARE = {
    "id": "41",
    "captureNumber": 17,
    "createdAt": "2030-01-01T09:00:00Z",
    "expiresAt": "2030-01-02T09:00:00Z",
}
NEW_SHARE = SHARE | {"url": "https://chat.example.com/shared/JkX0b1mS5dY7q2ZtT4wVc8uNpR6aHfGoLiEeKsQyBnM/"}
DELETED = {"removed": 1, "deletedAt": "2030-01-01T09:05:00.250000Z"}


def response_example(name: str, value: Any, *, status: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


def request_example(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)
