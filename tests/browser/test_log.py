"""The delivery log of all instances in a browser: how many rows are seen, filters, live rows, selecting, the chart."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import walk
from tests.product import Product

IN_WINDOW = """Array.from(document.querySelectorAll("#rows .hook-row")).filter((row) => {
  const box = row.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight;
}).length"""
# Hides the first steps, and what is said of late hooks, paused endpoints and jobs that run. A rule of the page, not
# elements that are removed: a poll may bring them at any time.
HIDE_NOTES = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(".strip, main .note, .job-line { display: none !important }");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
# Twenty messages, of which the last one is retried after 5 s.
FILL = """
from instances.actions.messages import receive_message
from instances.models import Instance
for number, count in (({shop}, 19), ({night}, 1)):
    instance = Instance.objects.get(number=number)
    for place in range(count):
        receive_message(instance, sender="15550100101", sender_name="Rita", body=f"Order {{place}}")
"""


def path_of(link: Locator) -> str:
    return link.get_attribute("href") or ""


def rows_in_window(page: Page, width: int, height: int) -> int:
    page.set_viewport_size({"width": width, "height": height})
    return int(page.evaluate(IN_WINDOW))


def test_the_log_of_all_instances(browser: Browser, product: Product, day: walk.Day) -> None:
    done = product.manage("shell", "--no-imports", "-c", FILL.format(shop=day.number, night=day.night))
    assert done.returncode == 0, done.stderr
    context = walk.visitor(browser, product, day, "owner", reduced_motion="reduce")
    page = context.new_page()
    page.goto("/log/")
    expect(page.locator(".chooser-button")).to_contain_text("All instances")
    expect(page.locator("#overview .bars-canvas canvas")).to_be_visible()
    page.evaluate(HIDE_NOTES)
    assert rows_in_window(page, 820, 1100) >= 10
    assert rows_in_window(page, 1280, 720) >= 12
    rows = page.locator("#rows .hook-row")  # an ack may be newer than the last message
    expect(rows.filter(has_text="Night desk").first).to_be_visible()

    # a row changes in its place while the page is open
    page.goto(f"/log/?instance={day.night}")
    retried = page.locator("#rows > .hook-row").filter(has_text="Order 0").first
    expect(retried).to_contain_text(re.compile(r"[2-9]/20"), timeout=120_000)

    # the line and the form are the same filter
    page.goto("/log/")
    page.get_by_role("searchbox", name="Filter").press_sequentially("kind:message orders")
    page.wait_for_url("**/log/?kind=message&text=orders")
    expect(page.get_by_text("No matching hooks")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text("0 hooks")
    expect(page.get_by_role("searchbox", name="Filter")).to_be_focused()
    expect(page.get_by_role("searchbox", name="Filter")).to_have_value("kind:message orders")
    page.get_by_role("searchbox", name="Filter").fill("kind:message")
    page.get_by_role("searchbox", name="Filter").press("Enter")
    page.wait_for_url("**/log/?kind=message")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Kind").select_option("Ack")
    page.wait_for_url("**kind=ack**")
    expect(page.get_by_role("searchbox", name="Filter")).to_have_value("kind:ack")

    # the bar is there while rows are selected; Shift selects a range
    page.goto(f"/log/?instance={day.number}&state=delivered")
    boxes = page.locator("#rows input[type=checkbox]")
    resend = page.get_by_role("button", name="Resend selected")
    expect(resend).to_be_hidden()
    boxes.nth(0).check()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.locator("[data-bulk-count]")).to_have_text("4 selected")
    expect(resend).to_be_visible()

    # j and k walk over the rows
    links = page.locator("#rows a.stretched-link")
    boxes.nth(0).focus()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    page.get_by_role("searchbox", name="Filter").press("j")
    expect(page.get_by_role("searchbox", name="Filter")).to_be_focused()
    expect(page.get_by_text("No matching hooks")).to_be_visible()
    page.get_by_role("searchbox", name="Filter").press("Backspace")
    expect(links.nth(3)).to_be_visible()

    # Enter opens a row beside the list; the drawer follows j and k, and its address is in the URL
    listed = page.url
    drawer = page.locator("#drawer")
    title = drawer.locator("#drawer-title")
    links.nth(2).focus()
    page.keyboard.press("Enter")
    expect(drawer.get_by_text("Attempt 1 of 20").first).to_be_visible()
    expect(title).to_be_focused()
    first = page.url
    page.keyboard.press("j")
    expect(links.nth(3)).to_have_attribute("aria-current", "true")
    expect(drawer.get_by_role("link", name="Open page")).to_have_attribute("href", path_of(links.nth(3)))
    expect(title).to_be_focused()
    page.keyboard.press("k")
    page.wait_for_url(first)
    expect(drawer.get_by_role("link", name="Open page")).to_have_attribute("href", path_of(links.nth(2)))
    page.keyboard.press("Escape")
    page.wait_for_url(listed)
    expect(drawer).to_be_hidden()
    expect(links.nth(2)).to_be_focused()
    page.go_forward()
    expect(title).to_be_visible()
    page.reload()
    expect(title).to_be_visible()
    expect(links.nth(2)).to_have_attribute("aria-current", "true")
    drawer.get_by_role("button", name="Resend hook").click()
    expect(drawer.get_by_text("The hook is queued again.")).to_be_visible()
    expect(drawer.get_by_role("heading", name="Attempt 2 of")).to_be_visible()
    expect(page.locator("#rows .hook-row").nth(2)).to_contain_text("2/")
    page.go_back()
    expect(drawer).to_be_hidden()
    page.set_viewport_size({"width": 360, "height": 740})
    links.nth(1).click()
    expect(title).to_be_focused()
    assert drawer.evaluate("drawer => drawer.matches(':modal') && drawer.clientWidth === innerWidth")
    page.keyboard.press("Escape")
    page.wait_for_url(listed)
    expect(links.nth(1)).to_be_focused()
    page.set_viewport_size({"width": 1280, "height": 720})

    # dragging over the chart chooses a period
    is_wide_again = "() => document.querySelector('#overview .u-over')?.clientWidth > 360"
    page.wait_for_function(is_wide_again)
    area = page.locator("#overview .u-over")
    box = area.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 9)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 9, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("state=delivered.*from=.*to="))
    context.close()
