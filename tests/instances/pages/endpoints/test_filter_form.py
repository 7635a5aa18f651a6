"""The form of an endpoint's filters."""

import pytest
from django.http import QueryDict

from hooks.filters import Filters
from instances.models import MessageType
from instances.pages.endpoints.filter_form import FilterForm


def submitted(**values):
    data = QueryDict(mutable=True)
    for name, value in values.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return FilterForm(data)


def test_an_empty_form_matches_all_events():
    form = submitted()
    assert form.is_valid()
    assert form.wanted() == Filters()


def test_every_field_is_read():
    form = submitted(
        families=["message", "ack"],
        direction="in",
        message_types=["image"],
        chat_kinds="direct",
        chat_ids="17680561234@c.us\r\n\r\n+1 768 056 1235\r\n17680561234@c.us\r\n",
    )
    assert form.is_valid(), form.errors
    assert form.wanted() == Filters(
        families=("message", "ack"),
        direction="in",
        message_types=("image",),
        chat_kinds="direct",
        chat_ids=("17680561234@c.us", "17680561235@c.us"),
    )


def test_everything_selected_is_no_filter():
    form = submitted(families=["message", "ack", "status", "chat"], message_types=list(MessageType))
    assert form.is_valid()
    assert form.wanted() == Filters()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"families": ["reaction"]}, "families"),
        ({"direction": "up"}, "direction"),
        ({"message_types": ["poll"]}, "message_types"),
        ({"chat_kinds": "channel"}, "chat_kinds"),
    ],
)
def test_unknown_values_are_errors(values, field):
    assert list(submitted(**values).errors) == [field]


def test_a_wrong_chat_id_is_named_by_its_line():
    form = submitted(chat_ids="17680561234@c.us\nAnn\n\nBob")
    assert form.errors["chat_ids"] == [
        "Line 2: “Ann” is not a chat id.",
        "Line 4: “Bob” is not a chat id.",
    ]


def test_many_wrong_chat_ids_are_counted():
    errors = submitted(chat_ids="\n".join(["Ann"] * 5)).errors["chat_ids"]
    assert len(errors) == 4
    assert errors[-1] == "2 more lines are not chat ids."


def test_too_many_chat_ids_are_an_error():
    ids = [f"1768056{number:04}@c.us" for number in range(101)]
    assert submitted(chat_ids="\n".join(ids[:100])).is_valid()
    assert submitted(chat_ids="\n".join(ids)).errors["chat_ids"] == [
        "Enter at most 100 chat ids; these are 101."
    ]


def test_the_form_shows_the_filters_of_an_endpoint():
    form = FilterForm.of(
        Filters(("ack",), "out", ("ptt",), ("17680561234@c.us", "17680561235@c.us"), "group")
    )
    assert form["families"].value() == ["ack"]
    assert form["direction"].value() == "out"
    assert form["message_types"].value() == ["ptt"]
    assert form["chat_kinds"].value() == "group"
    assert form["chat_ids"].value() == "17680561234@c.us\n17680561235@c.us"


def test_filters_that_match_nothing_are_an_error():
    errors = submitted(families="ack", direction="in").errors
    assert list(errors) == ["direction"]
    assert "match no event" in errors["direction"][0]
