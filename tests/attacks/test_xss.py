"""Cross-site scripting: markup in every text field, then every page, parsed and rendered in Chromium."""

from __future__ import annotations

import mimetypes
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.staticfiles import finders
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import NoReverseMatch, reverse
from playwright.sync_api import Dialog, Route, sync_playwright

from accounts.models import AuditEntry
from hooks.models import Attempt, Endpoint, Hook
from instances.models import Instance, Media
from testing_tools.verification.models import Bin
from tests.attacks.markup import LONG, MIDDLE, SHORT, Dangers, links, plant
from tests.attacks.world import Target
from tests.chatapi.permissions import ADDRESSES
from tests.chatapi.test_permissions import ROWS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

READ = sorted(
    {name for name, method in ROWS if method == "GET" and not name.startswith(("instances-api:", "contract"))}
)
SHARED = ("shared:bin", "shared:capture", "shared:body", "shared-hook")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def staff_paths(target: Target) -> list[str]:
    """The support desk's lists and the page of each kind of row."""
    found = []
    rows = {
        "user": target.account.owner_id, "account": target.account.pk, "endpoint": target.instance.pk,
        "instance": target.instance.pk, "bin": target.bin.pk, "hook": target.hook.pk, "redelivery": target.job.pk,
        "member": target.member.pk, "invitation": target.invitation.pk,
        "auditentry": AuditEntry.objects.latest("pk").pk,
    }  # fmt: skip
    attempt = Attempt.objects.order_by("pk").first()
    if attempt:
        rows["attempt"] = attempt.pk
    for name, arguments in sorted(ADDRESSES.items()):
        if not name.startswith("admin:") or name in ("admin:logout", "admin:jsi18n", "admin:login"):
            continue
        model = name.partition("_")[2].rpartition("_")[0].rpartition("_")[2]
        known = {"app_label": "accounts", "object_id": rows.get(model, 1)}
        try:
            found.append(reverse(name, kwargs={key: known[key] for key in arguments}))
        except (KeyError, NoReverseMatch):
            continue
    return found


def paths_of(target: Target, visitor: str) -> list[str]:
    if visitor == "staff":
        return staff_paths(target)
    names = SHARED if visitor == "anonymous" else [name for name in READ if not name.startswith("shared")]
    return [target.address(name) for name in names if name not in ("bin", "account_logout")]


def pages(target: Target, visitor: str) -> dict[str, Any]:
    """Each path's response, with every query parameter that pages read set to markup."""
    client = target.client(visitor)
    found = {}
    for path in paths_of(target, visitor):
        found[path] = client.get(
            path, headers={"Accept": "text/html", "Referer": f"http://testserver/{SHORT}"}
        )
    return found


def text_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode(errors="replace")


def dangers(path: str, response: Any) -> list[str]:
    """What is wrong with a response that shows the markup."""
    kind = response.headers.get("Content-Type", "")
    text = text_of(response)
    policy = response.headers.get("Content-Security-Policy", "")
    if response.status_code >= 500 and "readyz" not in path:  # 503: no worker runs here
        return [f"{path}: {response.status_code}"]
    if response.headers.get("X-Content-Type-Options") != "nosniff" and text:
        return [f"{path}: no nosniff"]
    if not kind.startswith(("text/html", "application/xhtml", "image/svg", "text/xml", "application/xml")):
        return []
    found = [f"{path}: {danger}" for danger in Dangers(text).found]
    is_closed = "sandbox" in policy
    if not is_closed and (
        "script-src 'self' 'nonce-" not in policy
        or "object-src 'none'" not in policy
        or "base-uri 'none'" not in policy
    ):
        found.append(f"{path}: policy {policy!r}")
    if ("unsafe-inline" in policy and not path.startswith("/api/docs/try")) or "unsafe-eval" in policy:
        found.append(f"{path}: policy {policy!r}")
    return found


@pytest.fixture
def planted() -> Target:
    target = Target()
    columns = plant(target.account)
    assert len(columns) >= 30, columns
    return target


@pytest.mark.parametrize("visitor", ["owner", "viewer", "staff", "anonymous"])
def test_markup_stays_text_on_every_page(planted: Target, visitor: str) -> None:
    found = pages(planted, visitor)
    assert [danger for path, response in found.items() for danger in dangers(path, response)] == []
    shown = [path for path, response in found.items() if "data-xss" in text_of_again(response)]
    assert len(shown) >= (2 if visitor == "anonymous" else 8), shown


def text_of_again(response: Any) -> str:
    return "" if response.streaming else response.content.decode(errors="replace")


def test_messages_of_every_kind_link_to_no_script(planted: Target) -> None:
    links(planted.account)
    client = planted.client("owner")
    for name in (
        "instances:chat",
        "instances:messages",
        "instances:message",
        "instances:received",
        "instances:turn",
        "instances:queue",
        "testing:phone",
        "testing:playground",
        "log:hook",
        "testing:sending",
        "instances:detail",
    ):
        path = planted.address(name)
        assert dangers(path, client.get(path)) == []


PARAMETERS = (
    "q", "instance", "next", "url", "what", "to", "seen", "state", "kind", "chat", "message", "page",
    "after", "before", "from",
    "until", "order", "as", "token", "status", "at", "o", "p", "e", "_popup", "_to_field", "type", "day",
    "search", "filter",
)  # fmt: skip


@pytest.mark.parametrize("visitor", ["owner", "staff", "anonymous"])
def test_queries_and_paths_stay_text(visitor: str) -> None:
    target = Target()
    client = target.client(visitor)
    found = []
    for path in paths_of(target, visitor):
        plain = path.partition("?")[0]
        kept = path.partition("?")[2]
        query = urlencode([(name, value) for name in PARAMETERS if name != "instance" for value in (LONG,)])
        for url in (f"{plain}?{kept}&{query}", f"{plain}?instance={quote(LONG)}", f"{plain}{quote(MIDDLE)}/"):
            found += dangers(url[:100], client.get(url, headers={"Accept": "text/html"}))
    for path in (
        "/",
        "/nosuch/",
        "/instances/",
        "/admin/",
        "/accounts/",
        "/shared/",
        "/api/",
        "/testing/",
        "/media/x/",
    ):
        for accept in ("text/html", "*/*", "application/json", LONG):
            found += dangers(path, client.get(f"{path}{quote(LONG)}", headers={"Accept": accept}))
    assert found == []


def test_wrong_values_of_forms_come_back_as_text() -> None:
    """Every form of the pages and of sign-in, with markup in every field."""
    target = Target()
    client = target.client("owner")
    fields = dict.fromkeys(
        (
            "name", "url", "body", "text", "headers", "note", "email", "role", "login", "password",
            "password1", "code", "status",
            "method", "recipient", "kind", "what", "number", "link", "title", "address", "secret", "q",
            "next", "delay", "token",
            "phone", "members", "count", "pause", "plan", "sendDelay", "webhookUrl", "proxy", "channel",
            "key", "at", "action",
        ),
        LONG,
    )  # fmt: skip
    found = []
    for name, method in sorted(ROWS):
        if (
            method != "POST"
            or name.startswith(("instances-api:", "contract", "bin"))
            or name == "account_logout"
        ):
            continue
        for headers in ({}, {"HX-Request": "true"}):
            response = client.post(target.address(name), fields, headers=headers)
            found += dangers(name, response)
            for header, value in response.headers.items():
                if "data-xss" in value and header.lower() != "location":
                    found.append(f"{name}: {header}")
    anonymous = Client(raise_request_exception=False)
    for name in ("account_login", "account_signup", "account_reset_password"):
        found += dangers(name, anonymous.post(reverse(name), fields))
    assert found == []


def test_answers_of_programs_are_not_pages(planted: Target) -> None:
    """REST, the wire contract and exports: JSON and downloads, whatever a browser says that it accepts."""
    owner = planted.client("owner", by_key=True)
    paths = [
        planted.address(name)
        for name, method in ROWS
        if method == "GET" and name.startswith("instances-api:")
    ]
    token = planted.instance.token
    paths += [
        f"/instance{planted.instance.number}/{name}?token={token}"
        for name in ("messages", "dialogs", "me", "status", quote(LONG))
    ]
    for path in paths:
        response = owner.get(path, headers={"Accept": "text/html,*/*"})
        assert response.headers["Content-Type"].startswith("application/json"), path
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("log:export", "testing:bin-export", "testing:bin-body"):
        response = planted.client("owner").get(planted.address(name))
        assert response.headers.get("Content-Disposition", "").startswith("attachment"), name
        assert "text/html" not in response.headers["Content-Type"], name


CONTENT_TYPES = [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/pdf",
        "text/javascript",
        "text/html\r\nX: y",
    ]  # fmt: skip


def test_a_bins_response_runs_no_script() -> None:
    """Its owner chooses body and type, and it is on this site's origin."""
    target = Target()
    for kind in CONTENT_TYPES:
        check_a_bins_response_runs_no_script(target, kind)


def check_a_bins_response_runs_no_script(target: Target, kind: str) -> None:
    target.client("owner").post(
        target.address("testing:bin-response"),
        {
            "status": "200",
            "headers": f"Content-Type: {kind}",
            "body": LONG,
            "content_type": kind,
            "delay": "0",
        },
    )
    response = Client().get(f"/bin/{target.bin.key}")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox;") and "allow-scripts" not in policy and "default-src 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "html" not in response.headers.get("Content-Type", "")
    assert "X" not in response.headers


FILE_NAMES = [
        "x.html",
        "x.svg",
        "x.xhtml",
        "x.xml",
        "x.js",
        "x.htm",
        "x.swf",
        "x.pdf",
        "x.html.jpg",
        'x".html',
        "x\r\nX: y.html",
        "<b>.txt",
    ]  # fmt: skip


def test_a_file_in_a_message_runs_no_script() -> None:
    target = Target()
    for name in FILE_NAMES:
        check_a_file_in_a_message_runs_no_script(target, name)


def check_a_file_in_a_message_runs_no_script(target: Target, name: str) -> None:
    file = SimpleUploadedFile(name, LONG.encode(), content_type="text/html")
    path = f"/instance{target.instance.number}/sendFile?token={target.instance.token}"
    sent = Client().post(path, {"chatId": target.chat, "filename": name, "body": file}).json()
    if not sent["sent"]:
        return
    link = Media.objects.latest("pk").link
    response = Client().get(link.partition("//")[2].partition("/")[2].join(("/", "")))
    assert response.status_code == 200
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert (
        "html" not in response.headers["Content-Type"]
        and "javascript" not in response.headers["Content-Type"]
    )
    assert "X" not in response.headers


def test_chromium_runs_nothing_of_the_markup(planted: Target) -> None:
    """The pages as rendered above, without their policy: nothing may run even where a browser would allow it.

    Chromium gets them from this test, because Django refuses its database to a thread in which Playwright runs.
    """
    bodies: dict[str, bytes] = {}  # by the address that Chromium asks for
    names: dict[str, str] = {}
    for visitor in ("owner", "staff", "anonymous"):
        for path, response in pages(planted, visitor).items():
            if (
                response.headers.get("Content-Type", "").startswith("text/html")
                and response.status_code < 400
            ):
                names[f"/{len(bodies)}"] = f"{visitor} {path}"
                bodies[f"/{len(bodies)}"] = response.content
    found: list[str] = []

    def serve(route: Route) -> None:
        path = route.request.url.partition("//")[2].partition("/")[2]
        name = path.partition("?")[0]
        if f"/{path}" in bodies:
            route.fulfill(body=bodies[f"/{path}"], content_type="text/html; charset=utf-8")
        elif name.startswith("static/") and (file := finders.find(name.removeprefix("static/"))):
            route.fulfill(path=str(file), content_type=mimetypes.guess_type(name)[0] or "text/plain")
        else:
            route.abort()

    def note(dialog: Dialog) -> None:
        found.append(f"{dialog.page.url if dialog.page else ''}: alert")
        dialog.dismiss()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        context = browser.new_context(bypass_csp=True, base_url="http://site.example")
        context.route("**", serve)
        page = context.new_page()
        page.on("dialog", note)
        for url, name in names.items():
            page.goto(url, wait_until="load")
            count = page.evaluate("document.querySelectorAll('[data-xss]').length")
            if count:
                found.append(f"{name}: {count} elements")
        # the control: the same markup in a page does run
        bodies["/control"] = LONG.encode()
        before = len(found)
        page.goto("/control", wait_until="load")
        for _ in range(300):
            if ran := found[before:]:
                break
            page.wait_for_timeout(100)
        del found[before:]
        browser.close()
    assert len(bodies) > 60
    assert ran, "the control ran nothing"
    assert found == []


def test_the_rows_are_planted_where_pages_read_them(planted: Target) -> None:
    assert "data-xss" in Endpoint.objects.get(pk=planted.instance.pk).typed_url
    assert "data-xss" in Instance.objects.get(pk=planted.instance.pk).name
    assert b"data-xss" in bytes(
        Hook.objects.filter(endpoint_id=planted.instance.pk, kind="message").latest("pk").body
    )
    assert "data-xss" in Bin.objects.get(pk=planted.bin.pk).captures.latest("pk").query
