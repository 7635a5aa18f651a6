"""The bin in a browser, by the keyboard: choose, tabs, replay, delete and undo; and what a shared link shows.

Keys that are faster than the server act on the request that they were pressed for.
"""

import re
import urllib.request
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Route, expect

from tests.product import Product


def address_on(page: Page) -> str:
    page.goto("/testing/bins/mine/")
    return page.locator(".bin-address code").inner_text()


def empty_bin(page: Page) -> None:
    """The demo's account has one bin of its own, to which other tests send."""
    page.goto("/testing/bins/mine/")
    if page.locator(".capture-row").count():
        page.get_by_role("button", name="Delete all").click()
    expect(page.locator(".capture-row")).to_have_count(0)


def send(address: str, *bodies: str) -> None:
    for body in bodies:
        request = urllib.request.Request(address.replace("localhost", "127.0.0.1"), body.encode())
        urllib.request.urlopen(request, timeout=20).close()


def test_the_keys_do_what_the_help_says_and_a_shared_link_is_read_on_a_phone(
    demo_page: Page, browser: Browser, product: Product
) -> None:
    """One after the other: the demo's account has one bin of its own."""
    empty_bin(demo_page)
    by_keyboard(demo_page)
    faster_than_the_server(demo_page)
    at_the_moment_a_response_is_shown(demo_page)
    shared_with_somebody_without_an_account(demo_page, browser)


def by_keyboard(page: Page) -> None:
    address = address_on(page)
    send(address, "one", "two", "three")
    summaries = page.locator("#captures .capture-summary")
    expect(summaries).to_have_text(["three", "two", "one"])

    pane = page.get_by_role("region", name="Chosen request")
    page.keyboard.press("j")
    expect(pane.get_by_role("heading", level=2)).to_contain_text("with 5 B of text")
    page.keyboard.press("j")
    expect(pane.get_by_role("heading", level=2)).to_contain_text("with 3 B of text")
    page.keyboard.press("2")
    expect(pane.locator("#pane-body pre")).to_have_text("two")
    page.keyboard.press("7")
    expect(pane.locator("#pane-hex pre")).to_contain_text("74 77 6f")
    page.keyboard.press("j")
    expect(pane.locator("#pane-hex pre")).to_contain_text("6f 6e 65")  # the tab stays chosen
    page.keyboard.press("k")

    page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name=re.compile("Replay no"))
    dialog.get_by_label("Destination").fill(f"{address}/again")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Delivered: localhost responded with 200.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#captures .capture-path")).to_have_text(["/again"])

    page.keyboard.press("d")
    expect(page.locator("#undo")).to_contain_text("1 request deleted. You can undo this for 10 minutes.")
    expect(page.locator(".capture-row[aria-current]")).to_contain_text("one")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".alert")).to_contain_text("1 request restored.")
    expect(summaries).to_have_text(["two", "three", "two", "one"])

    page.keyboard.press("p")
    send(address, "held")
    expect(page.get_by_role("button", name="1 new, show")).to_be_visible()
    page.keyboard.press("p")
    expect(summaries.first).to_have_text("held")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")

    page.keyboard.press("/")
    page.keyboard.type("body:one")
    page.keyboard.press("Enter")
    expect(summaries).to_have_text(["one"])
    expect(page.get_by_role("heading", name="1 matching")).to_be_visible()


class Loading:
    """Holds the requests that keys start, one at a time; all others of the bin's pages continue at once.

    Created before the bin is loaded (conftest.py).
    """

    PAGES = "**/testing/bins/**"

    def __init__(self, page: Page) -> None:
        self.page = page
        self.path = ""  # of the request to hold
        self.held: Route | None = None
        page.route(self.PAGES, self.handle)

    def handle(self, route: Route) -> None:
        if self.path and urlsplit(route.request.url).path == self.path:
            self.path, self.held = "", route
        else:
            route.continue_()

    def press(self, url: str, *names: str) -> Route:
        """Presses the keys, of which the first requests the URL; returns the request, to be continued or aborted."""
        self.path, self.held = urlsplit(url).path, None
        self.page.keyboard.press(names[0])
        for _ in range(1000):
            if self.held is not None:
                break
            self.page.wait_for_timeout(10)
        assert self.held is not None, f"{names[0]} requests {url}"
        for name in names[1:]:
            self.page.keyboard.press(name)
        return self.held

    def end(self) -> None:
        self.page.unroute(self.PAGES, self.handle)


def faster_than_the_server(page: Page) -> None:
    """Keys wait for the request that is loading; they are dropped if it fails, or another one is chosen."""
    loading = Loading(page)
    send(address_on(page), "first", "second", "third", "fourth", "fifth")
    rows, summaries = page.locator(".capture-row"), page.locator("#captures .capture-summary")
    expect(summaries.first).to_have_text("fifth")
    urls = [str(rows.nth(place).get_attribute("href")) for place in range(5)]
    pane, body = page.locator("#capture"), page.locator("#pane-body pre")
    replay = page.get_by_role("dialog", name=re.compile("Replay no"))
    page.keyboard.press("j")
    expect(pane.locator("h2")).to_contain_text("with 5 B of text")

    request = loading.press(urls[1], "j", "2", "r")
    expect(replay).to_be_hidden()
    request.continue_()
    expect(body).to_have_text("fourth")
    expect(replay).to_have_attribute("open", "")
    expect(page).to_have_url(re.compile("/testing/bins/mine/|/testing/bins/[a-z0-9]+/$"))
    page.keyboard.press("Escape")

    loading.press(urls[2], "j", "d").abort()
    expect(page.get_by_role("alert")).to_contain_text("Not loaded")
    rows.nth(2).click()
    expect(body).to_have_text("third")
    loading.press(urls[3], "j", "d").continue_()
    expect(page.locator("#undo")).to_contain_text("1 request deleted.")
    expect(page.locator(".capture-row[aria-current]")).to_contain_text("first")
    expect(body).to_have_text("first")
    assert page.locator(f'.capture-row[href="{urls[2]}"]').count() == 1
    loading.end()


def at_the_moment_a_response_is_shown(page: Page) -> None:
    """A link in a response, or a row of a poll, opens its dialog or pane as soon as it is on the page."""
    address = address_on(page)
    page.evaluate("""() => {
        const press = (key) => document.body.dispatchEvent(
            new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        const steps = [
            ["[hx-trigger='every 1s']", "#captures .capture-summary", "j"],
            [".capture-row", "#capture pre", "r"],
        ];
        document.addEventListener("htmx:afterRequest", (event) => {
            const [requesting, shown, key] = steps[0] || [];
            if (!key || !event.target.matches(requesting)) return;
            if (document.querySelector(shown)?.textContent !== "at once") return;
            steps.shift();
            press(key);
        });
    }""")
    send(address, "at once")
    expect(page.get_by_role("dialog", name=re.compile("Replay no"))).to_have_attribute("open", "")
    expect(page.locator("#capture h2")).to_contain_text("with 7 B of text")


def shared_with_somebody_without_an_account(page: Page, browser: Browser) -> None:
    send(address_on(page), "for your eyes")
    page.get_by_role("link", name="Share bin").first.click()
    dialog = page.get_by_role("dialog", name="Share bin")
    dialog.get_by_role("button", name="1 hour").click()
    link = dialog.get_by_role("textbox", name="Link").input_value()

    phone = browser.new_context(viewport={"width": 360, "height": 740})
    visitor = phone.new_page()
    visitor.goto(link)
    visitor.locator(".capture-row").first.click()
    visitor.get_by_role("tab", name="Body").click()
    expect(visitor.locator("#pane-body pre")).to_have_text("for your eyes")
    assert visitor.evaluate("document.documentElement.scrollWidth") == 360
    assert phone.cookies() == []

    dialog.get_by_role("button", name="Revoke").click()
    expect(dialog).to_contain_text("The link no longer works.")
    visitor.reload()
    visitor.goto(link)
    expect(visitor.get_by_role("heading", name="Invalid link")).to_be_visible()
    phone.close()
