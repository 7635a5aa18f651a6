"""The OpenAPI document: the format of errors, the responses of operations, and the examples.

tests/instances/api/test_schema.py compares the generated document with docs/openapi.yaml.
"""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from instances import payload_examples


class ErrorSerializer(serializers.Serializer[Any]):
    """An error. `fields` is present if a field or a parameter is invalid."""

    error = serializers.CharField(help_text="What is wrong and what to do.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(),
        required=False,
        help_text="The name of the field or parameter → what it must be.",
    )


def drop_paths_without_slash(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Keeps each path once, with its trailing slash. The form without is not documented (chatapi/rest_urls.py)."""
    return [endpoint for endpoint in endpoints if endpoint[0].endswith("/")]


def loosen_bodies_of_several_types(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: a body of one of several types is not described as required.

    For a required one, openapi-python-client 0.29 generates a module that cannot be imported.
    """
    for item in result["paths"].values():
        for operation in item.values():
            body = operation.get("requestBody", {})
            if len(body.get("content", ())) > 1:
                body.pop("required", None)
    return result


def add_errors_of_all(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: adds the errors that no view raises itself."""
    responses = result["components"].setdefault("responses", {})
    for name, description, error in ERRORS_OF_ALL.values():
        content = {
            "schema": {"$ref": "#/components/schemas/Error"},
            "examples": {name: {"value": {"error": error}, "summary": description}},
        }
        responses[name] = {"description": description, "content": {"application/json": content}}
    for item in result["paths"].values():
        for operation in item.values():
            statuses = (508, 413, 415) if "requestBody" in operation else (508,)
            found = operation["responses"] | {
                str(status): {"$ref": f"#/components/responses/{ERRORS_OF_ALL[status][0]}"}
                for status in statuses
            }
            operation["responses"] = dict(sorted(found.items()))
    return result


def error_responses(*statuses: int) -> dict[int, OpenApiResponse]:
    """The error responses of an operation. Every operation has 401, 403 and 429."""
    return {status: ERRORS[status] for status in sorted({401, 403, 429, *statuses})}


def _error(description: str, error: str, fields: dict[str, str] | None = None) -> OpenApiResponse:
    value: dict[str, Any] = {"error": error}
    if fields:
        value["fields"] = fields
    return OpenApiResponse(ErrorSerializer, description, [OpenApiExample(description, value=value)])


ERRORS = {
    400: _error(
        "A field or parameter is invalid; nothing was changed",
        "sendDelay: Must be a whole number of seconds from 0 to 31536000.",
        {"sendDelay": "Must be a whole number of seconds from 0 to 31536000."},
    ),
    401: _error(
        "The account key is missing or not valid",
        "Wrong account key. Send your account's key as …",
    ),
    403: _error(
        "The key does not have the scope",
        "This call needs the scope `send`, and the key uid_Ab12Cd34… has only `read`. Use a key with that scope; …",
    ),
    404: _error("It does not exist, or is not yours", "Your account has no instance 123456789."),
    409: _error(
        "The current state does not allow it",
        "The instance is not authenticated, so no message reaches it. First …",
    ),
    429: _error(
        "Too many calls; `Retry-After` gives the seconds to wait", "Too many calls. Try again in 12 s."
    ),
    507: _error(
        "The site's disk is almost full, and a file is not stored",
        "The file was not stored: the disk of this site is almost full, and …",
    ),
}

# Status code → the name of the response, its description and the sentence of an example.
ERRORS_OF_ALL = {
    413: ("BodyTooLarge", "The body is too large", "The body must be at most 2097152 bytes."),
    415: (
        "UnsupportedMediaType",
        "The body is not JSON, by its Content-Type",
        'Unsupported media type "text/plain" in request.',
    ),
    508: (
        "LoopDetected",
        "The call is a hook of this site",
        "Loop detected: this call is a hook of instance 1203344556 of this site, and would cause further hooks. …",
    ),
}
INSTANCE_ID = OpenApiParameter(
    "id", str, OpenApiParameter.PATH, description="The instance's id, the `instanceId` of its hooks."
)
ENDPOINT_ID = OpenApiParameter(
    "endpointId", str, OpenApiParameter.PATH, description="The endpoint's id, the `endpointId` of its hooks."
)
MESSAGE_ID = OpenApiParameter("messageId", str, OpenApiParameter.PATH, description="The message's id.")
HOOK_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The `webhook-id` of its requests.")
HOOK_SHARE_ID = OpenApiParameter("shareId", str, OpenApiParameter.PATH, description="The link's `id`.")
REDELIVERY_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The job's `id`.")
ISSUE_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The issue's `id`.")

HOOK_SHARE = {"id": "41", "createdAt": "2030-01-01T09:00:00Z", "expiresAt": "2030-01-02T09:00:00Z"}
HOOK_SHARE_URL = "https://chat.example.com/shared/hooks/JkX0b1mS5dY7q2ZtT4wVc8uNpR6aHfGoLiEeKsQyBnM/"
INSTANCE = {
    "id": "1203344556",
    "name": "Shop",
    "channel": "sandbox",
    "accountStatus": "authenticated",
    "substatus": "normal",
    "paidUntil": "2030-01-31T09:00:00Z",
    "trial": False,
    "apiUrl": "https://chat.example.com/instance1203344556/",
    "token": "83763g87x4f2c1d0a9b8e7f6",
    "phone": "15550001234",
    "webhookSecret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "previousWebhookSecretUntil": None,
    "deliveryPausedAt": None,
    "deliveryPauseReason": None,
    "failingSince": None,
    "cleaning": False,
    "settings": payload_examples.SETTINGS | {"strictOrder": False},
    "createdAt": "2030-01-01T09:00:00Z",
}
MESSAGE = {
    **payload_examples.MESSAGE,
    "id": "false_17680561234@c.us_3EB0957AD66BAFF57D1D3EB0957AD66B",
    "body": "hello",
    "time": 1893488400,
    "messageNumber": 1,
}
HOOK_BODY = (
    '{"ack":[{"id":"true_17680561234@c.us_3EB0957AD66BAFF57D1D","queueNumber":7,'
    '"chatId":"17680561234@c.us","status":"delivered"}],"instanceId":"1203344556"}'
)
ENDPOINT = {
    "id": "1099511627776",
    "instanceId": "1203344556",
    "first": False,
    "name": "Billing",
    "url": "https://billing.example.com/acks",
    "listens": False,
    "guaranteedHooks": True,
    "parallelHooks": False,
    "strictOrder": False,
    "filters": {
        "families": ["ack"],
        "direction": None,
        "messageTypes": [],
        "chatIds": [],
        "chatKinds": None,
    },
    "filtersInWords": "Acks",
    "secret": "whsec_8Cq2b0dYxJb5i1oKZ4bq3H8zB0yQ3m5T",
    "previousSecretUntil": None,
    "pausedAt": None,
    "pauseReason": None,
    "cancelling": False,
    "failingSince": None,
}
HOOK: dict[str, Any] = {
    "id": "hook_0192f4c65d7b7c33a1e04be1f1d6e1aa",
    "instanceId": "1203344556",
    "endpointId": "1099511627776",
    "kind": "ack",
    "state": "failed",
    "explanation": "Not delivered: example.com responded with 500.",
    "skipReason": None,
    "suggestedUrl": None,
    "suggestedSetting": "guaranteedHooks",
    "messageId": "true_17680561234@c.us_3EB0957AD66BAFF57D1D",
    "chatId": "17680561234@c.us",
    "simulated": False,
    "attemptsMade": 1,
    "attemptsAllowed": 1,
    "nextAttemptAt": None,
    "createdAt": "2030-01-01T09:00:00.120000Z",
    "finishedAt": "2030-01-01T09:00:00.190000Z",
    "body": HOOK_BODY,
    "bodyEncoding": "text",
    "bodyDroppedAt": None,
    "attempts": [
        {
            "number": 1,
            "trigger": "event",
            "startedAt": "2030-01-01T09:00:00.124000Z",
            "address": "203.0.113.7",
            "request": {
                "method": "POST",
                "url": "https://example.com/hook",
                "headers": {
                    "Content-Type": "application/json",
                    "User-Agent": "ChatAPI/0.2.0",
                    "webhook-id": "hook_0192f4c65d7b7c33a1e04be1f1d6e1aa",
                    "webhook-timestamp": "1893488400",
                    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
                    "webhook-attempt": "1/1",
                },
                "body": HOOK_BODY,
                "bodyEncoding": "text",
            },
            "answer": {
                "status": 500,
                "headers": [["content-type", "text/plain"]],
                "body": "KeyError: 'messages'",
                "bodyEncoding": "text",
                "decodedBody": None,
                "decodedFrom": None,
                "decodingNote": None,
                "size": 20,
            },
            "times": {"nameMs": 3.1, "connectMs": 20.4, "tlsMs": 41.9, "firstByteMs": 63.0, "totalMs": 63.2},
            "verdict": "not_200",
            "outcome": "not_200",
            "failedPhase": None,
            "side": "endpoint",
            "error": None,
            "explanation": "example.com responded with 500: your server failed while handling it.",
            "nextStep": "Check your server's error log for this time.",
            "suggestedUrl": None,
        }
    ],
}
REDIRECTED_ATTEMPT = HOOK["attempts"][0] | {
    "trigger": "simulation",
    "answer": HOOK["attempts"][0]["answer"]
    | {"status": 301, "headers": [["location", "/hook/"]], "body": "", "size": 0},
    "outcome": "redirect",
    "explanation": "example.com responded with 301, a redirect to https://example.com/hook/. Redirects are not "
    "followed; only 200 counts.",
    "nextStep": "Set the URL to the target of the redirect.",
    "suggestedUrl": "https://example.com/hook/",
}
REDIRECTED_HOOK = HOOK | {
    "explanation": "Failed after attempt 1 of 1 (responded with 301).",
    "simulated": True,
    "suggestedUrl": "https://example.com/hook/",
    "suggestedSetting": None,
    "attempts": [REDIRECTED_ATTEMPT],
}
REDELIVERY = {
    "id": "redelivery_0192f4c65d7b7c33a1e04be1f1d6e1aa",
    "state": "running",
    "filter": {"states": ["failed"], "created_after": "2030-01-01T09:00:00+00:00"},
    "planned": 120,
    "plannedIsMinimum": False,
    "done": 60,
    "refused": 0,
    "now": {
        "queued": 0,
        "sending": 1,
        "retrying": 9,
        "delivered": 50,
        "failed": 0,
        "skipped": 0,
        "cancelled": 0,
    },
    "createdAt": "2030-01-01T12:00:00Z",
    "startedAt": "2030-01-01T12:00:01Z",
    "finishedAt": None,
}
ISSUE = {
    "id": "issue_0192f4c65d7b7c33a1e04be1f1d6e1aa",
    "state": "open",
    "instanceId": "1203344556",
    "endpointId": "1000",
    "outcome": "not_200",
    "status": 500,
    "explanation": "example.com responded with 500: your server failed while handling it.",
    "nextStep": "Check your server's error log for this time. Respond with 200 to acks and unknown families too.",
    "suggestedUrl": None,
    "suggestedSetting": "guaranteedHooks",
    "hooks": 41,
    "missed": 41,
    "firstFailedAt": "2030-01-01T14:02:11Z",
    "lastFailedAt": "2030-01-01T14:09:40Z",
    "acknowledgedAt": None,
    "resolvedAt": None,
}
WAITING_MESSAGE = {
    "id": "true_17680561234@c.us_3EB0957AD66BAFF57D1D",
    "queueNumber": 8,
    "chatId": "17680561234@c.us",
    "type": "chat",
    "body": "hello",
    "caption": None,
    "deletes": None,
    "state": "queued",
    "explanation": "Waiting in the queue.",
    "reason": None,
    "wait": {"reason": "sendDelay: one message every 6 s", "until": "2030-01-01T09:00:06Z"},
    "tries": 0,
    "nextTryAt": None,
    "maybeTwice": False,
    "queuedAt": "2030-01-01T09:00:00.120000Z",
    "sentAt": None,
    "failedAt": None,
}
REFUSED = "(#131030) Recipient phone number not in allowed list"
FAILED_MESSAGE = WAITING_MESSAGE | {
    "state": "failed",
    "explanation": f"Failed after 1 try: {REFUSED}.",
    "reason": REFUSED,
    "wait": None,
    "tries": 1,
    "failedAt": "2030-01-01T09:00:00.350000Z",
}
QUEUE = {"length": 2, "limit": 400, "failed": 1, "wait": WAITING_MESSAGE["wait"]}
TRY = {
    "number": 1,
    "startedAt": "2030-01-01T09:00:00.230000Z",
    "address": "203.0.113.7",
    "request": {
        "method": "POST",
        "url": "https://graph.example.com/v20/1555/messages",
        "headers": {"Content-Type": "application/json", "Authorization": "Bearer ••••"},
        "body": '{"to":"17680561234","text":"hello"}',
        "bodyEncoding": "text",
    },
    "answer": {
        "status": 400,
        "headers": [["content-type", "application/json"]],
        "body": f'{{"error":{{"message":"{REFUSED}"}}}}',
        "bodyEncoding": "text",
        "decodedBody": None,
        "decodedFrom": None,
        "decodingNote": None,
        "size": 77,
    },
    "times": {"nameMs": 3.1, "connectMs": 20.4, "tlsMs": 41.9, "firstByteMs": 110.0, "totalMs": 110.2},
    "result": "refused",
    "reason": REFUSED,
    "mayHaveBeenSent": False,
    "outcome": "not_200",
    "failedPhase": None,
    "side": "message",
    "error": None,
    "explanation": f"graph.example.com refused the message: {REFUSED}.",
    "nextStep": "Correct what the messenger names. Then resend the message, or send a new one.",
}
RECEIVED_MESSAGE = {
    "id": "false_17680561234@c.us_3EB0B430B6F8F1D0E053",
    "messageNumber": 101,
    "chatId": "17680561234@c.us",
    "author": "17680561234@c.us",
    "senderName": "Ann",
    "type": "chat",
    "body": "Where is my order?",
    "caption": None,
    "time": "2030-01-01T09:00:00Z",
    "response": {"state": "none", "respondedAt": None},
}
RECEIVED_PAGE = {"results": [RECEIVED_MESSAGE], "nextBefore": 101, "lookedUntil": "2030-01-01T09:00:00Z"}
TURN = {
    "message": RECEIVED_MESSAGE
    | {"response": {"state": "responded", "respondedAt": "2030-01-01T09:00:00.250000Z"}},
    "explanation": "Your bot responded.",
    "hooks": [
        {
            "id": "hook_0191a9e2c1d47c0a8e3b5f6a7d8c9b0a",
            "endpointId": "1",
            "state": "delivered",
            "skipReason": None,
            "explanation": "Delivered, attempt 1 of 1: bot.example.com responded with 200.",
            "createdAt": "2030-01-01T09:00:00.100000Z",
            "attempts": [
                {
                    "number": 1,
                    "startedAt": "2030-01-01T09:00:00.110000Z",
                    "totalMs": 180.5,
                    "status": 200,
                    "verdict": "delivered",
                }
            ],
        }
    ],
    "sent": [
        {
            "id": "true_17680561234@c.us_3EB0957AD66BAFF57D1D",
            "queueNumber": 2223,
            "chatId": "17680561234@c.us",
            "type": "chat",
            "body": "It arrives tomorrow.",
            "acceptedAt": "2030-01-01T09:00:00.250000Z",
            "state": "delivered",
            "acks": [
                {"status": "sent", "at": "2030-01-01T09:00:00.400000Z"},
                {"status": "delivered", "at": "2030-01-01T09:00:01Z"},
            ],
            "match": {
                "certainty": "certain",
                "evidence": "request",
                "delaySeconds": 0,
                "otherMessages": 0,
                "explanation": "In the same chat, during the webhook request.",
            },
        }
    ],
}
