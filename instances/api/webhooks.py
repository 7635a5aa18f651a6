"""The `webhooks` section of the OpenAPI document: what endpoints and alert webhooks receive."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from django.conf import settings

from hooks.models import GUARANTEED_ATTEMPTS, Kind
from instances import alert_examples, hook_examples
from instances.actions.alerts import MAX_ATTEMPTS
from instances.alert_payloads import IssuesAlert
from instances.api.hook_schemas import BODIES, hook_schemas
from instances.models import Instance
from instances.payload_examples import SITE

TAG = "Webhooks"
NUMBER = 1203344556


class Webhook(NamedTuple):
    """A kind of hook: its words, and its examples by their summaries."""

    summary: str
    description: str
    examples: dict[str, Callable[[Instance], bytes]]


WEBHOOKS = {
    Kind.MESSAGE: Webhook(
        "A message",
        "Every message, incoming and outgoing: `fromMe` is true for outgoing ones. A missed call is a message of type "
        "`call_log`.",
        {
            "A text from a contact": hook_examples.received,
            "A picture in a group": hook_examples.received_in_group,
            "A text sent by the API": hook_examples.sent,
        },
    ),
    Kind.ACK: Webhook(
        "An ack",
        "With `ackNotificationsOn`. `id` and `queueNumber` are those of the send reply. A message typed on the phone "
        "gets no acks.",
        {"Delivered": hook_examples.delivered},
    ),
    Kind.STATUS: Webhook(
        "A status",
        "With `statusNotificationsOn`: the status of the instance changed.",
        {"Linked": hook_examples.authenticated},
    ),
    Kind.CHAT: Webhook(
        "A chat change",
        "With `chatUpdateOn`: a chat is new (`old` is null), or its name, picture or members changed.",
        {"A new member": hook_examples.member_added, "A new chat": hook_examples.new_chat},
    ),
}
# Header → description, whether it is always sent, and its schema. hooks/signing.py writes them.
HEADERS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "webhook-id": ("The hook's `id`, the same for all attempts and resends.", True, {"type": "string"}),
    "webhook-timestamp": ("The time of the attempt, in Unix seconds.", True, {"type": "integer"}),
    "webhook-signature": (
        "`v1,…`: Standard Webhooks, with the endpoint's secret; during a rotation two, separated by a space.",
        True,
        {"type": "string"},
    ),
    "webhook-attempt": (
        "The number of the attempt and how many are made at most, such as `3/20`.",
        True,
        {"type": "string", "pattern": "^[0-9]+/[0-9]+$"},
    ),
    "webhook-simulated": (
        "`1` on simulated hooks; others do not have it.",
        False,
        {"type": "string", "const": "1"},
    ),
}
RESPONSES = {
    "200": {"description": "Delivered. Only a complete response with this status counts."},
    "410": {"description": "Not delivered, and not retried."},
    "default": {
        "description": "Not delivered. So is a response that takes longer than 10 s. With `guaranteedHooks` the hook "
        f"is retried, up to {GUARANTEED_ATTEMPTS} attempts; `Retry-After` is observed up to an hour."
    },
}

ALERT = Webhook(
    "An alert",
    "Sent to the account's alert webhook: issues that are new and still open, and those that are resolved.",
    {
        "An endpoint that fails": alert_examples.opened,
        "An endpoint that responds again": alert_examples.recovered,
        "A test": alert_examples.tested,
    },
)
ALERT_HEADERS = HEADERS | {
    "webhook-id": ("The alert's `id`, the same for all attempts.", True, {"type": "string"}),
    "webhook-signature": (
        "`v1,…`: Standard Webhooks, with the alert webhook's secret; during a rotation two, separated by a space.",
        True,
        {"type": "string"},
    ),
    "webhook-simulated": (
        "`1` on test alerts; others do not have it.",
        False,
        {"type": "string", "const": "1"},
    ),
}
ALERT_RESPONSES = {
    **RESPONSES,
    "default": {
        "description": "Not delivered. So is a response that takes longer than 10 s. The alert is retried, up to "
        f"{MAX_ATTEMPTS} attempts within four hours; `Retry-After` is observed up to an hour."
    },
}


def add_webhooks(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: adds the section and the schemas of the bodies."""
    result["webhooks"] = {
        kind.value: {"post": describe_webhook(f"{kind.value}Hook", BODIES[kind], webhook)}
        for kind, webhook in WEBHOOKS.items()
    }
    result["webhooks"]["alert"] = {
        "post": describe_webhook(
            "alert", IssuesAlert, ALERT, headers=ALERT_HEADERS, responses=ALERT_RESPONSES
        )
    }
    schemas = result["components"]["schemas"]
    result["components"]["schemas"] = dict(sorted((schemas | hook_schemas()).items()))
    result["tags"].append({"name": TAG, "description": "What your endpoints receive."})
    return result


def describe_webhook(
    operation_id: str,
    body: type[Any],
    webhook: Webhook,
    *,
    headers: dict[str, tuple[str, bool, dict[str, Any]]] = HEADERS,
    responses: dict[str, Any] = RESPONSES,
) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "tags": [TAG],
        "summary": webhook.summary,
        "description": webhook.description,
        "security": [],
        "parameters": [
            {"in": "header", "name": name, "description": text, "required": required, "schema": schema}
            for name, (text, required, schema) in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{body.__name__}"},
                    "examples": {
                        summary.title().replace(" ", ""): {"value": example_body(build), "summary": summary}
                        for summary, build in webhook.examples.items()
                    },
                }
            },
        },
        "responses": responses,
    }


def example_body(build: Callable[[Instance], bytes]) -> Any:
    """Returns the JSON of an example. The URL of this site, in links, is that of the document's other examples."""
    body = build(hook_examples.example_instance(NUMBER)).decode()
    return json.loads(body.replace(settings.SITE_URL, SITE))
