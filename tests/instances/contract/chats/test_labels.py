"""labelsList, createLabel, updateLabel, removeLabel, labelChat, unlabelChat (contract.md §2)."""

from typing import Any

import pytest
from django.test import Client

from instances.actions.chats import labels
from instances.actions.chats.labels import create_label
from instances.actions.messages import receive_message
from instances.models import Chat, Instance, Label
from tests.factories import InstanceFactory
from tests.instances.contract.conftest import Call

ANNA = "17680561234@c.us"


@pytest.fixture
def chat(instance: Instance) -> Chat:
    return receive_message(instance, sender="17680561234", body="hello").chat


@pytest.fixture
def label(post: Call) -> dict[str, str]:
    made: dict[str, str] = post("createLabel", name="New client", color="#ff9485")["label"]
    return made


def test_labels_list_of_none(get: Call) -> None:
    assert get("labelsList") == {"labels": []}


def test_create_label(post: Call, get: Call) -> None:
    answer = post("createLabel", name="New client", color="#FF9485")
    key = str(Label.objects.get().pk)
    assert list(answer.items()) == [
        ("success", True),
        ("label", {"id": key, "name": "New client", "hexColor": "#ff9485"}),
    ]
    assert list(answer["label"]) == ["id", "name", "hexColor"]
    assert get("labelsList") == {"labels": [answer["label"]]}


@pytest.mark.parametrize(
    ("color", "kept"),
    [
        ("ff9485", "#ff9485"),
        ("#F80", "#ff8800"),
        ("", labels.COLOR),
        (None, labels.COLOR),
        (123456, "#123456"),
    ],
)
def test_create_label_in_a_colour_however_it_is_written(post: Call, color: Any, kept: str) -> None:
    assert post("createLabel", name="a", color=color)["label"]["hexColor"] == kept


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "`name` is required: the label's name."),
        ({"name": "  "}, "The name of a label has 1 to 100 characters."),
        ({"name": "x" * 101}, "The name of a label has 1 to 100 characters."),
        ({"name": "a", "color": "red"}, "`color` must be a colour such as #ff9485."),
        ({"name": "New client"}, "There is a label of this name already."),
    ],
)
def test_create_label_that_is_refused(
    post: Call, label: dict[str, str], asked: dict[str, str], message: str
) -> None:
    assert list(post("createLabel", **asked).items()) == [("success", False), ("message", message)]
    assert Label.objects.count() == 1


def test_there_is_a_limit_to_labels(
    post: Call, label: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "LABEL_LIMIT", 1)
    message = "There are 1 labels, which is the limit."
    assert post("createLabel", name="more") == {"success": False, "message": message}


def test_update_label_changes_what_comes(post: Call, get: Call, label: dict[str, str]) -> None:
    changed = {**label, "name": "Old client"}
    assert post("updateLabel", labelId=label["id"], name="Old client") == {"success": True, "label": changed}
    changed["hexColor"] = "#00ff00"
    assert post("updateLabel", labelId=int(label["id"]), color="#00ff00") == {
        "success": True,
        "label": changed,
    }
    assert get("labelsList") == {"labels": [changed]}


def test_update_label_to_a_name_that_another_has(post: Call, get: Call, label: dict[str, str]) -> None:
    other = post("createLabel", name="other")["label"]
    message = "There is a label of this name already."
    assert post("updateLabel", labelId=other["id"], name="New client") == {
        "success": False,
        "message": message,
    }
    assert post("updateLabel", labelId=label["id"], name="New client")["success"] is True
    assert get("labelsList") == {"labels": [label, other]}


def test_remove_label(post: Call, get: Call, label: dict[str, str], chat: Chat) -> None:
    post("labelChat", chatId=ANNA, labelId=label["id"])
    assert post("removeLabel", labelId=label["id"]) == {"success": True, "label": label}
    assert get("labelsList") == {"labels": []}
    assert not chat.labels.exists()
    message = f"The label {label['id']} was not found."
    assert post("removeLabel", labelId=label["id"]) == {"success": False, "message": message}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("99999999", "The label 99999999 was not found."),
        ("blue", "`labelId` must be the id of a label, such as 5."),
        ("", "`labelId` must be the id of a label, such as 5."),
    ],
)
@pytest.mark.parametrize("method", ["updateLabel", "removeLabel"])
def test_a_label_that_is_not_there(post: Call, method: str, given: str, message: str) -> None:
    assert post(method, labelId=given, name="b") == {"success": False, "message": message}


def test_label_chat_and_unlabel_chat(post: Call, label: dict[str, str], chat: Chat) -> None:
    for _ in range(2):
        answer = post("labelChat", chatId=ANNA, labelId=label["id"])
        assert list(answer.items()) == [("result", "success"), ("chatId", ANNA)]
        assert [str(found.pk) for found in chat.labels.all()] == [label["id"]]
    for _ in range(2):
        answer = post("unlabelChat", phone="17680561234", labelId=int(label["id"]))
        assert list(answer.items()) == [("result", "success"), ("chatId", ANNA)]
        assert not chat.labels.exists()


@pytest.mark.parametrize("method", ["labelChat", "unlabelChat"])
def test_label_chat_without_the_chat_or_the_label(
    post: Call, label: dict[str, str], chat: Chat, method: str
) -> None:
    missing = "The chat 19990001122@c.us was not found."
    assert post(method, chatId="19990001122@c.us", labelId=label["id"]) == {
        "result": "failed",
        "message": missing,
    }
    assert post(method, chatId=ANNA) == {
        "result": "failed",
        "message": "`labelId` is required: the id of a label.",
    }
    assert not chat.labels.exists()


def test_another_instances_label_is_not_there(client: Client, post: Call, chat: Chat) -> None:
    bobs = create_label(InstanceFactory(owner__email="bob@example.org"), name="his")
    message = f"The label {bobs.pk} was not found."
    assert post("labelChat", chatId=ANNA, labelId=bobs.pk) == {"result": "failed", "message": message}
    assert post("updateLabel", labelId=bobs.pk, name="mine") == {"success": False, "message": message}
    assert post("removeLabel", labelId=bobs.pk) == {"success": False, "message": message}
    assert Label.objects.get().name == "his"
