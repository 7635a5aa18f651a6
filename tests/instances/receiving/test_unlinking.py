"""What is ended at messengers when a link ends, whichever way it ends, and what people read if that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from chatapi.account_data.deletion import delete_everything
from instances.actions.channel_links import unlink_account
from instances.actions.lifecycle import change_channel, change_instance, delete_instance
from instances.actions.receiver_states import record_failure
from instances.channels import CHANNELS
from instances.channels.linking import NotLinkable
from instances.limits import manual_request_limit
from instances.models import ChannelLink, Instance, ReceiverState
from instances.receiving import unlinking
from instances.receiving.linking import link_account
from instances.receiving.unlinking import Notice, ending_links
from tests.factories import InstanceFactory
from tests.instances.receiving.desk import NAME, TOKEN, Desk

pytestmark = pytest.mark.django_db

REMOVE_IT = "Remove the callback URL at the desk."


@pytest.fixture
def shop(desk: Desk) -> Instance:
    shop: Instance = InstanceFactory(
        channel=NAME, account_status="init", phone="", name="Shop", url="https://example.com/hook"
    )
    link_account(shop, desk.add(), acting_user=None)
    assert desk.callbacks
    return shop


def unlink(shop: Instance) -> str:
    """Returns what people read."""
    with ending_links(shop, acting_user=shop.owner.owner) as notice:
        unlink_account(shop, acting_user=None)
    return notice.text


@pytest.mark.parametrize(
    "end",
    [
        lambda shop, user: unlink_account(shop, acting_user=user),
        lambda shop, user: change_channel(shop, channel="sandbox", acting_user=user),
        lambda shop, user: delete_instance(shop, acting_user=user),
        lambda shop, user: delete_everything(shop.owner, acting_user=user),
    ],
    ids=["unlinked", "moved", "deleted", "account deleted"],
)
def test_the_messenger_is_informed_whichever_way_the_link_ends(
    desk: Desk, shop: Instance, end: Callable[[Instance, Any], None]
) -> None:
    owner = shop.owner.owner
    with ending_links(shop, acting_user=None) as notice:
        end(shop, owner)
        assert desk.callbacks, "only when the link has ended"
    assert (notice.text, desk.callbacks) == ("", {})


def test_the_account_before_is_ended_and_the_same_account_is_not(desk: Desk, shop: Instance) -> None:
    with ending_links(shop, acting_user=None):
        link_account(shop, desk.add("desk-newer"), acting_user=None)
    assert set(desk.callbacks) == {TOKEN, "desk-newer"}, "the same account with another token"
    with ending_links(shop, acting_user=None):
        link_account(shop, desk.add("desk-other", id="desk 2", chat_id="15550002222@c.us"), acting_user=None)
    assert set(desk.callbacks) == {TOKEN, "desk-other"}, "the link that was saved last"


def test_an_account_before_is_ended_although_the_new_one_is_not_connected(desk: Desk, shop: Instance) -> None:
    values = desk.add("desk-other", id="desk 2", chat_id="15550002222@c.us")
    desk.faults["/callback"] = 400
    with pytest.raises(NotLinkable), ending_links(shop, acting_user=None) as notice:
        link_account(shop, values, acting_user=None)
    assert "The desk responded with 400" in notice.text
    with pytest.raises(NotLinkable), ending_links(shop, acting_user=None) as notice:
        link_account(shop, {"token": "desk-unknown", "url": desk.url}, acting_user=None)
    assert notice.text == "", "nothing has changed"


def test_nothing_is_ended_if_the_link_stays(
    desk: Desk, shop: Instance, django_assert_num_queries: Any
) -> None:
    asked = desk.asked["/callback"]
    with pytest.raises(ValueError), ending_links(shop, acting_user=None):
        change_channel(shop, channel="pigeon", acting_user=None)
    with ending_links(shop, acting_user=None):
        change_instance(shop, name="Tea shop", acting_user=None)
    assert desk.asked["/callback"] == asked
    sandbox = InstanceFactory()
    with django_assert_num_queries(0), ending_links(sandbox, acting_user=None):
        pass


def test_a_failure_is_a_sentence_and_the_link_is_removed(
    desk: Desk, shop: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    desk.faults["/callback"] = 503
    assert unlink(shop) == (
        "Desk has not confirmed that the account is unlinked: The desk responded with 503 to the token ***. "
        "The desk may still have the callback URL."
    )
    assert not ChannelLink.objects.exists() and TOKEN not in caplog.text and str(shop.number) in caplog.text


def test_a_token_that_is_not_valid_any_more_leaves_nothing_to_do(desk: Desk, shop: Instance) -> None:
    desk.accounts.clear()
    assert unlink(shop) == ""


def test_a_desk_that_hangs(desk: Desk, shop: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlinking, "SECONDS", 0.0)
    assert "It did not respond within 0 s." in unlink(shop)
    assert not ChannelLink.objects.exists()


def test_the_links_of_an_account_are_ended_at_the_same_time_and_within_one_time(
    desk: Desk, shop: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [shop]
    for number in range(20):
        shops.append(InstanceFactory(channel=NAME, account_status="init", phone="", owner=shop.owner))
        values = desk.add(
            f"desk-{number:04}", id=f"desk number {number}", chat_id=f"155500022{number:02}@c.us"
        )
        link_account(shops[-1], values, acting_user=None)
    with ending_links(*shops[1:], acting_user=None) as notice:
        for one in shops[1:]:
            unlink_account(one, acting_user=None)
    assert (notice.text, set(desk.callbacks)) == ("", {TOKEN})
    monkeypatch.setattr(unlinking, "ALL_SECONDS", 0.0)
    with ending_links(shop, acting_user=None) as notice:
        delete_everything(shop.owner, acting_user=shop.owner.owner)
    assert "has not confirmed" in notice.text and "did not respond within 0 s" in notice.text
    assert not Instance.objects.exists(), "the account is deleted in any case"


def test_an_account_with_many_links_shows_some_sentences() -> None:
    assert Notice([f"Sentence {number}." for number in range(1_005)]).text == (
        "Sentence 0. Sentence 1. Sentence 2. Sentence 3. Sentence 4. "
        "Look at 1,000 more accounts at their messengers, too."
    )


def test_a_desk_that_is_away(desk: Desk, shop: Instance) -> None:
    desk.server.shutdown()
    desk.server.server_close()
    assert "has not confirmed" in unlink(shop)
    assert not ChannelLink.objects.exists()


def test_a_channel_that_fails_itself(desk: Desk, shop: Instance) -> None:
    ChannelLink.objects.update(options={})
    assert "The messenger's response could not be read (KeyError: 'url')." in unlink(shop)


def test_credentials_that_cannot_be_read_end_nothing(desk: Desk, shop: Instance) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE instances_channellink SET credentials_json = 'v1.unreadable'")
    assert unlink(shop) == (
        "Desk has not confirmed that the account is unlinked: Its credentials could not be read. "
        "The desk may still have the callback URL."
    )


def test_a_user_waits_for_a_limited_number_of_messengers(
    desk: Desk, shop: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 0)
    assert "more than 0 requests in a minute" in unlink(shop)
    assert not ChannelLink.objects.exists() and desk.callbacks


def test_the_messenger_is_not_asked_inside_a_transaction(
    transactional_db: None, desk: Desk, shop: Instance
) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        unlink(shop)
    assert desk.callbacks and ChannelLink.objects.exists()


@pytest.fixture
def left_to_do(monkeypatch: pytest.MonkeyPatch, client: Client, shop: Instance) -> None:
    monkeypatch.setattr(CHANNELS[NAME], "left_to_do", REMOVE_IT)
    client.force_login(shop.owner.owner)


@pytest.mark.usefixtures("left_to_do")
def test_the_page_says_after_unlinking_what_is_left_to_do(client: Client, shop: Instance) -> None:
    response = client.post(reverse("instances:account-remove", args=[shop.number]))
    assert [str(message) for message in get_messages(response.wsgi_request)][-1] == REMOVE_IT


@pytest.mark.usefixtures("left_to_do")
def test_the_page_says_after_moving_what_is_left_to_do(client: Client, shop: Instance) -> None:
    response = client.post(reverse("instances:channel", args=[shop.number]), {"channel": "sandbox"})
    assert [str(message) for message in get_messages(response.wsgi_request)] == [REMOVE_IT]


@pytest.mark.usefixtures("left_to_do")
@pytest.mark.parametrize("is_htmx", [True, False])
def test_the_page_says_after_another_account_was_linked_what_is_left_to_do(
    client: Client, desk: Desk, shop: Instance, is_htmx: bool
) -> None:
    values = desk.add("desk-other", id="desk 2", chat_id="15550002222@c.us")
    url = reverse("instances:account", args=[shop.number])
    response = client.post(url, values, headers={"HX-Request": "true"} if is_htmx else {}, follow=not is_htmx)
    assert REMOVE_IT in response.content.decode()


def test_a_connection_of_the_link_before_does_not_lose_the_new_one(desk: Desk, shop: Instance) -> None:
    before = ChannelLink.objects.get().changed_at
    link_account(shop, desk.add("desk-newer"), acting_user=None)
    after = ChannelLink.objects.get().changed_at
    ReceiverState.objects.update(owner=1)
    for linked_at, status in ((before, "authenticated"), (after, "init")):
        record_failure(
            shop,
            owner=1,
            linked_at=linked_at,
            error="The desk has ended the session.",
            failures=1,
            next_try_at=after,
            is_link_lost=True,
        )
        shop.refresh_from_db()
        assert shop.account_status == status
