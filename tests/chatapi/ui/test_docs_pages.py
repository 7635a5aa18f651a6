"""The API docs pages: the wire contract with the reader's own token, REST, and the receivers."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils.html import escape

from instances import payloads
from instances.contract.examples import GROUPS
from instances.models import Instance
from instances.pages.docs import hooks as docs_hooks
from instances.pages.docs import receivers
from tests.factories import AccountFactory, InstanceFactory, member_of

pytestmark = pytest.mark.django_db

CONTRACT, REST, RECEIVERS = "/api/contract/", "/api/docs/", "/api/receivers/"
NAMES = sorted(name for group in GROUPS.values() for name in group)


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(owner__email="alice@example.org", name="Shop", number=12345, token="t0psecret")


@pytest.fixture
def alice(client: Client, instance: Instance) -> Client:
    client.force_login(instance.owner.owner)
    return client


def page_of(client: Client, address: str = CONTRACT, **headers: Any) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def methods_on(page: str) -> list[str]:
    return re.findall(r'<article class="method" id="(\w+)"', page)


def copied(page: str, method: str) -> str:
    """What the copy button of the method's call copies."""
    article = page[page.index(f'id="{method}" aria') :]
    (line,) = re.findall(r'data-copy="(curl[^"]*)"', article[: article.index("</article>")])
    return html.unescape(line)


def test_every_method_is_there_with_an_address_of_its_own(alice: Client) -> None:
    page = page_of(alice)
    assert sorted(methods_on(page)) == NAMES
    for name in NAMES:
        assert f'data-copy="{settings.SITE_URL}{CONTRACT}#{name}"' in page


def test_the_token_is_whole_in_what_is_copied_and_masked_in_what_is_shown(alice: Client) -> None:
    page = page_of(alice)
    site = settings.SITE_URL
    assert copied(page, "status") == f"curl '{site}/instance12345/status?token=t0psecret&full=true'"
    assert copied(page, "labelChat") == (
        f"curl -X POST '{site}/instance12345/labelChat?token=t0psecret' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        '  -d \'{"chatId": "17680561234@c.us", "labelId": "5"}\''
    )
    shown = re.sub(r'(data-copy|value)="[^"]*"', "", page)
    assert "t0psecret" not in shown
    assert "status?token=••••••••&amp;full=true" in shown


def test_what_is_copied_is_a_call_that_works(alice: Client, instance: Instance) -> None:
    line = copied(page_of(alice), "status")
    (address,) = re.findall(r"'(.*)'", line)
    answer = Client().get(address.removeprefix(settings.SITE_URL))
    assert answer.json()["accountStatus"] == "authenticated"


def test_the_chosen_instance_decides_whose_token_it_is(alice: Client, instance: Instance) -> None:
    other = InstanceFactory(owner=instance.owner, name="Second", token="an0ther")
    page = page_of(alice, f"{CONTRACT}?instance={other.number}")
    assert f"/instance{other.number}/status?token=an0ther" in html.unescape(page)
    assert "t0psecret" not in page
    assert f'href="{CONTRACT}?instance=12345"' in page  # the chooser stays on the page


@pytest.mark.parametrize("address", [CONTRACT, RECEIVERS])
def test_a_viewer_sees_a_word_in_place_of_the_token(client: Client, instance: Instance, address: str) -> None:
    client.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    page = page_of(client, f"{address}?instance=12345")
    assert "t0psecret" not in page
    assert instance.endpoint.secret not in page
    assert "/instance12345/" in page
    assert "YOUR_TOKEN" in page
    assert "You are a viewer" in page


@pytest.mark.parametrize("address", [CONTRACT, RECEIVERS])
def test_strangers_read_it_without_anybodys_token(client: Client, instance: Instance, address: str) -> None:
    page = page_of(client, f"{address}?instance=12345")
    assert "t0psecret" not in page
    assert "YOUR_TOKEN" in page
    assert "Sign in" in page
    client.force_login(AccountFactory(email="bob@example.org").owner)
    assert client.get(f"{address}?instance=12345").status_code == 404
    assert "You have no instance yet" in page_of(client, address)


def test_a_page_with_a_token_is_kept_nowhere(alice: Client) -> None:
    for address in (CONTRACT, RECEIVERS):
        assert "no-store" in alice.get(address)["Cache-Control"]


def test_the_search_stands_in_the_address(alice: Client) -> None:
    assert methods_on(page_of(alice, f"{CONTRACT}?q=quotedMsgId")) == [
        "sendMessage",
        "sendFile",
        "sendPTT",
        "sendLink",
    ]
    page = page_of(alice, f"{CONTRACT}?q=SENDAUDIO")  # another name of sendPTT, in any case
    assert methods_on(page) == ["sendPTT"]
    assert 'value="SENDAUDIO"' in page
    assert 'id="hooks"' not in page


def test_the_search_finds_errors_limits_and_hooks(alice: Client) -> None:
    assert "Wrong token. Please provide token" in page_of(alice, f"{CONTRACT}?q=wrong token")
    assert "Labels per instance" in page_of(alice, f"{CONTRACT}?q=limit labels")
    assert 'id="hook-chatUpdate"' in page_of(alice, f"{CONTRACT}?q=chatupdate")


def test_a_search_that_finds_nothing_says_so_and_shows_no_script(alice: Client) -> None:
    page = page_of(alice, f"{CONTRACT}?q=<script>alert(1)</script>")
    assert "No matches" in page
    assert "<script>alert" not in page


def test_while_it_is_typed_only_what_fits_is_sent(alice: Client) -> None:
    part = page_of(alice, f"{CONTRACT}?q=banTest", **{"HX-Request": "true"})
    assert part.lstrip().startswith('<div class="docs" id="found">')
    assert methods_on(part) == ["banSettings", "banTest"] or methods_on(part) == ["banTest"]


def test_the_hooks_stand_there_to_the_byte(alice: Client, instance: Instance) -> None:
    page = page_of(alice)
    assert [family.key for family in docs_hooks.build_families(12345)] == [
        "messages",
        "ack",
        "chatUpdate",
        "instanceStatus",
    ]
    for family in docs_hooks.build_families(12345):
        assert f'data-copy="{escape(family.body)}"' in page
        assert family.body.endswith('"instanceId":"12345"}')
    ack = docs_hooks.build_families(12345)[1].body
    assert ack == (
        '{"ack":[{"id":"true_17680561234@c.us_3EB0957AD66BAFF57D1D","queueNumber":2223,'
        '"chatId":"17680561234@c.us","status":"delivered"}],"instanceId":"12345"}'
    )
    assert payloads.encode({}) == b"{}"


def test_the_page_asks_the_database_as_often_as_any_other(
    alice: Client, django_assert_max_num_queries: Any
) -> None:
    page_of(alice)
    with django_assert_max_num_queries(8):
        page_of(alice)


def test_the_menu_has_the_three_parts_and_lights_the_one(alice: Client) -> None:
    for address, name in ((CONTRACT, "Wire contract"), (REST, "REST"), (RECEIVERS, "Receivers")):
        (lit,) = re.findall(
            r'<a href="[^"]*" aria-current="page">\s*<svg.*?</svg> ([^<]+?)\s*</a>', page_of(alice, address)
        )
        assert lit == name


@pytest.mark.parametrize("receiver", receivers.RECEIVERS, ids=lambda receiver: receiver.key)
def test_a_receiver_is_copied_as_it_lies_in_docs(alice: Client, receiver: receivers.Receiver) -> None:
    page = page_of(alice, f"{RECEIVERS}{receiver.key}/")
    text = (Path(settings.BASE_DIR) / "docs" / "receivers" / receiver.file).read_text()
    assert f'data-copy="{escape(text)}"' in page
    assert 'class="t-' in page  # highlighted on the server
    assert ("Not tested" in page) == (receiver.key == "csharp")


def test_a_receiver_starts_with_the_instances_own_address_token_and_secret(
    alice: Client, instance: Instance
) -> None:
    page = html.unescape(page_of(alice, RECEIVERS))
    assert (
        f"pip install flask requests\nexport API_URL={settings.SITE_URL}/instance12345/\n"
        f"export TOKEN=t0psecret\nexport SECRET={instance.endpoint.secret}\npython app.py"
    ) in page
    assert "export TOKEN=••••••••\nexport SECRET=••••••••\n" in page


def test_a_receiver_in_a_language_that_there_is_not(alice: Client) -> None:
    assert alice.get(f"{RECEIVERS}cobol/").status_code == 404


def test_without_the_docs_folder_the_page_says_so(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "FOLDER", Path("/nowhere"))
    receivers.read_source.cache_clear()
    try:
        assert "File not found" in page_of(alice, RECEIVERS)
    finally:
        receivers.read_source.cache_clear()
