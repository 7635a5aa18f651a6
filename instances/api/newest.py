"""The newest hooks over many instances, found as fast as over one.

One query over all of them would have PostgreSQL choose between walking the table backwards until enough rows are the
account's, and sorting all that the account has: a second either way for an account of a hundred instances in a
million hooks (measured; 10 to 60 ms so). Instead each instance's newest come from its own index, and the keys are
merged.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from hooks.models import Endpoint, Hook, HookQuerySet


@dataclass(frozen=True)
class NewestOf:
    """As much of a queryset as cursor pagination asks for: order_by(), filter(), a slice.

    `fitting` are the hooks that fit, whoever's; only those of `keys` (instances) are found, and what is shown comes
    out of `shown`, which must be the caller's own hooks.
    """

    fitting: HookQuerySet
    shown: HookQuerySet
    keys: Sequence[int]
    newest_first: bool = True

    def order_by(self, *ordering: str) -> NewestOf:
        return replace(self, newest_first=ordering == ("-id",))

    def filter(self, **conditions: Any) -> NewestOf:
        return replace(self, fitting=self.fitting.filter(**conditions))

    def __getitem__(self, wanted: slice) -> list[Hook]:
        order = "-pk" if self.newest_first else "pk"
        each = self.fitting.filter(endpoint_id=OuterRef("pk")).order_by(order).values("pk")[: wanted.stop]
        found = Endpoint.objects.filter(pk__in=self.keys).values_list(ArraySubquery(each), flat=True)
        merged = heapq.merge(*found, reverse=self.newest_first)
        ids = list(merged)[wanted]
        return list(self.shown.filter(pk__in=ids).order_by(order))
