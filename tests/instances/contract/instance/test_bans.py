"""`banSettings`, `banTest`, and what a ban does (contract.md §2; the effect is this project's choice)."""

import pytest
from django.test import Client

from hooks.models import Hook
from instances import ban_masks
from instances.actions.bans import Banned, change_bans
from instances.actions.messages import receive_message
from instances.models import Chat, Instance, Message, OutgoingMessage
from instances.sending import outgoing
from tests.instances.contract.conftest import Call

ANN, BOB = "17680561234@c.us", "19990001122@c.us"


def test_ban_settings_of_a_new_instance(get: Call) -> None:
    assert list(get("banSettings").items()) == [
        ("banPhoneMask", None),
        ("preBanMessage", None),
        ("set", False),
    ]


def test_ban_settings_are_set(post: Call, get: Call) -> None:
    wanted = {"banPhoneMask": "^1768", "preBanMessage": "We do not answer here."}
    assert post("banSettings", **wanted) == {"set": True, **wanted}
    assert get("banSettings") == {**wanted, "set": False}
    assert get("banSettings", banPhoneMask="") == {"set": True, **wanted, "banPhoneMask": ""}


def test_ban_test(post: Call) -> None:
    post("banSettings", banPhoneMask="^1768|22$")
    assert post("banTest", phone="+17680561234") == {
        "banned": True,
        "message": "17680561234 matches the mask: its messages and calls do not reach the instance.",
        "phone": "17680561234",
        "banPhoneMask": "^1768|22$",
    }
    assert post("banTest", phone="15550001111") == {
        "banned": False,
        "message": "15550001111 does not match the mask.",
        "phone": "15550001111",
        "banPhoneMask": "^1768|22$",
    }


def test_ban_test_without_a_mask(post: Call) -> None:
    answer = post("banTest", phone="17680561234")
    assert (answer["banned"], answer["message"]) == (False, "No mask is set, so no number is banned.")


def test_ban_test_of_what_is_no_phone(client: Client, instance: Instance) -> None:
    response = client.post("/instance12345/banTest?token=secret", {"phone": "x"})
    assert response.status_code == 400
    assert response.json()["error"].startswith("phone parameter should contain only numbers")


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        ("x" * 201, "`banPhoneMask` must be at most 200 characters."),
        ("(1", "`banPhoneMask` must be a regular expression in RE2 syntax: missing ): (1"),
        (
            r"(1)\1",
            "`banPhoneMask` must be a regular expression in RE2 syntax: invalid escape sequence: \\1",
        ),
        ("((1{100}){100}){100}", "`banPhoneMask` must be a regular expression in RE2 syntax: "),
    ],
)
def test_a_mask_that_is_none_changes_nothing(
    post: Call, instance: Instance, mask: str, sentence: str
) -> None:
    answer = post("banSettings", banPhoneMask=mask, preBanMessage="bye")
    assert answer["set"] is False
    assert answer["message"].startswith(sentence)
    instance.refresh_from_db()
    assert (instance.ban_phone_mask, instance.pre_ban_message) == ("", "")


@pytest.mark.parametrize(
    ("mask", "matched"),
    [
        ("(1+)+$", (False, True)),
        ("(1|11)+$", (False, True)),
        ("(1*)*$", (True, True)),
        ("1?" * 60 + "1" * 60, (False, False)),
        ("(((1+)+)+)+[^1]", (True, False)),
        ("(.{0,50}){0,20}x", (False, False)),
    ],
)
def test_masks_that_would_keep_pythons_engine_busy_for_days_cost_nothing(
    mask: str, matched: tuple[bool, bool]
) -> None:
    """RE2 matches in one pass over the digits; Python's engine would never finish."""
    assert (ban_masks.matches(mask, "1" * 14 + "2"), ban_masks.matches(mask, "1" * 14)) == matched


def test_a_banned_contact_is_told_once_and_what_they_write_never_arrives(
    post: Call, get: Call, instance: Instance
) -> None:
    post("banSettings", banPhoneMask="^1768", preBanMessage="We do not answer here.")
    instance.refresh_from_db()
    for _ in range(3):
        with pytest.raises(Banned):
            receive_message(instance, sender=ANN, body="hello?")
    assert not Message.objects.exists()
    assert not Chat.objects.exists()
    assert not Hook.objects.exists()
    assert list(OutgoingMessage.objects.values_list("chat_id", "body")) == [(ANN, "We do not answer here.")]
    outgoing.send_due()
    assert [message["messageNumber"] for message in get("messages")["messages"]] == [1]  # gapless: ours
    assert receive_message(instance, sender=BOB, body="hello").number == 2


def test_without_a_pre_ban_message_they_are_told_nothing(instance: Instance) -> None:
    change_bans(instance, mask="^1768")
    with pytest.raises(Banned):
        receive_message(instance, sender=ANN, type="call_log")
    assert not OutgoingMessage.objects.exists()


def test_another_mask_begins_anew(instance: Instance) -> None:
    change_bans(instance, mask="^1768", pre_ban_message="bye")
    for mask in ("^1768", "^176"):
        change_bans(instance, mask=mask)
        with pytest.raises(Banned):
            receive_message(instance, sender=ANN, body="hello?")
    assert OutgoingMessage.objects.count() == 2


def test_who_was_not_told_since_the_queue_was_full_is_told_later(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_bans(instance, mask="^1768", pre_ban_message="bye")
    for limit, told in ((0, 0), (400, 1), (400, 1)):
        monkeypatch.setattr("instances.actions.sending.accept.QUEUE_LIMIT", limit)
        with pytest.raises(Banned):
            receive_message(instance, sender=ANN, body="hello?")
        assert OutgoingMessage.objects.count() == told


def test_in_a_group_a_banned_member_is_heard(instance: Instance) -> None:
    change_bans(instance, mask="^1768", pre_ban_message="bye")
    group = "15550001111-1479621234@g.us"
    message = receive_message(instance, sender=ANN, chat_id=group, body="hello all")
    assert (message.number, OutgoingMessage.objects.count()) == (1, 0)


def test_a_banned_contact_may_still_be_written_to(post: Call) -> None:
    post("banSettings", banPhoneMask="^1768")
    assert post("sendMessage", phone="17680561234", body="hello")["sent"] is True
