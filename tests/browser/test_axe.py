"""Every page, lived in, before axe-core: in light and dark, on a desk and on a phone, without a finding (WCAG A, AA).

On the same way: no error in the console, nothing the policy refuses, no request to another host, no jump of the layout,
the right colours from the first paint on, nothing wider than a phone, nothing too small to be touched.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser import walk
from tests.chatapi.ui.pages import visitor_of
from tests.product import Product

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 800}
CONTRAST = ["color-contrast"]


@pytest.mark.parametrize("who", ["anonymous", "owner", "staff", "viewer"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_page_has_a_finding(
    browser: Browser, product: Product, day: walk.Day, who: str, size: dict[str, int]
) -> None:
    on_phone = size == PHONE
    scheme = "dark" if on_phone else "light"
    touch = {"has_touch": True, "is_mobile": True} if on_phone else {}
    # Reduced motion: axe would measure colours in the middle of a transition.
    context = walk.visitor(
        browser, product, day, who, color_scheme=scheme, viewport=size, reduced_motion="reduce", **touch
    )
    way = walk.Walk(context)
    try:
        if who == "owner":  # some pages ask for the password again
            page = way.go("account_reauthenticate", day.addresses["account_reauthenticate"])
            page.locator("input[name=password]").fill("password")
            page.locator("main form button[type=submit], .entrance form button[type=submit]").first.click()
            page.wait_for_load_state()
        for name, address in day.addresses.items():
            if walked_by(name) != who and not (who == "viewer" and name in VIEWED):
                continue
            page = way.go(name, address)
            way.look(dark=on_phone)
            if who != "staff":  # Django's lists scroll
                for fault in page.evaluate(walk.CUT):
                    way.fault(f"cut off: {fault}")
            if on_phone:
                for fault in page.evaluate(walk.SMALL):
                    way.fault(f"small: {fault}")
                wide = page.evaluate(walk.WIDE)
                if wide is not None:
                    way.fault(f"wider than the phone: {wide}")
            if on_phone:  # what else axe knows does not change with the width
                way.ask_axe("dark phone", [*CONTRAST, "target-size"])
            else:
                way.ask_axe("light")
                page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
                page.evaluate("document.documentElement.classList.add('dark-mode')")
                way.ask_axe("dark", CONTRAST)
    finally:
        context.close()
    assert way.faults == [], "\n".join(way.faults)


VIEWED = (
    "instances:detail",
    "testing:simulation",
    "testing:verification",
    "testing:sending",
    "testing:phone",
    "log:list",
    "log:hook",
)


def walked_by(name: str) -> str:
    return "owner" if name in (*walk.BEHIND_PASSWORD, *walk.EXTRA) else visitor_of(name)
