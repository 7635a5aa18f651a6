"""A new instance, step by step: channel, link, address, test message."""

import pytest

from hooks.models import Endpoint, Hook
from instances.channels import CHANNELS
from instances.models import AccountStatus, Channel, Instance
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def shop(bob) -> Instance:
    """Just made by bob."""
    bob.post("/instances/new/", {"name": "Shop", "channel": "sandbox"})
    return Instance.objects.get(name="Shop")


def test_a_new_instance_leads_to_its_next_step(bob):
    answer = bob.post("/instances/new/", {"name": "Shop", "channel": "sandbox"})
    made = Instance.objects.get(name="Shop")
    assert answer.url == f"/instances/{made.number}/setup/"
    assert (made.owner.owner.email, made.account_status) == ("bob@example.org", AccountStatus.GOT_QR_CODE)
    page = bob.get(answer.url)
    assert page.context["step"] == "link"
    assert "Scan with the sandbox phone" in page.content.decode()


def test_with_a_url_a_new_instance_is_tested_at_once(bob):
    with Receiver() as receiver:
        made = bob.post("/instances/new/", {"name": "Shop", "channel": "sandbox", "url": f" {receiver.url} "})
        shop = Instance.objects.get(name="Shop")
        setup = f"/instances/{shop.number}/setup/"
        assert made.url == f"{setup}?step=test"
        assert Endpoint.objects.get(pk=shop.pk).url == receiver.url
        page = bob.get(made.url)
        assert (page.context["step"], page.context["done"]) == ("test", {"address"})
        assert '<a class="btn" href="?step=link">' in page.text
        bob.post(f"/instances/{shop.number}/address/test/", {"url": receiver.url}, headers=HTMX)
        receiver.wait_for(1)
    assert bob.get(setup).context["step"] == "link"  # the one that is left
    bob.post(f"/instances/{shop.number}/link/", {"next": "setup"})
    page = bob.get(setup)
    assert page.context["step"] == "test"
    assert "?step=link" not in page.text.rpartition("setup-footer")[2]


def test_with_a_wrong_url_no_instance_is_created(bob):
    before = Instance.objects.count()
    page = bob.post("/instances/new/", {"name": "Shop", "channel": "sandbox", "url": "htp://x"})
    assert page.status_code == 200
    assert "The URL must start with http:// or https://." in page.text
    assert 'value="htp://x"' in page.text
    assert Instance.objects.count() == before


def test_only_channels_that_exist_are_offered_and_make_an_instance(bob):
    before = Instance.objects.count()
    page = bob.get("/instances/new/")
    assert [card.name for card in page.context["channels"]] == list(CHANNELS)
    for name in ("pigeon", *(set(Channel.values) - set(CHANNELS))):
        assert bob.post("/instances/new/", {"channel": name}).status_code == 200
    assert Instance.objects.count() == before


def test_the_steps_follow_one_another(bob, shop):
    setup = f"/instances/{shop.number}/setup/"
    answer = bob.post(f"/instances/{shop.number}/link/", {"next": "setup"})
    assert answer.url == setup
    assert bob.get(setup).context["step"] == "address"
    with Receiver() as receiver:
        answer = bob.post(f"/instances/{shop.number}/address/", {"next": "setup", "url": receiver.url})
        assert answer.url == setup
        page = bob.get(setup)
        assert page.context["step"] == "test"
        assert receiver.url in page.content.decode()
        card = bob.post(f"/instances/{shop.number}/address/test/", {"url": receiver.url}, headers=HTMX)
        assert "responded with 200" in card.content.decode()
        [request] = receiver.wait_for(1)
    assert request.json()["messages"][0]["body"] == "This is a test of the webhook URL."
    assert request.headers["webhook-simulated"] == "1"


def test_a_wrong_address_stays_in_its_step_with_what_is_wrong(bob, shop):
    answer = bob.post(f"/instances/{shop.number}/address/", {"next": "setup", "url": "htp://x"})
    assert answer.context["step"] == "address"
    assert "The URL must start with http:// or https://." in answer.content.decode()
    assert Endpoint.objects.get(pk=shop.pk).url == ""


def test_the_first_step_moves_on_by_itself_after_the_scan(bob, shop):
    setup = f"/instances/{shop.number}/setup/"
    seen = bob.get(setup).context["status"].cursor
    assert bob.get(setup, {"wait": seen}, headers=HTMX).status_code == 204
    bob.post(f"/instances/{shop.number}/link/")
    assert bob.get(setup, {"wait": seen}, headers=HTMX)["HX-Redirect"] == setup


def test_every_step_can_be_left_for_later_and_come_back_to(bob, shop):
    for step in ("link", "address", "test"):
        assert bob.get(f"/instances/{shop.number}/setup/", {"step": step}).context["step"] == step
    assert bob.get(f"/instances/{shop.number}/setup/", {"step": "x"}).context["step"] == "link"
    assert not Hook.objects.filter(endpoint_id=shop.pk, simulated=True).exists()


def test_a_stranger_sets_up_nothing(alice, shop):
    assert alice.get(f"/instances/{shop.number}/setup/").status_code == 404
