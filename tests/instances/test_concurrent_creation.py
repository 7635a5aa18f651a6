"""Equal requests at once for every row that must be unique: one row, and no 500."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.actions import keys, share_links
from accounts.models import Account, AuditEntry
from instances.actions import bans, lifecycle
from instances.actions.chats import groups, labels
from instances.actions.messages import receive_message
from instances.channels.sandbox.actions.contacts import change_contact
from instances.models import BannedContact, Chat, Instance, Label, Message, Participant, SandboxContact
from testing_tools.verification.actions import shares
from testing_tools.verification.actions.bins import open_bin, open_own_bin
from testing_tools.verification.models import Bin
from tests.factories import AccountFactory, InstanceFactory
from tests.threads import results_in_threads

COUNT = 6
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(number=12345, url="https://example.com/hook")


def mine(instance: Instance) -> Instance:
    return Instance.objects.get(pk=instance.pk)


def test_instances_with_the_same_random_number(monkeypatch: pytest.MonkeyPatch) -> None:
    account = AccountFactory()
    numbers = iter([777_000_001] * COUNT + list(range(777_000_002, 777_000_002 + 50)))
    monkeypatch.setattr("instances.actions.lifecycle.new_number", lambda: next(numbers))

    def create(_: int) -> int:
        return lifecycle.create_instance(Account.objects.get(pk=account.pk)).number

    assert len(set(results_in_threads(create, COUNT))) == COUNT
    assert 777_000_001 in Instance.objects.values_list("number", flat=True)


def test_creating_an_instance_over_rest() -> None:
    account = AccountFactory()
    _, uid = keys.issue_key(account, acting_user=None)
    headers: Any = {"Authorization": f"Bearer {uid}"}
    statuses = results_in_threads(
        lambda _: Client().post("/api/v1/instances/", {"name": "Shop"}, "application/json", headers=headers)
        .status_code,
        COUNT,
    )  # fmt: skip
    assert statuses == [201] * COUNT
    assert account.instances.count() == COUNT


def test_labels_of_one_name(instance: Instance) -> None:
    def create(_: int) -> str:
        try:
            return labels.create_label(mine(instance), name="New").name
        except labels.Denied as refusal:
            return str(refusal)

    assert Counter(results_in_threads(create, COUNT)) == {
        "New": 1,
        "There is a label of this name already.": COUNT - 1,
    }
    assert Label.objects.count() == 1


def test_a_label_put_on_a_chat(instance: Instance) -> None:
    chat = receive_message(instance, sender="17680561234", body="hello").chat
    label = labels.create_label(instance, name="New")
    results_in_threads(
        lambda _: labels.label_chat(mine(instance), chat_id=chat.chat_id, label_id=label.pk), COUNT
    )
    assert chat.labels.count() == 1


def test_the_first_messages_of_a_contact(instance: Instance) -> None:
    results_in_threads(lambda n: receive_message(mine(instance), sender="17680561234", body=str(n)), COUNT)
    assert Chat.objects.count() == 1
    assert sorted(Message.objects.values_list("number", flat=True)) == list(range(1, COUNT + 1))


def test_one_message_reported_several_times(instance: Instance) -> None:
    found = results_in_threads(
        lambda _: receive_message(mine(instance), sender="17680561234", body="once", key="A1B2").pk, COUNT
    )
    assert len(set(found)) == Message.objects.count() == 1


def test_a_group_and_its_participants(instance: Instance) -> None:
    group_id = "17680561234-1479621234@g.us"

    def create(_: int) -> str:
        try:
            return groups.create_group(
                mine(instance), chat_id=group_id, name="Team", members=["17680561234@c.us"]
            ).chat_id
        except groups.Taken:
            return "taken"

    assert Counter(results_in_threads(create, COUNT)) == {group_id: 1, "taken": COUNT - 1}

    def add(_: int) -> str:
        try:
            groups.add_participant(mine(instance), group_id=group_id, member="4915112345678@c.us")
        except groups.Denied:
            return "denied"
        return "added"

    assert Counter(results_in_threads(add, COUNT)) == {"added": 1, "denied": COUNT - 1}
    assert Participant.objects.count() == 3  # with the account


def test_contacts_of_one_number(instance: Instance) -> None:
    results_in_threads(lambda n: change_contact(mine(instance), phone="17680561234", name=str(n)), COUNT)
    assert SandboxContact.objects.count() == 1


def test_banned_contacts(instance: Instance) -> None:
    instance.ban_phone_mask = "1768*"
    instance.save()

    def write(_: int) -> str:
        try:
            receive_message(mine(instance), sender="17680561234", body="hello")
        except bans.Banned:
            return "banned"
        return "received"

    assert results_in_threads(write, COUNT) == ["banned"] * COUNT
    assert BannedContact.objects.count() == 1


def test_bins(instance: Instance) -> None:
    bins = results_in_threads(lambda _: open_bin(mine(instance)).pk, COUNT)
    own = results_in_threads(lambda _: open_own_bin(Account.objects.get(pk=instance.owner_id)).pk, COUNT)
    assert (len(set(bins)), len(set(own)), Bin.objects.count()) == (1, 1, 2)


def test_links_to_a_bin_at_its_limit(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    bin = open_bin(instance)
    monkeypatch.setattr(share_links, "MAX_SHARES", 2)

    def share(_: int) -> str:
        try:
            shares.share(bin, valid_for=timedelta(hours=1), acting_user=None)
        except share_links.TooManyShares:
            return "refused"
        return "shared"

    assert Counter(results_in_threads(share, COUNT)) == {"shared": 2, "refused": COUNT - 2}


def test_captures_of_one_bin(instance: Instance) -> None:
    bin = open_bin(instance)
    statuses = results_in_threads(lambda n: Client().post(f"/bin/{bin.key}/{n}").status_code, COUNT)
    assert statuses == [200] * COUNT
    assert sorted(bin.captures.values_list("number", flat=True)) == list(range(1, COUNT + 1))


def test_deleting_one_instance(instance: Instance) -> None:
    owner = instance.owner.owner
    same = [mine(instance) for _ in range(COUNT)]
    results_in_threads(lambda n: lifecycle.delete_instance(same[n], acting_user=owner), COUNT)
    assert not Instance.objects.exists()
    assert AuditEntry.objects.filter(action="instance.deleted").count() == 1
