"""`messagesHistory`: pages, the newest first (contract.md §2)."""

import pytest
from django.test import Client

from instances.actions.messages import receive_message
from instances.models import Instance
from tests.instances.contract.conftest import Call

ANN, BOB = "17680561234@c.us", "19990001122@c.us"


@pytest.fixture
def seven(instance: Instance) -> Instance:
    """Messages 1 to 7: the odd ones are Ann's, the even ones Bob's."""
    for number in range(1, 8):
        receive_message(instance, sender=ANN if number % 2 else BOB, body=f"{number}")
    return instance


def bodies(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [message["body"] for message in answer["messages"]]


def test_messages_history(get: Call, seven: Instance) -> None:
    answer = get("messagesHistory")
    assert list(answer) == ["messages", "page"]
    assert (bodies(answer), answer["page"]) == (["7", "6", "5", "4", "3", "2", "1"], 0)
    assert answer["messages"] == list(reversed(get("messages")["messages"]))


@pytest.mark.parametrize(
    ("page", "found"), [(0, ["7", "6", "5"]), (1, ["4", "3", "2"]), (2, ["1"]), (3, []), (10**9, [])]
)
def test_a_page_of_the_history(get: Call, seven: Instance, page: int, found: list[str]) -> None:
    answer = get("messagesHistory", page=page, count=3)
    assert (bodies(answer), answer["page"]) == (found, page)


@pytest.mark.parametrize(("page", "found"), [(0, ["7", "5"]), (1, ["3", "1"]), (2, [])])
def test_a_page_of_a_chats_history(get: Call, seven: Instance, page: int, found: list[str]) -> None:
    assert bodies(get("messagesHistory", page=page, count=2, chatId=ANN)) == found


def test_a_count_of_nothing_is_a_hundred_and_a_page_has_at_most_a_thousand(
    get: Call, seven: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.contract.chats.messages.PAGE_SIZE", 2)
    assert bodies(get("messagesHistory", count=0)) == ["7", "6"]
    monkeypatch.setattr("instances.contract.chats.messages.MAX_PAGE_SIZE", 3)
    assert bodies(get("messagesHistory", count=100_000)) == ["7", "6", "5"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page=-1", ["7", "6", "5", "4", "3", "2", "1"]),
        ("count=x", ["7", "6", "5", "4", "3", "2", "1"]),
        ("count=2.0&page=1.9", ["5", "4"]),
        ("chatId=x", []),
    ],
)
def test_an_argument_of_the_history_that_cannot_be_read(
    client: Client, seven: Instance, query: str, expected: list[str]
) -> None:
    response = client.get(f"/instance12345/messagesHistory?token=secret&{query}")
    assert (response.status_code, bodies(response.json())) == (200, expected)
