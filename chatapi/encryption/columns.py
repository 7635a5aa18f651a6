"""Where the database holds ciphertexts: counts them by key, encrypts plain text, and encrypts with the newest key.

Each row is changed by one statement of its own that compares the old text, so that no lock is held over several rows,
an interrupted run continues where it ended, and a secret that is rotated meanwhile is not overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection

from chatapi.encryption.cipher import VERSION, UnreadableSecret, decrypt, encrypt, is_current, token_digest
from chatapi.encryption.fields import EncryptedTextField

PORTION = 500  # rows that are read by one query


@dataclass(frozen=True)
class EncryptedColumn:
    """A column of ciphertexts. The texts in SQL are of this program, never of a user."""

    label: str  # for reports and for handlers, such as instances.Instance.token
    table: str
    key: str  # the column of the primary key
    bound_to: str  # the column to whose value the ciphertext is bound; "": to none
    context: str  # of cipher.py, without the value of `bound_to`
    read: str  # SQL of the stored text
    write: str  # SQL that assigns the text %s

    def context_of(self, bound_value: object) -> str:
        return f"{self.context}:{bound_value}" if self.bound_to else self.context


def plain_column(label: str, table: str, key: str, column: str, bound_to: str) -> EncryptedColumn:
    """Returns a column that holds the ciphertext alone."""
    return EncryptedColumn(
        label, table, key, bound_to, f"{table}.{column}", f'"{column}"', f'"{column}" = %s'
    )


_registered: list[EncryptedColumn] = []


def register(column: EncryptedColumn) -> None:
    """Adds a column of a package's model, which has no EncryptedTextField."""
    _registered.append(column)


def encrypted_columns() -> list[EncryptedColumn]:
    """Returns every column of ciphertexts: the fields of all models, and the registered ones."""
    found = []
    for model in apps.get_models():
        options = model._meta
        columns = {field.attname: str(field.column) for field in options.concrete_fields}
        found += [
            plain_column(
                f"{options.label}.{field.name}",
                options.db_table,
                columns[options.pk.attname],
                columns[field.attname],
                columns[field.bound_to],
            )
            for field in options.concrete_fields
            if isinstance(field, EncryptedTextField)
        ]
    return [*found, *_registered]


def key_ids(column: EncryptedColumn) -> dict[str, int]:
    """Returns how many ciphertexts of the column each key has encrypted, by the key's id. One scan of the table."""
    with connection.cursor() as cursor:
        cursor.execute(key_ids_query(column))
        return dict(cursor.fetchall())


def key_ids_query(column: EncryptedColumn) -> str:
    return (
        f"SELECT split_part({column.read}, '.', 2), count(*) FROM \"{column.table}\" "
        f"WHERE {column.read} LIKE '{VERSION}%' GROUP BY 1"
    )


def rows(column: EncryptedColumn, condition: str, parameters: list[Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yields key, bound value and stored text of the rows that meet the condition, in portions by the key."""
    bound = f'"{column.bound_to}"' if column.bound_to else "NULL"
    after: list[Any] = []
    while True:
        with connection.cursor() as cursor:
            beyond = f'"{column.key}" > %s AND ' if after else ""
            cursor.execute(
                f'SELECT "{column.key}", {bound}, {column.read} FROM "{column.table}" '
                f'WHERE {beyond}{condition} ORDER BY "{column.key}" LIMIT {PORTION}',
                [*after, *parameters],
            )
            found = cursor.fetchall()
        yield from found
        if len(found) < PORTION:
            return
        after = [found[-1][0]]


def replace(
    column: EncryptedColumn, key: Any, old: str, new: str, *, also: str = "", value: Any = None
) -> bool:
    """Replaces the stored text of one row unless it was changed meanwhile. `also` assigns `value` with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{column.table}" SET {column.write}{also} '
            f'WHERE "{column.key}" = %s AND {column.read} = %s',
            [new, *([value] if also else []), key, old],
        )
        return cursor.rowcount == 1


def encrypt_plain_text(column: EncryptedColumn, *, digest_column: str = "") -> int:
    """Encrypts the texts that are not encrypted yet, for a migration; returns how many.

    `digest_column` gets the digest of each.
    """
    changed = 0
    also = f', "{digest_column}" = %s' if digest_column else ""
    for key, bound, plain in rows(
        column, f"{column.read} <> '' AND {column.read} NOT LIKE %s", [f"{VERSION}%"]
    ):
        sealed = encrypt(plain, column.context_of(bound))
        changed += replace(column, key, plain, sealed, also=also, value=token_digest(plain))
    return changed


def decrypt_to_plain_text(column: EncryptedColumn) -> None:
    """Decrypts every text, for the reverse of a migration. Raises UnreadableSecret."""
    for key, bound, sealed in rows(column, f"{column.read} LIKE %s", [f"{VERSION}%"]):
        replace(column, key, sealed, decrypt(sealed, column.context_of(bound)))


def encrypt_with_newest_key(column: EncryptedColumn, on_unreadable: Callable[[Any], None]) -> int:
    """Encrypts with the newest key what an older one has encrypted; returns how many texts.

    Every text is decrypted. `on_unreadable` gets the primary key of each row whose text cannot be.
    """
    changed = 0
    for key, bound, sealed in rows(column, f"{column.read} LIKE %s", [f"{VERSION}%"]):
        context = column.context_of(bound)
        try:
            plain = decrypt(sealed, context)
        except UnreadableSecret:
            on_unreadable(key)
            continue
        if not is_current(sealed):
            changed += replace(column, key, sealed, encrypt(plain, context))
    return changed
