"""A second endpoint in a browser, against the real product: add, filter, receive, remove; and its pages at 360 px."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import walk
from tests.browser.test_bin import address_on
from tests.browser.test_verification import set_address, write
from tests.product import Product
from tests.product_shell import shell
from tests.receiver import Receiver

ADD = """
from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.endpoints import pause
from instances.models import Instance
instance = Instance.objects.get(number={number})
url = "http://127.0.0.1:9/a/long/path/to/an/endpoint/that/is/wider/than/a/phone?and=has&a=query"
added = add_endpoint(instance.pk, url=url, name="Archive of every message of the shop", acting_user=None)
pause(added, acting_user=None)
print(added.pk)
"""
# Other tests look at the instance's hooks: none of them goes to this endpoint.
REMOVE = """
from hooks.actions.endpoint_list import remove_endpoint
from hooks.models import Endpoint
remove_endpoint(Endpoint.objects.get(pk={added}), acting_user=None)
"""


def test_a_second_endpoint_gets_only_what_matches_its_filter(demo_page: Page, product: Product) -> None:
    page, number = demo_page, product.demo["instances"][0]["id"]
    bin_address = address_on(page)
    with Receiver() as receiver:
        set_address(product, receiver.url)
        page.goto(f"/instances/{number}/")
        page.get_by_role("link", name="Add another endpoint").click()
        page.get_by_role("textbox", name="URL").fill(bin_address)
        page.get_by_role("textbox", name="Name").fill("Orders")
        page.get_by_role("button", name="Add endpoint").click()
        expect(page.get_by_role("heading", name="Orders Active")).to_be_visible()

        filters = page.get_by_role("region", name="Filters")
        filters.get_by_role("checkbox", name="Messages").check()
        filters.get_by_role("radio", name="Incoming").check()
        filters.get_by_role("checkbox", name="Text").check()
        summary = filters.locator("#filter-summary")
        expect(summary).to_contain_text("Messages, incoming only, type text Not saved yet.")
        filters.get_by_role("textbox", name="Chat ids").fill("Ann")
        expect(summary).to_have_text(re.compile("Line 1: “Ann” is not a chat id"))
        filters.get_by_role("textbox", name="Chat ids").fill("17680561234")
        expect(summary).to_contain_text("from 1 chat Not saved yet.")
        filters.get_by_role("button", name="Save filters").click()
        expect(filters.get_by_text("Saved.", exact=True)).to_be_visible()
        expect(filters.get_by_role("textbox", name="Chat ids")).to_have_value("17680561234@c.us")

        page.get_by_role("button", name="Test URL").click()
        expect(page.locator(".address-test")).to_contain_text("responded with 200")
        write(product, "an order")
        write(product, "no order", sender="17680567777")
        wait_for_text(receiver, "an order")
        wait_for_text(receiver, "no order")

        page.goto(f"/log/?instance={number}&kind=message&simulated=no")
        page.get_by_role("button", name="Filters").click()
        page.get_by_role("combobox", name="Endpoint").select_option("Orders")
        rows = page.locator(".hook-row")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("Orders")
        expect(rows).to_contain_text("Delivered")
        expect(page.get_by_role("group", name="Health of the endpoint")).to_contain_text("Orders")
        rows.get_by_role("link").click()
        expect(page.get_by_role("link", name="Orders", exact=True)).to_be_visible()

        page.goto("/testing/bins/mine/")
        summaries = page.locator("#captures .capture-summary")
        expect(summaries.filter(has_text="an order").first).to_be_visible()
        expect(summaries.filter(has_text="no order")).to_have_count(0)

        page.goto(f"/instances/{number}/endpoints/")
        card = page.get_by_role("listitem", name="Orders")
        expect(card).to_contain_text("Messages, incoming only, type text, from 1 chat")
        card.get_by_role("button", name="Pause endpoint Orders").click()
        page.get_by_role("alertdialog").get_by_role("button", name="Pause").click()
        expect(card).to_contain_text("Paused")
        card.get_by_role("link", name="Edit endpoint Orders").click()
        page.get_by_role("button", name="Remove endpoint").click()
        dialog = page.get_by_role("alertdialog", name="Remove endpoint Orders?")
        expect(dialog).to_contain_text("It has no waiting hooks; any that arrive until then are cancelled.")
        dialog.get_by_role("button", name="Remove endpoint").click()
        expect(page.get_by_text("Endpoint Orders was removed")).to_be_visible()
        expect(page.get_by_role("listitem", name="Orders")).to_have_count(0)


def wait_for_text(receiver: Receiver, text: str) -> None:
    """Waits until the receiver has a request with this text in its body."""
    arrived = receiver.wait_for(1)
    while not any(text in request.body.decode() for request in arrived):
        arrived = receiver.wait_for(len(arrived) + 1)


@pytest.fixture(
    params=[{"width": 360, "height": 740}, {"width": 1280, "height": 720}], ids=["phone", "laptop"]
)
def owner_page(
    request: pytest.FixtureRequest, browser: Browser, product: Product, day: walk.Day
) -> Iterator[Page]:
    context = walk.visitor(browser, product, day, "owner", viewport=request.param, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def added(product: Product, day: walk.Day) -> Iterator[str]:
    """The key of a paused endpoint of the night desk."""
    key = shell(product.environment, ADD.format(number=day.night)).split()[-1]
    yield key
    shell(product.environment, REMOVE.format(added=key))


def test_nothing_is_cut_off(owner_page: Page, day: walk.Day, added: str) -> None:
    faults = []
    for address in (
        f"/instances/{day.night}/", f"/instances/{day.night}/endpoints/", f"/log/?instance={day.night}",
        f"/instances/{day.night}/endpoints/{added}/", f"/log/redeliver/?instance={day.night}&endpoint={added}",
    ):  # fmt: skip
        owner_page.goto(address)
        faults += [f"{address}: {fault}" for fault in owner_page.evaluate(walk.CUT)]
        wide = owner_page.evaluate(walk.WIDE)
        if wide is not None:
            faults.append(f"{address} is wider than the window: {wide}")
    assert faults == []
