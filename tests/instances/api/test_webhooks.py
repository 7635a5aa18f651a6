"""The webhooks of the OpenAPI document: their schemas are those of the sent bytes, and all examples are valid."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hooks import signing
from hooks.models import Hook, Kind
from instances.actions.chats.groups import add_participant, create_group
from instances.actions.messages import receive_message, type_on_phone
from instances.actions.sending.accept import send_message
from instances.actions.status import change_status
from instances.api.hook_schemas import BODIES
from instances.api.webhooks import HEADERS
from instances.models import Instance, MessageType
from instances.pages.docs.openapi_document import DOCUMENT, parse
from instances.sending import outgoing
from tests.openapi import key_orders, pointer, validator

ANN = "17680561234@c.us"
GROUP = "15550001111-1479621234@g.us"


@pytest.fixture(scope="module")
def document() -> Any:
    return parse(DOCUMENT.read_bytes())


def contents(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yields each media type that has examples, with its path in the document."""
    if isinstance(node, dict):
        if "examples" in node and "schema" in node:
            yield path, node
        for key, value in node.items():
            if key not in ("examples", "example"):
                yield from contents(value, (*path, key))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from contents(value, (*path, str(place)))


def test_the_schemas_are_json_schemas(document: Any) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_example_is_valid(document: Any) -> None:
    wrong = []
    found = 0
    for path, content in contents(document):
        checker = validator(document, pointer(*path, "schema"))
        for name, example in content["examples"].items():
            found += 1
            wrong += [
                f"{'/'.join(path)} {name}: {error.message}" for error in checker.iter_errors(example["value"])
            ]
    assert wrong == []
    assert found > len(document["paths"])


def test_each_kind_of_hook_is_a_webhook(document: Any) -> None:
    assert set(document["webhooks"]) == {*Kind.values, "alert"}
    ids = [
        operation["operationId"]
        for part in ("paths", "webhooks")
        for item in document[part].values()
        for operation in item.values()
    ]
    assert len(ids) == len(set(ids))


def test_the_headers_are_those_that_are_sent(document: Any) -> None:
    """Besides them are those of every HTTP client, Content-Type and User-Agent."""
    sent = signing.headers(
        webhook_id="hook_1",
        body=b"{}",
        secret="whsec_AAAA",
        at=datetime.now(UTC),
        number=3,
        allowed=20,
        simulated=True,
    )
    assert [name for name in sent if name not in ("Content-Type", "User-Agent")] == list(HEADERS)
    for item in document["webhooks"].values():
        for parameter in item["post"]["parameters"]:
            value = sent[parameter["name"]]
            given = int(value) if parameter["schema"].get("type") == "integer" else value
            Draft202012Validator(parameter["schema"]).validate(given)


def messages(instance: Instance) -> None:
    """Creates hooks of messages of every type, received, typed and sent, with and without what is optional."""
    for type in MessageType.values:
        receive_message(instance, sender=ANN, type=type, body="52.52;13.4")
    type_on_phone(instance, chat_id=ANN, body="typed")
    send_message(instance, chat_id=ANN, body="sent", metadata={"mentionedPhones": ["15550003333"]})
    outgoing.send_due()
    receive_message(
        instance,
        sender=ANN,
        type=MessageType.IMAGE,
        body="https://example.com/a.jpg",
        caption="look",
        forwarded=2,
        quoted={"id": "x", "body": "hello", "type": "chat"},
    )


def acks(instance: Instance) -> None:
    send_message(instance, chat_id=ANN, body="sent")
    outgoing.send_due()


def statuses(instance: Instance) -> None:
    change_status(instance, substatus="phone")


def chats(instance: Instance) -> None:
    receive_message(instance, sender=ANN, body="hello")
    create_group(instance, chat_id=GROUP, name="Friends", members=[ANN])
    add_participant(instance, group_id=GROUP, member="15550003333@c.us")


@pytest.mark.parametrize(
    ("kind", "create", "count"),
    [
        (Kind.MESSAGE, messages, len(MessageType) + 3),
        (Kind.ACK, acks, 1),
        (Kind.STATUS, statuses, 1),
        (Kind.CHAT, chats, 3),
    ],
)
def test_the_bytes_of_every_kind_follow_its_schema(
    instance: Instance, document: Any, kind: Kind, create: Callable[[Instance], None], count: int
) -> None:
    """Also the order of the keys is that of the schema, and no key is missing in it."""
    create(instance)
    name = BODIES[kind].__name__
    checker = validator(document, pointer("components", "schemas", name))
    bodies = [bytes(hook.body) for hook in Hook.objects.filter(kind=kind)]
    assert len(bodies) >= count
    for body in bodies:
        sent = json.loads(body)
        checker.validate(sent)
        assert key_orders(document, name, sent) == []


def test_another_body_does_not_follow_the_schema(document: Any) -> None:
    checker = validator(document, pointer("components", "schemas", "AckHook"))
    for wrong in (
        {"ack": [], "instanceId": "1"},
        {"ack": [{"id": "x", "queueNumber": 1, "chatId": ANN, "status": "lost"}], "instanceId": "1"},
        {"ack": [{"id": "x", "queueNumber": 1, "chatId": ANN, "status": "sent"}], "instanceId": 1},
    ):
        assert not checker.is_valid(wrong)
