"""The filter of a bin's list: `field:value` terms and free words, as they stand in the address.

`method:POST status:5xx -kind:ack header:x-id body:"two words"`. All terms must fit; "-" before one turns it round.
A term that makes no sense is left out, and the page says which; it never hides rows in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from django.db.models import BooleanField, ExpressionWrapper, F, Func, IntegerField, Q, TextField, Value
from django.db.models.fields import BinaryField
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan

from testing_tools.verification.models import CaptureQuerySet, Family

LONGEST = 300  # characters
MOST_TERMS = 10
TERM = re.compile(r'(-?)(?:([A-Za-z]+):)?(?:"([^"]*)"|(\S+))')
UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024 * 1024}


class Term(NamedTuple):
    """One term: as it was written, what it asks, and whether it is turned round."""

    text: str
    field: str
    value: str
    negated: bool


def kind(value: str) -> Q:
    exact = Q(family=value.lower()) if value.lower() in Family.values else Q(pk__in=[])
    return exact | Q(label__icontains=value)


def status(value: str) -> Q | None:
    if re.fullmatch(r"[1-5][0-9][0-9]", value):
        return Q(status=int(value))
    if re.fullmatch(r"[1-5]xx", value.lower()):
        least = int(value[0]) * 100
        return Q(status__gte=least, status__lt=least + 100)
    return None


def size(value: str) -> Q | None:
    match = re.fullmatch(r"(>=|<=|>|<|=)?([0-9]{1,12})(b|kb|mb)?", value.lower())
    if match is None:
        return None
    lookup = {">": "gt", "<": "lt", ">=": "gte", "<=": "lte"}.get(match[1] or "=", "exact")
    return Q(**{f"size__{lookup}": int(match[2]) * UNITS[match[3] or ""]})


def state(value: str) -> Q | None:
    return {
        "unread": Q(read_at=None),
        "read": Q(read_at__isnull=False),
        "noted": ~Q(note=""),
        "large": Q(too_large=True),
        "failed": Q(status__gte=400),
    }.get(value.lower())


def free(value: str) -> Q:
    """A word without a field: in what the list shows."""
    words = Q(label__icontains=value) | Q(summary__icontains=value) | Q(note__icontains=value)
    return words | Q(path__icontains=value) | Q(method__iexact=value)


# name → what it asks for; None: no such value
FIELDS: dict[str, Callable[[str], Q | None]] = {
    "kind": kind,
    "method": lambda value: Q(method__iexact=value),
    "path": lambda value: Q(path__icontains=value),
    "query": lambda value: Q(query__icontains=value),
    "header": lambda value: Q(headers_text__icontains=value),
    "body": lambda value: Q(in_body=True),
    "status": status,
    "attempt": lambda value: Q(attempt__startswith=f"{value}/") | Q(attempt=value),
    "size": size,
    "from": lambda value: Q(remote_text__startswith=value),
    "note": lambda value: Q(note__icontains=value),
    "is": state,
}
EXAMPLES = (
    ("kind:ack", "message, ack, status, chat, other, or a word of the label"),
    ("status:5xx", "what was answered"),
    ("method:PUT", ""),
    ("path:/orders", ""),
    ("header:x-id", "a name or a value"),
    ('body:"two words"', "anywhere in the body"),
    ("size:>10kb", ""),
    ("attempt:2", ""),
    ("from:10.0.", "who sent it"),
    ("is:unread", "also read, noted, failed, large"),
    ("-kind:status", "turned round: all but these"),
)


# The chips that are always there: of these one is chosen.
KINDS = (
    ("All", ""),
    *((family.label, f"kind:{family.value}") for family in Family),
    ("Unread", "is:unread"),
)


class Filter:
    """A filter that was understood as far as it could be: `terms`, and `dropped` with what was left out."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.replace("\x00", "").encode(errors="ignore").decode().split())[:LONGEST]
        self.terms: list[Term] = []
        self.dropped: list[str] = []
        for match in TERM.finditer(self.text):
            term = self.read(match)
            if term.field:
                understood = term.field in FIELDS and FIELDS[term.field](term.value) is not None
            else:
                understood = not re.fullmatch(r"[A-Za-z]+:", term.value)  # a field whose value is missing
            if term.value and understood and len(self.terms) < MOST_TERMS:
                self.terms.append(term)
            else:
                self.dropped.append(term.text)

    @staticmethod
    def read(match: re.Match[str]) -> Term:
        field, value = (match[2] or "").lower(), match[3] if match[3] is not None else match[4]
        if field and value.startswith("//"):  # an address is no field
            field, value = "", f"{match[2]}:{value}"
        return Term(match[0], field, value, bool(match[1]))

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def chips(self) -> list[tuple[str, str]]:
        """Each term that is not among kinds(), and the filter without it."""
        own = {text for _, text in KINDS}
        return [
            (term.text, " ".join(other.text for other in self.terms if other is not term))
            for term in self.terms
            if term.text not in own
        ]

    def kinds(self) -> list[tuple[str, str, bool]]:
        """The chips to choose from: word, filter with it in the place of the chosen ones, and whether it is chosen."""
        own = {text for _, text in KINDS}
        rest = [term.text for term in self.terms if term.text not in own]
        chosen = {term.text for term in self.terms} - set(rest)
        return [
            (word, " ".join([text, *rest]).strip(), chosen == ({text} if text else set()))
            for word, text in KINDS
        ]

    def apply(self, captures: CaptureQuerySet) -> CaptureQuerySet:
        for number, term in enumerate(self.terms):
            asked = FIELDS[term.field](term.value) if term.field else free(term.value)
            if asked is None:  # read() has left those out
                continue
            if term.field == "body":
                name = f"in_body_{number}"
                captures, asked = captures.annotate(**{name: holds(term.value)}), Q(**{name: True})
            elif term.field == "header":
                captures = captures.annotate(headers_text=Cast("headers", TextField()))
            elif term.field == "from":
                captures = captures.annotate(
                    remote_text=Func(F("remote_address"), function="host", output_field=TextField())
                )
            captures = captures.exclude(asked) if term.negated else captures.filter(asked)
        return captures


def holds(text: str) -> ExpressionWrapper:
    """Are these bytes anywhere in the body? It reads the bodies: half a second for 500 of 1 MB."""
    found = Func(
        Value(text.encode(), output_field=BinaryField()),
        F("body"),
        template="position(%(expressions)s)",
        arg_joiner=" IN ",
        output_field=IntegerField(),
    )
    return ExpressionWrapper(GreaterThan(found, 0), output_field=BooleanField())
