"""`dialogs` and `dialog` (contract.md §2): the chats, their order, and one of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from instances.actions.chats.chats import change_chat
from instances.actions.chats.groups import create_group
from instances.actions.messages import receive_message
from instances.models import Chat, Instance
from tests.executed_plans import executed_plans
from tests.factories import InstanceFactory
from tests.instances.contract.conftest import Call

NOON = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
NOON_SECONDS = 1714564800


def receive(instance: Instance, *senders: str) -> None:
    """One message from each, one per minute from noon."""
    for minute, sender in enumerate(senders):
        at = NOON + timedelta(minutes=minute)
        receive_message(instance, sender=sender, body="hello", time=at)


def listed(answer: dict[str, Any]) -> list[str]:
    return [chat["id"].partition("@")[0] for chat in answer["dialogs"]]


def test_dialogs_of_an_instance_without_chats(get: Call) -> None:
    assert get("dialogs") == {"dialogs": []}


def test_dialogs_show_a_chat_with_a_person(get: Call, instance: Instance) -> None:
    receive_message(instance, sender="17680561234", sender_name="Anna", body="hi", time=NOON)
    change_chat(instance, chat_id="17680561234@c.us", image="https://example.com/anna.jpg")
    (chat,) = get("dialogs")["dialogs"]
    assert list(chat.items()) == [
        ("id", "17680561234@c.us"),
        ("name", "Anna"),
        ("image", "https://example.com/anna.jpg"),
        (
            "metadata",
            {
                "isGroup": False,
                "participants": [],
                "admins": [],
                "groupInviteLink": None,
                "labels": [],
                "participantsInfo": [],
            },
        ),
        ("last_time", NOON_SECONDS),
    ]
    assert list(chat["metadata"]) == [
        "isGroup", "participants", "admins", "groupInviteLink", "labels", "participantsInfo",
    ]  # fmt: skip


def test_dialogs_show_a_group_with_its_people_and_its_link(get: Call, post: Call) -> None:
    made = post("group", groupName="Friends", phones=["17680561234", "19990001122"])
    (chat,) = get("dialogs")["dialogs"]
    assert (chat["id"], chat["name"], chat["image"]) == (made["chatId"], "Friends", None)
    assert chat["metadata"] == {
        "isGroup": True,
        "participants": ["15550001111@c.us", "17680561234@c.us", "19990001122@c.us"],
        "admins": ["15550001111@c.us"],
        "groupInviteLink": made["groupInviteLink"],
        "labels": [],
        "participantsInfo": [
            {"id": "15550001111@c.us", "name": "Instance 12345"},
            {"id": "17680561234@c.us", "name": "17680561234"},
            {"id": "19990001122@c.us", "name": "19990001122"},
        ],
    }


def test_dialogs_come_newest_first_or_the_other_way_round(get: Call, instance: Instance) -> None:
    receive(instance, "17680000001", "17680000002", "17680000003")
    assert listed(get("dialogs")) == ["17680000003", "17680000002", "17680000001"]
    for spelling in ("desc", "DESC", ""):
        assert listed(get("dialogs", order=spelling)) == ["17680000003", "17680000002", "17680000001"]
    for spelling in ("asc", "ASC"):
        assert listed(get("dialogs", order=spelling)) == ["17680000001", "17680000002", "17680000003"]


def test_dialogs_by_limit_and_page(get: Call, instance: Instance) -> None:
    receive(instance, "17680000001", "17680000002", "17680000003")
    assert listed(get("dialogs", limit=2)) == ["17680000003", "17680000002"]
    assert listed(get("dialogs", limit="2", page="1")) == ["17680000001"]
    assert listed(get("dialogs", limit=2, page=2)) == []
    assert listed(get("dialogs", limit=2, page=0, order="asc")) == ["17680000001", "17680000002"]
    assert len(listed(get("dialogs", limit=0))) == len(listed(get("dialogs", limit="", page=""))) == 3


@pytest.mark.parametrize(
    "argument", ["limit=-1", "limit=99999999999999999999999", "page=first", "order=name", "order=[]"]
)
def test_an_argument_of_dialogs_that_cannot_be_read_counts_as_not_sent(
    client: Client, instance: Instance, argument: str
) -> None:
    for number in range(1, 4):
        receive_message(instance, sender=f"1768000000{number}")
    response = client.get(f"/instance12345/dialogs?token=secret&{argument}")
    assert response.status_code == 200
    assert listed(response.json()) == ["17680000003", "17680000002", "17680000001"]


def test_dialogs_of_a_page_far_beyond_the_last(get: Call, instance: Instance) -> None:
    receive(instance, "17680000001")
    assert get("dialogs", limit=2147483647, page=2147483647) == {"dialogs": []}


def test_pinned_chats_come_first_and_archived_ones_last(get: Call, post: Call, instance: Instance) -> None:
    receive(instance, "17680000001", "17680000002", "17680000003", "17680000004")
    post("pinChat", phone="17680000001")
    post("pinChat", phone="17680000002")
    post("archiveChat", phone="17680000004")
    order = ["17680000002", "17680000001", "17680000003", "17680000004"]
    assert listed(get("dialogs")) == order
    assert listed(get("dialogs", order="asc")) == order[::-1]


def test_another_instances_chats_are_not_there(get: Call, instance: Instance) -> None:
    receive(InstanceFactory(owner__email="bob@example.org"), "17680000001")
    assert get("dialogs") == {"dialogs": []}
    assert Chat.objects.count() == 1


def test_dialogs_take_two_queries_however_many_groups_there_are(
    client: Client, post: Call, instance: Instance, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        create_group(
            instance, chat_id=f"15550001111-160000000{number}@g.us", name="g", members=["17680561234@c.us"]
        )
    with django_assert_num_queries(5):  # the token, the chats, their people, labels, and the people's names
        answer = client.get("/instance12345/dialogs?token=secret").json()
    assert [len(chat["metadata"]["participants"]) for chat in answer["dialogs"]] == [2] * 5


def steps(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A step of a plan and those that it reads from, without subqueries for each row, such as the newest message."""
    parts = [part for part in plan.get("Plans", []) if part["Parent Relationship"] != "SubPlan"]
    return [plan, *(step for part in parts for step in steps(part))]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_of_dialogs_among_many_comes_from_the_index(
    client: Client, instance: Instance, order: str
) -> None:
    Chat.objects.bulk_create(
        Chat(
            instance=instance,
            chat_id=f"1768{number:07}@c.us",
            stored_last_time=NOON + timedelta(seconds=number),
        )
        for number in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE instances_chat")
    with executed_plans('FROM "instances_chat"') as found:
        client.get(f"/instance12345/dialogs?token=secret&limit=100&page=3&order={order}")
    [plan] = found
    chats = steps(plan)
    assert [step["Index Name"] for step in chats if "Index Name" in step] == ["instances_chat_listed"]
    sorts = [step["Node Type"] for step in chats if "Sort" in step["Node Type"]]
    assert sorts == ["Incremental Sort"]  # one period after the other


@pytest.mark.parametrize(
    "asked", [{"chatId": "17680561234@c.us"}, {"chatId": "17680561234"}, {"phone": "+17680561234"}]
)
def test_dialog_is_one_chat(get: Call, instance: Instance, asked: dict[str, str]) -> None:
    receive(instance, "17680561234", "19990001122")
    assert get("dialog", **asked) == get("dialogs")["dialogs"][1]


def test_dialog_of_a_group_has_its_link(get: Call, post: Call) -> None:
    made = post("group", groupName="Friends", phones="17680561234")
    link = get("dialog", chatId=made["chatId"])["metadata"]["groupInviteLink"]
    assert link == made["groupInviteLink"]
    assert link.startswith(f"{settings.SITE_URL}/invite/")


def test_dialog_that_is_not_there(client: Client, instance: Instance) -> None:
    response = client.get("/instance12345/dialog?token=secret&chatId=17680561234@c.us")
    assert response.status_code == 404
    assert response.json() == {"error": "The chat 17680561234@c.us was not found."}


def test_dialog_without_a_chat_id(client: Client, instance: Instance) -> None:
    response = client.get("/instance12345/dialog?token=secret")
    assert response.status_code == 400
    assert list(response.json()) == ["error"]
