"""The migrations after those of the last release, in the order in which they are applied, and their problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from chatapi.quality.rolling.operations import problems_of
from chatapi.quality.rolling.problems import Kind, Problem
from chatapi.quality.rolling.releases import Last
from chatapi.quality.rolling.tables import tables_of

# Accepted problems of later migrations, each with its reason: ("hooks.0034_name", kind).
# For tables that are small on every site, where code of the last release was tried.
ALLOWED: dict[tuple[str, Kind], str] = {
    ("hooks.0043_periods_of_lanes", Kind.UNIQUE): "a lane is unique without its period already",
}


def find_problems(loader: MigrationLoader, last: Last) -> list[Problem]:
    """Returns the problems of all migrations after the last released ones. Uses no database."""
    state = ProjectState()
    released = in_order(loader, [one for one in last.items() if one in loader.graph.nodes])
    for key in released:
        loader.graph.nodes[key].mutate_state(state, preserve=False)
    tables = tables_of(state)
    return [
        problem
        for key in in_order(loader, loader.graph.leaf_nodes())
        if key not in released
        for problem in problems_of(loader.graph.nodes[key], state, tables)
    ]


def in_order(loader: MigrationLoader, targets: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the targets and all migrations before them."""
    return list(dict.fromkeys(key for target in targets for key in loader.graph.forwards_plan(target)))


def report(problems: Iterable[Problem], allowed: Mapping[tuple[str, Kind], str] = ALLOWED) -> list[str]:
    """Returns a line for each problem that is not allowed, and for each entry of `allowed` that is not needed."""
    lines, unneeded = [], set(allowed)
    for problem in problems:
        unneeded.discard((problem.migration, problem.kind))
        if (problem.migration, problem.kind) not in allowed:
            lines.append(str(problem))
    return lines + [
        f"{name}: {kind.name} is allowed, but not used" for name, kind in sorted(unneeded, key=str)
    ]
