"""From a hook that fails to the fixed and delivered one in three clicks, with a server that redirects."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser import walk
from tests.product import Product
from tests.receiver import Answer, Received, Receiver

# An instance of its own for the test: its URL lacks the slash at the end.
FAIL = """
from instances.actions.lifecycle import create_instance, link_sandbox
from instances.actions.messages import receive_message
from instances.actions.settings import change_settings
from instances.models import Instance
owner = Instance.objects.get(number={number}).owner
instance = create_instance(owner, name="Kiosk", channel="sandbox", acting_user=None)
link_sandbox(instance, acting_user=None)
change_settings(instance, changes={{"webhookUrl": "{url}"}})
receive_message(instance, sender="15550100101", sender_name="Rita", body="Order 1")
print(instance.number)
"""


def respond(request: Received) -> Answer:
    if request.path.endswith("/"):
        return 200, {}, b""
    return 301, {"Location": f"{request.path}/"}, b""


def test_the_redirect_is_fixed_and_the_hook_delivered(
    browser: Browser, product: Product, day: walk.Day
) -> None:
    with Receiver(respond) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        done = product.manage("shell", "--no-imports", "-c", FAIL.format(number=day.number, url=url))
        assert done.returncode == 0, done.stderr
        number = done.stdout.split()[-1]
        receiver.wait_for(1)
        context = walk.visitor(browser, product, day, "owner", reduced_motion="reduce")
        page = context.new_page()
        page.goto(f"/log/?instance={number}")
        row = page.locator("#rows .hook-row").first
        expect(row).to_contain_text("Failed")  # the attempt is recorded after the response
        row.locator("a.stretched-link").click()
        drawer = page.locator("#drawer")
        expect(drawer).to_contain_text("Responded with 301, not 200")
        drawer.get_by_text("Use this URL").click()
        expect(drawer.locator(".fix-form")).to_contain_text(f"New URL {url}/")
        drawer.get_by_role("button", name="Change URL").click()
        expect(drawer).to_contain_text(f"The webhook URL is now {url}/.")
        expect(drawer.locator(".hook-sentence")).to_contain_text("Delivered")
        assert [request.path for request in receiver.wait_for(2)] == ["/hook", "/hook/"]

        # without JavaScript the earlier attempt is one line, too, which opens
        plain = walk.visitor(browser, product, day, "owner", java_script_enabled=False).new_page()
        plain.goto(drawer.get_by_role("link", name="Open page").get_attribute("href") or "")
        line = plain.locator(".earlier > summary")
        expect(line).to_contain_text("Responded with 301, not 200")
        expect(plain.locator(".earlier-body")).to_be_hidden()
        line.click()
        expect(plain.locator(".earlier-body")).to_contain_text("Redirects are not followed")


def test_a_hook_is_shared_from_the_drawer(browser: Browser, product: Product, day: walk.Day) -> None:
    page = walk.visitor(browser, product, day, "owner", reduced_motion="reduce").new_page()
    page.goto(f"/log/?instance={day.night}")
    tried = page.locator("#rows .hook-row").filter(has=page.locator(".hook-response", has_text="500")).first
    tried.locator("a.stretched-link").click()
    page.locator("#drawer").get_by_role("link", name="Share").click()
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("heading", name="Share hook")).to_be_visible()
    dialog.get_by_role("button", name="24 hours").click()
    url = dialog.get_by_label("Link", exact=True).input_value()
    expect(dialog).to_contain_text("The link is shown only once.")

    anyone = browser.new_context().new_page()
    anyone.goto(url)
    expect(anyone.get_by_role("heading", name="Message hook")).to_be_visible()
    expect(anyone.locator(".verdict-text").first).to_have_text("Responded with 500, not 200")
    expect(anyone.locator("main")).to_contain_text("***")
    assert anyone.context.cookies() == []

    dialog.get_by_role("button", name="Revoke link").click()
    expect(dialog).to_contain_text("Revoked. The link no longer works.")
    anyone.reload()
    expect(anyone.get_by_role("heading", name="Invalid link")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#drawer")).to_be_visible()
