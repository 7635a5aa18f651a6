"""What fits on the screen: nothing is cut off at 360, 820, 1280 and 1920 px, and what is needed is above the fold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import walk
from tests.chatapi.ui.sample_day import SAM
from tests.product import Product

SIZES = {
    "phone": {"width": 360, "height": 740},
    "tablet": {"width": 820, "height": 1180},
    "laptop": {"width": 1280, "height": 720},
    "desktop": {"width": 1920, "height": 1080},
}
PAGES = (
    "accounts:account", "accounts:audit-log", "accounts:members", "instances:chat", "instances:detail",
    "instances:list", "instances:message", "instances:new", "instances:queue", "instances:received",
    "instances:turn", "instances:settings", "log:hook", "log:list", "log:redelivery", "own bin", "search",
    "testing:bin-capture", "testing:phone", "testing:playground",
)  # fmt: skip
MOST_CHARACTERS = 140  # in a line of text
# Texts of more than one line, and those of one line that is too long. The average width of a character is that of the
# text in one line.
LONG_LINES = """(most) => {
  const pen = document.createElement("canvas").getContext("2d");
  return Array.from(document.querySelectorAll("main :is(p, li, dd, blockquote, .form-hint)"))
    .filter((one) => one.checkVisibility() && !one.querySelector("p, li, div, table, form, ul, dl, pre, time"))
    .map((one) => [one, one.textContent.trim().replace(/\\s+/g, " ")])
    .filter(([one, text]) => text.length > most)
    .map(([one, text]) => {
      const style = getComputedStyle(one);
      pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      return [Math.floor((one.clientWidth * text.length) / pen.measureText(text).width), text];
    })
    .filter(([characters]) => characters > most)
    .map(([characters, text]) => `${characters} characters: "${text.slice(0, 60)}"`);
}"""
# Parts of a page that are still on their way.
LOADED_LATER = "[hx-trigger=load], .htmx-swapping, .htmx-settling"
# A hook with the longest reason for being skipped, at the top of the log.
SKIP = """
from django.utils import timezone
from hooks.models import Hook, SkipReason, State
hook = Hook.objects.filter(endpoint__instance__number={number}).order_by("-pk").first()
reason = max(SkipReason.choices, key=lambda choice: len(choice[1]))
skipped = dict(state=State.SKIPPED, skip_reason=reason[0], next_attempt_at=None, lease_until=None)
Hook.objects.filter(pk=hook.pk).update(**skipped, finished_at=timezone.now())
print(reason[1])
"""


@pytest.fixture(params=SIZES, ids=list(SIZES))
def owner_page(
    request: pytest.FixtureRequest, browser: Browser, product: Product, day: walk.Day
) -> Iterator[Page]:
    context = walk.visitor(
        browser, product, day, "owner", viewport=SIZES[request.param], reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


def is_in_window(wanted: Locator) -> bool:
    return wanted.evaluate(
        "(one) => { const box = one.getBoundingClientRect();"
        " return box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth }"
    )


def test_nothing_is_cut_off(owner_page: Page, day: walk.Day) -> None:
    faults = []
    for name in PAGES:
        owner_page.goto(day.addresses[name])
        faults += [f"{name}: {fault}" for fault in owner_page.evaluate(walk.CUT)]
        wide = owner_page.evaluate(walk.WIDE)
        if wide is not None:
            faults.append(f"{name} is wider than the window: {wide}")
    assert faults == []


def test_no_line_of_text_is_too_long_to_read(browser: Browser, product: Product, day: walk.Day) -> None:
    context = walk.visitor(browser, product, day, "owner", viewport=SIZES["desktop"], reduced_motion="reduce")
    page = context.new_page()
    faults = []
    for name in (
        *PAGES,
        "docs:contract",
        "docs:receivers",
        "issues:list",
        "log:redeliver",
        "testing:sending",
    ):
        page.goto(day.addresses[name])
        faults += [f"{name}: {fault}" for fault in page.evaluate(LONG_LINES, MOST_CHARACTERS)]
    context.close()
    assert faults == []


def test_no_page_jumps_while_it_loads(browser: Browser, product: Product, day: walk.Day) -> None:
    context = walk.visitor(browser, product, day, "owner", viewport=SIZES["desktop"], reduced_motion="reduce")
    visit, faults = walk.Walk(context), []
    for name in PAGES:
        page = visit.go(name, day.addresses[name])
        # Not for "networkidle": the polls of a busy machine take longer than the half second between two of them.
        expect(page.locator(LOADED_LATER)).to_have_count(0)
        page.wait_for_timeout(500)
        jumped = visit.page.evaluate("window.jumped")
        faults += [f"{name} jumped by {jumped:.3f}"] if jumped >= 0.05 else []
    context.close()
    assert faults + visit.faults == []


def test_a_new_instance_can_be_created_without_scrolling(owner_page: Page, day: walk.Day) -> None:
    owner_page.goto(day.addresses["instances:new"])
    assert is_in_window(owner_page.get_by_role("button", name="Create instance"))
    channels = owner_page.locator(".channel label")
    assert channels.count() == 6
    size = owner_page.viewport_size
    if size and size["width"] > SIZES["phone"]["width"]:
        button = owner_page.locator(".setup-submit").bounding_box()
        for channel in channels.all():
            box = channel.bounding_box()
            assert box and button
            assert box["y"] + box["height"] <= button["y"]


def test_the_button_that_creates_an_instance_hides_no_focused_field(owner_page: Page, day: walk.Day) -> None:
    """Chromium scrolls what gets the focus into view, but not out from under what is sticky."""
    owner_page.goto(day.addresses["instances:new"])
    last = owner_page.locator("input[name=channel]").last
    last.focus()
    owner_page.keyboard.press("Space")
    facts = owner_page.locator(".channel-facts summary").last
    expect(facts).to_be_visible()
    owner_page.keyboard.press("Tab")
    expect(facts).to_be_focused()
    below = owner_page.locator(".setup-submit").bounding_box()
    shown = facts.bounding_box()
    assert below and shown
    assert shown["y"] + shown["height"] <= below["y"]


def test_the_playground_shows_the_phone_beside_its_hook(
    browser: Browser, product: Product, day: walk.Day
) -> None:
    context = walk.visitor(browser, product, day, "owner", viewport=SIZES["desktop"], reduced_motion="reduce")
    page = context.new_page()
    page.goto(day.addresses["testing:playground"])
    phone = page.locator("#contact-phone").bounding_box()
    turn = page.locator(".playground-turn").bounding_box()
    context.close()
    assert phone and turn
    assert phone["width"] >= 360
    assert phone["x"] + phone["width"] <= turn["x"]


def test_all_tabs_are_visible(owner_page: Page, day: walk.Day) -> None:
    owner_page.goto(day.addresses["testing:bin-capture"])
    tabs = owner_page.get_by_role("tab")
    assert tabs.count() == 7
    owner_page.goto(day.addresses["instances:detail"])
    links = owner_page.locator("nav.tabs a")
    assert links.count() == 5
    for link in links.all():
        link.scroll_into_view_if_needed()
        assert is_in_window(link)


def test_the_reply_box_of_a_chat_is_visible_with_the_first_steps_above(
    owner_page: Page, day: walk.Day
) -> None:
    owner_page.goto(f"/instances/{day.night}/messages/{SAM}@c.us/")
    expect(owner_page.get_by_role("region", name="First steps with Night desk")).to_be_visible()
    assert is_in_window(owner_page.get_by_role("textbox", name="Reply"))
    assert is_in_window(owner_page.get_by_role("button", name="Send reply"))
    assert owner_page.locator("#bubbles-scroll").evaluate("(one) => one.clientHeight") >= 90


def test_the_log_shows_the_whole_reason_for_a_skip(owner_page: Page, product: Product, day: walk.Day) -> None:
    done = product.manage("shell", "--no-imports", "-c", SKIP.format(number=day.night))
    assert done.returncode == 0, done.stderr
    reason = done.stdout.strip().splitlines()[-1]
    owner_page.goto(f"/log/?instance={day.night}")
    shown = owner_page.locator(".hook-response").get_by_text(reason, exact=True).first
    expect(shown).to_be_visible()
    assert shown.evaluate(
        "(one) => one.scrollWidth <= one.clientWidth && getComputedStyle(one).textOverflow === 'clip'"
    )


def test_a_saved_flag_is_confirmed_in_the_window(owner_page: Page, day: walk.Day) -> None:
    owner_page.goto(f"/instances/{day.night}/")
    for name in ("ackNotificationsOn", "parallelHooks"):
        switch = owner_page.locator(f"#flag-{name}")
        switch.scroll_into_view_if_needed()
        switch.click()
        owner_page.get_by_role("button", name="Save changes").click()
        confirmation = owner_page.locator("#flags").get_by_text("Saved.", exact=True)
        expect(confirmation).to_be_visible()
        assert is_in_window(confirmation)
