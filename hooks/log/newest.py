"""Finds the newest hooks of many endpoints as fast as those of one: by each endpoint's index; see index_order.py."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from django.db.models import OuterRef, Q, Subquery

from hooks.log.index_order import newest_keys
from hooks.log.selection import Filter
from hooks.models import Endpoint, Hook, HookQuerySet


@dataclass(frozen=True)
class NewestOf:
    """The part of QuerySet that filter backends and cursor pagination use: all(), order_by(), filter(), slices.

    Only hooks of the endpoints `endpoint_ids` that match the filter `wanted` are found. The returned rows are read
    from `own_hooks`, which must be the caller's hooks.
    """

    model: ClassVar[type[Hook]] = Hook

    own_hooks: HookQuerySet
    endpoint_ids: Sequence[int]
    wanted: Filter = field(default_factory=dict)
    narrowed: Q = field(default_factory=Q)  # where the page starts
    newest_first: bool = True

    def all(self) -> NewestOf:
        return self

    def matching(self, wanted: Filter) -> NewestOf:
        return replace(self, wanted=wanted)

    def of_endpoints(self, endpoint_ids: Collection[int]) -> NewestOf:
        """Only the hooks of these endpoints, of those that the caller may see."""
        return replace(self, endpoint_ids=[key for key in self.endpoint_ids if key in endpoint_ids])

    def order_by(self, *ordering: str) -> NewestOf:
        return replace(self, newest_first=ordering == ("-id",))

    def filter(self, **conditions: Any) -> NewestOf:
        return replace(self, narrowed=self.narrowed & Q(**conditions))

    def __getitem__(self, wanted: slice) -> list[Hook]:
        keys = newest_keys(
            self.endpoint_ids,
            self.wanted,
            limit=wanted.stop,
            narrowed=self.narrowed,
            newest_first=self.newest_first,
        )[wanted]
        return list(self.own_hooks.filter(pk__in=keys).order_by("-pk" if self.newest_first else "pk"))


def newest_hooks(
    hooks: HookQuerySet,
    wanted: Filter,
    endpoint_ids: Sequence[int],
    limit: int,
    *,
    before: int | None = None,
) -> list[Hook]:
    """Returns the newest `limit` matching hooks of these endpoints with a key below `before`, newest first.

    `hooks` says which columns are read. Two queries.
    """
    narrowed = None if before is None else Q(pk__lt=before)
    keys = newest_keys(endpoint_ids, wanted, limit=limit, narrowed=narrowed)
    return list(hooks.filter(pk__in=keys).order_by("-pk"))


def newest_key(hooks: HookQuerySet, endpoint_ids: Sequence[int]) -> int:
    """Returns the key of the newest of these endpoints' hooks, 0 without one. One query."""
    if len(endpoint_ids) == 1:
        newest = hooks.filter(endpoint_id=endpoint_ids[0]).order_by("-pk").values_list("pk", flat=True)
        return newest.first() or 0
    of_each = hooks.filter(endpoint_id=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    found = Endpoint.objects.filter(pk__in=endpoint_ids).values_list(Subquery(of_each), flat=True)
    return max((key for key in found if key is not None), default=0)
