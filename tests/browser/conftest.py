"""Debian's chromium against the real product. `page` is a stranger's, `demo_page` is signed in as the demo account.

These stand in for pytest-playwright's fixtures of the same names, which last for the whole run: Playwright keeps an
event loop in this thread for as long as it lives, and Django refuses its database to a thread with such a loop.

A page's first route is added before the page is loaded: Chromium tells the page's process to intercept, and a key
pressed at once overtakes that. While the page's script was busy, 2 of 100 first requests were sent past the route; with
the route first, none of 100.

A click that leads to another page waits until that page is loaded: on a busy machine, the next click would come before
the page's script, which handles it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.browser import walk
from tests.product import Product
from tests.receiver import Receiver

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
# ms, instead of Playwright's 5 s: a delivery and the poll that shows it may take longer on a busy machine.
EXPECT_TIMEOUT = 60_000


@pytest.fixture(scope="session", autouse=True)
def busy_machine() -> Iterator[None]:
    """Lets expectations wait long enough, and clicks and keys until the page that they lead to is loaded."""
    expect.set_options(timeout=EXPECT_TIMEOUT)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("click", "press"):
            patch.setattr(Locator, name, and_load(getattr(Locator, name)))
        yield


def and_load(action: Callable[..., None]) -> Callable[..., None]:
    """Returns the action, which waits for the start of a navigation, followed by a wait for the page to be loaded."""

    def act(locator: Locator, *arguments: Any, **options: Any) -> None:
        action(locator, *arguments, **options)
        locator.page.wait_for_load_state()

    return act


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def day(product: Product) -> Iterator[walk.Day]:
    """The sample day, once per product: its users have fixed e-mail addresses."""
    with Receiver() as good, Receiver([(500, {}, b"out of order")]) as bad:
        yield walk.begin(product, good.url, bad.url)


@pytest.fixture
def context(browser: Browser, product: Product) -> Iterator[BrowserContext]:
    """URLs without a host are the product's, with the host name of its own links."""
    context = browser.new_context(base_url=product.url.replace("127.0.0.1", "localhost"))
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Fails the test on a script error, or on a script or style that the policy blocks."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None
    )
    yield page
    assert faults == []


@pytest.fixture
def demo_page(page: Page, product: Product) -> Page:
    walk.sign_in(page, product)
    return page
