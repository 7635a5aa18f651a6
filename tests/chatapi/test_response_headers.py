"""Headers of every response: what caches may store, and what other sites and the browser's devices may do."""

from __future__ import annotations

import gzip
import io
import re
from typing import Any

import pytest
import requests
from django.conf import settings as site
from django.test import Client

from instances.actions.media import store_media
from testing_tools.verification.models import Bin
from tests.chatapi.permissions import ADDRESSES, World
from tests.chatapi.test_permissions import ROWS
from tests.product import Product

pytestmark = pytest.mark.django_db

READ = sorted({name for name, method in ROWS if method == "GET"} & set(ADDRESSES))
# The same for every visitor. Files of messages have an unguessable URL and never change.
CACHEABLE = {"favicon", "api-schema", "listen-program", "media"}


@pytest.fixture
def unhurried(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.mark.parametrize("visitor", ["owner", "anonymous"])
def test_no_response_is_stored_except_public_files(unhurried: None, visitor: str) -> None:
    world = World()
    browser, program = world.client(visitor), world.client(visitor, by_key=True)
    stored = []
    for name in READ:
        client = program if name.startswith("instances-api:") else browser
        response = client.get(world.address(name), headers={"Accept": "text/html"})
        if "no-store" not in response.headers.get("Cache-Control", "") and name not in CACHEABLE:
            stored.append(name)
    assert stored == []


def test_responses_to_changes_and_errors_are_not_stored(unhurried: None) -> None:
    world = World()
    client = world.client("owner")
    stored = [
        f"{name} {response.status_code}"
        for name in READ
        for response in [client.post(world.address(name)), client.delete(world.address(name))]
        if "no-store" not in response.headers.get("Cache-Control", "") and name not in CACHEABLE
    ]
    assert stored == []
    missing = client.get("/there/is/nothing/", headers={"Accept": "text/html"})
    assert (missing.status_code, missing.headers["Cache-Control"]) == (404, "no-store")


def test_every_page_of_the_support_desk_is_not_stored() -> None:
    from django.contrib import admin
    from django.urls import reverse

    world = World()
    client = world.client("staff")
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]
    stored = [
        path
        for path in [*lists, reverse("admin:index"), reverse("admin:health"), reverse("admin:jsi18n")]
        if "no-store" not in client.get(path).headers.get("Cache-Control", "")
    ]
    assert stored == []


def test_the_contract_and_the_api_are_not_stored(unhurried: None) -> None:
    world = World()
    token = world.instance.token
    for path in ("status", "messages", "settings", "noSuchMethod"):
        response = Client().get(f"/instance{world.instance.number}/{path}?token={token}")
        assert response.headers["Cache-Control"] == "no-store", path
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin", path
    response = world.client("owner", by_key=True).get("/api/v1/nothing")
    assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-store")


def test_pages_and_their_files_cannot_be_loaded_by_other_sites(unhurried: None) -> None:
    world = World()
    client = world.client("owner")
    for path in ("/instances/", "/account/", "/accounts/password/change/", "/api/docs/", "/favicon.ico"):
        headers = client.get(path).headers
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert "camera=()" in headers["Permissions-Policy"], path
        assert "clipboard" not in headers["Permissions-Policy"], path  # copy buttons need it


def test_other_sites_can_load_bins_and_files_of_messages() -> None:
    world = World()
    response = Client().get(f"/bin/{world.bin.key}")
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    media = store_media(world.instance, content=io.BytesIO(b"\xff\xd8\xffpicture"), filename="photo.jpg")
    response = Client().get(media.link.removeprefix(site.SITE_URL))
    assert (response.status_code, response.headers["Cross-Origin-Resource-Policy"]) == (200, "cross-origin")
    assert "max-age" in response.headers["Cache-Control"]


def test_static_files_stay_cacheable(product: Product) -> None:
    page = requests.get(f"{product.url}/accounts/login/", timeout=60).text
    path = re.findall(r'href="(/static/css/[^"]+)"', page)[0]
    headers = requests.get(f"{product.url}{path}", timeout=60).headers
    assert "max-age" in headers["Cache-Control"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


def test_pages_are_compressed_for_those_who_accept_it() -> None:
    world = World()
    client = world.client("owner")
    for path, share in (("/instances/", 0.4), ("/api/docs/", 0.2), ("/api/schema/", 0.2)):
        plain, packed = client.get(path), client.get(path, headers={"Accept-Encoding": "br, gzip"})
        assert "Content-Encoding" not in plain.headers, path
        assert packed.headers["Content-Encoding"] == "gzip", path
        assert len(packed.content) < share * len(plain.content), path
        unpacked = gzip.decompress(packed.content)
        assert without_changes(unpacked) == without_changes(plain.content), path
        assert "Accept-Encoding" in plain.headers["Vary"], path
        assert int(packed.headers["Content-Length"]) == len(packed.content), path


def test_a_compressed_document_is_not_sent_twice() -> None:
    first = Client().get("/api/schema/", headers={"Accept-Encoding": "gzip"})
    again = Client().get(
        "/api/schema/", headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def without_changes(page: bytes) -> bytes:
    """The page without what differs in each response: the CSRF token, the nonce of inline code."""
    return re.sub(rb"[\w-]{22,}", b"", page)


def test_the_length_of_a_compressed_page_tells_nothing_exact() -> None:
    """Those of the same page differ, and by chance, in what gzip's header says (BREACH)."""
    client = World().client("owner")
    packed = [client.get("/api/docs/", headers={"Accept-Encoding": "gzip"}).content for _ in range(5)]
    names = {content[10 : content.index(b"\0", 10)] for content in packed}  # up to 99 bytes
    assert len(names) > 1


def test_the_response_of_a_bin_is_not_compressed() -> None:
    """It is what its owner has set, byte for byte."""
    world = World()
    Bin.objects.filter(pk=world.bin.pk).update(
        answer_body="<p>" + "a" * 1000, answer_headers=[["Content-Type", "text/html"]]
    )
    response = Client().get(f"/bin/{world.bin.key}", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Type"] == "text/html"
    assert len(response.content) == 1003
