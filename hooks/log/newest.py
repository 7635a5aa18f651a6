"""Finds the newest hooks of many endpoints as fast as those of one.

With one query over all of them, PostgreSQL either reads the table backwards until it has found enough of the account's
rows, or sorts all of the account's rows. Both take a second for an account with a hundred instances in a million hooks
(measured). Reading each endpoint's newest keys from its own index and merging them takes 10 to 60 ms.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery

from hooks.models import Endpoint, Hook, HookQuerySet


@dataclass(frozen=True)
class NewestOf:
    """The part of QuerySet that cursor pagination uses: order_by(), filter(), slices.

    `matching` are the hooks of any account that match the filters. Only those of the endpoints `endpoint_ids` are
    found. The returned rows are read from `own_hooks`, which must be the caller's hooks.
    """

    matching: HookQuerySet
    own_hooks: HookQuerySet
    endpoint_ids: Sequence[int]
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
        found = Endpoint.objects.filter(pk__in=self.endpoint_ids).values_list(
            ArraySubquery(newest_of_each), flat=True
        )
        merged = heapq.merge(*found, reverse=self.newest_first)
        ids = list(merged)[wanted]
        return list(self.own_hooks.filter(pk__in=ids).order_by(order))


def newest_hooks(
    matching: HookQuerySet, endpoint_ids: Sequence[int], limit: int, *, before: int | None = None
) -> list[Hook]:
    """Returns the newest `limit` hooks of these endpoints with a key below `before`, newest first.

    `matching` are the hooks of any account that match the filters. One query for one endpoint, two for several.
    """
    if before is not None:
        matching = matching.filter(pk__lt=before)
    if len(endpoint_ids) == 1:
        return list(matching.filter(endpoint_id=endpoint_ids[0]).order_by("-pk")[:limit])
    return NewestOf(matching, matching, endpoint_ids)[:limit]


def newest_key(hooks: HookQuerySet, endpoint_ids: Sequence[int]) -> int:
    """Returns the key of the newest of these endpoints' hooks, 0 without one. One query."""
    if len(endpoint_ids) == 1:
        newest = hooks.filter(endpoint_id=endpoint_ids[0]).order_by("-pk").values_list("pk", flat=True)
        return newest.first() or 0
    of_each = hooks.filter(endpoint_id=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    found = Endpoint.objects.filter(pk__in=endpoint_ids).values_list(Subquery(of_each), flat=True)
    return max((key for key in found if key is not None), default=0)
