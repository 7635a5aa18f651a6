"""The setup's step "Link" of a channel that is linked by values, and the account's card on the instance's page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from instances.channels import CHANNELS
from instances.channels.linking import NotLinkable
from instances.models import ChannelLink, Instance
from instances.receiving.linking import link_account
from tests.instances.receiving.all_channels import TEST_CHANNELS
from tests.instances.receiving.desk import NAME as DESK
from tests.instances.receiving.desk import TOKEN, Desk

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
NAME = "telegram"  # a name that instances may have; its channel is the desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setitem(CHANNELS, NAME, TEST_CHANNELS[DESK])
    with Desk() as desk:
        yield desk


@pytest.fixture
def shop(bob: Client, desk: Desk) -> Instance:
    bob.post("/instances/new/", {"name": "Shop", "channel": NAME})
    return Instance.objects.get(name="Shop")


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_all_channels_are_cards_with_what_they_can_and_cannot_do(bob: Client, desk: Desk) -> None:
    page = text(bob.get("/instances/new/"))
    assert (
        '<span class="choice-name">Sandbox</span>' in page and '<span class="choice-name">Desk</span>' in page
    )
    assert "Links an account of a desk by its token." in page
    assert "Sends text, image, video, voice, document, location and contact card." in page
    assert "Reports when a message is sent and delivered." in page
    assert page.count("A notepad has no groups and no typing.") == 1
    assert "A notepad has no such button." not in page
    assert "Each message costs nothing." in page and "An account at a desk." in page


def test_a_new_instance_is_linked_by_the_form_of_its_channel(bob: Client, desk: Desk, shop: Instance) -> None:
    assert shop.account_status == "init"
    url = f"/instances/{shop.number}/setup/"
    page = text(bob.get(url))
    assert "Create a token and copy it: the desk shows it once." in page and "Check and link" in page
    assert 'type="password" value="" placeholder="desk-…"' in page
    values = desk.add() | {"next": "setup"}
    refused = bob.post(f"/instances/{shop.number}/account/", values | {"token": "desk-0000"}, headers=HTMX)
    assert "The desk does not know the token ***." in text(refused)
    assert "desk-0000" not in text(refused), "a secret is not sent back"
    assert desk.url in text(refused), "other values stay in the form"
    done = bob.post(f"/instances/{shop.number}/account/", values, headers=HTMX)
    assert done["HX-Redirect"] == f"{url}?step=link", "the callback URL is shown next"
    page = text(bob.get(f"{url}?step=link"))
    assert ChannelLink.objects.get().callback_url in page
    assert "Enter the callback URL on the page “Events” of the desk." in page
    assert bob.get(url).context["step"] == "address"


def test_without_javascript_the_form_works_too(bob: Client, desk: Desk, shop: Instance) -> None:
    url = f"/instances/{shop.number}/account/"
    page = text(bob.post(url, {"token": "", "url": desk.url}))
    assert "Enter the token." in page and "<html" in page
    assert bob.post(url, desk.add()).headers["Location"] == shop.get_absolute_url()


def test_a_value_is_checked_while_it_is_typed(bob: Client, desk: Desk, shop: Instance) -> None:
    url = f"/instances/{shop.number}/account/check/token/"
    assert "A token starts with desk-" in text(bob.post(url, {"token": "x"}))
    assert "Its form is right." in text(bob.post(url, {"token": TOKEN}))
    assert "Enter the token." in text(bob.post(url, {"token": ""}))
    assert bob.post(f"/instances/{shop.number}/account/check/other/").status_code == 404
    assert not desk.asked


def test_the_card_shows_the_account_and_of_a_secret_its_end_only(
    bob: Client, desk: Desk, shop: Instance
) -> None:
    link_account(shop, desk.add("desk-12345678secretend"), acting_user=None)
    page = text(bob.get(shop.get_absolute_url()))
    assert "@desk1" in page and "desk 1" in page
    assert "Saved, ends with …tend" in page
    assert "12345678secret" not in page and "signature of" not in page
    assert 'linked as <span class="mono">+15550001111</span>' in page
    saved = bob.post(f"/instances/{shop.number}/account/", {"token": "", "url": desk.url}, headers=HTMX)
    assert "Checked at Desk, saved and connected." in text(saved)
    link_account(shop, desk.add("desk-short"), acting_user=None)
    page = text(bob.get(shop.get_absolute_url()))
    assert "Saved. Leave it empty to keep it." in page and "desk-short" not in page


def test_an_account_is_unlinked_and_the_page_says_so(bob: Client, desk: Desk, shop: Instance) -> None:
    link_account(shop, desk.add(), acting_user=None)
    answer = bob.post(f"/instances/{shop.number}/account/remove/")
    assert answer.headers["Location"] == shop.get_absolute_url()
    shop.refresh_from_db()
    assert shop.account_status == "init" and not ChannelLink.objects.exists()
    page = text(bob.get(answer.headers["Location"]))
    assert "is not linked any more. Its credentials were deleted." in page
    assert "Link an account" in page and "Not linked" in page
    unlinked = bob.get("/instances/", {"state": "unlinked"})
    assert [card.instance for card in unlinked.context["cards"]] == [shop]


def test_only_those_who_may_change_the_instance_link_it(
    bob: Client, alice: Client, desk: Desk, shop: Instance
) -> None:
    for path in ("account/", "account/check/token/", "account/remove/"):
        assert alice.post(f"/instances/{shop.number}/{path}", desk.add()).status_code == 404
    assert not desk.asked and not ChannelLink.objects.exists()


def test_an_instance_of_the_sandbox_has_no_account_to_link(bob: Client) -> None:
    bob.post("/instances/new/", {"name": "Box", "channel": "sandbox"})
    box = Instance.objects.get(name="Box")
    assert bob.post(f"/instances/{box.number}/account/").status_code == 404
    assert 'id="account"' not in text(bob.get(box.get_absolute_url()))
    with pytest.raises(NotLinkable):
        link_account(box, {}, acting_user=None)
