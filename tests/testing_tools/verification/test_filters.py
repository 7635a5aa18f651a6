"""The list is filtered by `field:value` and words; unknown terms are named and hide nothing."""

import pytest
from django.utils import timezone

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.filters import Filter
from testing_tools.verification.models import Capture
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
ACK = b'{"ack":[{"id":"true_1@c.us_3EB0","queueNumber":3,"chatId":"1@c.us","status":"viewed"}],"instanceId":"1"}'


@pytest.fixture
def bin():
    bin = bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))
    capture_actions.capture(bin.key, method="POST", body=ACK, headers=[("webhook-attempt", "2/20")])  # 1
    capture_actions.capture(
        bin.key, method="GET", path="/orders/7", query="color=red", remote_address="10.0.0.7"
    )  # 2
    capture_actions.capture(
        bin.key, method="PUT", path="/503", body=b"two words, \xff and more", headers=[("x-id", "abc")]
    )  # 3
    capture_actions.capture(bin.key, method="POST", body=b"", size=2 * 1024 * 1024)  # 4, too large
    Capture.objects.filter(number=2).update(read_at=timezone.now(), note="Look here")
    bin.refresh_from_db()
    return bin


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [4, 3, 2, 1]),
        ("kind:ack", [1]),
        ("kind:Viewed", [1]),
        ("KIND:other", [4, 3, 2]),
        ("method:put", [3]),
        ("path:orders", [2]),
        ("query:red", [2]),
        ("header:x-id", [3]),
        ("header:ABC", [3]),
        ('body:"two words"', [3]),
        ("body:3EB0", [1]),
        ("status:503", [3]),
        ("status:4xx", [4]),
        ("attempt:2", [1]),
        ("attempt:2/20", [1]),
        ("size:>1mb", [4]),
        ("size:0", [2]),
        ("from:10.0.", [2]),
        ("note:look", [2]),
        ("is:unread", [4, 3, 1]),
        ("is:noted", [2]),
        ("is:failed", [4, 3]),
        ("is:large", [4]),
        ("3EB0", [1]),
        ('"look here"', [2]),
        ("-kind:other", [1]),
        ("-body:words", [4, 2, 1]),
        ("is:unread method:POST -kind:ack", [4]),
        ("nowhere", []),
        ("http://x", []),
        ("100%", []),
    ],
)
def test_a_filter_finds_what_matches_all_terms(bin, text, numbers):
    filter = Filter(text)
    assert filter.ignored == []
    assert [found.number for found in filter.apply(Capture.objects.kept(bin))] == numbers


@pytest.mark.parametrize("text", ["foo:bar", "status:abc", "size:big", "is:green", 'body:""', "kind:"])
def test_an_unknown_term_is_ignored_and_named(bin, text):
    filter = Filter(f"{text} method:POST")
    assert filter.ignored == [text]
    assert [found.number for found in filter.apply(Capture.objects.kept(bin))] == [4, 1]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("\x00", [4, 3, 2, 1]),  # no text column can store it
        ("\ud800", [4, 3, 2, 1]),
        ("x" * 5000, []),
        ("3EB0 " * 400, [1]),
        ("'; DROP TABLE x; --", []),
        ("%s %(a)s", []),
    ],
)
def test_any_text_is_accepted(bin, text, numbers):
    assert [found.number for found in Filter(text).apply(Capture.objects.kept(bin))] == numbers


def test_chips_choose_a_kind_and_keep_the_other_terms():
    filter = Filter("method:POST kind:ack")
    assert ("Status", "kind:status method:POST", False) in filter.kinds()
    assert ("All", "method:POST", False) in filter.kinds()
    assert ("Ack", "kind:ack method:POST", True) in filter.kinds()
    assert filter.chips == [("method:POST", "kind:ack")]


def test_the_page_shows_what_matches_and_names_ignored_terms(client, bin):
    client.force_login(bin.instance.owner.owner)
    answer = client.get(f"/testing/bins/{bin.key}/", {"q": "method:POST foo:bar"})
    assert [found.number for found in answer.context["captures"]] == [4, 1]
    page = answer.content.decode()
    assert '<span class="nums">2</span> matching' in page
    assert "<strong>foo:bar</strong>. The help button lists the fields." in page
    assert 'name="q" value="method:POST foo:bar"' in page


def test_no_match_is_not_shown_as_an_empty_bin(client, bin):
    client.force_login(bin.instance.owner.owner)
    page = client.get(f"/testing/bins/{bin.key}/?q=nowhere").content.decode()
    assert "No matching requests" in page
    assert "data-empty" not in page


def test_a_poll_returns_only_what_matches(client, bin):
    client.force_login(bin.instance.owner.owner)
    answer = client.get(f"/testing/bins/{bin.key}/news/?after=1&q=method:GET", headers={"HX-Request": "true"})
    assert [found.number for found in answer.context["captures"]] == [2]
    assert answer.context["cursor"] == 4
