"""The plans of the statements that the product executes in a test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, FORMAT JSON)"
READING = ("SELECT", "WITH")
WRITING = ("INSERT INTO", "UPDATE", "DELETE FROM")  # EXPLAIN ANALYZE would execute them again


@contextmanager
def executed_plans(*parts: str) -> Iterator[list[dict[str, Any]]]:
    """Collects the plan of each reading statement that contains one of these parts, with the rows that it has read."""
    plans: list[dict[str, Any]] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        is_reading = sql.lstrip().startswith(READING) and not any(word in sql for word in WRITING)
        if is_reading and any(part in sql for part in parts):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"{EXPLAIN} {sql}", params)
                [found] = cursor.fetchone()
            plans.append((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A node of a plan and all nodes below it."""
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]
