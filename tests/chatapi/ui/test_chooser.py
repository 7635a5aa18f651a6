"""The chooser finds every instance, names its account, and leads to the same page of it."""

import re

import pytest
from django.test import Client

from instances.models import Instance
from instances.pages import frame as pages_frame
from tests.factories import AccountFactory, InstanceFactory, member_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def instances(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[Instance]:
    """Five of alice's, who is signed in; the chooser's list holds three."""
    monkeypatch.setattr(pages_frame, "CHOOSER_SIZE", 3)
    alice = AccountFactory(email="alice@example.org")
    client.force_login(alice.owner)
    return [
        InstanceFactory(owner=alice, name=name) for name in ("Alpha", "Bravo", "Charlie", "Delta", "Echo")
    ]


def rows(client: Client, **asked: str) -> list[tuple[str, str]]:
    """(address, name) of what the search finds."""
    page = client.get("/testing/chooser/", asked).content.decode()
    return re.findall(r'href="([^"]+)".*?<span class="chooser-name">\s*(.+?) <span', page, re.DOTALL)


def test_the_search_finds_what_the_list_does_not_hold(client: Client, instances: list[Instance]) -> None:
    last = instances[4]
    for words in ("echo", str(last.number)):
        assert rows(client, q=words, at="/log/") == [(f"/log/?instance={last.number}", "Echo")]


def test_the_search_leads_to_the_page_that_is_open(client: Client, instances: list[Instance]) -> None:
    at = {
        f"/instances/{instances[0].number}/messages/": f"/instances/{instances[4].number}/messages/",
        "/testing/sending/": f"/testing/sending/?instance={instances[4].number}",
        "/account/": f"/instances/{instances[4].number}/",
        "/no/such/page/": f"/instances/{instances[4].number}/",
        "https://elsewhere.example/log/": f"/instances/{instances[4].number}/",
    }
    assert {path: rows(client, q="echo", at=path)[0][0] for path in at} == at


def test_one_of_somebody_else_is_not_found(client: Client, instances: list[Instance]) -> None:
    InstanceFactory(owner=AccountFactory(email="bob@example.org"), name="Bob's shop")

    assert rows(client, q="bob") == []
    assert "No matching instances." in client.get("/testing/chooser/", {"q": "bob"}).content.decode()


def test_a_choice_beyond_the_list_is_kept(client: Client, instances: list[Instance]) -> None:
    client.get(f"/log/?instance={instances[4].number}")

    assert '<span class="chooser-name">Echo</span>' in client.get("/account/").content.decode()


def test_a_shared_instance_says_whose_account_it_is_in(client: Client) -> None:
    alice = AccountFactory(email="alice@example.org", name="Alice's shops")
    InstanceFactory(owner=alice, name="Shop")
    max_ = member_of(alice, "manager", "max@example.org")
    InstanceFactory(owner=max_.account, name="Mine")
    client.force_login(max_)

    page = client.get("/account/").content.decode()

    assert page.count("in the account of Alice&#x27;s shops</span>") == 1
    assert "in the account of max@example.org" not in page


def test_the_search_puts_matching_names_first(client: Client, instances: list[Instance]) -> None:
    """Digits of a name are part of many numbers: the number of "Load test 10" contains 97."""
    owner = instances[0].owner
    for place in range(10, 14):
        InstanceFactory(owner=owner, name=f"Load test {place}", number=1_970_000 + place)
    wanted = InstanceFactory(owner=owner, name="Load test 97", number=1_555_000)

    found = rows(client, q="load test 97", at="/log/")
    assert found[0] == (f"/log/?instance={wanted.number}", "Load test 97")
    assert len(found) == pages_frame.CHOOSER_SIZE
    assert rows(client, q="97 load", at="/log/")[0][1] == "Load test 97"


def test_the_chooser_has_one_search_whatever_the_number_of_instances(client: Client) -> None:
    alice = AccountFactory(email="alice@example.org")
    client.force_login(alice.owner)
    for place in range(pages_frame.WITHOUT_SEARCH):
        InstanceFactory(owner=alice, name=f"Shop {place}")
    assert "Find an instance" not in client.get("/account/").text
    InstanceFactory(owner=alice, name="One more")
    page = client.get("/account/").text
    assert 'hx-get="/testing/chooser/?at=/account/"' in page
