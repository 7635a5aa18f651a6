"""The sandbox's contacts, groups and chats over REST, as a CI job uses them."""

import json
from typing import Any

import pytest

from hooks.models import Hook, Kind
from instances.actions.sending.accept import send_message
from instances.channels.sandbox.actions.receipts import acknowledge_as_contact
from instances.commands import ReadChat, ShowActivity
from instances.models import Ack, Chat, SandboxContact
from instances.sending import channel_commands
from instances.sending.outgoing import send_due
from tests.instances.api.conftest import ApiClient

ANN, BEN = "17680561234@c.us", "4915112345678@c.us"
ANY_CONTACT = {
    "name": "", "image": "", "hasAccount": True, "online": True, "blocks": False, "deliverAfter": 0,
    "readAfter": None, "chatId": ANN, "phone": "17680561234",
}  # fmt: skip


def updates(alice: ApiClient) -> list[tuple[Any, Any]]:
    """(old, new) of every chatUpdate so far."""
    hooks = Hook.objects.filter(endpoint=alice.instance.pk, kind=Kind.CHAT).order_by("id")
    found = [json.loads(bytes(hook.body))["chatUpdate"][0] for hook in hooks]
    return [(change["old"], change["new"]) for change in found]


def contact(alice: ApiClient, phone: str = "17680561234") -> str:
    return f"{alice.home}sandbox/contacts/{phone}/"


@pytest.mark.parametrize("phone", ["17680561234", "+17680561234", ANN])
def test_a_number_of_which_nothing_was_said_is_like_everybody(alice: ApiClient, phone: str) -> None:
    assert alice.get(contact(alice, phone)) == (200, ANY_CONTACT)
    assert alice.get(f"{alice.home}sandbox/contacts/") == (200, {"contacts": []})


def test_a_contact_is_said_in_whole_and_changed_in_part(alice: ApiClient) -> None:
    ann = ANY_CONTACT | {"name": "Ann", "readAfter": 3, "deliverAfter": None, "blocks": True}
    said = {"name": "Ann", "readAfter": 3, "deliverAfter": None, "blocks": True}
    assert alice.call("PUT", contact(alice), said) == (200, ann)
    assert alice.patch(contact(alice), {"blocks": False}) == (200, ann | {"blocks": False})
    assert alice.get(f"{alice.home}sandbox/contacts/") == (200, {"contacts": [ann | {"blocks": False}]})
    assert alice.call("PUT", contact(alice), {"online": False}) == (200, ANY_CONTACT | {"online": False})


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"readAfter": -1}, {"readAfter": "Ensure this value is greater than or equal to 0."}),
        ({"readAfter": "soon"}, {"readAfter": "A valid integer is required."}),
        ({"deliverAfter": 86_401}, {"deliverAfter": "Ensure this value is less than or equal to 86400."}),
        ({"online": "perhaps"}, {"online": "Must be a valid boolean."}),
        ({"image": "cat.jpg"}, {"image": "Enter a valid URL."}),
        (
            {"mind": "good"},
            {
                "mind": "Unknown field. The fields are: name, image, hasAccount, online, blocks, deliverAfter, "
                "readAfter."
            },
        ),
    ],
)
def test_a_wrong_contact_names_the_field_and_changes_nothing(
    alice: ApiClient, change: dict, fields: dict
) -> None:
    for method in ("PUT", "PATCH"):
        status, answer = alice.call(method, contact(alice), {"name": "Ann", **change})
        assert (status, answer["fields"]) == (400, fields)
    assert not SandboxContact.objects.exists()


@pytest.mark.parametrize("phone", ["ann", "12345", "1-2@g.us"])
def test_nobody_has_such_a_number(alice: ApiClient, phone: str) -> None:
    assert alice.get(contact(alice, phone))[0] == 404


def test_a_new_name_and_a_new_picture_are_a_change_of_the_chat(alice: ApiClient) -> None:
    alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": "hello"})
    alice.patch(contact(alice), {"name": "Ann"})
    alice.patch(contact(alice), {"image": "https://example.com/ann.jpg"})
    assert [
        (old and (old["name"], old["image"]), (new["name"], new["image"])) for old, new in updates(alice)
    ] == [
        (None, ("17680561234", None)),
        (("17680561234", None), ("Ann", None)),
        (("Ann", None), ("Ann", "https://example.com/ann.jpg")),
    ]
    _, message = alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": "again"})
    assert (message["senderName"], message["chatName"]) == ("Ann", "Ann")


def test_who_has_no_account_writes_nothing(alice: ApiClient) -> None:
    alice.patch(contact(alice), {"name": "Ann", "hasAccount": False})
    assert alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": "hello"}) == (
        409,
        {"error": "Ann has no account (hasAccount is false), so they can't write."},
    )


GROUP = {"name": "Holidays", "by": "17680561234", "members": ["4915112345678"]}


@pytest.fixture
def group(alice: ApiClient) -> str:
    """The path of a group created by Ann, with Ben and the account in it."""
    _, made = alice.post(f"{alice.home}sandbox/groups/", GROUP)
    return f"{alice.home}sandbox/groups/{made['id']}/"


def test_a_contact_makes_a_group_with_the_account_in_it(alice: ApiClient) -> None:
    status, made = alice.post(f"{alice.home}sandbox/groups/", GROUP)
    own = alice.instance.own_chat_id
    assert status == 201
    assert made["id"].startswith("17680561234-") and made["id"].endswith("@g.us")
    assert made["metadata"]["isGroup"] is True
    assert sorted(made["metadata"]["participants"]) == sorted([ANN, BEN, own])
    assert made["metadata"]["admins"] == [ANN]
    assert updates(alice) == [(None, made)]
    assert alice.get(f"{alice.home}sandbox/groups/") == (200, {"groups": [made]})
    assert alice.get(f"{alice.home}sandbox/groups/{made['id']}/") == (200, made)


def test_others_change_a_group_and_each_change_is_hooked(alice: ApiClient, group: str) -> None:
    change = {
        "name": "Summer", "image": "https://example.com/sea.jpg", "add": ["447700900123"],
        "promote": ["447700900123"], "demote": ["17680561234"], "remove": ["4915112345678"],
    }  # fmt: skip
    status, now = alice.patch(group, change)
    assert status == 200
    assert (now["name"], now["image"]) == ("Summer", "https://example.com/sea.jpg")
    assert sorted(now["metadata"]["participants"]) == sorted(
        [ANN, "447700900123@c.us", alice.instance.own_chat_id]
    )
    assert now["metadata"]["admins"] == ["447700900123@c.us"]
    changes = updates(alice)
    assert len(changes) == 6
    assert [new for _, new in changes[:-1]] == [old for old, _ in changes[1:]]
    assert changes[-1][1] == now


def test_a_wrong_change_of_a_group_changes_nothing(alice: ApiClient, group: str) -> None:
    before = updates(alice)
    status, answer = alice.patch(group, {"name": "Summer", "add": ["4915112345678"]})
    assert (status, answer) == (409, {"error": f"{BEN} is in the group already."})
    wrong: list[dict[str, Any]] = [{}, {"add": ["ann"]}, {"members": []}, {"add": "447700900123"}]
    for change in wrong:
        assert alice.patch(group, change)[0] == 400
    assert updates(alice) == before


def test_the_account_is_thrown_out_and_hears_no_more(alice: ApiClient, group: str) -> None:
    status, now = alice.patch(group, {"remove": [alice.instance.phone]})
    assert (status, now["metadata"]["groupInviteLink"]) == (200, None)
    status, answer = alice.post(
        f"{alice.home}sandbox/messages/", {"from": "17680561234", "chatId": now["id"], "body": "gone?"}
    )
    assert (status, answer["error"]) == (
        409,
        "The account is no longer in this group, so its messages do not reach the instance.",
    )
    assert alice.patch(group, {"add": [alice.instance.phone]})[0] == 200
    assert Chat.objects.get(chat_id=now["id"]).left_at is None


def test_who_is_not_in_the_group_writes_nothing_there(alice: ApiClient, group: str) -> None:
    chat_id = group.split("/")[-2]
    status, answer = alice.post(
        f"{alice.home}sandbox/messages/", {"from": "447700900123", "chatId": chat_id, "body": "hello"}
    )
    assert (status, answer["error"]) == (409, "447700900123 is not in this group; add them first.")


def chat(alice: ApiClient, more: str = "", chat_id: str = ANN) -> Any:
    status, answer = alice.get(f"{alice.home}sandbox/chats/{chat_id}/{more}")
    assert status == 200, answer
    return answer


def test_contacts_see_typing_and_what_the_account_has_read(alice: ApiClient) -> None:
    alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": "hello"})
    assert [chat(alice)[key] for key in ("activity", "readUpTo", "unread")] == [None, 0, 1]
    channel_commands.perform_now(alice.instance, ShowActivity(ANN, Chat.Activity.TYPING, 5))
    channel_commands.perform_or_enqueue(alice.instance, ReadChat(ANN))
    assert [chat(alice)[key] for key in ("activity", "readUpTo", "unread")] == ["typing", 1, 0]
    assert alice.get(f"{alice.home}sandbox/chats/4915112345678/")[0] == 404


def test_a_chat_shows_what_its_contact_has_got(alice: ApiClient) -> None:
    _, hello = alice.post(f"{alice.home}sandbox/messages/", {"from": "17680561234", "body": "hello"})
    alice.patch(contact(alice), {"online": False})
    send_message(alice.instance, chat_id=ANN, body="good day")
    send_due()
    assert chat(alice, "messages/") == {"messages": [hello], "lastMessageNumber": 1}
    assert chat(alice, "messages/?after=1") == {"messages": [], "lastMessageNumber": 1}
    acknowledge_as_contact(
        alice.instance,
        message_id=alice.instance.messages.get(number=2).message_id,
        ack=Ack.VIEWED,
    )
    answer = chat(alice, "messages/?after=1&limit=1")
    assert [(one["body"], one["ack"]) for one in answer["messages"]] == [("good day", 3)]
    assert chat(alice, "messages/", "4915112345678") == {"messages": [], "lastMessageNumber": 0}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait=11", "wait"),
        ("wait=soon", "wait"),
        ("limit=0", "limit"),
        ("after=-1", "after"),
        ("since=1", "since"),
    ],
)
def test_a_wrong_question_names_the_parameter(alice: ApiClient, query: str, field: str) -> None:
    status, answer = alice.get(f"{alice.home}sandbox/chats/{ANN}/messages/?{query}")
    assert (status, list(answer["fields"])) == (400, [field])
