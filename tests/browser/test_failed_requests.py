"""Requests that fail, in a browser: the message at the control that was used, and "Reconnecting…" for polls."""

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.browser import walk
from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest

MAY_BE_DONE = "Your request may have been processed: check before you try again."
PROXY_PAGE = "<!doctype html><html><body><h1>Bad gateway</h1><p>nginx</p></body></html>"


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.locator("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("login"))


def respond(status: int, body: str, content_type: str = "text/html", **headers: str):
    """A route handler that responds to POST requests; others go to the product."""

    def handle(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=status, body=body, content_type=content_type, headers=headers)
        else:
            route.continue_()

    return handle


def submit(page: Page, form: Locator) -> None:
    """Sends the form, whatever is filled in, and confirms if it asks."""
    form.evaluate("(form) => { form.noValidate = true; form.requestSubmit(); }")
    if page.locator("#confirm[open]").count():
        page.locator("#confirm-do").click()


def expect_message_after(page: Page, control: str, text: str) -> None:
    """One message, visible, with exactly this text, in the same line of the page as the control, or right under it."""
    message = page.locator(".request-error > span")
    expect(message).to_have_text(text)
    expect(message).to_be_in_viewport()
    expect(page.locator("main")).not_to_contain_text(re.compile("<!doctype|<html|nginx", re.IGNORECASE))
    button, box = page.locator(control).bounding_box(), message.bounding_box()
    assert button and box
    assert 0 <= box["y"] - (button["y"] + button["height"]) < 120, (button, box)


def test_send_after_signing_out_and_in_again_in_another_tab(
    demo_page: Page, context: BrowserContext, product: Product
) -> None:
    with Receiver() as receiver:
        demo_page.goto("/testing/simulation/")
        demo_page.get_by_label("Destination").fill(receiver.url)
        expect(demo_page.locator("#origin")).to_contain_text("For this test only")
        other = context.new_page()
        sign_out(other)
        walk.sign_in(other, product)

        demo_page.locator("#send").click()
        expect_message_after(
            demo_page, "#send", "Not sent: your session changed in another tab. Reload the page."
        )
        assert receiver.requests == []
        demo_page.get_by_role("button", name="Reload page").click()
        demo_page.get_by_label("Destination").fill(receiver.url)
        expect(demo_page.locator("#origin")).to_contain_text("For this test only")
        demo_page.locator("#send").click()
        expect(demo_page.locator(".verdict-text")).to_have_text("Delivered")
        expect(demo_page.locator(".request-error")).to_have_count(0)


def test_send_after_signing_out_in_another_tab_offers_to_sign_in(
    demo_page: Page, context: BrowserContext
) -> None:
    demo_page.goto("/testing/simulation/")
    sign_out(context.new_page())
    demo_page.locator("#send").click()
    expect_message_after(demo_page, "#send", "Not sent: your session has ended.")
    demo_page.locator(".request-error").get_by_role("link", name="Sign in").click()
    demo_page.wait_for_url(re.compile(r"/accounts/login/\?next=%2Ftesting%2Fsimulation%2F$"))


@pytest.mark.parametrize(
    ("status", "body", "content_type", "headers", "text"),
    [
        (429, PROXY_PAGE, "text/html", {}, "Not sent: too many requests. Wait a minute, then try again."),
        (
            429,
            '{"error": "Too many calls."}',
            "application/json",
            {"Retry-After": "12"},
            "Not sent: too many calls. Wait 12 s, then try again.",
        ),
        (
            500,
            PROXY_PAGE,
            "text/html",
            {},
            f"No result: the server failed with an error (status 500). {MAY_BE_DONE}",
        ),
        (
            502,
            PROXY_PAGE,
            "text/html",
            {},
            f"No result: the server is restarting or cannot be reached (status 502). {MAY_BE_DONE}",
        ),
        (413, PROXY_PAGE, "text/html", {}, "Not sent: the request is too large for this server."),
        (403, "Only owners may send.", "text/plain", {}, "Not sent: only owners may send."),
    ],
)
def test_a_refused_or_failed_click(
    demo_page: Page, status: int, body: str, content_type: str, headers: dict[str, str], text: str
) -> None:
    demo_page.route("**/testing/simulation/send/**", respond(status, body, content_type, **headers))
    demo_page.goto("/testing/simulation/")
    demo_page.locator("#send").click()
    expect_message_after(demo_page, "#send", text)


def test_a_click_whose_connection_is_lost(demo_page: Page) -> None:
    demo_page.route("**/testing/simulation/send/**", lambda route: route.abort("connectionreset"))
    demo_page.goto("/testing/simulation/")
    demo_page.locator("#send").click()
    expect_message_after(demo_page, "#send", f"No result: the connection to the server failed. {MAY_BE_DONE}")


def test_an_offline_click_was_not_sent_and_works_again_online(
    demo_page: Page, context: BrowserContext, product: Product
) -> None:
    demo_page.goto("/testing/simulation/")
    context.set_offline(True)
    demo_page.locator("#send").click()
    expect_message_after(
        demo_page, "#send", "Not sent: this browser is offline. Try again when it is connected."
    )
    context.set_offline(False)
    demo_page.locator("#send").click()
    expect(demo_page.locator("#verdict .verdict-text")).to_be_visible()
    expect(demo_page.locator(".request-error")).to_have_count(0)


def test_a_click_without_a_response_in_time(demo_page: Page) -> None:
    demo_page.route("**/testing/simulation/send/**", lambda route: None)  # never responds
    demo_page.goto("/testing/simulation/")
    demo_page.evaluate(
        "document.querySelector('#simulation').setAttribute('hx-request', '{\"timeout\": 2000}')"
    )
    demo_page.locator("#send").click()
    expect_message_after(
        demo_page, "#send", f"No result: the server did not respond within 2 s. {MAY_BE_DONE}"
    )


def test_requests_have_a_time_limit_by_what_they_do(demo_page: Page, product: Product) -> None:
    number = Rest(product).instance["id"]
    next_limit = """() => new Promise((resolve) => document.addEventListener(
        "htmx:beforeSend", ({ detail }) => resolve(detail.xhr.timeout), { once: true }))"""
    demo_page.goto(f"/instances/{number}/")
    assert demo_page.evaluate(next_limit) == 20_000  # a poll
    demo_page.route("**/testing/simulation/send/**", respond(429, ""))
    demo_page.goto("/testing/simulation/")
    limit = demo_page.evaluate_handle(f"() => ({{ limit: ({next_limit})() }})")
    demo_page.locator("#send").click()
    assert limit.evaluate("({ limit }) => limit") == 60_000


@pytest.mark.parametrize("failure", ["500", "502", "offline"])
def test_polls_reconnect(demo_page: Page, context: BrowserContext, product: Product, failure: str) -> None:
    number = Rest(product).instance["id"]
    demo_page.goto(f"/instances/{number}/")
    word = demo_page.locator("#status [data-live-word]")
    expect(word).to_have_text("Live")
    if failure == "offline":
        context.set_offline(True)
    else:
        demo_page.route("**/status/**", lambda route: route.fulfill(status=int(failure), body=PROXY_PAGE))
    expect(word).to_have_text("Reconnecting…")
    expect(demo_page.locator("main")).not_to_contain_text("nginx")
    expect(demo_page.locator(".request-error")).to_have_count(0)
    if failure == "offline":
        context.set_offline(False)
    else:
        demo_page.unroute("**/status/**")
    expect(word).to_have_text("Live")


def test_a_page_that_polls_and_shows_no_live_says_that_it_reconnects(demo_page: Page) -> None:
    demo_page.goto("/testing/simulation/")
    demo_page.evaluate(
        """() => {
            const part = document.createElement("div");
            part.setAttribute("hx-get", "/testing/simulation/");
            part.setAttribute("hx-trigger", "every 200ms");
            part.setAttribute("hx-swap", "none");
            part.setAttribute("hx-select", "main");
            document.getElementById("main").append(part);
            document.querySelectorAll("[data-live]").forEach((live) => live.remove());
            htmx.process(part);
        }"""
    )
    demo_page.context.set_offline(True)
    expect(demo_page.locator("#reconnecting")).to_have_text("Reconnecting… This page may be out of date.")
    demo_page.context.set_offline(False)
    expect(demo_page.locator("#reconnecting")).to_have_count(0)


def test_a_poll_after_signing_out_in_another_tab_keeps_the_page(
    demo_page: Page, context: BrowserContext, product: Product
) -> None:
    number = Rest(product).instance["id"]
    demo_page.goto(f"/instances/{number}/")
    expect(demo_page.locator("#status [data-live-word]")).to_have_text("Live")
    sign_out(context.new_page())
    message = demo_page.locator(".request-error")
    expect(message.locator("span")).to_have_text(
        "This page is no longer updated: you signed out in another tab."
    )
    expect(demo_page.locator("#status [data-live-word]")).to_have_text("Reconnecting…")
    expect(message.get_by_role("link", name="Sign in")).to_have_attribute(
        "href", f"/accounts/login/?next={f'/instances/{number}/'.replace('/', '%2F')}"
    )


def test_a_message_survives_a_poll_that_replaces_its_place(demo_page: Page, product: Product) -> None:
    number = Rest(product).instance["id"]
    demo_page.route("**/press/**", respond(500, PROXY_PAGE))
    demo_page.goto(f"/instances/{number}/")
    submit(demo_page, demo_page.locator("#status form[hx-post]").first)
    message = demo_page.locator(".request-error > span")
    expect(message).to_contain_text("the server failed with an error (status 500)")
    message.evaluate("(words) => document.getElementById('status').append(words.parentElement)")
    changed = f"{product.url}/instances/{number}/status/?seen=none".replace("127.0.0.1", "localhost")
    demo_page.route(
        re.compile(r"/status/\?seen="), lambda route: route.fulfill(response=route.fetch(url=changed))
    )
    expect(demo_page.locator("#main > .request-error")).to_be_visible()
    expect(message).to_have_count(1)


EVERY_PAGE = [
    "/instances/{number}/", "/instances/{number}/settings/", "/testing/sending/?instance={number}",
    "/testing/phone/?instance={number}", "/log/",
]  # fmt: skip


@pytest.mark.parametrize("url", EVERY_PAGE)
def test_every_form_of_a_page_shows_a_refusal(demo_page: Page, product: Product, url: str) -> None:
    demo_page.route("**/*", lambda route: route.continue_())  # before the page is loaded, as always
    demo_page.goto(url.format(number=Rest(product).instance["id"]))
    demo_page.route("**/*", respond(500, PROXY_PAGE))
    forms = demo_page.locator("main form[hx-post]")
    for place in range(forms.count()):
        form = forms.nth(place)
        submit(demo_page, form)
        expect(demo_page.locator(".request-error > span").first).to_contain_text("status 500")
        demo_page.evaluate(
            "document.querySelectorAll('.request-error [data-close]').forEach((x) => x.click())"
        )
        expect(demo_page.locator(".request-error")).to_have_count(0)


BY_ITSELF = ":not([hx-trigger*=every], [hx-trigger=load])"
CONTROLS = f"main [hx-get]{BY_ITSELF}, main [hx-post]{BY_ITSELF}"
MORE_PAGES = [
    "/instances/{number}/", "/instances/{number}/settings/", "/instances/{number}/endpoints/", "/testing/simulation/",
    "/testing/verification/?instance={number}", "/testing/bins/mine/", "/testing/sending/?instance={number}",
    "/testing/phone/?instance={number}", "/log/",
]  # fmt: skip
# What fails, in turn, and how its message begins.
FAILURES = [
    (403, "session changed in another tab. Reload the page."), (429, "too many requests. Wait a minute"),
    (500, "the server failed with an error (status 500)"), (503, "cannot be reached (status 503)"),
    (0, "the connection to the server failed"),
]  # fmt: skip


@pytest.mark.parametrize("url", MORE_PAGES)
def test_every_control_that_loads_or_sends_shows_each_kind_of_failure(
    demo_page: Page, product: Product, url: str
) -> None:
    """Each control of the page fails once, with the next kind of failure; no page prints the HTML of a response."""
    failure = FAILURES[0]

    def fail(route: Route) -> None:
        if "hx-request" not in route.request.headers:
            route.continue_()
        elif failure[0]:
            route.fulfill(status=failure[0], body=PROXY_PAGE, content_type="text/html")
        else:
            route.abort("connectionreset")

    demo_page.route("**/*", lambda route: route.continue_())  # before the page is loaded, as always
    demo_page.goto(url.format(number=Rest(product).instance["id"]))
    expect(demo_page.locator("main")).to_be_visible()
    demo_page.evaluate("document.querySelectorAll('main details').forEach((part) => (part.open = true))")
    controls = demo_page.locator(CONTROLS).filter(visible=True)
    assert controls.count()
    demo_page.route("**/*", fail)
    place = 0
    while place < controls.count():  # a pane whose content was not loaded is empty
        failure = FAILURES[place % len(FAILURES)]
        use(demo_page, controls.nth(place))
        message = demo_page.locator(".request-error > span")
        expect(message.filter(has_text=failure[1]).first).to_be_visible()
        expect(demo_page.locator("body")).not_to_contain_text(
            re.compile("<!doctype|<html|nginx", re.IGNORECASE)
        )
        demo_page.evaluate("document.querySelectorAll('.request-error').forEach((box) => box.remove())")
        place += 1


def use(page: Page, control: Locator) -> None:
    """Makes the control send its request: a form is submitted, a link is clicked, a field changes."""
    if "input" in (control.get_attribute("hx-trigger") or ""):
        control.fill("https://example.com/changed")
        return
    control.evaluate("""(control) => {
        const trigger = control.getAttribute("hx-trigger") || "";
        if (control.matches("form") && !trigger) { control.noValidate = true; control.requestSubmit(); }
        else if (!trigger) control.click();
        else htmx.trigger(control, trigger.split(/[ ,]/)[0]);
    }""")
    if page.locator("#confirm[open]").count():
        page.locator("#confirm-do").click()


def test_a_hook_that_does_not_load_leaves_no_other_hook_in_the_drawer(
    demo_page: Page, product: Product
) -> None:
    number = Rest(product).instance["id"]
    demo_page.route("**/log/**", lambda route: route.continue_())
    demo_page.goto(f"/testing/simulation/?instance={number}")
    with Receiver() as receiver:
        for _ in range(2):
            demo_page.get_by_label("Destination").fill(receiver.url)
            expect(demo_page.locator("#origin")).to_contain_text("For this test only")
            demo_page.locator("#send").click()
            expect(demo_page.locator(".verdict-text")).to_have_text("Delivered")
            demo_page.reload()
    demo_page.goto(f"/log/?instance={number}&simulated=yes")
    rows = demo_page.locator("#rows a.stretched-link")
    rows.nth(0).click()
    expect(demo_page.locator("#drawer-title")).to_be_visible()
    drawer_request = re.compile(r"/log/.*drawer=1")
    demo_page.route(drawer_request, lambda route: route.fulfill(status=502, body=PROXY_PAGE))
    demo_page.keyboard.press("j")
    drawer = demo_page.locator("#drawer")
    expect(drawer.locator(".request-error > span")).to_have_text(
        "Not loaded: the server is restarting or cannot be reached (status 502). Try again in a moment."
    )
    expect(drawer.locator(".request-error > span")).to_be_in_viewport()
    expect(drawer.locator("#drawer-body")).to_be_empty()
    demo_page.unroute(drawer_request)
    demo_page.keyboard.press("k")
    expect(demo_page.locator("#drawer-title")).to_be_visible()
    expect(drawer.locator(".request-error")).to_have_count(0)
