"""Takes screenshots of all pages into docs/screens, in light and dark mode and on a phone: `make screens`, or
`python -m tests.screens phone` for one of the three, `… links` for the pages that link accounts.

Starts the product in a temporary folder with sample data (tests/chatapi/ui/sample_day.py); its hooks are delivered.
The screenshots are WebP files. Writes docs/screens/README.md too.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import walk
from tests.browser.conftest import FLAGS
from tests.chatapi.ui.pages import visitor_of
from tests.product import ROOT, Product
from tests.receiver import Answer, Received, Receiver

SCREENS = ROOT / "docs" / "screens"
# (file, page of tests/chatapi/ui/pages.py, title)
SHOWN = (
    ("sign-up", "account_signup", "Create account"),
    ("sign-in", "account_login", "Sign in"),
    ("instances", "instances:list", "Instances"),
    ("new-instance", "instances:new", "New instance: channel"),
    ("setup", "instances:setup", "New instance: webhook URL and test message"),
    ("instance", "instances:detail", "Instance: status, webhook, flags, API"),
    ("settings", "instances:settings", "Instance settings"),
    ("history", "instances:history", "Status history"),
    ("messages", "instances:chat", "Messages"),
    ("queue", "instances:queue", "Queue with the reason of each wait, and failed messages"),
    ("message", "instances:message", "Message with its tries"),
    ("playground", "testing:playground", "Playground: message, hook, verdict and reply on one screen"),
    ("received", "instances:received", "Received messages, by response"),
    ("turn", "instances:turn", "Received message: its hooks, the bot's reply, and the acks"),
    ("simulation", "testing:simulation", "Webhook Simulation"),
    ("verification", "testing:verification", "Webhook Verification"),
    ("bin", "testing:bin-capture", "Bin, with a capture explained"),
    ("bin-response", "testing:bin-response", "Bin response"),
    ("my-bin", "own bin", "My bin"),
    ("shared", "shared:bin", "Shared bin"),
    ("sending", "testing:sending", "Sending Messages, with live acks"),
    ("phone", "testing:phone", "Sandbox phone"),
    ("log", "log:list", "Delivery log"),
    ("hook", "log:hook", "Hook with its attempts"),
    ("hook-failing", "hook that fails", "Failing hook, with its next retry"),
    ("redelivery", "log:redelivery", "Resend by date"),
    ("shared-hook", "shared-hook", "Shared hook"),
    ("issues", "issues:list", "Issues"),
    ("issue", "issues:issue", "Issue: what happened, what to do, and what failed"),
    ("wire-contract", "docs:contract", "Wire contract, with your own token"),
    ("receivers", "docs:receiver", "Receivers"),
    ("rest", "docs:rest", "REST API"),
    ("account", "accounts:account", "Account"),
    ("keys", "accounts:keys", "Keys"),
    ("members", "accounts:members", "Members"),
    ("alerts", "account-alerts:alerts", "Alert webhook"),
    ("second-factor", "mfa_index", "Two-factor authentication"),
    ("sessions", "usersessions_list", "Sessions"),
    ("staff", "admin:index", "Support desk"),
    ("staff-customer", "admin:customer", "Support desk: customer"),
    ("staff-issues", "admin:issues", "Support desk: issues of all customers"),
    ("staff-hooks", "admin:hooks_hook_changelist", "Support desk: hooks"),
    ("staff-health", "admin:health", "Support desk: queues and dispatchers"),
)  # fmt: skip
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "phone": {
        "color_scheme": "light", "viewport": {"width": 360, "height": 740}, "device_scale_factor": 2,
        "is_mobile": True, "has_touch": True,
    },
}  # fmt: skip
LINKS = "links"
TALLEST = {"light": 1800, "dark": 1800, "phone": 1500}  # px of the page

RITA = "15550100101@c.us"  # of the sample day; gets messages at once
ASKED, REPLIED = "Can I have it by Friday?", "Yes, it comes on Thursday."


class Bot:
    """Replies to the question that take() asks on the playground, during the webhook request."""

    send_url = ""

    def __call__(self, received: Received) -> Answer:
        for message in received.json().get("messages", []):
            if message["body"] == ASKED:
                said = {"chatId": message["chatId"], "body": REPLIED}
                requests.post(self.send_url, json=said, timeout=30).raise_for_status()
        return 200, {}, b"ok"

    def begin(self, running: Product, number: int) -> None:
        code = f"from instances.models import Instance; print(Instance.objects.get(number={number}).token)"
        token = running.manage("shell", "--no-imports", "-c", code).stdout.split()[-1]
        self.send_url = f"{running.url}/instance{number}/sendMessage?token={token}"


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
            address = day.addresses[name]
            if name == "testing:playground":
                address += f"{'&' if '?' in address else '?'}chat={RITA}"
            page.goto(address, wait_until="load")
            page.wait_for_timeout(1200 if name in ("api-try", "log:list") or who == "staff" else 400)
            if name == "testing:simulation":
                page.get_by_role("button", name="Send hook", exact=True).click()
                page.locator("#verdict .boxes").wait_for()
            if name == "testing:playground":
                page.locator("#contact-write textarea").fill(ASKED)
                page.locator("#contact-write textarea").press("Enter")
                page.locator(".playground-reply").get_by_text(REPLIED).wait_for()
                page.locator("#contact-phone .bubble-row").last.get_by_text(REPLIED).wait_for()
                turn = page.get_by_role("link", name="Whole turn").get_attribute("href")
                day.addresses["instances:turn"] = turn or ""
            height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST[look])
            width = options["viewport"]["width"]  # type: ignore[index]
            page.evaluate("scrollTo(0, 0)")
            page.set_viewport_size({"width": width, "height": max(height, 740)})
            page.wait_for_timeout(250)
            (SCREENS / f"{file}-{look}.webp").write_bytes(webp(page))
            page.close()
        for context in contexts.values():
            context.close()


def take_links(browser: Browser, running: Product, day: walk.Day) -> None:
    """Take the page that links an account, of each channel that is linked by values: docs/channels/ shows them."""
    options = LOOKS["light"]
    context = walk.visitor(browser, running, day, "owner", reduced_motion="reduce", **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(day.addresses["instances:new"])
    radios = page.locator("input[name=channel]")
    for name in [str(radio.get_attribute("value")) for radio in radios.all()]:
        page.goto(day.addresses["instances:new"])
        page.locator(f"input[name=channel][value={name}]").check(force=True)
        page.locator("input[name=name]").fill("Shop")
        page.locator("main form button[type=submit]").click()
        page.wait_for_load_state("load")
        if page.locator(".link-now").count():
            page.set_viewport_size({"width": 1280, "height": 740})
            height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST["light"])
            page.set_viewport_size({"width": 1280, "height": height})
            page.wait_for_timeout(250)
            (SCREENS / f"link-{name}-light.webp").write_bytes(webp(page))
    context.close()


def webp(page: Page) -> bytes:
    """Returns a screenshot as WebP through the browser's own protocol: Playwright only supports PNG and JPEG."""
    taken = page.context.new_cdp_session(page).send(
        "Page.captureScreenshot", {"format": "webp", "quality": 70}
    )
    return base64.b64decode(taken["data"])


def index() -> str:
    rows = "\n".join(
        f"| {title} | [light]({file}-light.webp) | [dark]({file}-dark.webp) | [phone]({file}-phone.webp) |"
        for file, _, title in SHOWN
    )
    links = "".join(
        f"| Link an account: {file.name.split('-')[1]} | [light]({file.name}) | | |\n"
        for file in sorted(SCREENS.glob("link-*-light.webp"))
    )
    return (
        "# Screenshots\n\nTaken by `make screens` from the running product, with real deliveries: 1280 px wide in "
        "light and dark mode, and 360 px wide on a phone.\n\n"
        "![Delivery log](log-light.webp)\n\n![Delivery log in dark mode](log-dark.webp)\n\n"
        f"| page | | | |\n| --- | --- | --- | --- |\n{rows}\n{links}"
    )


def main() -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    bot = Bot()
    with (
        product() as running,
        Receiver(bot) as good,
        Receiver([(500, {}, b"KeyError")]) as bad,
    ):
        day = walk.begin(running, good.url, bad.url)
        bot.begin(running, day.number)
        time.sleep(6)  # the hooks are delivered, or fail for the first time
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            wanted = sys.argv[1:] or [*LOOKS, LINKS]
            take(browser, running, day, [look for look in wanted if look in LOOKS])
            if LINKS in wanted:
                take_links(browser, running, day)
            browser.close()
    (SCREENS / "README.md").write_text(index())
    total = sum(path.stat().st_size for path in SCREENS.glob("*.webp"))
    print(
        f"{3 * len(SHOWN)} screenshots, {total / 1e6:.1f} MB, in {SCREENS.relative_to(ROOT)}", file=sys.stderr
    )


if __name__ == "__main__":
    main()
