"""Finds the newest hooks of many instances as fast as those of one.

With one query over all of them, PostgreSQL either reads the table backwards until it has found enough of the account's
rows, or sorts all of the account's rows. Both take a second for an account with a hundred instances in a million hooks
(measured). Reading each instance's newest keys from its own index and merging them takes 10 to 60 ms.
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
    """The part of QuerySet that cursor pagination uses: order_by(), filter(), slices.

    `matching` are the hooks of any account that match the filters. Only those of the instances `instance_keys` are
    found. The returned rows are read from `own_hooks`, which must be the caller's hooks.
    """

    matching: HookQuerySet
    own_hooks: HookQuerySet
    instance_keys: Sequence[int]
    newest_first: bool = True

    def order_by(self, *ordering: str) -> NewestOf:
        return replace(self, newest_first=ordering == ("-id",))

    def filter(self, **conditions: Any) -> NewestOf:
        return replace(self, matching=self.matching.filter(**conditions))

    def __getitem__(self, wanted: slice) -> list[Hook]:
        order = "-pk" if self.newest_first else "pk"
        newest_of_each = (
            self.matching.filter(endpoint_id=OuterRef("pk")).order_by(order).values("pk")[: wanted.stop]
        )
        found = Endpoint.objects.filter(pk__in=self.instance_keys).values_list(
            ArraySubquery(newest_of_each), flat=True
        )
        merged = heapq.merge(*found, reverse=self.newest_first)
        ids = list(merged)[wanted]
        return list(self.own_hooks.filter(pk__in=ids).order_by(order))
