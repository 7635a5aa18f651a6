"""The search finds what the user may see: hooks and messages by id, instances, pages, settings and methods."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from hooks.models import Hook, Kind
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.chat_ids import MESSAGE_ID_LENGTH
from instances.chat_ids import message_id as message_id_of
from instances.models import Instance, Message
from instances.pages.query_parameters import SEARCH_MAX_LENGTH
from tests.factories import AccountFactory, InstanceFactory, member_of
from tests.instances.pages.search.searching import found

pytestmark = pytest.mark.django_db


def test_an_instance_is_found_by_name_number_and_url(client: Client, shop: Instance) -> None:
    InstanceFactory(owner=shop.owner, name="Night desk")
    for query in ("shop", str(shop.number), "hooks.example.com"):
        assert found(client, query)[0] == ("Shop", f"/instances/{shop.number}/")
        assert "Night desk" not in dict(found(client, query))


def test_the_instance_with_this_number_comes_before_phones_that_contain_it(
    client: Client, shop: Instance
) -> None:
    second = InstanceFactory(owner=shop.owner, name="Second")
    Instance.objects.filter(pk=shop.pk).update(phone=f"4915{second.number}")

    assert [title for title, _ in found(client, str(second.number))][:2] == ["Second", "Shop"]


def test_a_hook_is_found_by_its_id_in_both_spellings(client: Client, shop: Instance) -> None:
    receive_message(shop, sender="15550100101", body="hello")
    hook = Hook.objects.get(endpoint__instance=shop.pk, kind=Kind.MESSAGE)
    for query in (hook.webhook_id, str(hook.public_id)):
        assert found(client, query)[0] == (hook.webhook_id, f"/log/{hook.public_id}/")


def test_a_message_is_found_by_its_id_and_leads_to_its_page(client: Client, shop: Instance) -> None:
    received = receive_message(shop, sender="15550100101", body="hello")
    waiting = send_message(shop, chat_id="15550100101", body="hello")
    pages = {received.message_id: "received", waiting.message_id: "queue"}
    for message_id, page in pages.items():
        title, url = found(client, message_id)[0]
        assert title == message_id
        assert url.startswith(f"/instances/{shop.number}/{page}/")
        assert client.get(url).status_code == 200


def test_a_message_of_a_group_with_a_long_id_is_found(client: Client, shop: Instance) -> None:
    room, author = (f"matrix:{name}:{'long-' * 12}example.org" for name in ("!QtykxKocfsw", "@rita"))
    message_id = message_id_of(f"{room}@g.us", author=f"{author}@c.us", from_me=False)
    assert len(message_id) > 2 * SEARCH_MAX_LENGTH
    received = receive_message(shop, sender="15550100101", body="hello")
    Message.objects.filter(pk=received.pk).update(message_id=message_id)

    assert found(client, message_id)[0][0] == message_id
    form = client.get("/search/").text
    assert form.count(f'maxlength="{MESSAGE_ID_LENGTH}"') == 2  # the page's field and the dialog's


def test_every_link_of_a_page_a_setting_and_a_method_leads_there(client: Client, shop: Instance) -> None:
    wanted = {
        "ackNotificationsOn": f"/instances/{shop.number}/#flag-ackNotificationsOn",
        "sendDelay": f"/instances/{shop.number}/settings/#set-sendDelay",
        "sendMessage": "/api/contract/#sendMessage",
        "Two-factor": "/accounts/2fa/",
        "members": "/account/members/",
        "queue": f"/instances/{shop.number}/queue/",
        "delivery log": f"/log/?instance={shop.number}",
    }
    client.get(f"/log/?instance={shop.number}")  # from now on, the instance is chosen
    for query, url in wanted.items():
        assert url in [address for _, address in found(client, query)], query
        path, _, anchor = url.partition("#")
        page = client.get(path)
        assert page.status_code == 200, url
        assert not anchor or f'id="{anchor}"' in page.text, url


def test_what_belongs_to_another_account_is_not_found(client: Client, shop: Instance) -> None:
    other = InstanceFactory(owner=AccountFactory(email="bob@example.org"), name="Bob's shop")
    received = receive_message(other, sender="15550100101", body="hello")
    hook = Hook.objects.get(endpoint__instance=other.pk, kind=Kind.MESSAGE)
    for query in ("Bob", str(other.number), hook.webhook_id, received.message_id):
        page = client.get("/search/", {"q": query}).text
        assert "Bob's" not in html.unescape(page)
        assert f"/instances/{other.number}/" not in page
        assert str(hook.public_id) not in page


def test_a_member_finds_what_they_may_see_with_its_account(client: Client, shop: Instance) -> None:
    client.force_login(member_of(shop.owner, "viewer", "vera@example.org"))
    receive_message(shop, sender="15550100101", body="hello")
    hook = Hook.objects.get(endpoint__instance=shop.pk, kind=Kind.MESSAGE)

    assert found(client, hook.webhook_id)[0] == (hook.webhook_id, f"/log/{hook.public_id}/")
    assert "in the account of alice@example.org" in client.get("/search/", {"q": "shop"}).text


def test_without_a_text_the_instances_and_pages_are_listed(client: Client, shop: Instance) -> None:
    titles = [title for title, _ in found(client, "")]

    assert titles[0] == "Shop"
    assert {"Delivery log", "Webhook Simulation", "Account"} <= set(titles)


def test_the_dialog_gets_options_alone(client: Client, shop: Instance) -> None:
    headers = {"HX-Request": "true", "HX-Target": "palette-results"}
    part = client.get("/search/", {"q": "Shop"}, headers=headers).text

    assert "<html" not in part
    assert part.count('role="option"') == len(found(client, "Shop", **headers)) > 0
    assert 'data-query="Shop"' in part
    ids = re.findall(r'\bid="([^"]+)"', part)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "query", ["\0", "%", "'; --", "9" * 100, "hook_" + "f" * 31, "٣", "a" * 500, "a " * 400]
)
def test_any_text_gets_a_page(client: Client, shop: Instance, query: str) -> None:
    assert client.get("/search/", {"q": query}).status_code == 200


def test_more_rows_need_no_more_queries(
    client: Client, shop: Instance, django_assert_max_num_queries: object
) -> None:
    message = receive_message(shop, sender="15550100101", body="hello")
    for number in range(12):
        InstanceFactory(owner=shop.owner, name=f"Shop {number}")
    headers = {"HX-Request": "true", "HX-Target": "palette-results"}
    for query in ("shop", message.message_id, Hook.objects.first().webhook_id):  # type: ignore[union-attr]
        client.get("/search/", {"q": query}, headers=headers)
        with django_assert_max_num_queries(18):  # type: ignore[operator]
            client.get("/search/", {"q": query}, headers=headers)
    assert 'href="/instances/?q=shop"' in client.get("/search/", {"q": "shop"}).text
