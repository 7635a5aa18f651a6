"""The filter of a bin's list, as in the URL: `field:value` terms and words without a field.

`method:POST status:5xx -kind:ack header:x-id body:"two words"`. All terms must match; "-" negates a term. An unknown
term is ignored, and the page shows which, so the user knows why it has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from django.db.models import BooleanField, ExpressionWrapper, F, Func, IntegerField, Q, TextField, Value
from django.db.models.fields import BinaryField
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan

from hooks import body_masking
from testing_tools.verification.models import CaptureQuerySet, Family

MAX_LENGTH = 300  # characters
MAX_TERMS = 10
TERM = re.compile(r'(-?)(?:([A-Za-z]+):)?(?:"([^"]*)"|(\S+))')
UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024 * 1024}


class Term(NamedTuple):
    """One term: as written, its field and value, and whether it is negated."""

    text: str
    field: str
    value: str
    negated: bool


def kind_condition(value: str) -> Q:
    exact = Q(family=value.lower()) if value.lower() in Family.values else Q(pk__in=[])
    return exact | Q(label__icontains=value)


def status_condition(value: str) -> Q | None:
    if re.fullmatch(r"[1-5][0-9][0-9]", value):
        return Q(status=int(value))
    if re.fullmatch(r"[1-5]xx", value.lower()):
        first = int(value[0]) * 100
        return Q(status__gte=first, status__lt=first + 100)
    return None


def size_condition(value: str) -> Q | None:
    match = re.fullmatch(r"(>=|<=|>|<|=)?([0-9]{1,12})(b|kb|mb)?", value.lower())
    if match is None:
        return None
    lookup = {">": "gt", "<": "lt", ">=": "gte", "<=": "lte"}.get(match[1] or "=", "exact")
    return Q(**{f"size__{lookup}": int(match[2]) * UNITS[match[3] or ""]})


def state_condition(value: str) -> Q | None:
    return {
        "unread": Q(read_at=None),
        "read": Q(read_at__isnull=False),
        "noted": ~Q(note=""),
        "large": Q(too_large=True),
        "failed": Q(status__gte=400),
    }.get(value.lower())


def free_text(value: str) -> Q:
    """Returns the condition of a word without a field: it searches the columns that the list shows."""
    words = Q(label__icontains=value) | of_content(Q(summary__icontains=value)) | Q(note__icontains=value)
    return words | Q(path__icontains=value) | Q(method__iexact=value)


def of_content(condition: Q) -> Q:
    """Returns the condition; while bodies are masked one that none meets, because it would tell what is in them."""
    return Q(pk__in=[]) if body_masking.are_masked() else condition


# field → the condition of a value; None: the field has no such value
FIELDS: dict[str, Callable[[str], Q | None]] = {
    "kind": kind_condition,
    "method": lambda value: Q(method__iexact=value),
    "path": lambda value: Q(path__icontains=value),
    "query": lambda value: of_content(Q(query__icontains=value)),
    "header": lambda value: Q(headers_text__icontains=value),
    "body": lambda value: of_content(Q(in_body=True)),
    "status": status_condition,
    "attempt": lambda value: Q(attempt__startswith=f"{value}/") | Q(attempt=value),
    "size": size_condition,
    "from": lambda value: Q(remote_text__startswith=value),
    "note": lambda value: Q(note__icontains=value),
    "is": state_condition,
}
EXAMPLES = (
    ("kind:ack", "message, ack, status, chat, other, or a word of the label"),
    ("status:5xx", "the response's status"),
    ("method:PUT", ""),
    ("path:/orders", ""),
    ("header:x-id", "a name or a value"),
    ('body:"two words"', "anywhere in the body"),
    ("size:>10kb", ""),
    ("attempt:2", ""),
    ("from:10.0.", "the sender's IP address"),
    ("is:unread", "also read, noted, failed, large"),
    ("-kind:status", "negated: all except these"),
)


# The chips that are always shown; one is chosen.
KINDS = (
    ("All", ""),
    *((family.label, f"kind:{family.value}") for family in Family),
    ("Unread", "is:unread"),
)


class Filter:
    """A parsed filter: its `terms`, and the unknown terms in `ignored`."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.replace("\x00", "").encode(errors="ignore").decode().split())[:MAX_LENGTH]
        self.terms: list[Term] = []
        self.ignored: list[str] = []
        for match in TERM.finditer(self.text):
            term = self.read(match)
            if term.field:
                is_valid = term.field in FIELDS and FIELDS[term.field](term.value) is not None
            else:
                is_valid = not re.fullmatch(r"[A-Za-z]+:", term.value)  # a field without a value
            if term.value and is_valid and len(self.terms) < MAX_TERMS:
                self.terms.append(term)
            else:
                self.ignored.append(term.text)

    @staticmethod
    def read(match: re.Match[str]) -> Term:
        field, value = (match[2] or "").lower(), match[3] if match[3] is not None else match[4]
        if field and value.startswith("//"):  # the scheme of a URL is not a field
            field, value = "", f"{match[2]}:{value}"
        return Term(match[0], field, value, bool(match[1]))

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def chips(self) -> list[tuple[str, str]]:
        """Returns each term that is not a chip of kinds(), and the filter without that term."""
        fixed = {text for _, text in KINDS}
        return [
            (term.text, " ".join(other.text for other in self.terms if other is not term))
            for term in self.terms
            if term.text not in fixed
        ]

    def kinds(self) -> list[tuple[str, str, bool]]:
        """Returns the chips of KINDS: label, the filter after choosing it, and whether it is chosen now."""
        fixed = {text for _, text in KINDS}
        rest = [term.text for term in self.terms if term.text not in fixed]
        chosen = {term.text for term in self.terms} - set(rest)
        return [
            (label, " ".join([text, *rest]).strip(), chosen == ({text} if text else set()))
            for label, text in KINDS
        ]

    def apply(self, captures: CaptureQuerySet) -> CaptureQuerySet:
        for number, term in enumerate(self.terms):
            condition = FIELDS[term.field](term.value) if term.field else free_text(term.value)
            if condition is None:  # __init__() never adds such a term
                continue
            if term.field == "body":
                name = f"in_body_{number}"
                captures, condition = (
                    captures.annotate(**{name: body_contains(term.value)}),
                    Q(**{name: True}),
                )
            elif term.field == "header":
                captures = captures.annotate(headers_text=Cast("headers", TextField()))
            elif term.field == "from":
                captures = captures.annotate(
                    remote_text=Func(F("remote_address"), function="host", output_field=TextField())
                )
            captures = captures.exclude(condition) if term.negated else captures.filter(condition)
        return captures


def body_contains(text: str) -> ExpressionWrapper:
    """Returns an expression: does the body contain this text? It reads the bodies: 0.5 s for 500 bodies of 1 MB."""
    found = Func(
        Value(text.encode(), output_field=BinaryField()),
        F("body"),
        template="position(%(expressions)s)",
        arg_joiner=" IN ",
        output_field=IntegerField(),
    )
    return ExpressionWrapper(GreaterThan(found, 0), output_field=BooleanField())
