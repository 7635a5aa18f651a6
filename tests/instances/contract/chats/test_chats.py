"""readChat, unreadChat, pin, archive, clear and remove, typing and recording (contract.md §2)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from instances.actions.messages import receive_message, type_on_phone
from instances.models import Chat, Instance, Message, QueuedAction
from instances.sending import outgoing
from tests.factories import InstanceFactory
from tests.instances.contract.conftest import Call

ANNA = "17680561234@c.us"
NOT_FOUND = "The chat 17680561234@c.us was not found."
BAD_PHONE = "phone parameter should contain only numbers, start from country code and be 9-14 characters long"
NOT_REMOVED = "Couldn't delete chat or leaving group. Invalid number"
RESULTS = ["unreadChat", "pinChat", "unpinChat", "archiveChat", "unarchiveChat", "clearChat"]


def receive(instance: Instance, sender: str = "17680561234") -> Message:
    return receive_message(instance, sender=sender, body="hello")


@pytest.fixture
def chat(instance: Instance) -> Chat:
    """A chat with two messages from Anna."""
    receive(instance)
    return receive(instance).chat


def listed(get: Call) -> list[str]:
    return [chat["id"] for chat in get("dialogs")["dialogs"]]


def test_read_chat(post: Call, chat: Chat) -> None:
    chat.refresh_from_db()
    assert (chat.unread, chat.read_number) == (2, 0)
    answer = post("readChat", chatId=ANNA)
    assert list(answer.items()) == [("read", True), ("message", "The chat was read"), ("chatId", ANNA)]
    chat.refresh_from_db()
    assert (chat.unread, chat.marked_unread, chat.read_number) == (0, False, 2)


def test_read_chat_by_phone_and_by_a_get(get: Call, chat: Chat) -> None:
    assert get("readChat", phone="+17680561234")["chatId"] == ANNA
    chat.refresh_from_db()
    assert chat.unread == 0


@pytest.mark.parametrize("status", ["init", "loading", "got qr code"])
def test_read_chat_waits_while_the_account_is_not_authenticated(post: Call, chat: Chat, status: str) -> None:
    Instance.objects.update(account_status=status)
    assert post("readChat", chatId=ANNA) == {
        "read": True,
        "message": "Status of the account not equals authenticated."
        " The reading of the chat will be done after successful auth.",
        "chatId": ANNA,
    }
    chat.refresh_from_db()
    assert chat.unread == 2
    assert QueuedAction.objects.get().type == "read chat"


def test_read_chat_that_is_not_there(post: Call) -> None:
    answer = post("readChat", chatId=ANNA)
    assert list(answer.items()) == [("read", True), ("message", None), ("chatId", ANNA)]
    assert not Chat.objects.exists()


def test_what_the_account_writes_itself_is_not_unread(post: Call, instance: Instance) -> None:
    post("sendMessage", phone="17680561234", body="hello")
    outgoing.send_due()
    type_on_phone(instance, chat_id=ANNA, body="by hand")
    assert Chat.objects.get().unread == 0


def test_unread_chat_until_it_is_read(post: Call, chat: Chat) -> None:
    post("readChat", chatId=ANNA)
    assert list(post("unreadChat", chatId=ANNA).items()) == [("result", "success"), ("chatId", ANNA)]
    chat.refresh_from_db()
    assert (chat.marked_unread, chat.unread) == (True, 0)
    post("readChat", chatId=ANNA)
    chat.refresh_from_db()
    assert not chat.marked_unread


def test_pin_chat_and_unpin_chat(post: Call, get: Call, instance: Instance, chat: Chat) -> None:
    receive(instance, "19990001122")
    assert post("pinChat", chatId=ANNA) == {"result": "success", "chatId": ANNA}
    assert listed(get) == [ANNA, "19990001122@c.us"]
    assert post("unpinChat", chatId=ANNA) == {"result": "success", "chatId": ANNA}
    assert listed(get) == ["19990001122@c.us", ANNA]


def test_archive_chat_and_unarchive_chat(post: Call, get: Call, instance: Instance, chat: Chat) -> None:
    receive(instance, "19990001122")
    other = "19990001122@c.us"
    post("pinChat", chatId=other)
    assert post("archiveChat", chatId=other) == {"result": "success", "chatId": other}
    assert listed(get) == [ANNA, other]
    assert post("unarchiveChat", chatId=other) == {"result": "success", "chatId": other}
    assert listed(get) == [other, ANNA]
    assert Chat.objects.filter(pinned_at=None).count() == 2  # the archive has unpinned it


def test_a_message_takes_a_chat_out_of_the_archive(post: Call, instance: Instance, chat: Chat) -> None:
    for message in (receive, lambda instance: type_on_phone(instance, chat_id=ANNA, body="me")):
        post("archiveChat", chatId=ANNA)
        message(instance)
        chat.refresh_from_db()
        assert not chat.archived


def test_a_message_leaves_it_there_with_disable_dialogs_archive(
    post: Call, instance: Instance, chat: Chat
) -> None:
    post("settings", disableDialogsArchive=True)
    post("archiveChat", chatId=ANNA)
    receive(instance)
    chat.refresh_from_db()
    assert chat.archived


def test_clear_chat_reads_it_and_keeps_the_numbered_feed(
    post: Call, get: Call, instance: Instance, chat: Chat
) -> None:
    assert post("clearChat", chatId=ANNA) == {"result": "success", "chatId": ANNA}
    chat.refresh_from_db()
    assert (chat.cleared_number, chat.unread) == (2, 0)
    assert [message["messageNumber"] for message in get("messages")["messages"]] == [1, 2]


def test_clear_chat_takes_its_messages_out_of_the_history(
    post: Call, get: Call, instance: Instance, chat: Chat
) -> None:
    def history(**asked: object) -> list[int]:
        return [found["messageNumber"] for found in get("messagesHistory", **asked)["messages"]]

    receive(instance, "19990001122")
    receive(instance)
    assert history(count=2) == [4, 3]
    post("clearChat", chatId=ANNA)
    receive(instance)
    assert history(chatId=ANNA) == [5]
    assert (history(count=1), history(count=1, page=1), history(count=1, page=2)) == ([5], [3], [])


def test_remove_chat_until_the_next_message(post: Call, get: Call, instance: Instance, chat: Chat) -> None:
    answer = post("removeChat", chatId=ANNA)
    assert answer == {"result": "The chat was removed"}
    assert listed(get) == []
    assert post("pinChat", chatId=ANNA) == {"result": "failed", "message": NOT_FOUND}
    receive(instance)
    assert listed(get) == [ANNA]
    chat.refresh_from_db()
    assert (chat.cleared_number, chat.unread) == (2, 1)


@pytest.mark.parametrize("method", RESULTS)
def test_a_chat_that_is_not_there_is_refused(post: Call, method: str) -> None:
    answer = post(method, chatId=ANNA)
    assert list(answer.items()) == [("result", "failed"), ("message", NOT_FOUND)]
    assert not Chat.objects.exists()


@pytest.mark.parametrize("method", RESULTS)
def test_another_instances_chat_is_not_there(post: Call, method: str) -> None:
    receive(InstanceFactory(owner__email="bob@example.org"))
    before = Chat.objects.values().get()
    assert post(method, chatId=ANNA) == {"result": "failed", "message": NOT_FOUND}
    assert Chat.objects.values().get() == before


def test_remove_chat_that_is_not_there(post: Call) -> None:
    assert post("removeChat", phone="17680561234") == {"result": NOT_REMOVED, "message": NOT_FOUND}
    assert post("removeChat", phone="12") == {"result": NOT_REMOVED, "message": BAD_PHONE}


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("readChat", {"read": False, "message": BAD_PHONE}),
        ("pinChat", {"result": "failed", "message": BAD_PHONE}),
        ("typing", {"success": False, "message": BAD_PHONE}),
    ],
)
def test_without_a_destination(post: Call, method: str, answer: dict[str, object]) -> None:
    assert post(method) == answer


@pytest.mark.parametrize(("method", "what"), [("typing", "Typing"), ("recording", "Recording")])
def test_typing_and_recording_last_five_seconds(post: Call, chat: Chat, method: str, what: str) -> None:
    before = timezone.now()
    assert post(method, chatId=ANNA) == {
        "success": True,
        "result": f"{what} is shown to {ANNA} for 5 seconds",
    }
    chat.refresh_from_db()
    assert chat.activity == method
    assert chat.activity_until is not None
    assert before + timedelta(seconds=5) <= chat.activity_until <= timezone.now() + timedelta(seconds=5)


def test_typing_as_long_as_asked_and_until_it_is_ended(get: Call, chat: Chat) -> None:
    assert get("typing", phone="17680561234", on="1", duration="600")["success"] is True
    chat.refresh_from_db()
    assert chat.activity_until is not None
    assert chat.activity_until > timezone.now() + timedelta(seconds=500)
    answer = get("typing", phone="17680561234", on="0")
    assert answer == {"success": True, "result": f"Typing is no longer shown to {ANNA}"}
    chat = Chat.objects.get(pk=chat.pk)
    assert (chat.activity, chat.activity_until) == ("", None)


def test_typing_to_somebody_who_has_no_chat_yet_makes_none(post: Call) -> None:
    assert post("typing", phone="17680561234")["success"] is True
    assert not Chat.objects.exists()


@pytest.mark.parametrize("method", ["typing", "recording"])
def test_an_activity_that_nobody_can_see_is_refused(post: Call, chat: Chat, method: str) -> None:
    Instance.objects.update(account_status="loading")
    message = "Status of the account not equals authenticated"
    assert post(method, chatId=ANNA) == {"success": False, "message": message}
    assert not QueuedAction.objects.exists()
    assert post(method, chatId=ANNA, duration="long")["success"] is False
