"""Message ids: author, chat, and 20 or 32 hexadecimal digits (contract.md, section 3)."""

import re

from instances.actions.messages import receive_message, type_on_phone
from instances.actions.sending.accept import send_message
from instances.models import Instance

GROUP = "17680561234-1479621234@g.us"


def test_id_created_by_the_api(instance: Instance) -> None:
    queued = send_message(instance, chat_id="17680561234", body="hello")
    assert re.fullmatch(r"true_17680561234@c\.us_3EB0[0-9A-F]{16}", queued.message_id)


def test_id_created_by_the_api_in_a_group(instance: Instance) -> None:
    queued = send_message(instance, chat_id=GROUP, body="hello")
    assert re.fullmatch(rf"true_{GROUP}_3EB0[0-9A-F]{{16}}_15550001111@c\.us", queued.message_id)


def test_id_of_a_contacts_message(instance: Instance) -> None:
    message = receive_message(instance, sender="17680561234", body="hello")
    assert re.fullmatch(r"false_17680561234@c\.us_[0-9A-F]{32}", message.message_id)


def test_id_of_a_message_by_a_member_of_a_group(instance: Instance) -> None:
    message = receive_message(instance, sender="17680561234", chat_id=GROUP, body="hello")
    assert re.fullmatch(rf"false_{GROUP}_[0-9A-F]{{32}}_17680561234@c\.us", message.message_id)


def test_id_created_on_the_phone(instance: Instance) -> None:
    message = type_on_phone(instance, chat_id="17680561234@c.us", body="hello")
    assert re.fullmatch(r"true_17680561234@c\.us_[0-9A-F]{32}", message.message_id)
