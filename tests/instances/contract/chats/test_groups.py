"""group, joinGroup, leaveGroup and the four methods for participants (contract.md §2)."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.test import Client

from instances.actions.chats.groups import create_group, invite_link_of, leave_group
from instances.channels.sandbox.channel import SandboxChannel
from instances.commands import MessengerGroup
from instances.models import Chat, Instance, OutgoingMessage, QueuedAction, SandboxContact
from instances.sending import outgoing
from tests.factories import InstanceFactory
from tests.instances.contract.conftest import Call

OWN = "15550001111@c.us"
ANNA = "17680561234@c.us"
BEN = "19990001122@c.us"
NOT_LEFT = "Couldn't delete chat or leaving group. Invalid number"
FOUR = [
    ("addGroupParticipant", "add"),
    ("removeGroupParticipant", "remove"),
    ("promoteGroupParticipant", "promote"),
    ("demoteGroupParticipant", "demote"),
]


@pytest.fixture
def group_id(post: Call) -> str:
    """A group created by the account, with Anna."""
    return str(post("group", groupName="Friends", phones=[17680561234])["chatId"])


@pytest.fixture
def others(instance: Instance) -> str:
    """A group whose admin is Anna."""
    group_id = "17680561234-1479621234@g.us"
    create_group(instance, chat_id=group_id, name="Anna's", members=[ANNA, BEN], admins=[ANNA])
    return group_id


def people(group_id: str) -> dict[str, bool]:
    return dict(Chat.objects.get(chat_id=group_id).participants.values_list("member", "is_admin"))


def failed(key: str) -> list[tuple[str, bool]]:
    """The first keys of a failed change: every client of these methods reads `add`."""
    return list(dict.fromkeys([(key, False), ("add", False)]))


def test_group(post: Call) -> None:
    with time_machine.travel(datetime(2024, 5, 1, 12, tzinfo=UTC), tick=False):
        answer = post("group", groupName="Friends", phones=["17680561234", "19990001122"])
    link = answer.pop("groupInviteLink")
    assert list(answer.items()) == [
        ("created", True),
        ("message", "Group created"),
        ("chatId", "15550001111-1714564800@g.us"),
    ]
    assert re.fullmatch(re.escape(settings.SITE_URL) + "/invite/[0-9A-Za-z_-]{22}", link)
    assert people(answer["chatId"]) == {OWN: True, ANNA: False, BEN: False}
    assert OutgoingMessage.objects.count() == 0


@pytest.mark.parametrize(
    "given",
    [
        {"phones": "17680561234"},
        {"phones": "+17680561234, 17680561234"},
        {"phones": 17680561234},
        {"phones": ["17680561234@c.us"]},
        {"chatIds": "17680561234@c.us"},
        {"chatIds": ["17680561234@c.us", "15550001111@c.us"]},
        {"phones": ["17680561234"], "chatIds": ["17680561234@c.us"]},
        {"phones": [], "chatIds": ["17680561234"]},
    ],
)
def test_group_of_one_however_the_participants_are_written(post: Call, given: dict[str, Any]) -> None:
    made = post("group", groupName="Friends", **given)
    assert (made["created"], made["message"]) == (True, "Group created")
    assert people(made["chatId"]) == {OWN: True, ANNA: False}


def test_group_by_a_get_with_a_repeated_key(client: Client, instance: Instance) -> None:
    answer = client.get(
        "/instance12345/group?token=secret&groupName=Friends&phones[]=17680561234&phones[]=19990001122"
    ).json()
    assert people(answer["chatId"]) == {OWN: True, ANNA: False, BEN: False}


def test_group_with_a_first_message(post: Call, get: Call) -> None:
    made = post("group", groupName="Friends", phones="17680561234", messageText="Welcome!")
    outgoing.send_due()
    (message,) = get("messages")["messages"]
    assert (message["chatId"], message["body"], message["self"]) == (made["chatId"], "Welcome!", 1)
    assert message["chatName"] == "Friends"


def test_group_whose_first_message_the_queue_does_not_take(
    post: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.actions.sending.accept.QUEUE_LIMIT", 0)
    made = post("group", groupName="Friends", phones="17680561234", messageText="Welcome!")
    assert made["created"] is True
    assert made["message"] == (
        "Group created. Message was not sent: the queue holds 0 messages, which is the limit."
    )
    assert people(made["chatId"]) == {OWN: True, ANNA: False}


def test_group_of_256_and_no_more(post: Call) -> None:
    phones = [f"1768000{number:04}" for number in range(257)]
    assert post("group", groupName="Many", phones=phones) == {
        "created": False,
        "message": "A group can have at most 256 participants.",
    }
    assert not Chat.objects.exists()
    made = post("group", groupName="Many", phones=phones[:256])
    assert len(people(made["chatId"])) == 257
    assert post("addGroupParticipant", groupId=made["chatId"], participantPhone=phones[256]) == {
        "add": False,
        "message": "The group has 256 participants, which is the limit.",
    }


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"phones": "17680561234"},
            "`groupName` is required: the name of the group, 1 to 100 characters.",
        ),
        ({"groupName": " ", "phones": "17680561234"}, "`groupName` must be 1 to 100 characters."),
        ({"groupName": "x" * 101, "phones": "17680561234"}, "`groupName` must be 1 to 100 characters."),
        ({"groupName": "a"}, "A group needs participants: send `phones` or `chatIds`."),
        (
            {"groupName": "a", "phones": []},
            "A group needs participants: send `phones` or `chatIds`.",
        ),
        (
            {"groupName": "a", "phones": ["17680561234", "12"]},
            "phone parameter should contain only numbers, start from country code and be 9-14 characters long",
        ),
        (
            {"groupName": "a", "chatIds": "unknown"},
            "chatId should look like 17680561234@c.us or 17680561234-1479621234@g.us",
        ),
        (
            {"groupName": "a", "chatIds": "17680561234-1479621234@g.us"},
            "`chatIds` must be chat ids of people, such as 17680561234@c.us.",
        ),
        ({"groupName": "a", "phones": "15550001111"}, "None of the participants uses the messenger."),
        (
            {"groupName": "a", "phones": "17680561234", "messageText": "ж" * 32_769},
            "`messageText` must be at most 65536 bytes.",
        ),
    ],
)
def test_group_that_is_refused(post: Call, asked: dict[str, Any], message: str) -> None:
    assert list(post("group", **asked).items()) == [("created", False), ("message", message)]
    assert not Chat.objects.exists()


def test_group_without_those_who_do_not_use_the_messenger(post: Call, instance: Instance) -> None:
    SandboxContact.objects.create(instance=instance, chat_id=BEN, has_account=False)
    made = post("group", groupName="Friends", chatIds=[ANNA, BEN])
    assert made["message"] == f"Group created, without those who do not use the messenger: {BEN}"
    assert people(made["chatId"]) == {OWN: True, ANNA: False}
    assert post("group", groupName="Friends", chatIds=[BEN]) == {
        "created": False,
        "message": "None of the participants uses the messenger.",
    }


def test_add_group_participant(post: Call, group_id: str) -> None:
    answer = post("addGroupParticipant", groupId=group_id, participantPhone="19990001122")
    assert list(answer.items()) == [
        ("add", True),
        ("message", f"{BEN} was added to the group"),
        ("groupId", group_id),
    ]
    assert people(group_id) == {OWN: True, ANNA: False, BEN: False}


def test_remove_group_participant(post: Call, group_id: str) -> None:
    answer = post("removeGroupParticipant", groupId=group_id, participantChatId=ANNA)
    assert list(answer.items()) == [
        ("remove", True),
        ("add", True),
        ("message", f"{ANNA} was removed from the group"),
        ("groupId", group_id),
    ]
    assert people(group_id) == {OWN: True}


def test_promote_and_demote_group_participant(post: Call, group_id: str) -> None:
    answer = post("promoteGroupParticipant", groupId=group_id, participantChatId=ANNA)
    assert list(answer.items()) == [
        ("promote", True),
        ("add", True),
        ("message", f"{ANNA} is now an admin of the group"),
        ("groupId", group_id),
    ]
    assert people(group_id) == {OWN: True, ANNA: True}
    answer = post("demoteGroupParticipant", groupId=group_id, participantPhone=17680561234)
    assert list(answer.items()) == [
        ("demote", True),
        ("add", True),
        ("message", f"{ANNA} is no longer an admin of the group"),
        ("groupId", group_id),
    ]
    assert people(group_id) == {OWN: True, ANNA: False}


@pytest.mark.parametrize(
    "participant",
    [
        {"participantChatId": BEN, "participantPhone": "17680561234"},
        {"participantChatId": "", "participantPhone": "+19990001122"},
        {"participantchatid": "19990001122"},
        {"participantPhone": [19990001122]},
    ],
)
def test_a_participant_however_it_is_written(post: Call, group_id: str, participant: dict[str, Any]) -> None:
    bare = group_id.removesuffix("@g.us")
    assert post("addGroupParticipant", groupId=bare, **participant)["add"] is True
    assert people(group_id)[BEN] is False


@pytest.mark.parametrize(("method", "key"), FOUR)
def test_only_an_admin_changes_a_group(post: Call, others: str, method: str, key: str) -> None:
    before = people(others)
    answer = post(method, groupId=others, participantPhone="19990009999")
    message = f"The account is not an admin of the group {others}."
    assert list(answer.items()) == [*failed(key), ("message", message)]
    assert people(others) == before == {OWN: False, ANNA: True, BEN: False}


@pytest.mark.parametrize(("method", "key"), FOUR)
def test_nobody_changes_a_group_that_they_have_left(post: Call, group_id: str, method: str, key: str) -> None:
    post("leaveGroup", chatId=group_id)
    message = f"The account is not in the group {group_id}."
    answer = post(method, groupId=group_id, participantPhone="17680561234")
    assert list(answer.items()) == [*failed(key), ("message", message)]
    assert people(group_id) == {ANNA: True}


@pytest.mark.parametrize(("method", "key"), FOUR)
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "`groupId` is required: the chat id of a group."),
        ({"groupId": ANNA}, "groupId should look like 17680561234-1479621234@g.us"),
        ({"groupId": "none"}, "groupId should look like 17680561234-1479621234@g.us"),
        (
            {"groupId": "17680561234-1479621234@g.us"},
            "`participantChatId` is required: the chat id, or the phone number, of one person.",
        ),
        (
            {"groupId": "17680561234-1479621234@g.us", "participantPhone": "17680561234"},
            "The group 17680561234-1479621234@g.us was not found.",
        ),
        (
            {"groupId": "17680561234-1479621234@g.us", "participantChatId": [ANNA, BEN]},
            "`participantChatId` must be the chat id, or the phone number, of one person.",
        ),
    ],
)
def test_a_change_of_a_group_that_cannot_be(
    post: Call, method: str, key: str, asked: dict[str, str], message: str
) -> None:
    assert list(post(method, **asked).items()) == [*failed(key), ("message", message)]


@pytest.mark.parametrize(
    ("method", "key", "member", "message"),
    [
        ("addGroupParticipant", "add", ANNA, f"{ANNA} is in the group already."),
        ("removeGroupParticipant", "remove", BEN, f"{BEN} is not in the group."),
        ("removeGroupParticipant", "remove", OWN, "The account itself goes by leaveGroup."),
        ("promoteGroupParticipant", "promote", BEN, f"{BEN} is not in the group."),
        ("promoteGroupParticipant", "promote", OWN, f"{OWN} is an admin already."),
        ("demoteGroupParticipant", "demote", ANNA, f"{ANNA} is not an admin."),
        ("demoteGroupParticipant", "demote", OWN, f"{OWN} is the group's only admin."),
    ],
)
def test_a_change_that_makes_no_sense(
    post: Call, group_id: str, method: str, key: str, member: str, message: str
) -> None:
    answer = post(method, groupId=group_id, participantChatId=member)
    assert answer == {key: False, "add": False, "message": message}
    assert people(group_id) == {OWN: True, ANNA: False}


def test_somebody_without_an_account_is_not_added(post: Call, instance: Instance, group_id: str) -> None:
    SandboxContact.objects.create(instance=instance, chat_id=BEN, has_account=False)
    message = f"{BEN} does not use the messenger."
    assert post("addGroupParticipant", groupId=group_id, participantChatId=BEN) == {
        "add": False,
        "message": message,
    }


def test_leave_group(post: Call, get: Call, group_id: str) -> None:
    assert post("leaveGroup", chatId=group_id) == {"result": "The group was left"}
    assert people(group_id) == {ANNA: True}  # when the last admin leaves, the earliest member becomes admin
    assert get("dialog", chatId=group_id)["metadata"]["groupInviteLink"] is None
    assert post("leaveGroup", groupId=group_id) == {
        "result": NOT_LEFT,
        "message": f"The account is not in the group {group_id}.",
    }


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"chatId": ANNA}, "groupId should look like 17680561234-1479621234@g.us"),
        ({}, "`chatId` is required: the chat id of a group."),
        ({"chatId": "17680561234-1479621234@g.us"}, "The group 17680561234-1479621234@g.us was not found."),
    ],
)
def test_leave_group_that_is_none(post: Call, asked: dict[str, str], message: str) -> None:
    assert list(post("leaveGroup", **asked).items()) == [("result", NOT_LEFT), ("message", message)]


@pytest.mark.parametrize("how", ["code", "url", "code with the whole link", "url with the code alone"])
def test_join_group_of_another_instance(post: Call, get: Call, how: str) -> None:
    bob = InstanceFactory(owner__email="bob@example.org", phone="15550002222")
    his = create_group(bob, chat_id="15550002222-1479621234@g.us", name="Bob's", members=[ANNA])
    link = str(invite_link_of(his))
    whole = "link" in how or how == "url"
    given = link if whole else his.invite_code
    assert post("joinGroup", **{how.split()[0]: given}) == {"chatId": his.chat_id}
    chat = get("dialog", chatId=his.chat_id)
    assert (chat["name"], chat["metadata"]) == (
        "Bob's",
        {
            "isGroup": True,
            "participants": ["15550002222@c.us", ANNA, OWN],
            "admins": ["15550002222@c.us"],
            "groupInviteLink": None,
            "labels": [],
            "participantsInfo": [
                {"id": "15550002222@c.us", "name": "15550002222"},
                {"id": ANNA, "name": "17680561234"},
                {"id": OWN, "name": "Instance 12345"},
            ],
        },
    )
    assert list(his.participants.values_list("member", flat=True)) == ["15550002222@c.us", ANNA, OWN]


def test_who_joined_and_leaves_is_gone_for_the_others_too(post: Call) -> None:
    bob = InstanceFactory(owner__email="bob@example.org", phone="15550002222")
    his = create_group(bob, chat_id="15550002222-1479621234@g.us", name="Bob's", members=[ANNA])
    post("joinGroup", code=his.invite_code)
    assert post("leaveGroup", chatId=his.chat_id) == {"result": "The group was left"}
    assert list(his.participants.values_list("member", flat=True)) == ["15550002222@c.us", ANNA]
    assert post("joinGroup", code=his.invite_code) == {"chatId": his.chat_id}
    assert his.participants.filter(member=OWN).exists()


def test_join_group_again_by_the_own_link(post: Call, group_id: str) -> None:
    link = Chat.objects.get().invite_code
    assert post("joinGroup", code=link) == {"chatId": group_id}
    assert people(group_id) == {OWN: True, ANNA: False}


@pytest.mark.parametrize(
    ("asked", "status", "error"),
    [
        ({}, 400, "`code` or `url` must be an invite link, or its last part."),
        ({"code": "a b"}, 400, "`code` or `url` must be an invite link, or its last part."),
        ({"url": "https://example.com/invite/"}, 200, "The invite link leads to no group."),
        ({"code": "BfC7pHlfbdk8nT9kAzxQrm"}, 200, "The invite link leads to no group."),
    ],
)
def test_join_group_by_a_link_that_leads_nowhere(
    client: Client, instance: Instance, asked: dict[str, str], status: int, error: str
) -> None:
    response = client.post("/instance12345/joinGroup?token=secret", asked, content_type="application/json")
    assert (response.status_code, response.json()) == (status, {"error": error})
    assert not Chat.objects.exists()


def test_a_link_is_worthless_when_its_account_has_left(post: Call) -> None:
    bob = InstanceFactory(owner__email="bob@example.org", phone="15550002222")
    his = create_group(bob, chat_id="15550002222-1479621234@g.us", name="Bob's", members=[ANNA])
    leave_group(bob, group_id=his.chat_id)
    assert post("joinGroup", code=his.invite_code) == {"error": "The invite link leads to no group."}


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("joinGroup", {"error": "Status of the account not equals authenticated"}),
        ("leaveGroup", {"result": NOT_LEFT, "message": "Status of the account not equals authenticated"}),
    ],
)
def test_nobody_comes_or_goes_while_the_account_is_not_authenticated(
    post: Call, group_id: str, method: str, answer: dict[str, str]
) -> None:
    Instance.objects.update(account_status="loading")
    code = Chat.objects.get().invite_code
    assert post(method, chatId=group_id, code=code) == answer
    assert people(group_id) == {OWN: True, ANNA: False}
    assert not QueuedAction.objects.exists()


def test_the_page_of_an_invite_link_says_what_it_is(client: Client, post: Call) -> None:
    link = post("group", groupName="<Friends>", phones="17680561234")["groupInviteLink"]
    page = client.get(link.removeprefix(settings.SITE_URL))
    assert page.status_code == 200
    text = page.content.decode()
    assert "&lt;Friends&gt;" in text
    assert "joinGroup" in text
    assert "17680561234" not in text


def test_the_page_of_a_link_that_leads_nowhere(client: Client, post: Call, group_id: str) -> None:
    path = f"/invite/{Chat.objects.get().invite_code}"
    post("leaveGroup", chatId=group_id)
    for address in (path, "/invite/BfC7pHlfbdk8nT9kAzxQrm"):
        assert client.get(address).status_code == 404


def test_two_groups_within_a_second_that_are_given_the_same_id(
    post: Call, group_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter([group_id, "15550001111-1714564801@g.us"])
    monkeypatch.setattr(SandboxChannel, "perform", lambda *about: MessengerGroup(next(ids)))
    made = post("group", groupName="Second", phones="17680561234", messageText="Hi")
    assert (made["created"], made["chatId"]) == (True, "15550001111-1714564801@g.us")
    assert OutgoingMessage.objects.get().chat_id == made["chatId"]
