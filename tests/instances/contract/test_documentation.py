"""The documentation of the contract is correct: the examples, docs/contract.md, and its part of docs/openapi.yaml."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

import instances.contract.urls  # noqa: F401 - registers the methods
from accounts.actions.keys import issue_key
from hooks.actions.hooks import cancel
from hooks.models import Hook, Kind
from instances.actions.chats.groups import create_group
from instances.actions.chats.labels import create_label
from instances.actions.messages import receive_message
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.contract import examples
from instances.contract.examples import PNG, Example
from instances.contract.registry import METHODS, Method
from instances.models import Chat, Instance, Label, Message, Participant
from instances.payload_examples import CHAT, GROUP, MEMBER, RECEIVED, SENT
from instances.sending import outgoing
from tests.factories import InstanceFactory
from tests.instances.contract.conftest import Call

ROOT = Path(__file__).parent.parent.parent.parent
DOCUMENT = ROOT / "docs" / "contract.md"
NAMES = sorted({method.name for method in METHODS.values()})
# Of these the keys are the messenger's or the client's own.
FREE = {"metadata", "json_data", "update", "updated"}
AS_EXAMPLES = {method.name: (method, example) for _, method, example in examples.described()}


@pytest.fixture
def example_data(instance: Instance, settings: Any) -> Instance:
    """The chats, messages and labels that the examples refer to, with their ids."""
    settings.OUTPUT_IP = "192.0.2.7"
    change_settings(
        instance,
        changes={"webhookUrl": "https://example.com/old", "webhookStatuses": True, "instanceStatuses": True},
    )
    change_status(instance, substatus="phone")
    change_status(instance, substatus="normal")
    receive_message(instance, sender=CHAT, sender_name="Ann", body="Hello")
    Message.objects.update(message_id=RECEIVED, number=102)
    Instance.objects.update(stored_message_number=102)
    hook = Hook.objects.get(kind=Kind.MESSAGE)
    Hook.objects.filter(pk=hook.pk).update(message=RECEIVED)
    cancel(hook, acting_user=None)
    create_group(instance, chat_id=GROUP, name="Friends", members=[CHAT, MEMBER])
    label = create_label(instance, name="Paid")
    Label.objects.filter(pk=label.pk).update(id=5)
    Chat.objects.get(chat_id=GROUP).labels.add(5)
    return instance


def nobody_in_the_group() -> None:
    Participant.objects.filter(member=MEMBER).delete()


def an_admin_more() -> None:
    Participant.objects.filter(member=MEMBER).update(is_admin=True)


def a_code_to_scan() -> None:
    Instance.objects.update(account_status="got qr code")


def a_group_to_join() -> None:
    other = InstanceFactory(owner__email="bob@example.org", phone="15550002222")
    group = create_group(other, chat_id="15550002222-1479621234@g.us", name="Others", members=[])
    group.invite_code = "Kq3vX9mBt0aZ"
    group.save(update_fields=["invite_code", "invite_code_digest"])


@pytest.fixture
def prepare(example_data: Instance, post: Call) -> Any:
    """Creates what an example needs besides the fixture `example_data`."""

    def a_message_of_ours() -> None:
        post("sendMessage", **examples.GROUPS["Sending"]["sendMessage"].given)
        outgoing.send_due()
        Message.objects.filter(from_me=True).update(message_id=SENT)

    def a_message_that_waits() -> None:
        post("sendMessage", **examples.GROUPS["Sending"]["sendMessage"].given)

    def an_action_that_waits() -> None:
        a_code_to_scan()
        post("readChat", chatId=CHAT)

    return {
        "qr_code": a_code_to_scan,
        "screenshot": a_code_to_scan,
        "addGroupParticipant": nobody_in_the_group,
        "demoteGroupParticipant": an_admin_more,
        "joinGroup": a_group_to_join,
        "deleteMessage": a_message_of_ours,
        "showMessagesQueue": a_message_that_waits,
        "clearMessagesQueue": a_message_that_waits,
        "showActionsQueue": an_action_that_waits,
        "clearActionsQueue": an_action_that_waits,
    }


def shape(value: Any, key: str = "") -> Any:
    """Keys in their order, and types; of a list those of its first item."""
    if key in FREE:
        return "free"
    if isinstance(value, dict):
        return {name: shape(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def call(client: Client, method: Method, example: Example, key: str) -> Any:
    """Calls the example as the documentation shows it: with the method's first verb."""
    address = f"/{method.name}" if method.by_uid else f"/instance12345/{method.name}"
    opener = {"uid": key} if method.by_uid else {"token": "secret"}
    if method.verbs[0] == "GET" and method.name != "settings":
        given = {
            name: str(value).lower() if value is True else value for name, value in example.given.items()
        }
        return client.get(address, {**opener, **given})
    (name, value), *_ = opener.items()
    return client.post(f"{address}?{name}={value}", example.given, content_type="application/json")


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_every_method_is_what_it_answers(
    name: str, example_data: Instance, prepare: Any, client: Client
) -> None:
    method, example = AS_EXAMPLES[name]
    prepare.get(name, lambda: None)()
    key = issue_key(example_data.owner, acting_user=example_data.owner.owner)[1]

    answer = call(client, method, example, key)

    assert answer.status_code == 200, answer.content
    if example.reply == PNG:
        assert answer["Content-Type"] == PNG
        return
    assert answer.json().get(method.failure_key) is not False, answer.json()
    assert "error" not in answer.json()
    assert shape(answer.json()) == shape(example.reply)
    assert list(answer.json()) == list(example.reply)


def test_every_method_has_an_example_and_each_its_method() -> None:
    shown = [method.name for _, method, _ in examples.described()]
    assert sorted(shown) == NAMES
    assert len(set(shown)) == len(shown)


def test_every_method_and_argument_has_words() -> None:
    for method in METHODS.values():
        assert method.function.__doc__, method.name
        assert [argument.wire for argument in method.arguments if not argument.description] == []


def test_an_example_gives_only_arguments_that_the_method_has() -> None:
    for _, method, example in examples.described():
        known = {name for argument in method.arguments for name in argument.names}
        assert {key.lower() for key in example.given} <= known, method.name
        needed = [argument for argument in method.arguments if argument.required]
        for argument in needed:
            optional = method.name == "group"
            assert optional or {key.lower() for key in example.given} & set(argument.names), method.name


def test_the_openapi_document_has_every_method_with_its_verbs_and_arguments() -> None:
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    paths = {path: item for path, item in document["paths"].items() if not path.startswith("/api/")}
    assert len(paths) == len(NAMES)
    for name in NAMES:
        method = METHODS[name]
        item = paths[f"/{name}" if method.by_uid else f"/instance{{instanceId}}/{name}"]
        assert list(item) == [verb.lower() for verb in method.verbs]
        for verb, operation in item.items():
            assert operation["summary"]
            if verb == "get":
                given = {query["name"] for query in operation["parameters"]}
            else:
                body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                given = set(body.get("schema", {}).get("properties", {}))
            assert {argument.wire for argument in method.arguments} <= given


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading of docs/contract.md."""
    text = DOCUMENT.read_text()
    part = text[text.index(f"\n## {heading}\n") + 1 :]
    part = part[: part.find("\n## ", 1)] if "\n## " in part[1:] else part
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def names_of(path: Path) -> set[str]:
    """The names of a file's tests."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_method_stands_in_the_table_with_its_tests() -> None:
    listed = {re.sub(r"`", "", row[0]) for row in rows("Tests by method")}
    assert set(NAMES) - listed == set()


def test_every_test_that_the_document_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT.read_text())
    missing = [f"{path}::{name}" for path, name in named if name not in names_of(ROOT / path)]
    assert len(named) > len(NAMES)
    assert missing == []
