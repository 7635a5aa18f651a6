"""The password before a sensitive change, in a browser: a dialog for parts of a page, a page for forms."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import walk
from tests.product import Product
from tests.product_shell import shell

RESTORE = """
from accounts.models import AccountKey
from accounts.models.keys import key_digest
from instances.models import Instance
instance = Instance.objects.get(number={number})
instance.token = {token!r}
instance.save(update_fields={{"token", "token_digest"}})
key = AccountKey.objects.get(digest=key_digest({uid!r}))
AccountKey.objects.filter(account=key.account, revoked_at=None).exclude(pk=key.pk).delete()
AccountKey.objects.filter(pk=key.pk).update(revoked_at=None)
"""
THEMES = {"light": (1280, 720), "dark": (360, 740)}


@pytest.fixture(autouse=True)
def restored(product: Product) -> Iterator[None]:
    """The demo's token and key, which these tests rotate, are those of demo.json again: other tests use them."""
    yield
    demo = product.demo
    [one] = demo["instances"]
    shell(product.environment, RESTORE.format(number=int(one["id"]), token=one["token"], uid=demo["uid"]))


def open_dialog(page: Page, product: Product) -> None:
    """Rotates the token of the demo's instance, confirms, and waits for the dialog."""
    [one] = product.demo["instances"]
    page.goto(f"/instances/{one['id']}/")
    page.locator("#api form[action$='/token/'] button").click()
    if page.locator("#confirm[open]").count():
        page.locator("#confirm-do").click()
    expect(page.locator("#password-dialog")).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_the_dialog_asks_repeats_the_request_and_keeps_what_was_typed(
    demo_page: Page, product: Product, theme: str
) -> None:
    page, (width, height) = demo_page, THEMES[theme]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    open_dialog(page, product)
    dialog = page.locator("#password-dialog")
    expect(dialog).to_contain_text("Confirm it's you")
    expect(dialog).to_contain_text("Enter your password to continue.")
    expect(page.locator("#password-input")).to_be_focused()
    box = dialog.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width

    page.locator("#password-input").fill("wrong")
    page.get_by_role("button", name="Confirm password").click()
    expect(page.locator("#password-error")).to_have_text(re.compile("The password is wrong"))
    expect(page.locator(".request-error")).to_have_count(0)

    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.locator("#webhook input[name='url']").fill("http://127.0.0.1:9/typed-and-not-saved")
    page.locator("#api form[action$='/token/'] button").click()
    page.locator("#confirm-do").click()
    expect(dialog).to_be_visible()
    expect(page.locator("#password-input")).to_have_value("")
    page.locator("#password-input").fill(product.demo["password"])
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#confirm")).to_be_hidden()  # not asked twice
    expect(page.locator("#api .result-message")).to_be_visible()
    expect(page.locator("#webhook input[name='url']")).to_have_value("http://127.0.0.1:9/typed-and-not-saved")


def test_a_page_asks_and_then_shows_the_new_key(demo_page: Page, product: Product) -> None:
    """Without htmx, which does not see a form that a script sends. Then the dialogs of the same page."""
    page = demo_page
    page.goto("/account/keys/")
    page.get_by_role("button", name="Create key").first.click()
    page.get_by_label("Name").fill("CI")
    page.locator("#create-key form").evaluate("form => form.submit()")
    expect(page.get_by_role("heading", name="Confirm it's you")).to_be_visible()
    walk.confirm_password(page, product)
    expect(page.get_by_role("heading", name="Your new account key")).to_be_visible()

    page.goto("/account/keys/")
    page.get_by_role("button", name="Create key").first.click()
    page.get_by_label("Name").fill("Deploy script")
    page.locator("#create-key").get_by_role("button", name="Create key").click()
    expect(page.locator("#new-key")).to_have_value(re.compile(r"uid_\w{40}"))
    expect(page.locator("#create-key .code")).to_contain_text("curl -H 'Authorization: Bearer uid_")
    page.keyboard.press("Escape")
    expect(page.locator("#new-key")).to_have_count(0)

    page.get_by_role("button", name="Rotate key Deploy script").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate key").click()
    expect(page.locator("#new-key")).to_have_value(re.compile(r"uid_\w{40}"))
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("Old value, still valid")).to_be_visible()
    page.get_by_role("button", name="Revoke key Deploy script").first.click()
    page.locator("#confirm-do").click()
    expect(page.get_by_text("The key Deploy script is revoked.")).to_be_visible()
