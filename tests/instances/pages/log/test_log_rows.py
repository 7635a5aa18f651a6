"""The log's filters as a line of text, and what a row says of its event and its last request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hooks.body_masking import masked_bodies
from hooks.models import Attempt, Hook, Kind, Outcome, State
from instances.actions.messages import receive_message
from instances.pages.log import tokens
from instances.pages.log.filters import Filters
from instances.pages.log.row_words import describe_rows, event_words, with_last_url
from tests.factories import create_hook

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("kind:ack status:5xx", {"kind": "ack", "answer": "5xx"}),
        ("status:404 host:a.example", {"status": "404", "host": "a.example"}),
        ("status:200", {"answer": "200"}),
        ('state:failed text:"an order" last:hour', {"state": "failed", "text": "an order", "period": "hour"}),
        ('text:"say \\"hi\\""', {"text": 'say "hi"'}),
        ("from:2026-11-01T10:00:00+00:00", {"from": "2026-11-01T10:00:00+00:00"}),
    ],
)
def test_the_line_and_the_parameters_are_the_same_filter(line: str, values: dict[str, str]) -> None:
    assert tokens.parse(line) == values
    assert tokens.parse(tokens.write(values)) == values
    filters = Filters.from_query(values)
    assert (filters.values, filters.ignored) == (values, [])
    assert tokens.parse(filters.line) == values


def test_words_without_a_name_are_searched_for() -> None:
    assert tokens.parse("two words") == {"text": "two words"}
    assert tokens.parse("kind:ack http://x/ order") == {"kind": "ack", "text": "http://x/ order"}
    assert tokens.parse("  ") == {}


def test_the_line_leads_to_the_address_of_the_filter(alice, instance) -> None:
    answer = alice.get("/log/", {"q": "kind:ack status:404", "instance": "12345"})
    assert (answer.status_code, answer["Location"]) == (302, "/log/?instance=12345&kind=ack&status=404")
    page = alice.get(answer["Location"]).content.decode()
    assert 'value="kind:ack status:404"' in page
    assert "Ignored invalid filters: state." in alice.get("/log/?q=state:lost", follow=True).content.decode()


def test_a_status_code_is_a_filter(alice, instance) -> None:
    fields: dict[str, Any] = {"kind": Kind.ACK, "body": b"{}", "finished_at": "2026-11-01T00:00Z"}
    for status in (404, 410):
        create_hook(endpoint=instance.endpoint, state=State.FAILED, last_status=status, **fields)
    [found] = alice.get("/log/?status=404").context["rows"]
    assert found.last_status == 404
    assert alice.get("/log/?status=abc").context["filters"].ignored == ["status"]


def test_a_row_says_who_wrote_what_and_where_it_went(alice, instance) -> None:
    receive_message(instance, sender="17680561234", sender_name="Ann", body="<b>an order</b>\nof two")
    hook = Hook.objects.get(kind=Kind.MESSAGE)
    for number, path in ((1, "/old"), (2, "/hook?key=1")):
        Attempt.objects.create(
            hook=hook, number=number, started_at=hook.created_at, url=f"https://a.example{path}",
            outcome=Outcome.NOT_200, status=500,
        )  # fmt: skip
    Hook.objects.filter(pk=hook.pk).update(
        last_host="a.example", last_status=500, last_outcome=Outcome.NOT_200
    )
    page = alice.get("/log/?kind=message").content.decode()
    assert "· Ann: &lt;b&gt;an order&lt;/b&gt; of two" in page
    assert ">/hook?key=1<" in page
    [row] = with_last_url(Hook.objects.filter(pk=hook.pk))
    describe_rows([row])
    assert row.path == "/hook?key=1"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("ack", {"ack": [{"status": "delivered"}]}, "delivered"),
        ("message", {"messages": [{"type": "image", "fromMe": True, "body": "https://…"}]}, "You: image"),
        (
            "message",
            {"messages": [{"type": "chat", "fromMe": False, "senderName": "Bo", "body": "hi"}]},
            "Bo: hi",
        ),
        ("status", {"instanceStatus": [{"new": {"accountStatus": "loading"}}]}, "loading"),
        ("chat", {"chatUpdate": [{"old": None, "new": {"name": "Family"}}]}, "Family"),
        ("message", {"messages": []}, ""),
        ("message", [1], ""),
        ("ack", {"ack": "x"}, ""),
    ],
)
def test_the_event_in_words(kind: str, body: Any, words: str) -> None:
    assert event_words(Hook(kind=kind, body=json.dumps(body).encode())) == words


def test_half_a_surrogate_pair_or_many_brackets_in_a_body_break_no_row(alice, instance) -> None:
    half = rb'{"messages":[{"type":"chat","fromMe":false,"senderName":"Ann","body":"half \ud800"}]}'
    for body in (half, b"[" * 100_000):
        create_hook(
            endpoint=instance.endpoint, state=State.DELIVERED, kind=Kind.MESSAGE, body=body,
            finished_at="2026-11-01T00:00Z",
        )  # fmt: skip
    assert "· Ann: half" in alice.get("/log/").content.decode()


def test_masked_and_dropped_bodies_have_no_words(instance) -> None:
    receive_message(instance, sender="17680561234", sender_name="Ann", body="secret")
    with masked_bodies():
        hook = Hook.objects.get(kind=Kind.MESSAGE)
    assert event_words(hook) == event_words(Hook(kind="ack", body=b"")) == ""
