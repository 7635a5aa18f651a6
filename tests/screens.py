"""Takes pictures of all screens, in light, in dark and on a phone, into docs/screens: `make screens`, or
`python -m tests.screens phone` for one of the looks.

The product is started in a folder that is thrown away, with a day at alice's shops in it (tests/frame/shown.py), whose
hooks are really delivered. The pictures are WebP; README.md beside them is written anew as well.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import walk
from tests.browser.conftest import FLAGS
from tests.frame.pages import visitor_of
from tests.product import ROOT, Product
from tests.receiver import Receiver

SCREENS = ROOT / "docs" / "screens"
# (file, page of tests/frame/pages.py, words)
SHOWN = (
    ("sign-up", "account_signup", "Sign-up"),
    ("sign-in", "account_login", "Sign-in"),
    ("instances", "instances:list", "The instances"),
    ("new-instance", "instances:new", "A new instance: the channel"),
    ("setup", "instances:setup", "A new instance: address and test message"),
    ("instance", "instances:detail", "One instance: status, webhook, flags, API"),
    ("settings", "instances:settings", "Its settings"),
    ("history", "instances:history", "Its status history"),
    ("messages", "instances:chat", "Its messages"),
    ("simulation", "testing:simulation", "Webhook Simulation"),
    ("verification", "testing:verification", "Webhook Verification"),
    ("bin", "testing:verification-capture", "A bin, with one capture explained"),
    ("bin-answer", "testing:verification-answer", "What a bin answers"),
    ("my-bin", "own bin", "A bin of one's own"),
    ("shared", "shared:bin", "A shared bin"),
    ("sending", "testing:sending", "Sending Messages, with the ticks as they come"),
    ("phone", "testing:phone", "The sandbox phone"),
    ("log", "log:list", "The delivery log"),
    ("hook", "log:hook", "One hook with its attempts"),
    ("hook-failing", "hook that fails", "A hook that fails, and when it is tried again"),
    ("redelivery", "log:redelivery", "Sending a period again"),
    ("wire-contract", "docs:contract", "The wire contract, with the reader's own token"),
    ("receivers", "docs:receiver", "Receivers to paste"),
    ("rest", "api-docs", "The REST API"),
    ("account", "accounts:account", "The account"),
    ("members", "accounts:members", "Members"),
    ("second-factor", "mfa_index", "Two-factor authentication"),
    ("sessions", "usersessions_list", "Sessions"),
    ("staff", "admin:index", "The staff desk"),
    ("staff-hooks", "admin:hooks_hook_changelist", "The staff's list of hooks"),
    ("staff-health", "admin:health", "Queue and dispatchers, for staff"),
)  # fmt: skip
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "phone": {
        "color_scheme": "light", "viewport": {"width": 360, "height": 740}, "device_scale_factor": 2,
        "is_mobile": True, "has_touch": True,
    },
}  # fmt: skip
TALLEST = {"light": 1800, "dark": 1800, "phone": 1500}  # px of the page


@contextmanager
def product() -> Iterator[Product]:
    with tempfile.TemporaryDirectory() as folder, Product(Path(folder)) as running:
        yield running


def take(browser: Browser, running: Product, day: walk.Day, looks: list[str]) -> None:
    for look in looks:
        options = LOOKS[look]
        contexts = {
            who: walk.visitor(browser, running, day, who, reduced_motion="reduce", **options)  # type: ignore[arg-type]
            for who in ("owner", "staff", "anonymous")
        }
        for file, name, _ in SHOWN:
            who = "owner" if name in walk.EXTRA else visitor_of(name)
            page = contexts[who].new_page()
            page.goto(day.addresses[name], wait_until="load")
            page.wait_for_timeout(1200 if name in ("api-docs", "log:list") or who == "staff" else 400)
            if name == "testing:simulation":
                page.get_by_role("button", name="Send", exact=True).click()
                page.locator("#verdict .boxes").wait_for()
            height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST[look])
            width = options["viewport"]["width"]  # type: ignore[index]
            page.evaluate("scrollTo(0, 0)")
            page.set_viewport_size({"width": width, "height": max(height, 740)})
            page.wait_for_timeout(250)
            (SCREENS / f"{file}-{look}.webp").write_bytes(webp(page))
            page.close()
        for context in contexts.values():
            context.close()


def webp(page: Page) -> bytes:
    """Playwright itself knows PNG and JPEG alone; the browser knows more."""
    taken = page.context.new_cdp_session(page).send(
        "Page.captureScreenshot", {"format": "webp", "quality": 70}
    )
    return base64.b64decode(taken["data"])


def index() -> str:
    rows = "\n".join(
        f"| {words} | [light]({file}-light.webp) | [dark]({file}-dark.webp) | [phone]({file}-phone.webp) |"
        for file, _, words in SHOWN
    )
    return (
        "# The screens\n\nTaken by `make screens` from the running product, with real deliveries behind them: 1280 px "
        "wide in light and in dark, and 360 px on a phone.\n\n"
        "![The delivery log](log-light.webp)\n\n![The delivery log in the dark](log-dark.webp)\n\n"
        f"| screen | | | |\n| --- | --- | --- | --- |\n{rows}\n"
    )


def main() -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    with (
        product() as running,
        Receiver([(200, {}, b"ok")]) as good,
        Receiver([(500, {}, b"KeyError")]) as bad,
    ):
        day = walk.begin(running, good.url, bad.url)
        time.sleep(6)  # for the hooks to be delivered, and to fail a first time
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            take(browser, running, day, sys.argv[1:] or list(LOOKS))
            browser.close()
    (SCREENS / "README.md").write_text(index())
    total = sum(path.stat().st_size for path in SCREENS.glob("*.webp"))
    print(f"{3 * len(SHOWN)} pictures, {total / 1e6:.1f} MB, in {SCREENS.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
