"""An account is linked by the form of its channel, in a browser; and the pages that show it, before axe-core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, expect
from pytest_django.live_server_helper import LiveServer

from instances.actions.channel_links import lose_link
from instances.channels import CHANNELS
from instances.models import Instance
from instances.receiving.linking import link_account
from tests.browser import walk
from tests.factories import InstanceFactory
from tests.instances.receiving.all_channels import TEST_CHANNELS
from tests.instances.receiving.desk import NAME as DESK
from tests.instances.receiving.desk import TOKEN, Desk

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "telegram"  # a name that instances may have; its channel is the desk
SIZES = {"desk": {"width": 1280, "height": 720}, "phone": {"width": 360, "height": 740}}


@pytest.fixture(scope="module", autouse=True)
def database_in_this_thread() -> Iterator[None]:
    """Lets Django use the database in the thread of the browser's event loop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setitem(CHANNELS, NAME, TEST_CHANNELS[DESK])
    with Desk() as desk:
        yield desk


@pytest.fixture
def shop(desk: Desk) -> Instance:
    made: Instance = InstanceFactory(name="Shop", channel=NAME, account_status="init", phone="")
    return made


def context_of(browser: Browser, server: LiveServer, instance: Instance, **options: object) -> BrowserContext:
    """Returns a context in which the instance's owner is signed in."""
    client = Client()
    client.force_login(instance.owner.owner)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = browser.new_context(reduced_motion="reduce", **options)  # type: ignore[arg-type]
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": server.url}])
    return context


def in_thread(work: Callable[[], object]) -> None:
    """Run it in a thread with a database session of its own."""

    def run() -> None:
        work()
        connections.close_all()

    thread = Thread(target=run)
    thread.start()
    thread.join()


def test_a_wrong_token_is_named_and_a_right_one_linked(
    browser: Browser, live_server: LiveServer, desk: Desk, shop: Instance
) -> None:
    context = context_of(browser, live_server, shop, viewport=SIZES["desk"])
    try:
        page = context.new_page()
        page.goto(f"{live_server.url}/instances/{shop.number}/setup/")
        page.get_by_label("Token", exact=True).fill("wrong")
        expect(page.get_by_text("A token starts with desk-")).to_be_visible()
        page.get_by_label("Token", exact=True).fill("desk-0000")
        expect(page.get_by_text("Its form is right.")).to_be_visible()
        page.get_by_label("URL of the desk").fill(desk.url)
        page.get_by_role("button", name="Check and link").click()
        expect(page.get_by_text("The desk does not know the token ***.")).to_be_visible()
        expect(page.get_by_label("URL of the desk")).to_have_value(desk.url)
        desk.add()
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.get_by_role("button", name="Check and link").click()
        expect(page.get_by_text("Linked. Messages are sent and received.")).to_be_visible()
        expect(page.locator("#callback-url")).to_have_value(desk.callbacks[TOKEN])
        page.get_by_role("link", name="Set webhook URL").click()
        expect(page.get_by_role("heading", name="Webhook URL of your server")).to_be_visible()
    finally:
        context.close()


@pytest.mark.parametrize("size", SIZES)
def test_the_pages_have_no_finding(
    browser: Browser, live_server: LiveServer, desk: Desk, shop: Instance, size: str
) -> None:
    linked = InstanceFactory(name="Linked", owner=shop.owner, channel=NAME, account_status="init", phone="")
    values = desk.add("desk-12345678secretend")
    in_thread(lambda: link_account(linked, values, acting_user=None))
    lost = InstanceFactory(name="Lost", owner=shop.owner, channel=NAME, account_status="init", phone="")
    others = desk.add("desk-lost", id="desk 2")
    in_thread(lambda: link_account(lost, others, acting_user=None))
    in_thread(lambda: lose_link(lost, reason="The desk does not accept the token any more."))
    on_phone = size == "phone"
    scheme = "dark" if on_phone else "light"
    context = context_of(browser, live_server, shop, viewport=SIZES[size], color_scheme=scheme)
    way = walk.Walk(context)
    paths = {
        "new": "/instances/new/",
        "setup": f"/instances/{shop.number}/setup/",
        "linked step": f"/instances/{linked.number}/setup/?step=link",
        "linked": linked.get_absolute_url(),
        "lost": lost.get_absolute_url(),
        "move": f"/instances/{linked.number}/settings/",
    }
    try:
        for name, path in paths.items():
            page = way.go(name, live_server.url + path)
            page.evaluate("document.querySelectorAll('details.disclosure').forEach(one => one.open = true)")
            for fault in page.evaluate(walk.CUT):
                way.fault(f"cut off: {fault}")
            if on_phone and (wide := page.evaluate(walk.WIDE)) is not None:
                way.fault(f"wider than the phone: {wide}")
            way.ask_axe(scheme)
    finally:
        context.close()
    assert way.faults == [], "\n".join(way.faults)
