"""showActionsQueue and clearActionsQueue (contract.md §2), and how the queue is processed."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from instances.actions.chats.groups import create_group
from instances.actions.sending import command_queue
from instances.actions.sending.command_queue import enqueue_command
from instances.channels.sandbox.channel import SandboxChannel
from instances.commands import ReadChat
from instances.models import Chat, Instance, QueuedAction
from instances.sending import channel_commands, outgoing
from tests.instances.contract.conftest import Call

OWN = "15550001111@c.us"
ANNA = "17680561234@c.us"
GROUP = "15550001111-1479621234@g.us"


@pytest.fixture
def group(instance: Instance) -> Chat:
    """A group created by the account, with Anna. The account is then logged out."""
    group = create_group(instance, chat_id=GROUP, name="Friends", members=[ANNA])
    Instance.objects.update(account_status="got qr code")
    return group


def authenticate() -> None:
    Instance.objects.update(account_status="authenticated")


def types(get: Call) -> list[str]:
    return [action["type"] for action in get("showActionsQueue")["first100"]]


def work_off() -> None:
    while channel_commands.perform_due_commands():
        pass


def test_show_actions_queue_of_nothing(get: Call) -> None:
    assert get("showActionsQueue") == {"totalActions": 0, "first100": []}


def test_show_actions_queue_has_each_type_with_its_data(post: Call, get: Call, group: Chat) -> None:
    post("group", groupName="More", phones=["17680561234"], messageText="Hi")
    post("addGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    post("removeGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    post("promoteGroupParticipant", groupId=GROUP, participantChatId=ANNA)
    post("demoteGroupParticipant", groupId=GROUP, participantChatId=ANNA)
    post("readChat", chatId=ANNA)
    answer = get("showActionsQueue")
    assert list(answer) == ["totalActions", "first100"]
    assert answer["totalActions"] == 6
    assert [list(action) for action in answer["first100"]] == [["id", "type", "last_try", "json_data"]] * 6
    ids = [action["id"] for action in answer["first100"]]
    assert ids == sorted(ids)
    assert {action["last_try"] for action in answer["first100"]} == {0}
    ben = {"groupId": GROUP, "participantChatId": "19990001122@c.us"}
    anna = {"groupId": GROUP, "participantChatId": ANNA}
    assert [(action["type"], action["json_data"]) for action in answer["first100"]] == [
        ("create group", {"groupName": "More", "chatIds": [ANNA], "messageText": "Hi"}),
        ("add group participant", ben),
        ("remove group participant", ben),
        ("promote group participant", anna),
        ("demote group participant", anna),
        ("read chat", {"chatId": ANNA}),
    ]


def test_what_waits_says_so(post: Call, group: Chat) -> None:
    words = "Status of the account not equals authenticated. {} will be done after successful auth."
    assert post("group", groupName="More", phones=["17680561234"]) == {
        "created": True,
        "message": words.format("The group"),
        "chatId": None,
        "groupInviteLink": None,
    }
    assert post("promoteGroupParticipant", groupId=GROUP, participantChatId=ANNA) == {
        "promote": True,
        "add": True,
        "message": words.format("The change of the group"),
        "groupId": GROUP,
    }


def test_show_actions_queue_shows_the_first_100(get: Call, instance: Instance) -> None:
    for number in range(103):
        enqueue_command(instance, command=ReadChat(f"1768000{number:04}@c.us"))
    answer = get("showActionsQueue")
    assert (answer["totalActions"], len(answer["first100"])) == (103, 100)
    assert answer["first100"][0]["json_data"] == {"chatId": "17680000000@c.us"}


def test_clear_actions_queue(post: Call, get: Call, group: Chat) -> None:
    post("readChat", chatId=ANNA)
    post("addGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    answer = post("clearActionsQueue")
    assert list(answer.items()) == [
        ("message", "Cleared 2 actions"),
        ("actionsExample", ["read chat", "add group participant"]),
    ]
    assert get("showActionsQueue")["totalActions"] == 0
    assert post("clearActionsQueue") == {"message": "Cleared 0 actions", "actionsExample": []}
    authenticate()
    work_off()
    assert group.participants.count() == 2


def test_after_auth_all_is_done_in_order(post: Call, get: Call, instance: Instance, group: Chat) -> None:
    post("group", groupName="More", phones=["17680561234"], messageText="Hi")
    post("addGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    post("promoteGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    assert channel_commands.perform_due_commands() == 0
    authenticate()
    assert channel_commands.perform_due_commands() == 1
    assert types(get) == ["add group participant", "promote group participant"]
    work_off()
    assert types(get) == []
    assert dict(group.participants.values_list("member", "is_admin"))["19990001122@c.us"] is True
    made = Chat.objects.get(name="More")
    outgoing.send_due()
    assert [(m["chatId"], m["body"]) for m in get("messages")["messages"]] == [(made.chat_id, "Hi")]


def test_rows_written_by_version_0_1_0_are_carried_out(instance: Instance, group: Chat) -> None:
    ben = {"groupId": GROUP, "participantChatId": "19990001122@c.us"}
    for type, data in (
        ("create group", {"groupName": "More", "chatIds": [ANNA], "messageText": None}),
        ("add group participant", ben),
        ("promote group participant", ben),
        ("demote group participant", ben),
        ("remove group participant", ben),
        ("read chat", {"chatId": GROUP}),
    ):
        QueuedAction.objects.create(instance=instance, type=type, data=data)
    Chat.objects.update(stored_unread=3)
    authenticate()
    for left in (5, 4, 3, 2, 1, 0):
        assert channel_commands.perform_due_commands() == 1
        assert QueuedAction.objects.count() == left
    assert Chat.objects.filter(name="More").exists()
    assert Chat.objects.get(chat_id=GROUP).unread == 0
    assert set(group.participants.values_list("member", flat=True)) == {OWN, ANNA}


def test_while_earlier_ones_wait_a_new_one_goes_behind_them(post: Call, get: Call, group: Chat) -> None:
    post("addGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    authenticate()
    answer = post("promoteGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    assert answer["message"] == (
        "Earlier actions are waiting. The change of the group will be done after them."
    )
    assert types(get) == ["add group participant", "promote group participant"]
    work_off()
    assert group.participants.get(member="19990001122@c.us").is_admin


def test_what_is_not_possible_when_its_turn_has_come_is_dropped(post: Call, get: Call, group: Chat) -> None:
    post("removeGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    post("addGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    authenticate()
    work_off()
    assert types(get) == []
    assert group.participants.filter(member="19990001122@c.us").exists()


def test_what_fails_is_tried_again_and_holds_up_those_behind_it(
    post: Call, get: Call, group: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    post("addGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    post("promoteGroupParticipant", groupId=GROUP, participantPhone="19990001122")
    authenticate()
    works = SandboxChannel.perform

    def away(*about: Any) -> Any:
        raise OSError("the messenger is away")

    monkeypatch.setattr(SandboxChannel, "perform", away)
    now = timezone.now()
    assert channel_commands.perform_due_commands(now) == 0
    assert get("showActionsQueue")["first100"][0]["last_try"] == int(now.timestamp())
    monkeypatch.setattr(SandboxChannel, "perform", works)
    assert channel_commands.perform_due_commands(now + timedelta(seconds=29)) == 0
    later = now + timedelta(seconds=31)
    assert [
        channel_commands.perform_due_commands(later),
        channel_commands.perform_due_commands(later),
        channel_commands.perform_due_commands(later),
    ] == [1, 1, 0]
    assert group.participants.get(member="19990001122@c.us").is_admin


@pytest.mark.parametrize("field", ["paid_until", "stopped_at"])
def test_nothing_is_done_for_an_instance_that_is_stopped_or_not_paid(
    post: Call, group: Chat, field: str
) -> None:
    post("readChat", chatId=GROUP)
    authenticate()
    Instance.objects.update(**{field: timezone.now() - timedelta(seconds=1)})
    assert channel_commands.perform_due_commands() == 0
    assert QueuedAction.objects.count() == 1


def test_one_more_than_the_queue_holds_is_refused(
    post: Call, get: Call, group: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_queue, "ACTIONS_LIMIT", 1)
    assert post("readChat", chatId=ANNA)["read"] is True
    message = "The queue holds 1 actions, which is the limit."
    assert post("readChat", chatId=ANNA) == {"read": False, "message": message}
    assert get("showActionsQueue")["totalActions"] == 1
