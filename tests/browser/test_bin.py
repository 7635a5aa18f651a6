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
        page.get_by_label("More actions").click()
        page.get_by_role("button", name="Delete all").click()
    expect(page.locator(".capture-row")).to_have_count(0)


def send(address: str, *bodies: str) -> None:
    for body in bodies:
        url = address.replace("localhost", "127.0.0.1")
        request = urllib.request.Request(url, body.encode(), {"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=60).close()


def test_the_keys_do_what_the_help_says_and_a_shared_link_is_read_on_a_phone(
    demo_page: Page, browser: Browser, product: Product
) -> None:
    """One after the other: the demo's account has one bin of its own."""
    empty_bin(demo_page)
    the_newest_opens_until_one_is_chosen(demo_page)
    empty_bin(demo_page)
    folded_and_compared(demo_page)
    empty_bin(demo_page)
    by_keyboard(demo_page)
    faster_than_the_server(demo_page)
    at_the_moment_a_response_is_shown(demo_page)
    shared_with_somebody_without_an_account(demo_page, browser)


def the_newest_opens_until_one_is_chosen(page: Page) -> None:
    """The URL names a chosen request, also after a reload and a search; Back and forward change the pane."""
    address, body, rows = address_on(page), page.locator("#pane-body pre"), page.locator(".capture-row")
    listed = page.url
    for text in ("one", "two"):
        send(address, text)
        expect(body).to_have_text(text)
    expect(page).to_have_url(listed)
    expect(page.locator(".capture-row.unread")).to_have_count(0)

    rows.nth(1).click()
    expect(body).to_have_text("one")
    chosen = page.url
    assert chosen.startswith(f"{listed}?open=")
    send(address, "three")
    page.mouse.move(0, 0)
    expect(rows).to_have_count(3)
    expect(rows.first).to_have_class(re.compile("unread"))
    expect(body).to_have_text("one")
    page.go_back()
    page.wait_for_url(listed)
    expect(body).to_have_text("three")
    page.go_forward()
    expect(body).to_have_text("one")
    page.get_by_role("tab", name="Headers").click()
    page.reload()
    expect(page.locator("#pane-headers")).to_be_visible()
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")
    page.get_by_role("searchbox").press_sequentially("body:t")
    expect(rows).to_have_count(2)
    page.wait_for_url(re.compile(r"q=body.*open="))
    expect(body).to_have_text("one")

    page.goto(listed)
    expect(body).to_have_text("three")
    page.locator("#pane-body").click()  # it is read, so it stays
    send(address, "four")
    expect(rows).to_have_count(4)
    expect(body).to_have_text("three")

    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(listed)
    expect(page.locator("#capture")).to_be_hidden()
    rows.nth(1).click()
    expect(page.get_by_role("tab", name="Body")).to_be_visible()
    expect(rows.first).to_be_hidden()
    page.go_back()
    expect(page.locator("#capture")).to_be_hidden()
    expect(rows.nth(1)).to_be_focused()
    page.goto(chosen)
    page.get_by_role("button", name="All requests").click()
    expect(rows.nth(3)).to_be_focused()
    page.set_viewport_size({"width": 1280, "height": 720})


def folded_and_compared(page: Page) -> None:
    """A level of JSON is folded by the keyboard; the dialog compares with another request as soon as it is chosen."""
    address = address_on(page)
    send(
        address,
        '{"a": {"b": [1, 2]}, "c": 1}',
        '{"a": {"b": [1, 3]}, "c": 1}',
        '{"a": {"b": [1, 2]}, "c": 2}',
    )
    folds = page.locator("#folds")
    expect(folds).to_contain_text('"c": 2')
    page.get_by_role("button", name="Collapse all").click()
    expect(folds.get_by_text('"b"')).to_be_hidden()
    folds.locator("summary", has_text='"a"').focus()
    page.keyboard.press("Enter")
    expect(folds.get_by_text('"b"')).to_be_visible()

    page.get_by_role("link", name="Compare request").click()
    dialog = page.get_by_role("dialog", name=re.compile("Compare no"))
    changed = dialog.locator(".diff-removed .diff-text, .diff-added .diff-text")
    expect(changed).to_have_text(["      3", "      2", '  "c": 1', '  "c": 2'])
    dialog.get_by_label("With").select_option(index=1)
    expect(changed).to_have_text(['  "c": 1', '  "c": 2'])
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def by_keyboard(page: Page) -> None:
    address = address_on(page)
    send(address, "one", "two", "three")
    summaries = page.locator("#captures .capture-summary")
    expect(summaries).to_have_text(["three", "two", "one"])

    pane = page.get_by_role("region", name="Chosen request")
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
        for _ in range(6000):
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
    rows, body = page.locator(".capture-row"), page.locator("#pane-body pre")
    replay = page.get_by_role("dialog", name=re.compile("Replay no"))
    expect(body).to_have_text("fifth")
    urls = [str(rows.nth(place).get_attribute("href")) for place in range(5)]

    request = loading.press(urls[1], "j", "2", "r")
    expect(replay).to_be_hidden()
    request.continue_()
    expect(body).to_have_text("fourth")
    expect(replay).to_have_attribute("open", "")
    expect(page).to_have_url(re.compile(r"/testing/bins/[a-z0-9]+/\?open=[\w-]{22}"))
    page.keyboard.press("Escape")

    loading.press(urls[2], "j", "d").abort()
    expect(page.get_by_role("alert")).to_contain_text("Not loaded")
    expect(page.locator("#capture")).to_be_empty()  # not the request before, under this one's URL
    rows.nth(2).click()
    expect(body).to_have_text("third")
    loading.press(urls[3], "j", "d").continue_()
    expect(page.locator("#undo")).to_contain_text("1 request deleted.")
    expect(page.locator(".capture-row[aria-current]")).to_contain_text("first")
    expect(body).to_have_text("first")
    assert page.locator(f'.capture-row[href="{urls[2]}"]').count() == 1
    loading.end()


def at_the_moment_a_response_is_shown(page: Page) -> None:
    """A request that a poll brings opens by itself, and a key at that moment acts on it."""
    address = address_on(page)
    page.evaluate("""() => {
        const press = (key) => document.body.dispatchEvent(
            new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        const steps = [["[hx-trigger='every 1s']", "#captures .capture-summary", "r"]];
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
