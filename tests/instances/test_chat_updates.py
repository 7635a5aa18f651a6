"""`chatUpdate` (contract.md, section 3): for new chats, renames, pictures, participants; and the archive's hooks."""

from typing import Any

import pytest

from instances.actions.chats.chats import (
    Denied,
    archive_chat,
    change_chat,
    clear_chat,
    mark_unread,
    pin_chat,
    read_chat,
    remove_chat,
)
from instances.actions.chats.groups import (
    add_participant,
    create_group,
    join_group,
    leave_group,
    remove_participant,
    set_admin,
)
from instances.actions.messages import receive_message, type_on_phone
from instances.actions.settings import change_settings
from instances.models import Instance
from tests.instances.conftest import Emitted

OWN = "15550001111@c.us"
ANNA = "17680561234@c.us"
BEN = "19990001122@c.us"
GROUP = "15550001111-1479621234@g.us"


def updates(emitted: Emitted) -> list[dict[str, Any]]:
    return [item for kind, _, item in emitted() if kind == "chat"]


def last(emitted: Emitted) -> tuple[Any, Any]:
    change = updates(emitted)[-1]
    return change["old"], change["new"]


@pytest.fixture
def group(instance: Instance) -> str:
    return create_group(instance, chat_id=GROUP, name="Friends", members=[ANNA]).chat_id


def test_a_new_group(instance: Instance, emitted: Emitted, group: str) -> None:
    old, new = last(emitted)
    assert old is None
    assert list(new) == ["id", "name", "image", "metadata", "last_time"]
    assert (new["id"], new["name"], new["image"]) == (GROUP, "Friends", None)
    metadata = new["metadata"]
    assert (metadata["participants"], metadata["admins"]) == ([OWN, ANNA], [OWN])
    assert "/invite/" in metadata["groupInviteLink"]


def test_a_rename(instance: Instance, emitted: Emitted, group: str) -> None:
    change_chat(instance, chat_id=GROUP, name="Best friends")
    old, new = last(emitted)
    assert (old["name"], new["name"]) == ("Friends", "Best friends")
    assert {**old, "name": ""} == {**new, "name": ""}


def test_a_picture(instance: Instance, emitted: Emitted, group: str) -> None:
    change_chat(instance, chat_id=GROUP, image="https://example.com/new.jpg")
    old, new = last(emitted)
    assert (old["image"], new["image"]) == (None, "https://example.com/new.jpg")
    change_chat(instance, chat_id=GROUP, image="")
    assert last(emitted)[1]["image"] is None


def test_an_unchanged_chat_creates_no_hook(instance: Instance, emitted: Emitted, group: str) -> None:
    change_chat(instance, chat_id=GROUP, name="Friends", image="")
    assert len(updates(emitted)) == 1


def test_participants_are_added_removed_and_promoted(
    instance: Instance, emitted: Emitted, group: str
) -> None:
    add_participant(instance, group_id=GROUP, member=BEN)
    set_admin(instance, group_id=GROUP, member=BEN, on=True)
    set_admin(instance, group_id=GROUP, member=OWN, on=False)
    remove_participant(instance, group_id=GROUP, member=ANNA, by_account=False)
    shown = [(item["old"]["metadata"], item["new"]["metadata"]) for item in updates(emitted)[1:]]
    assert [(old["participants"], new["participants"]) for old, new in shown] == [
        ([OWN, ANNA], [OWN, ANNA, BEN]),
        ([OWN, ANNA, BEN], [OWN, ANNA, BEN]),
        ([OWN, ANNA, BEN], [OWN, ANNA, BEN]),
        ([OWN, ANNA, BEN], [OWN, BEN]),
    ]
    assert [(old["admins"], new["admins"]) for old, new in shown] == [
        ([OWN], [OWN]),
        ([OWN], [OWN, BEN]),
        ([OWN, BEN], [BEN]),
        ([BEN], [BEN]),
    ]


def test_leaving(instance: Instance, emitted: Emitted, group: str) -> None:
    leave_group(instance, group_id=GROUP)
    old, new = last(emitted)
    assert old["metadata"]["groupInviteLink"] is not None
    assert new["metadata"] == {
        "isGroup": True,
        "participants": [ANNA],
        "admins": [ANNA],
        "groupInviteLink": None,
    }


def test_being_removed(instance: Instance, emitted: Emitted, group: str) -> None:
    remove_participant(instance, group_id=GROUP, member=OWN, by_account=False)
    assert last(emitted)[1]["metadata"]["participants"] == [ANNA]
    with pytest.raises(Denied, match="is not in the group"):
        add_participant(instance, group_id=GROUP, member=BEN)


def test_joining(instance: Instance, emitted: Emitted) -> None:
    join_group(instance, chat_id=GROUP, name="Ben's", members=[(BEN, True)])
    old, new = last(emitted)
    assert (old, new["name"], new["metadata"]["participants"]) == (None, "Ben's", [BEN, OWN])
    assert new["metadata"]["admins"] == [BEN]


def test_the_author_of_a_group_message_becomes_a_participant(
    instance: Instance, emitted: Emitted, group: str
) -> None:
    receive_message(instance, sender=BEN, chat_id=GROUP, body="hello")
    old, new = last(emitted)
    assert (old["metadata"]["participants"], new["metadata"]["participants"]) == (
        [OWN, ANNA],
        [OWN, ANNA, BEN],
    )
    receive_message(instance, sender=BEN, chat_id=GROUP, body="again")
    assert len(updates(emitted)) == 2


def test_a_group_created_by_its_first_message_contains_its_author(
    instance: Instance, emitted: Emitted
) -> None:
    receive_message(instance, sender=BEN, chat_id=GROUP, body="hello")
    assert [kind for kind, _, _ in emitted()] == ["chat", "message"]
    old, new = last(emitted)
    assert old is None
    assert (new["metadata"]["participants"], new["metadata"]["admins"]) == ([OWN, BEN], [])


def test_the_position_in_the_list_creates_no_hook(instance: Instance, emitted: Emitted, group: str) -> None:
    pin_chat(instance, chat_id=GROUP, on=True)
    archive_chat(instance, chat_id=GROUP, on=True)
    mark_unread(instance, chat_id=GROUP)
    read_chat(instance, chat_id=GROUP)
    clear_chat(instance, chat_id=GROUP)
    remove_chat(instance, chat_id=GROUP)
    assert len(emitted()) == 1


def test_without_the_flag_it_is_skipped(instance: Instance, emitted: Emitted, group: str) -> None:
    change_settings(instance, changes={"chatUpdateOn": False})
    change_chat(instance, chat_id=GROUP, name="Other")
    assert [(kind, skip) for kind, skip, _ in emitted()] == [("chat", ""), ("chat", "flag_off")]


@pytest.mark.parametrize(
    ("stays", "works_on", "skip"),
    [(False, False, ""), (False, True, ""), (True, True, ""), (True, False, "archived")],
)
def test_hooks_of_a_chat_that_stays_archived_need_process_archive(
    instance: Instance, emitted: Emitted, stays: bool, works_on: bool, skip: str
) -> None:
    change_settings(instance, changes={"disableDialogsArchive": stays, "processArchive": works_on})
    receive_message(instance, sender=ANNA, body="hello")
    archive_chat(instance, chat_id=ANNA, on=True)
    receive_message(instance, sender=ANNA, body="again")
    type_on_phone(instance, chat_id=ANNA, body="by hand")
    hooked = [skip for kind, skip, _ in emitted() if kind == "message"]
    assert hooked == ["", skip, skip]
