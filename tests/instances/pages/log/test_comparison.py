"""Two attempts of a hook side by side."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Attempt, Hook, Outcome
from instances.models import Instance
from tests.factories import create_hook

pytestmark = pytest.mark.django_db
LINE = re.compile(
    r'<div class="diff-line diff-(removed|added)">.*?<span class="diff-text">(.*?)</span>', re.DOTALL
)


def attempt(hook: Hook, number: int, status: int, body: bytes, *, more: int = 0) -> None:
    """Stores an attempt whose response had `more` bytes after the stored ones."""
    Attempt.objects.create(
        hook=hook,
        number=number,
        started_at=timezone.now(),
        url="https://bot.example/hook",
        outcome=Outcome.OK if status == 200 else Outcome.NOT_200,
        status=status,
        request_headers=[["Content-Type", "application/json"], ["webhook-attempt", f"{number}/20"]],
        response_headers=[["Content-Type", "application/json"]],
        response_body=body,
        response_size=len(body) + more,
    )


@pytest.fixture
def hook(instance: Instance) -> Hook:
    hook = create_hook(endpoint=instance.endpoint, body=b"{}")
    attempt(hook, 1, 500, b'{"error":"<b>busy</b>","at":1.10}')
    attempt(hook, 2, 500, b'{"error":"<b>busy</b>","at":1.1}')
    attempt(hook, 3, 200, b"{}")
    return hook


def differences(browser: Client, hook: Hook, **query: str) -> list[tuple[str, str]]:
    page = browser.get(f"/log/{hook.public_id}/compare/", query).text
    return [(kind, html.unescape(text)) for kind, text in LINE.findall(page)]


def test_the_last_attempt_is_compared_with_the_one_before(alice: Client, hook: Hook) -> None:
    found = differences(alice, hook)
    assert found[:4] == [
        ("removed", "webhook-attempt: 2/20"),
        ("added", "webhook-attempt: 3/20"),
        ("removed", "Responded with 500, not 200"),
        ("added", "Delivered"),
    ]
    assert ("removed", '  "error": "<b>busy</b>",') in found


def test_two_chosen_attempts_and_numbers_as_they_were_sent(alice: Client, hook: Hook) -> None:
    assert differences(alice, hook, attempt="2", **{"with": "1"})[2:] == [
        ("removed", '  "at": 1.10'),
        ("added", '  "at": 1.1'),
    ]
    assert differences(alice, hook, attempt="2") == differences(alice, hook, attempt="2", **{"with": "1"})


def test_responses_of_which_only_the_beginning_is_stored_are_not_called_equal(
    alice: Client, instance: Instance
) -> None:
    hook = create_hook(endpoint=instance.endpoint, body=b"{}")
    for number, more in ((1, 0), (2, 0), (3, 1), (4, 1)):
        attempt(hook, number, 200, b"{}", more=more)
    for shown, may_differ in (("2", False), ("3", True), ("4", True)):
        page = alice.get(f"/log/{hook.public_id}/compare/", {"attempt": shown}).text
        assert ("The bytes may differ" in page) == may_differ


@pytest.mark.parametrize("given", ["", "0", "4", "-1", "x", "1" * 400, "\x00"])
def test_an_attempt_that_is_missing_is_404(alice: Client, hook: Hook, given: str) -> None:
    for name in ("attempt", "with"):
        assert alice.get(f"/log/{hook.public_id}/compare/", {name: given}).status_code == 404


def test_one_attempt_has_nothing_to_compare_and_offers_nothing(alice: Client, instance: Instance) -> None:
    hook = create_hook(endpoint=instance.endpoint, body=b"{}")
    attempt(hook, 1, 200, b"")
    assert alice.get(f"/log/{hook.public_id}/compare/").status_code == 404
    assert "Compare attempts" not in alice.get(f"/log/{hook.public_id}/").text


def test_a_stranger_gets_404_and_the_hooks_page_has_the_link(bob: Client, alice: Client, hook: Hook) -> None:
    assert bob.get(f"/log/{hook.public_id}/compare/").status_code == 404
    assert (
        f'href="/log/{hook.public_id}/compare/">Compare attempts</a>'
        in alice.get(f"/log/{hook.public_id}/").text
    )
