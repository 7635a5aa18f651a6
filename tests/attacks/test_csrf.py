"""Requests that another website makes a signed-in user's browser send: refused, and nothing changes.

Every URL that takes POST and reads a session is tried. URLs without a session (the wire contract, REST, bins) are tried
the other way round: the cookie must open nothing.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import reverse

from tests.attacks.database import changed, digests
from tests.attacks.world import EVERYTHING, Target
from tests.chatapi.permissions import ADDRESSES
from tests.chatapi.test_permissions import ROWS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

# Open to programs of any origin; they read no session. The schema and health pages accept POST like GET.
WITHOUT_SESSION = {
    "bin", "channels:callback", "contract", "contract-by-query", "contract-setting-by-query", "healthz", "readyz",
}  # fmt: skip
FORMS = sorted(
    name
    for name, method in ROWS
    if method == "POST" and name not in WITHOUT_SESSION and not name.startswith("instances-api:")
)
FOREIGN = "https://attacker.example"


def browser(target: Target, visitor: str = "owner") -> Client:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies[settings.SESSION_COOKIE_NAME] = target.sessions[visitor]
    return client


def token_of(client: Client) -> str:
    """The token that the site gave this browser, as an attacker who could read it would send it."""
    client.get(reverse("accounts:account"))
    return client.cookies[settings.CSRF_COOKIE_NAME].value


def test_no_form_is_accepted_without_a_token_or_from_another_site() -> None:
    target = Target()
    client = browser(target)
    token = token_of(client)
    fields = EVERYTHING | {"instance": target.instance.number, "number": target.instance.number}
    before, accepted = digests(), []
    for name in FORMS:
        path = target.address(name)
        for what, sent, headers in (
            ("without a token", {}, {}),
            ("with an empty token", {"csrfmiddlewaretoken": ""}, {}),
            ("with a token of its own", {"csrfmiddlewaretoken": "a" * 64}, {}),
            ("from another origin", {"csrfmiddlewaretoken": token}, {"Origin": FOREIGN}),
            ("from an opaque origin", {"csrfmiddlewaretoken": token}, {"Origin": "null"}),
            (
                "as htmx, from another origin",
                {},
                {"Origin": FOREIGN, "HX-Request": "true", "X-CSRFToken": token},
            ),
        ):
            response = client.post(path, fields | sent, headers=headers)
            if response.status_code != 403:
                accepted.append(f"{name} {what}: {response.status_code}")
    assert accepted == []
    assert changed(before, digests()) == []


def test_over_https_a_form_needs_a_referer_of_this_site(settings: Any) -> None:
    """Browsers send a Referer over https even where they leave Origin out."""
    target = Target()
    client = browser(target)
    token = token_of(client)
    for referer in (
        "",
        "https://attacker.example/",
        "http://testserver/",
        "https://testserver.attacker.example/",
    ):
        headers = {"Referer": referer} if referer else {}
        response = client.post(
            reverse("accounts:rename"),
            {"name": "x", "csrfmiddlewaretoken": token},
            secure=True,
            headers=headers,
        )
        assert response.status_code == 403, referer


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""])
def test_the_kind_of_the_body_opens_no_way_around(kind: str) -> None:
    """Bodies that a cross-site form or fetch() may send without asking the site first (a "simple" request)."""
    target = Target()
    client = browser(target)
    before = digests()
    for name in FORMS:
        response = client.generic(
            "POST", target.address(name), b'{"name":"x","csrfmiddlewaretoken":"x"}', kind
        )
        assert response.status_code == 403, name
    assert changed(before, digests()) == []


def test_a_session_opens_nothing_that_has_no_csrf_check() -> None:
    """The wire contract and REST take their own credentials only: the owner's cookie is worth nothing there."""
    target = Target()
    client = browser(target)
    before = digests()
    for name, method in ROWS:
        if name.startswith("instances-api:"):
            response = client.generic(method, target.address(name), b"{}", "application/json")
            assert response.status_code == 401, name
    number = target.instance.number
    for path in (
        f"/instance{number}/settings",
        f"/settings?instanceId={number}",
        f"//instance{number}//me/",
        f"/deleteInstance?instanceId={number}",
        "/listInstances",
        "/newInstance",
    ):
        for method in ("GET", "POST"):
            assert client.generic(method, path).status_code == 401, path
    assert changed(before, digests()) == []


# Reading them writes something on purpose: the user's own bin and allauth's row for their e-mail address, once each;
# that a capture was read; and that the account was exported, in the audit log.
WRITTEN_BY_READING = {"testing:bin-mine", "account_email", "testing:bin-capture", "account-export"}


@pytest.mark.parametrize("visitor", ["owner", "staff"])
def test_pages_change_nothing_when_read(visitor: str) -> None:
    """A link or an image on another site makes a browser GET with its cookies (SameSite=Lax)."""
    target = Target()
    client = browser(target, visitor)
    names = {name for name, method in ROWS if method == "GET" and not name.startswith("instances-api:")}
    if visitor == "staff":
        names = {name for name in ADDRESSES if name.startswith("admin:") and not ADDRESSES[name]}
    paths = [target.address(name) for name in sorted(names - WRITTEN_BY_READING - {"bin", "admin:logout"})]
    before = digests()
    for path in paths:
        client.get(f"{path}{'&' if '?' in path else '?'}{QUERY}")
    assert changed(before, digests()) == [], culprits(client, paths)


def culprits(client: Client, paths: list[str]) -> list[str]:
    """The pages that change a row, each tried alone. Only called to explain a failure."""
    found = []
    for path in paths:
        with transaction.atomic():
            before = digests()
            client.get(f"{path}{'&' if '?' in path else '?'}{QUERY}")
            found += [f"{path}: {table}" for table in changed(before, digests())]
            transaction.set_rollback(True)
    return found


QUERY = (
    "action=delete&delete=1&name=x&url=http://x.example/&role=owner&confirm=yes&_method=DELETE&method=POST"
)


class Forms(HTMLParser):
    """The forms of a page: method, address, and whether it has a token; and the elements that htmx posts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self.posts: list[str] = []
        self.body_headers = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.found.append(
                {
                    "method": (given.get("method") or "get").lower(),
                    "action": given.get("action") or "",
                    "token": False,
                }
            )
        if tag == "input" and given.get("name") == "csrfmiddlewaretoken" and self.found:
            self.found[-1]["token"] = bool(given.get("value"))
        self.posts += [
            given[name] or "" for name in ("hx-post", "hx-delete", "hx-put", "hx-patch") if name in given
        ]
        self.body_headers += given.get("hx-headers") or ""


def test_every_form_on_every_page_posts_to_this_site_with_a_token() -> None:
    """Also finds forms whose URL is not in the table above, and tokens that would go to another site."""
    target = Target()
    client = browser(target)
    urls: set[str] = set()
    for name in sorted({name for name, method in ROWS if method == "GET"} & set(ADDRESSES)):
        if name.startswith(("instances-api:", "contract", "bin", "account_logout")):
            continue
        path = target.address(name)
        response = client.get(path, headers={"Accept": "text/html"})
        if not response.headers.get("Content-Type", "").startswith("text/html") or response.streaming:
            continue
        page = Forms(response.content.decode())
        for form in page.found:
            target_url = urljoin(path, form["action"])
            assert target_url.startswith("/") and not target_url.startswith("//"), (name, form)
            if form["method"] == "post":
                assert form["token"] or "X-CSRFToken" in page.body_headers, (name, form)
                urls.add(target_url.partition("?")[0])
        for url in page.posts:
            assert url.startswith(("/", "?")) or not url, (name, url)
            urls.add(urljoin(path, url).partition("?")[0])
    assert len(urls) > 40
    before = digests()
    for url in sorted(urls):
        assert client.post(url, EVERYTHING).status_code in (403, 405), url
    assert changed(before, digests()) == []


def test_no_other_site_may_read_a_page_with_cookies() -> None:
    """CORS: any origin may call the contract without credentials, and nothing else."""
    target = Target()
    client = browser(target)
    for name in sorted({name for name, _ in ROWS} & set(ADDRESSES)):
        for method in ("GET", "OPTIONS"):
            response = client.generic(method, target.address(name), headers={"Origin": FOREIGN})
            assert "Access-Control-Allow-Credentials" not in response.headers, name
            if response.status_code < 400 and not name.startswith(("contract", "bin")):
                assert "Access-Control-Allow-Origin" not in response.headers, name
            if name.startswith("contract"):
                assert response.headers.get("Access-Control-Allow-Origin") in ("*", None)
