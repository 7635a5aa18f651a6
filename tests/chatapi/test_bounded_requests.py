"""Every URL with every verb, with too many parameters, and with odd arguments in its path.

No request is a fault of ours, and no error response is longer than its limit. Each view is asked as the owner, those of
the support desk as staff, and REST with the account's key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import psutil
import pytest
from django.db import transaction
from django.urls import NoReverseMatch, reverse

from chatapi.ui.error_texts import MAX_ERROR_BYTES, MAX_ERROR_PAGE_BYTES
from tests.chatapi.permissions import ADDRESSES, World
from tests.odd_values import ODD_TEXTS

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

FORM = "application/x-www-form-urlencoded"
VERBS = ("OPTIONS", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "GET")
TEXTS = [text.encode(errors="replace").decode() for text in ODD_TEXTS]  # as Django decodes a query
TEXTS_EACH = 2  # of TEXTS for each argument, other ones for the next URL
MAX_GROWTH = 300 * 1024 * 1024  # bytes of this process, over one test


class Body(NamedTuple):
    data: bytes
    content_type: str


@pytest.fixture
def world(settings: Any) -> World:
    settings.OUTPUT_IP = "192.0.2.7"
    return World()


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    before = psutil.Process().memory_info().rss
    yield
    assert psutil.Process().memory_info().rss - before < MAX_GROWTH


def request_fault(world: World, name: str, verb: str, url: str, body: Body, **headers: str) -> str:
    """What is wrong with the response; "" if nothing is. What the request changes is rolled back."""
    client = world.client(
        "staff" if name.startswith("admin:") else "owner", by_key=name.startswith("instances-api:")
    )
    with transaction.atomic():
        response = client.generic(verb, url, body.data, body.content_type, headers=headers)
        content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        transaction.set_rollback(True)
    if response.status_code >= 500 and response.status_code != 503:
        return f"{verb} {name} {response.status_code} {str(getattr(response, 'exc_info', ('', ''))[1])[:200]}"
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    if response.status_code >= 400 and len(content) > (MAX_ERROR_PAGE_BYTES if is_page else MAX_ERROR_BYTES):
        return f"{verb} {name} {response.status_code} with {len(content)} bytes"
    return ""


def arguments(world: World, name: str) -> dict[str, Any]:
    """The arguments of the URL: alice's, and the first row of each table of the support desk."""
    if name == "contract":  # reverse() cannot build it
        return {}
    if name.startswith("admin:"):
        known = {"app_label": "hooks", "public_id": UUID(int=1)}
        return {key: known.get(key, "1") for key in ADDRESSES[name]}
    return world.arguments(name)


def address(world: World, name: str) -> str:
    if name.startswith("admin:"):
        return reverse(name, kwargs=arguments(world, name))
    return world.address(name)


EMPTY = Body(b"", FORM)


def test_verbs(world: World) -> None:
    faults = [
        fault
        for name in sorted(ADDRESSES)
        for verb in VERBS
        if (fault := request_fault(world, name, verb, address(world, name), EMPTY))
    ]
    assert not faults, "\n".join(faults)


def test_a_thousand_query_parameters(world: World) -> None:
    many = "&".join(f"p{number}={number}" for number in range(1_001))
    faults = []
    for name in sorted(ADDRESSES):
        url = address(world, name)
        separator = "&" if "?" in url else "?"
        if fault := request_fault(world, name, "GET", f"{url}{separator}{many}", EMPTY):
            faults.append(fault)
    assert not faults, "\n".join(faults)


def test_odd_arguments_in_paths(world: World) -> None:
    faults = []
    for index, name in enumerate(sorted(ADDRESSES)):
        for at, argument in enumerate(arguments(world, name)):
            for each in range(TEXTS_EACH):
                text = TEXTS[(index + at + each * 17) % len(TEXTS)][:5_000] or "a"
                path = path_with(world, name, argument, text)
                if path and (fault := request_fault(world, name, "GET", path, EMPTY)):
                    faults.append(f"{fault} {argument} {text[:40]!r}")
    assert not faults, "\n".join(faults)


def path_with(world: World, name: str, argument: str, text: str) -> str:
    """The URL with this text as the argument; "" if its converter takes none such."""
    try:
        return reverse(name, kwargs=arguments(world, name) | {argument: text.replace("/", "")})
    except NoReverseMatch:
        marker = "MARKER"
        try:
            path = reverse(name, kwargs=arguments(world, name) | {argument: marker})
        except NoReverseMatch:
            return ""
        return path.replace(marker, quote(text, safe=""))
