"""Digests of the database's rows: an attack that was refused leaves them as they were."""

from __future__ import annotations

from collections import deque

from django.apps import apps
from django.db import connection
from django.db.models import Model

from accounts.models import Account

# Any request may write these, also one that is refused: when and from where a session and a key were used last, counts
# of calls.
VOLATILE_TABLES = {"django_session", "usersessions_usersession", "accounts_sharedvalue"}
VOLATILE_COLUMNS = ["last_used_at", "last_used_from"]


def digests() -> dict[str, str]:
    """Returns each table's number of rows and the sum of their hashes. One query; partitions count with their table."""
    row = f"(to_jsonb(t) - ARRAY{VOLATILE_COLUMNS})::text"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace ORDER BY relname"
        )
        names = [name for (name,) in cursor.fetchall() if name not in VOLATILE_TABLES]
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{name}', count(*), coalesce(sum(hashtextextended({row}, 0)), 0) FROM \"{name}\" t"
                for name in names
            )
        )
        return {name: f"{rows} rows, hash {total}" for name, rows, total in cursor.fetchall()}


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Returns the tables that differ."""
    return [
        f"{name}: {before.get(name)} -> {after[name]}" for name in after if before.get(name) != after[name]
    ]


def path_to_account(model: type[Model]) -> str:
    """Returns the shortest chain of foreign keys from a model to Account, as the ORM writes it, or an empty text."""
    waiting, seen = deque([(model, "")]), {model}
    while waiting:
        current, path = waiting.popleft()
        if current is Account:
            return path or "pk"
        for field in current._meta.concrete_fields:
            target = field.related_model
            if isinstance(target, type) and target not in seen:
                seen.add(target)
                waiting.append((target, f"{path}__{field.name}" if path else field.name))
    return ""


def digests_of(account: Account) -> dict[str, str]:
    """Returns the number and the hash of the account's own rows in every table that leads to it."""
    found = {}
    for model in apps.get_models():
        path = path_to_account(model)
        if path and not model._meta.proxy:
            rows = model._default_manager.filter(**{path: account.pk}).values_list()
            found[model._meta.db_table] = f"{len(rows)} rows, hash {hash(frozenset(map(repr, rows)))}"
    return found
