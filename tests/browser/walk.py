"""The day at alice's shops (tests/chatapi/ui/sample_day.py) in a running product, and the problems a browser finds."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Page

from tests.chatapi.ui.pages import QUERIES, STAFF_QUERIES
from tests.product import ROOT, Product

AXE = (ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js").read_text()
# The pages behind a second look at the password, and two that have no name of their own.
BEHIND_PASSWORD = ("account-delete", "mfa_activate_totp")
EXTRA = ("hook that fails", "own bin")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
NAMES = [*QUERIES, *STAFF_QUERIES, *BEHIND_PASSWORD]

# Jumps of the layout are added up from the first moment on. The background has one colour from the first paint on.
WATCH = """
window.jumped = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.jumped += entry.value;
}).observe({ type: "layout-shift", buffered: true });
addEventListener("DOMContentLoaded", () => {
  window.themeAtFirst = document.documentElement.dataset.bsTheme || "";
});
"""
# Touch targets are at least 24 by 24 px, or that far apart (WCAG 2.2, 2.5.8); axe checks
# that. Buttons, fields and menu entries have our own minimum of 44 px.
SMALL = """() => Array.from(document.querySelectorAll(
    "main .btn:not(.btn-sm), main .form-control, main .form-select, .icon-button, .chooser-button, .menu a"))
  .filter((one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([one, box]) => box.width > 1 && box.height > 1 && box.height < 43.5 && !one.closest("[class*='swagger-ui']"))
  .map(([one, box]) => `${one.tagName}.${one.className} "${one.textContent.trim().slice(0, 20)}" ${box.height}`)
  .slice(0, 5)"""
WIDE = """() => document.documentElement.scrollWidth > innerWidth ? Array.from(document.querySelectorAll("main *"))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).slice(0, 3)
  .map((one) => one.tagName + "." + one.className) : null"""

# Text that its box cuts off, and buttons that their words burst. One line of a text that a click shows whole may end in
# an ellipsis; code has scroll bars of its own.
CUT = """() => {
  const MAY_CUT = "pre, .chooser-name, .hook-line, .received-line, .chat-preview, .capture-summary, .capture-label, "
    + ".bin-respond > span, .swagger-ui *, .uplot *, svg *";
  const shown = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  return Array.from(document.querySelectorAll("body *"))
    .filter((one) => one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1 && shown(one))
    .filter((one) => !one.matches("input, textarea, select") && !one.closest(".visually-hidden"))
    .filter((one) => !one.matches(MAY_CUT) && !one.closest(".staff-wide"))
    .filter((one) => {
      const style = getComputedStyle(one);
      const isBox = style.overflowX !== "visible" || one.matches("button, .btn, a, td, th, li, label, .state");
      return isBox && style.display !== "inline";
    })
    .map((one) => `${one.tagName}.${one.className} ${one.scrollWidth} > ${one.clientWidth}: ` +
      `"${one.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)}"`)
    .slice(0, 5);
}"""


class Day(NamedTuple):
    """Sessions by visitor, addresses by page, the numbers of an instance that works and of one that fails."""

    sessions: dict[str, str]
    addresses: dict[str, str]
    number: int
    night: int


def begin(product: Product, url: str, broken: str) -> Day:
    """Writes the day into the product's database in a separate process; hooks go to `url` and `broken`."""
    code = f"from tests.chatapi.ui.sample_day import print_day; print_day({url!r}, {broken!r}, {NAMES!r})"
    done = product.manage("shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr
    return Day(**json.loads(done.stdout.strip().splitlines()[-1]))


def visitor(browser: Browser, product: Product, day: Day, who: str, **options: Any) -> BrowserContext:
    """A browser context signed in as `who`. `options` are Playwright's, such as color_scheme and viewport."""
    base = product.url.replace("127.0.0.1", "localhost")
    context = browser.new_context(base_url=base, **options)
    if who in day.sessions:
        context.add_cookies([{"name": "sessionid", "value": day.sessions[who], "url": base}])
    return context


def sign_in(page: Page, product: Product) -> None:
    """Signs in as the owner of the demo account."""
    page.goto("/accounts/login/")
    page.locator("input[name=login]").fill(product.demo["email"])
    page.locator("input[name=password]").fill(product.demo["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("instances"))


def confirm_password(page: Page, product: Product) -> None:
    """Enters the password on the page that asks for it before a sensitive change."""
    page.get_by_role("heading", name="Confirm it's you").wait_for()
    page.locator("#id_password").fill(product.demo["password"])
    page.get_by_role("button", name="Confirm password").click()


class Walk:
    """One browser's way over the pages; `faults` are sentences, each beginning with the page's name."""

    def __init__(self, context: BrowserContext) -> None:
        self.context, self.name = context, ""
        self.faults: list[str] = []
        self.host = ""
        context.add_init_script(WATCH)
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.fault(f"script: {error}"))
        self.page.on(
            "console", lambda said: self.fault(f"console: {said.text}") if said.type == "error" else None
        )
        self.page.on("request", lambda request: self.saw(request.url))

    def fault(self, text: str) -> None:
        self.faults.append(f"{self.name}: {text}")

    def saw(self, url: str) -> None:
        own = url.startswith((f"http://{self.host}/", "data:", "blob:", "about:")) or not self.host
        if not own:
            self.fault(f"asks another host: {url[:100]}")

    def go(self, name: str, address: str) -> Page:
        self.name = name
        self.page.goto(address, wait_until="load")
        self.host = self.host or self.page.evaluate("location.host")
        return self.page

    def ask_axe(self, what: str, only: list[str] | None = None) -> None:
        """Runs axe with the rules `only`, or with all of WCAG A and AA."""
        page = self.page
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE)
        run = {"type": "rule", "values": only} if only else {"type": "tag", "values": WCAG}
        options = {"runOnly": run, "resultTypes": ["violations"]}
        # What Swagger UI renders is not ours, and depends on how much of it has loaded.
        where = {"exclude": [[".swagger-ui"]]} if page.locator(".swagger-ui").count() else None
        for found in page.evaluate(
            "([where, options]) => axe.run(where || document, options)", [where, options]
        )["violations"]:
            for node in found["nodes"][:3]:
                why = " ".join(node["failureSummary"].split())[:220]
                self.fault(f"{what}: {found['id']} at {node['target']}: {why}")

    def look(self, dark: bool) -> None:
        """Checks what happened while the page loaded."""
        page = self.page
        jumped = page.evaluate("window.jumped")
        # On a busy machine a table of the admin grows wider while its rows load.
        if jumped >= 0.1 and not self.name.startswith("admin:"):
            self.fault(f"the layout jumped by {jumped:.2f}")
        first = page.evaluate("window.themeAtFirst")
        if not self.name.startswith("admin:") and first != (
            "dark" if dark else "light"
        ):  # the admin goes by CSS alone
            self.fault(f"was {first!r} at first")
