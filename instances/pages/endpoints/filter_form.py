"""The form of an endpoint's filters. An empty field matches all events."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms

from hooks.filters import Filters, InvalidFilters, check
from hooks.models import MAX_CHATS, Endpoint
from instances import chat_ids
from instances.endpoint_filters import FAMILIES
from instances.models import MessageType

ERRORS_SHOWN = 3  # of the chat ids; the number of the others follows
TYPED_SHOWN = 40  # characters of a wrong line


class FilterForm(forms.Form):
    """Which events an endpoint gets: families, direction, message types, chat kinds, and chat ids one per line."""

    families = forms.MultipleChoiceField(
        label="Events",
        choices=[(family, words.capitalize()) for family, words in FAMILIES.items()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    direction = forms.ChoiceField(
        choices=[("", "Both"), ("in", "Incoming"), ("out", "Outgoing")],
        required=False,
        widget=forms.RadioSelect,
    )
    message_types = forms.MultipleChoiceField(
        choices=MessageType, required=False, widget=forms.CheckboxSelectMultiple
    )
    chat_kinds = forms.ChoiceField(
        label="Chats",
        choices=[("", "All chats"), ("direct", "Direct chats"), ("group", "Groups")],
        required=False,
        widget=forms.RadioSelect,
    )
    chat_ids = forms.CharField(
        label="Chat ids",
        required=False,
        max_length=10_000,
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "placeholder": "17680561234@c.us\n17680561234-1479621234@g.us",
                "spellcheck": "false",
                "autocapitalize": "off",
                "autocomplete": "off",
                "class": "form-control mono",
            }
        ),
    )

    @classmethod
    def of(cls, filters: Endpoint | Filters) -> FilterForm:
        """Returns the form with the filters of an endpoint."""
        return cls(
            initial={
                "families": list(filters.families),
                "direction": filters.direction,
                "message_types": list(filters.message_types),
                "chat_kinds": filters.chat_kinds,
                "chat_ids": "\n".join(filters.chat_ids),
            }
        )

    def clean_chat_ids(self) -> list[str]:
        """Returns the chat ids without duplicates, in the order given; a phone number becomes its chat id."""
        found: dict[str, None] = {}
        invalid = []
        for number, line in enumerate(self.cleaned_data["chat_ids"].splitlines(), start=1):
            if not line.strip():
                continue
            try:
                found[chat_ids.of_chat(line.strip())] = None
            except chat_ids.BadChatId:
                invalid.append(f"Line {number}: “{line.strip()[:TYPED_SHOWN]}” is not a chat id.")
        if invalid:
            rest = len(invalid) - ERRORS_SHOWN
            also = [f"{rest} more lines are not chat ids." if rest > 1 else "One more line is not a chat id."]
            raise forms.ValidationError(invalid[:ERRORS_SHOWN] + (also if rest > 0 else []))
        if len(found) > MAX_CHATS:
            raise forms.ValidationError(f"Enter at most {MAX_CHATS} chat ids; these are {len(found)}.")
        return list(found)

    def clean(self) -> dict[str, Any]:
        """Reports filters that no event can match at the field that is in the way."""
        if not self.errors:
            try:
                check(self.wanted())
            except InvalidFilters as error:
                self.add_error(error.field, str(error))
        return self.cleaned_data

    def wanted(self) -> Filters:
        """Returns the filters. Requires a valid form.

        All families, or all message types, are stored as none: that matches all, also those that are added later.
        """
        values = self.cleaned_data
        return Filters(
            families=without_all(values["families"], FAMILIES),
            direction=values["direction"],
            message_types=without_all(values["message_types"], MessageType.values),
            chat_ids=tuple(values["chat_ids"]),
            chat_kinds=values["chat_kinds"],
        )


def without_all(chosen: Collection[str], all_values: Collection[str]) -> tuple[str, ...]:
    """Returns the chosen values; none if all are chosen."""
    return () if len(chosen) == len(all_values) else tuple(chosen)
