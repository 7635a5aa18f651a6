"""The search for text in the bodies of hooks."""

from __future__ import annotations

import json

from django.db.models import BinaryField, F, Func, IntegerField, Q, Subquery, Value
from django.db.models.functions import Coalesce

from hooks import body_masking
from hooks.models import HookQuerySet

# Bodies have no index: only this many of the newest hooks that match the other filters are searched.
SEARCHED_MAX = 5_000


class BytePosition(Func):
    """The position of bytes within others, from 1; 0 if they are not in them."""

    function = "POSITION"
    arg_joiner = " IN "
    output_field = IntegerField()


def containing(hooks: HookQuerySet, text: str) -> HookQuerySet:
    """Of the newest SEARCHED_MAX hooks, those whose body has exactly this text, as it is or as JSON escapes it.

    None while bodies are masked: a search would tell what is in them.
    """
    if body_masking.are_masked():
        return hooks.none()
    oldest = hooks.order_by("-pk").values("pk")[SEARCHED_MAX - 1 : SEARCHED_MAX]
    forms = {text.encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    positions = {
        f"position_{number}": BytePosition(Value(form, BinaryField()), F("body"))
        for number, form in enumerate(forms)
    }
    found = Q(pk__in=[])
    for name in positions:
        found |= Q(**{f"{name}__gt": 0})
    return hooks.alias(**positions).filter(found, pk__gte=Coalesce(Subquery(oldest), 0))
