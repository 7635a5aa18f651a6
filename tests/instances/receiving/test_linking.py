"""Linking by values that a person enters, at a messenger over real sockets."""

from __future__ import annotations

import logging

import pytest
from django.db import transaction

from accounts.audit import AuditEntry
from accounts.models import User
from hooks.models import Hook
from instances.actions.channel_links import unlink_account
from instances.channels.linking import LinkField, NotLinkable
from instances.models import ChannelLink, Instance, StatusChange
from instances.receiving import messenger_calls
from instances.receiving.linking import link_account
from tests.factories import InstanceFactory
from tests.instances.receiving.desk import NAME, TOKEN, Desk
from tests.servers.synapse import Synapse

pytestmark = pytest.mark.django_db


def new_instance(**fields: object) -> Instance:
    made: Instance = InstanceFactory(
        channel=NAME, account_status="init", phone="", url="https://example.com/hook", **fields
    )
    return made


def owner(instance: Instance) -> User:
    return instance.owner.owner


def refusal(instance: Instance, values: dict[str, str], user: User | None = None) -> tuple[str, str]:
    """Returns the sentence and the field of what is not linked."""
    with pytest.raises(NotLinkable) as refused:
        link_account(instance, values, acting_user=user or owner(instance))
    return str(refused.value), refused.value.field


def test_an_account_is_linked_connected_and_authenticated_with_its_hooks(desk: Desk) -> None:
    instance = new_instance(status_notifications_on=True, instance_statuses=True)
    link_account(instance, desk.add(), acting_user=owner(instance))
    instance.refresh_from_db()
    link = ChannelLink.objects.get(instance=instance)
    assert (instance.account_status, instance.substatus) == ("authenticated", "normal")
    assert (instance.phone, link.external_id, link.name) == ("15550001111", "desk 1", "@desk1")
    assert link.credentials == {"token": TOKEN, "signature": "signature of desk 1"}
    assert link.options == {"url": desk.url, "note": ""}
    assert desk.callbacks == {TOKEN: link.callback_url}
    changes = StatusChange.objects.order_by("pk").values_list("account_status", flat=True)
    assert list(changes) == ["loading", "authenticated"]
    assert Hook.objects.filter(endpoint=instance.pk, kind="status", state="queued").count() == 2
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"instance.linked", "instance.status"}
    assert not AuditEntry.objects.filter(detail__icontains=TOKEN).exists()


@pytest.mark.parametrize(
    ("changed", "sentence", "field"),
    [
        ({"token": ""}, "Enter the token.", "token"),
        ({"token": "1234"}, "A token starts with desk-, followed by small letters and digits.", "token"),
        (
            {"token": "desk-1234\nX-Other: 1"},
            "The token contains a line break or an invisible character.",
            "token",
        ),
        ({"url": "ftp://example.com"}, "The URL starts with https:// or http://.", "url"),
        ({"note": "a" * 2001}, "The note has more than 2,000 characters.", "note"),
        ({"password": "x"}, "Unknown field. The fields are: token, url, note.", "password"),
        ({"token": "desk-0000"}, "The desk does not know the token ***.", "token"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_saved(
    desk: Desk, changed: dict[str, str], sentence: str, field: str
) -> None:
    instance = new_instance()
    assert refusal(instance, desk.add() | changed) == (sentence, field)
    instance.refresh_from_db()
    assert instance.account_status == "init" and not ChannelLink.objects.exists()
    assert desk.asked["/account"] == (1 if "does not know" in sentence else 0)


def test_a_messenger_that_is_away_or_responds_with_nonsense_is_said(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    instance, values = new_instance(), desk.add()
    desk.faults["/account"] = 503
    assert refusal(instance, values) == ("The desk responded with 503.", "")
    desk.faults.clear()
    desk.bodies["/account"] = b'{"id": "1"}'
    with caplog.at_level(logging.WARNING):
        assert refusal(instance, values)[0].startswith("The messenger's response could not be read (KeyError")
    assert TOKEN not in caplog.text
    with Desk() as closed:
        values = closed.add()
    sentence, _ = refusal(instance, values)
    assert sentence.startswith("The messenger cannot be reached: ")


def test_a_messenger_that_hangs_does_not_hold_the_caller(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messenger_calls.call_messenger, "__kwdefaults__", {"seconds": 0.2})
    desk.respond = lambda handler: handler.rfile.read()  # type: ignore[method-assign, assignment]
    assert refusal(new_instance(), desk.add()) == ("The messenger did not respond within 0 s.", "")


def test_values_that_cannot_be_connected_are_kept_and_can_be_tried_again(desk: Desk) -> None:
    instance, values = new_instance(), desk.add()
    desk.faults["/callback"] = 400
    sentence, _ = refusal(instance, values)
    assert sentence.startswith("The desk does not accept the callback URL http") and sentence.endswith(
        "/***."
    )
    instance.refresh_from_db()
    assert instance.account_status == "init"
    desk.faults.clear()
    link_account(instance, {"note": ""}, acting_user=None)  # the token and the URL are the saved ones
    instance.refresh_from_db()
    assert instance.is_authenticated and ChannelLink.objects.get().credentials["token"] == TOKEN


def test_a_saved_secret_is_not_sent_to_another_server(desk: Desk) -> None:
    instance = new_instance()
    link_account(instance, desk.add(), acting_user=None)
    with Desk() as thief:
        expected = ("Enter the token again, because another value has changed.", "token")
        assert refusal(instance, {"url": thief.url}) == expected
        assert refusal(instance, {"url": thief.url, "token": " "}) == expected
        assert not thief.asked


def test_a_password_for_another_server_needs_no_token_that_was_saved(synapse: Synapse) -> None:
    person = synapse.register("moved")
    instance = InstanceFactory(channel="matrix", account_status="init", phone="")
    values = {"user": person.user, "password": person.password, "homeserver": synapse.url}
    link_account(instance, values, acting_user=None)
    other = {"homeserver": f"{synapse.url}/"}
    expected = ("Enter the password again, because another value has changed.", "password")
    assert refusal(instance, other) == expected
    stored = link_account(instance, values | other, acting_user=None)
    assert stored.options["homeserver"] == other["homeserver"]


def test_changed_credentials_of_the_same_account_keep_the_status_and_the_callback_url(desk: Desk) -> None:
    instance = new_instance()
    before = link_account(instance, desk.add(), acting_user=None).callback_url
    instance.refresh_from_db()
    since = instance.status_changed_at
    after = link_account(instance, desk.add("desk-newer"), acting_user=None)
    instance.refresh_from_db()
    assert (instance.status_changed_at, after.callback_url) == (since, before)
    assert after.credentials["token"] == "desk-newer"


def test_an_account_is_linked_to_one_instance_which_is_named_to_those_who_see_it(desk: Desk) -> None:
    first = new_instance(name="Shop")
    link_account(first, desk.add(), acting_user=None)
    mine, stranger = new_instance(owner=first.owner), new_instance()
    seen, _ = refusal(mine, desk.add())
    assert seen == f"This account is already linked to Shop (instance {first.number}). Unlink it there first."
    unseen, _ = refusal(stranger, desk.add())
    assert unseen == "This account is already linked to another instance of this site. Unlink it there first."
    unlink_account(first, acting_user=None)
    link_account(stranger, desk.add(), acting_user=None)
    first.refresh_from_db()
    assert first.account_status == "init" and ChannelLink.objects.get().instance == stranger


def test_the_messenger_is_not_asked_inside_a_transaction(transactional_db: None, desk: Desk) -> None:
    instance = new_instance()
    with pytest.raises(RuntimeError), transaction.atomic():
        link_account(instance, desk.add(), acting_user=None)
    assert not desk.asked


def test_an_instance_of_a_channel_without_values_is_not_linked_by_them() -> None:
    sentence = "This instance is not linked by values: its channel is Sandbox."
    assert refusal(InstanceFactory(), {}) == (sentence, "")


def test_a_field_with_a_default_may_be_left_empty() -> None:
    assert LinkField("version", "version", default="v25.0").mistake_of("") == ""
    assert (
        LinkField("version", "version", pattern="v[0-9]+").mistake_of("25")
        == "This does not look like the version."
    )
