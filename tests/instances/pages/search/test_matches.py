"""The search finds endpoints, issues, chats, texts, keys and members by words, for the users who can open them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.utils.http import urlencode

from accounts.actions import members
from accounts.actions.keys import issue_key
from accounts.models import Scope
from hooks.actions.endpoint_list import add_endpoint
from hooks.body_masking import masked_bodies
from hooks.models import Outcome
from instances.actions.messages import receive_message
from instances.models import Chat, Instance, Message
from instances.pages.search import conversations
from tests.executed_plans import executed_plans
from tests.factories import AccountFactory, InstanceFactory, create_issue, member_of
from tests.hooks.dispatch.test_plans_by_statistics import outline, rows_read
from tests.instances.pages.search.searching import found

pytestmark = pytest.mark.django_db


def test_another_endpoint_is_found_by_name_url_and_id(client: Client, shop: Instance) -> None:
    crm = add_endpoint(shop.pk, name="CRM", url="https://in.example.net/events", acting_user=None)
    wanted = ("CRM", f"/instances/{shop.number}/endpoints/{crm.pk}/")
    for query in ("crm", "in.example.net/ev", str(crm.pk)):
        assert wanted in found(client, query), query
    assert client.get(wanted[1]).status_code == 200
    assert wanted not in found(client, "hooks.example.com")
    assert f"/instances/{shop.number}/endpoints/{shop.pk}/" not in dict(found(client, "hooks")).values()


def test_an_issue_is_found_by_cause_instance_state_and_id(client: Client, shop: Instance) -> None:
    InstanceFactory(owner=shop.owner, name="Bakery")
    issue = create_issue(shop.endpoint)
    refused = create_issue(shop.endpoint, outcome=Outcome.REFUSED, status=0)
    url = f"/issues/{issue.public_id}/"
    for query in ("responded with 500", "shop 500", "open 500", f"issue_{issue.public_id.hex}"):
        assert url in [address for _, address in found(client, query)], query
    assert client.get(url).status_code == 200
    urls = [address for _, address in found(client, "refused")]
    assert f"/issues/{refused.public_id}/" in urls
    assert url not in urls
    assert url not in [address for _, address in found(client, "bakery")]


def test_a_chat_is_found_by_name_and_number(client: Client, shop: Instance) -> None:
    receive_message(shop, sender="15550100101", sender_name="Ann Smith", body="hello")
    chat = Chat.objects.get(instance=shop)
    url = f"/instances/{shop.number}/messages/{chat.chat_id}/"
    for query in ("smith", "+1555010"):
        assert url in [address for _, address in found(client, query)], query
    assert client.get(url).status_code == 200


def test_a_text_of_the_chosen_instance_is_found(client: Client, shop: Instance) -> None:
    message = receive_message(shop, sender="15550100101", body=f"{'Good day! ' * 9}My order 4711\nis late")
    titles = {url: title for title, url in found(client, "LATE order")}
    title = titles[f"/instances/{shop.number}/received/{message.message_id}/"]
    assert title == "…y! Good day! My order 4711 is late"


def test_deleted_texts_links_of_files_and_other_instances_are_not_found(
    client: Client, shop: Instance
) -> None:
    first = receive_message(shop, sender="15550100101", body="secret plan")
    second = receive_message(shop, sender="15550100101", body="https://files.example/secret.png")
    Message.objects.filter(pk=second.pk).update(type="image")
    assert len([url for _, url in found(client, "secret") if "received" in url]) == 1
    Message.objects.filter(pk=first.pk).update(deleted_at=first.time)
    assert not [url for _, url in found(client, "secret") if "received" in url]
    other = InstanceFactory(owner=shop.owner, name="Other")
    receive_message(other, sender="15550100101", body="secret of the other")
    assert not [url for _, url in found(client, "secret") if "received" in url]


def test_masked_texts_are_not_searched(shop: Instance) -> None:
    receive_message(shop, sender="15550100101", body="hello")
    assert conversations.texts(shop, "hello").rows
    with masked_bodies():
        assert not conversations.texts(shop, "hello").rows


def test_the_owner_finds_keys_members_and_invitations(client: Client, shop: Instance) -> None:
    alice = shop.owner
    key, plaintext = issue_key(
        alice, name="Night job", scopes=[Scope.READ], expires_at=None, acting_user=alice.owner
    )
    member_of(alice, "viewer", "vera@example.org")
    members.invite(alice, email="ivan@example.org", role="viewer", acting_user=alice.owner)
    wanted = {
        "night": ("Night job", "/account/keys/"),
        key.prefix: ("Night job", "/account/keys/"),
        plaintext: ("Night job", "/account/keys/"),
        "vera@": ("vera@example.org", "/account/members/"),
        "ivan": ("ivan@example.org", "/account/members/"),
    }
    for query, row in wanted.items():
        assert row in found(client, query), query
        assert client.get(row[1]).status_code == 200


def test_members_and_strangers_find_what_they_can_open(client: Client, shop: Instance) -> None:
    alice = shop.owner
    add_endpoint(shop.pk, name="CRM", url="https://in.example.net/events", acting_user=None)
    create_issue(shop.endpoint)
    receive_message(shop, sender="15550100101", sender_name="Ann Smith", body="a late order")
    issue_key(alice, name="Night job", scopes=[Scope.READ], expires_at=None, acting_user=alice.owner)
    vera = member_of(alice, "viewer", "vera@example.org")
    of_instance, of_account = ("CRM", "responded with 500", "Smith", "late order"), ("Night job", "vera@")

    client.force_login(vera)
    for query in of_instance:
        rows = [url for _, url in found(client, query) if "?q=" not in url]
        assert rows, query
        assert {client.get(url).status_code for url in rows} == {200}
    for query in of_account:
        assert {url for _, url in found(client, query)} <= set(searches(query)), query

    client.force_login(AccountFactory(email="bob@example.org").owner)
    for query in (*of_instance, *of_account):
        assert {url for _, url in found(client, query)} <= set(searches(query)), query


def searches(query: str) -> list[str]:
    """The links to the searches of the docs."""
    return [f"{path}?{urlencode({'q': query})}" for path in ("/api/contract/", "/api/docs/")]


MESSAGES, CHATS = 30_000, 5_000


def fill(instance: Instance) -> None:
    """Gives the instance CHATS chats and MESSAGES messages, and the tables as many of others."""
    with connection.cursor() as cursor:
        for owner in (instance.pk, instance.pk + 1_000_000):
            cursor.execute(
                """
                INSERT INTO instances_chat (instance_id, chat_id, name, image, is_group, last_time, invite_code,
                    archived, unread, marked_unread, read_number, cleared_number, activity)
                SELECT %s, n || '@c.us', 'Contact ' || n, '', false, now() - n * interval '1 minute', '', false, 0,
                    false, 0, 0, '' FROM generate_series(1, %s) AS n
                """,
                [owner, CHATS],
            )
            cursor.execute(
                """
                INSERT INTO instances_message (instance_id, number, message_id, chat_id, author, sender_name, type,
                    body, from_me, by_api, forwarded, failure, maybe_twice, time)
                SELECT %s, n, 'message ' || n, (SELECT min(id) FROM instances_chat WHERE instance_id = %s), '', '',
                    'chat', 'text ' || n, false, false, 0, '', false, now() FROM generate_series(1, %s) AS n
                """,
                [owner, owner, MESSAGES],
            )
        cursor.execute("ANALYZE instances_chat, instances_message")


def test_texts_and_chats_read_a_bounded_part(client: Client, shop: Instance) -> None:
    """Of 30 000 messages and 5 000 chats, the newest 2 000 of each are read, also if nothing matches."""
    fill(shop)
    with executed_plans("instances_message", "instances_chat") as plans:
        newest = found(client, f"text {MESSAGES}")
        oldest = found(client, "text 17")
        found(client, "nothing has this")
    assert f"text {MESSAGES}" in dict(newest)
    assert "text 17" not in dict(oldest)
    assert len(plans) >= 6
    for plan in plans:
        assert rows_read(plan) <= 2_005, outline(plan)  # the chats of one period are read together
